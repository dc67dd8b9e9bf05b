"""Packs: the container, the plain form, what a receiver forgives and what it leans on."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from conformance import packs
from conformance.checks.conftest import NewRepository
from conformance.expectations import only_if_right, refused, requirement, unchanged
from conformance.histories import Commit, chain, child_of, commit, merge_of
from conformance.repository import Repository


def replaced(**fields: Any) -> Any:
    """Bends a pack: these keys have other values."""
    return lambda pack: pack.update(fields)


@requirement("MPACK-001")
@pytest.mark.parametrize(
    "raw",
    [b"", b"\xc1", b"\xc0", b"\x90", b"PK\x03\x04", b"{}", b"\xa1a"],
    ids=["nothing", "no msgpack", "nil", "a list", "a zip file", "JSON", "a text"],
)
def test_a_pack_is_one_map(repo: Repository, raw: bytes) -> None:
    """Other bytes, and other values than a map, are malformed."""
    tip = commit("a")
    with unchanged(repo), refused(422, "malformed"):
        repo.push_body(raw, tip.id)
    repo.push(tip)


@requirement("MPACK-002")
@pytest.mark.parametrize("framed", [False, True], ids=["plain", "framed"])
def test_a_cut_pack_is_refused(framed_repo: Repository, framed: bool) -> None:
    """A pack cut short at any of a sample of its bytes is malformed, and changes nothing."""
    tip = commit("a")
    raw = framed_repo.pack(tip, framed=framed)
    with unchanged(framed_repo, tip):
        for length in [*range(0, len(raw), max(1, len(raw) // 30)), len(raw) - 1]:
            with refused(422, "malformed", "bad_frame", "missing_field"):
                framed_repo.push_body(raw[:length], tip.id)
    framed_repo.push_body(raw, tip.id)


@requirement("MPACK-002")
@pytest.mark.parametrize("framed", [False, True], ids=["plain", "framed"])
def test_bytes_after_the_end_are_refused(framed_repo: Repository, framed: bool) -> None:
    """Nothing may follow the map."""
    tip = commit("a")
    raw = framed_repo.pack(tip, framed=framed)
    for rest in (b"\0", b"\xc0", raw):
        with unchanged(framed_repo, tip), refused(422, "malformed"):
            framed_repo.push_body(raw + rest, tip.id)
    framed_repo.push_body(raw, tip.id)


def twice(pack: bytes, key: str, value: Any) -> bytes:
    """A small map's bytes with one more pair, whose key is there already."""
    assert pack[0] & 0xF0 == 0x80
    return bytes([pack[0] + 1]) + pack[1:] + msgpack.packb(key) + msgpack.packb(value)


@requirement("MPACK-003")
@pytest.mark.parametrize("key", ["commits", "meta", "format"])
def test_a_key_stands_once(repo: Repository, key: str) -> None:
    """A pack with a key twice is malformed, even where both values are the same."""
    tip = commit("a")
    value = packs.plain(tip)
    with unchanged(repo, tip), refused(422, "malformed"):
        repo.push_body(twice(packs.encode(value), key, value[key]), tip.id)
    repo.push(tip)


@requirement("MPACK-003")
@pytest.mark.parametrize("key", [7, b"bytes", None])
def test_keys_are_texts(repo: Repository, key: Any) -> None:
    """A key that is no text is malformed, at any depth."""
    tip = commit("a")
    only_if_right(repo, tip, lambda pack: pack.update({key: 1}), "malformed")
    bend = lambda pack: pack["commits"][0].update(deep={key: 1})  # noqa: E731 - one expression
    only_if_right(repo, child_of(tip), bend, "malformed")


@requirement("MPACK-004")
@pytest.mark.parametrize("value", [0, 2, 1.0, True, "1", None])
def test_another_format_is_refused(repo: Repository, value: Any) -> None:
    """The format is the number 1."""
    only_if_right(repo, commit("a"), replaced(format=value), "malformed")


@requirement("MPACK-004")
def test_the_format_may_be_absent(repo: Repository) -> None:
    """No format means 1."""
    tip = commit("a")
    value = packs.plain(tip)
    del value["format"]
    repo.push_body(packs.encode(value), tip.id)


@requirement("MPACK-005")
def test_objects_is_another_name_for_blobs(repo: Repository) -> None:
    """Blobs may be called objects; a pack with both is refused."""
    tip = commit("a")
    only_if_right(repo, tip, replaced(objects=[]), "malformed")
    more = child_of(tip)
    value = packs.plain(more, known=[tip])
    value["objects"] = value.pop("blobs")
    repo.push_body(packs.encode(value), more.id)
    repo.holds(more)


@requirement("MPACK-006")
@pytest.mark.parametrize("field", ["object_id", "content"])
def test_a_blob_needs_id_and_content(repo: Repository, field: str) -> None:
    """A blob without one of them is refused as such."""
    only_if_right(repo, commit("a"), lambda pack: pack["blobs"][0].pop(field), "missing_field")


@requirement("MPACK-006")
@pytest.mark.parametrize("content", ["text", None, 7, [1]], ids=repr)
def test_a_content_is_bytes(repo: Repository, content: Any) -> None:
    """Text, or anything but bytes, is no content."""
    bend = lambda pack: pack["blobs"][0].update(content=content)  # noqa: E731 - one expression
    only_if_right(repo, commit("a"), bend, "malformed", "missing_field")


@requirement("MPACK-006")
def test_other_keys_of_a_blob_are_ignored(repo: Repository) -> None:
    """A blob may tell its path and other things."""
    tip = commit("a")
    value = packs.plain(tip)
    value["blobs"][0] |= {"path": "a.txt", "unheard_of": [1]}
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)


@requirement("MPACK-007", "MPACK-012")
def test_a_head_makes_a_framed_pack(repo: Repository) -> None:
    """A plain pack with the key `head` is not plain any more, and refused."""
    only_if_right(repo, commit("a"), replaced(head=b""), "malformed", "bad_frame")


@requirement("MPACK-008")
@pytest.mark.parametrize("content", [b"", b"another"])
def test_a_blob_that_is_not_its_id_is_refused(repo: Repository, content: bytes) -> None:
    """Content that does not hash to its id is refused."""
    bend = lambda pack: pack["blobs"][0].update(content=content)  # noqa: E731 - one expression
    only_if_right(repo, commit("a"), bend, "blob_mismatch")


@requirement("MPACK-009")
@pytest.mark.parametrize("key", ["commits", "snapshots", "blobs", "branch_heads", "meta"])
def test_each_part_has_its_type(repo: Repository, key: str) -> None:
    """A part of another type is malformed."""
    wrong = [{}, 7, None, "text"] if key in ("commits", "snapshots", "blobs") else [[], 7, "text"]
    parent: list[Commit] = []
    for value in wrong:
        tip = commit(f"a{value!r}", on=parent)
        only_if_right(repo, tip, replaced(**{key: value}), "malformed")
        parent = [tip]


@requirement("MPACK-009")
@pytest.mark.parametrize("key", ["commits", "snapshots", "blobs"])
def test_each_record_is_a_map(repo: Repository, key: str) -> None:
    """A record that is no map is malformed."""
    only_if_right(repo, commit("a"), lambda pack: pack[key].append(7), "malformed")


@requirement("MPACK-009")
def test_keys_come_in_any_order_and_unknown_ones_are_ignored(repo: Repository) -> None:
    """A receiver does not insist on the order of keys, and skips what it does not know."""
    tip = commit("a")
    value = packs.plain(tip)
    shuffled = {"unheard_of": {"a": [1]}, **dict(reversed(value.items()))}
    repo.push_body(packs.encode(shuffled), tip.id)
    repo.holds(tip)


@requirement("MPACK-025", "MPACK-024")
@pytest.mark.parametrize("framed", [False, True], ids=["plain", "framed"])
def test_commits_and_blobs_come_in_any_order(framed_repo: Repository, framed: bool) -> None:
    """Children may stand before their parents, and blobs where they like."""
    repo = framed_repo
    links = chain(6)
    value = packs.plain(links[-1])
    value["commits"].reverse()
    value["blobs"].reverse()
    raw = packs.framed(value).encode() if framed else packs.encode(value)
    repo.push_body(raw, links[-1].id)
    repo.holds(links[-1])


@requirement("MPACK-026")
def test_what_is_there_twice_or_for_nothing_is_accepted(repo: Repository) -> None:
    """Records given twice, blobs nobody names and commits the head does not reach do no harm."""
    tip, stray = commit("a"), commit("stray")
    value = packs.plain(tip, stray)
    for key in ("commits", "snapshots", "blobs"):
        value[key] += value[key][:1]
    unnamed = b"named by nobody " + repo.slug.encode()
    name = next(iter(commit("x", files={"x": unnamed}).blobs))
    value["blobs"].append({"object_id": name, "content": unnamed})
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)
    assert repo.heads() == {"main": tip.id}


@requirement("MPACK-027")
def test_the_first_of_two_records_counts(repo: Repository) -> None:
    """Of two records with one id in a pack, the first is kept."""
    tip = commit("a")
    value = packs.plain(tip)
    first, second = dict(tip.record, agent_id="first"), dict(tip.record, agent_id="second")
    value["commits"] = [first, second]
    repo.push_body(packs.encode(value), tip.id)
    assert repo.commit(tip.id)["agent_id"] == "first"


@requirement("MPACK-028")
@pytest.mark.parametrize("parents", [1, 2])
def test_a_missing_parent_is_refused(repo: Repository, parents: int) -> None:
    """A commit whose parent is neither here nor in the pack is refused."""
    one, two = commit("one"), commit("two")
    tip = child_of(one) if parents == 1 else merge_of(two, one)

    def bend(pack: packs.Value) -> None:
        pack["commits"] = [c for c in pack["commits"] if c["commit_id"] != one.id]

    only_if_right(repo, tip, bend, "missing_parent")


@requirement("MPACK-028")
def test_a_missing_snapshot_is_refused(repo: Repository) -> None:
    """A commit whose snapshot is neither here nor in the pack is refused."""
    only_if_right(repo, commit("a"), lambda pack: pack["snapshots"].clear(), "missing_snapshot")


@requirement("MPACK-028")
def test_a_pack_leans_on_what_is_here(repo: Repository) -> None:
    """Parents, bases and blobs that were pushed before need not be sent again."""
    root = repo.given(commit("root"))
    tip = child_of(root, files={"copy": root.files["root.txt"]})
    value = packs.plain(tip, known=[root])
    assert (len(value["commits"]), value["blobs"]) == (1, [])
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)


@requirement("MPACK-028", "AUTH-013", "PUSH-007")
@pytest.mark.parametrize("what", ["commits", "blobs"])
def test_a_pack_leans_on_no_other_repository(new_repo: NewRepository, what: str) -> None:
    """What only another repository has, even one of the same owner, is not here."""
    elsewhere, here = new_repo(), new_repo()
    root = elsewhere.given(commit("root"))
    tip = child_of(root)
    whole = packs.plain(tip)
    code = {"commits": "missing_parent", "blobs": "missing_object"}[what]
    with unchanged(here, tip), refused(422, code):
        here.push_body(packs.encode({**whole, what: whole[what][1:]}), tip.id)
    here.push_body(packs.encode(whole), tip.id)
