"""Fetches: the closure of what is wanted without what is had, in a pack that proves itself."""

from __future__ import annotations

import pytest

from conformance import oracle, packs
from conformance.checks.conftest import NewRepository
from conformance.client import Client
from conformance.expectations import check_refusal, exactly, requirement
from conformance.histories import (
    Commit,
    altered,
    chain,
    child_of,
    commit,
    merge_of,
    with_tree,
)
from conformance.repository import Repository


def rich(repo: Repository) -> tuple[Commit, Commit, Commit, Commit]:
    """A history with a merge, a removal, a rename, directories and unknown fields, pushed."""
    root = commit("root", files={"a": b"1", "b": b"2" * 9000, "é": b""}, directories=["empty"])
    left = with_tree("left", {"a": b"1", "c": root.files["b"]}, (root,), directories=[])
    right = altered(child_of(root, "right", files={"a": b"11"}), unheard_of={"x": [1]})
    tip = merge_of(right, left, directories=["new/deep"])
    repo.given(root, left, right, tip)
    return root, left, right, tip


FORMS = pytest.mark.parametrize("framed", [False, True], ids=["plain", "framed"])


@requirement("FETCH-001")
def test_an_empty_want_is_malformed(repo: Repository) -> None:
    """A fetch wants at least one commit."""
    tip = repo.given(commit("a"))
    check_refusal(repo.ask("POST", "fetch/mpack", {"want": []}), 422, "malformed")
    repo.fetch(tip)


@requirement("FETCH-001")
def test_an_unknown_want_is_refused(repo: Repository, new_repo: NewRepository) -> None:
    """An id nobody has, another repository's commit, and ids of other things are unknown."""
    tip = repo.given(commit("a"))
    foreign = new_repo().given(commit("b"))
    for id in (oracle.ABSENT, foreign.id, tip.snapshot, *tip.blobs):
        for want in ([id], [tip.id, id]):
            answer = repo.ask("POST", "fetch/mpack", {"want": want})
            check_refusal(answer, 404, "unknown_commit")


@requirement("FETCH-002")
def test_an_unknown_have_is_ignored(repo: Repository) -> None:
    """What only the client knows does no harm."""
    root, tip = chain(2)
    repo.given(root, tip)
    stranger = commit("never pushed")
    exactly(repo.fetch(tip, have=[stranger]), [tip])
    exactly(repo.fetch(tip, have=[stranger, root]), [tip], [root])


@requirement("FETCH-003", "MPACK-007")
@pytest.mark.parametrize("capabilities", [None, [], ["unheard-of"], ["Framed"]])
def test_a_pack_is_plain_unless_asked(
    framed_repo: Repository, capabilities: list[str] | None
) -> None:
    """Without `framed` the pack is plain, however it was pushed."""
    tip = commit("a")
    framed_repo.push(tip, framed=True)
    value = {"want": [tip.id], "capabilities": capabilities}
    pack = packs.read(framed_repo.download(framed_repo.call("POST", "fetch/mpack", value)))
    assert (pack.framed, list(pack.commits)) == (False, [tip.id])


@requirement("FETCH-003")
def test_a_pack_may_be_framed_when_asked(framed_repo: Repository) -> None:
    """Among other capabilities, `framed` is found."""
    tip = framed_repo.given(commit("a"))
    value = {"want": [tip.id], "capabilities": ["unheard-of", "framed"]}
    pack = packs.read(framed_repo.download(framed_repo.call("POST", "fetch/mpack", value)))
    assert list(pack.commits) == [tip.id]


@requirement("FETCH-004")
def test_fetch_is_a_short_name(repo: Repository) -> None:
    """/fetch and /fetch/mpack are one call."""
    root, tip = chain(2)
    repo.given(root, tip)
    exactly(repo.fetch(tip, route="fetch"), [tip])
    exactly(repo.fetch(tip, have=[root], route="fetch"), [tip], [root])


@requirement("FETCH-005", "AUTH-014")
def test_a_packs_url_needs_no_signature(private_repo: Repository, anyone: Client) -> None:
    """An absolute URL gives the bytes, which hash to mpack_id, of a private repository too."""
    tip = private_repo.given(commit("a"))
    answer = private_repo.call("POST", "fetch/mpack", {"want": [tip.id]})
    raw = private_repo.seen_by(anyone).download(answer)
    assert oracle.digest(raw) == answer["mpack_id"]


@requirement("FETCH-006", "FETCH-008", "SNAP-015", "CG4", "MPACK-029")
@FORMS
def test_a_clone_is_the_whole_closure(framed_repo: Repository, framed: bool) -> None:
    """Every commit, snapshot and blob that is reachable, nothing else, nothing named but absent."""
    *_, tip = rich(framed_repo)
    framed_repo.given(commit("elsewhere"), branch="other")
    exactly(framed_repo.fetch(tip, framed=framed), [tip])


@requirement("FETCH-006", "FETCH-007", "FETCH-008", "CG4")
@FORMS
@pytest.mark.parametrize("have", ["root", "left", "right", "both"])
def test_what_is_had_is_left_out(framed_repo: Repository, framed: bool, have: str) -> None:
    """Everything reachable from have stays out: commits, snapshots and blobs."""
    root, left, right, tip = rich(framed_repo)
    had = {"root": [root], "left": [left], "right": [right], "both": [left, right]}[have]
    exactly(framed_repo.fetch(tip, have=had, framed=framed), [tip], had)


@requirement("FETCH-007")
@FORMS
def test_old_blobs_that_come_back_are_left_out(framed_repo: Repository, framed: bool) -> None:
    """Content that only an old commit below have holds is not sent again."""
    first = with_tree("first", {"a": b"old content" * 9})
    second = with_tree("second", {"a": b"other"}, (first,))
    third = with_tree("third", dict(first.files), (second,))
    framed_repo.given(first, second, third)
    fetched = framed_repo.fetch(third, have=[second], framed=framed)
    exactly(fetched, [third], [second])
    assert fetched.pack.blobs == {}


@requirement("FETCH-006")
def test_several_wants_are_one_pack(repo: Repository) -> None:
    """The union of what is reachable."""
    one, two = commit("one"), commit("two")
    repo.given(one)
    repo.given(two, branch="two")
    exactly(repo.fetch(one, two), [one, two])
    exactly(repo.fetch(one, two, have=[one]), [two], [one])


@requirement("FETCH-006")
def test_an_old_commit_can_be_wanted(repo: Repository) -> None:
    """A want need not be a tip."""
    links = chain(4)
    repo.given(*links)
    exactly(repo.fetch(links[1]), [links[1]])
    exactly(repo.fetch(links[2], have=[links[0]]), [links[2]], [links[0]])


@requirement("FETCH-008", "SNAP-015")
@FORMS
def test_no_delta_stands_on_what_only_the_server_has(framed_repo: Repository, framed: bool) -> None:
    """A delta that was pushed against a snapshot off the wanted history is written anew."""
    repo = framed_repo
    hidden = repo.given(commit("hidden", files={"big": b"b" * 3000}), branch="hidden")
    tip = with_tree("tip", {"big": b"b" * 3000, "new": b"n"})
    value = packs.plain(tip, known=[hidden])
    value["snapshots"] = [packs.delta(tip, hidden)]
    repo.push_body(packs.encode(value), tip.id)
    exactly(repo.fetch(tip, framed=framed), [tip])
    child = child_of(tip)
    repo.push(child)
    exactly(repo.fetch(child, have=[tip], framed=framed), [child], [tip])


@requirement("SNAP-015", "DP3")
def test_deltas_say_only_what_differs(repo: Repository) -> None:
    """No path whose blob is the same, removals for what is gone, directories where they differ."""
    root, *_, tip = rich(repo)
    for had in ([], [root]):
        pack = repo.fetch(tip, have=had).pack
        trees = pack.trees(had)
        for name, record in pack.snapshots.items():
            parent = record.get("parent_snapshot_id")
            below = trees[parent][0] if parent else {}
            same = [p for p, b in record.get("delta_upsert", {}).items() if below.get(p) == b]
            gone = below.keys() - trees[name][0].keys()
            assert (same, set(record.get("delta_remove", ()))) == ([], gone)
            assert "manifest" not in record


@requirement("FETCH-009")
@FORMS
def test_counts_are_the_packs(framed_repo: Repository, framed: bool) -> None:
    """`commit_count` and `blob_count` tell what is in the pack; `cache` is hit or miss."""
    root, *_, tip = rich(framed_repo)
    for had in ([], [root]):
        fetched = framed_repo.fetch(tip, have=had, framed=framed)
        counts = [fetched.answer[name] for name in ("commit_count", "blob_count")]
        assert counts == [len(fetched.pack.commits), len(fetched.pack.blobs)]
        assert fetched.answer["cache"] in ("hit", "miss")


@requirement("FETCH-010")
@FORMS
def test_nothing_new_is_a_pack_without_commits(framed_repo: Repository, framed: bool) -> None:
    """What is wanted and had already gives an empty pack."""
    root, tip = chain(2)
    framed_repo.given(root, tip)
    for want in (tip, root):
        fetched = framed_repo.fetch(want, have=[tip], framed=framed)
        assert (fetched.pack.commits, fetched.pack.blobs) == ({}, {})
        assert fetched.answer["commit_count"] == 0


@requirement("FETCH-006", "REC-007", "REC-008")
@FORMS
def test_records_come_back_as_they_were(framed_repo: Repository, framed: bool) -> None:
    """Unknown fields, time texts and empty values survive push and fetch."""
    odd = {"unheard_of": {"": [None, 1.5, True]}, "metadata": {"e": ""}, "breaking_changes": [""]}
    one = altered(commit("one", committed_at="2026-01-01T01:00:00.0+01:00"), **odd)
    two = child_of(one, "two")
    framed_repo.given(one, two)
    exactly(framed_repo.fetch(two, framed=framed), [two])
