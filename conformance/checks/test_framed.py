"""The framed form: columns, ordinals, frames from strangers."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import pytest

from conformance import packs
from conformance.expectations import accepted, refused, requirement, unchanged
from conformance.histories import Commit, chain, child_of, commit, merge_of, signed, with_tree
from conformance.packs import Framed, squeeze
from conformance.repository import Repository

Bend = Any


def u32(*numbers: int) -> bytes:
    """A column of numbers."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


def only_if_right(repo: Repository, tip: Commit, bend: Bend, *codes: str) -> None:
    """The framed pack of `tip`, bent, is refused and changes nothing; as it was, accepted."""
    value = packs.plain(tip, known=repo.accepted)
    bent = packs.framed(value)
    bend(bent)
    with unchanged(repo, tip), refused(422, *codes):
        repo.push_body(bent.encode(), tip.id)
    accepted(repo, packs.framed(value).encode(), tip)


@requirement("MPACK-010", "MPACK-019", "MPACK-021")
def test_a_framed_history_is_taken_in_whole(framed_repo: Repository) -> None:
    """Merges, removals, directories, signatures and unknown fields survive the framed form."""
    root = commit("root", directories=["empty"], files={"a": b"1", "dir/b": b"2" * 5000})
    left = with_tree("left", {"a": b"1"}, (root,), directories=["empty", "more"])
    right = signed(child_of(root, "right", unheard_of={"a": [1, None]}))
    tip = merge_of(left, right, directories=[])
    framed_repo.push(root, left, right, tip, framed=True)
    framed_repo.holds(tip)


@requirement("MPACK-024")
@pytest.mark.parametrize("level", [1, 19])
def test_frames_may_be_cut_and_compressed_anyhow(framed_repo: Repository, level: int) -> None:
    """One frame a blob, or all in one, stored or at any level: all of it is accepted."""
    tip = chain(4)[-1]
    value = packs.plain(tip)
    single = packs.framed(value)
    together = b"".join(single.contents)
    single.head["frame_counts"] = u32(len(single.contents))
    single.head["raw"] = bytes([level == 1])
    single.payloads = [together if level == 1 else squeeze(together, level)]
    framed_repo.push_body(single.encode(), tip.id)
    framed_repo.holds(tip)


def column(path: str, value: Any) -> Bend:
    """Bends a head: the column at this path has another value."""

    def bend(framed: Framed) -> None:
        table: Any = framed.head
        *above, last = path.split(".")
        for name in above:
            table = table[name]
        table[last] = value

    return bend


WRONG_COLUMNS = [
    ("paths", "text"),
    ("paths", [7]),
    ("sizes", [1]),
    ("sizes", b"\0\0\0"),
    ("frame_counts", u32(2)),
    ("snapshots", []),
    ("snapshots.ids", b"\0" * 33),
    ("snapshots.base", b""),
    ("snapshots.upserts", u32(9)),
    ("snapshots.path", u32()),
    ("snapshots.directories", []),
    ("commits", None),
    ("commits.ids", "text"),
    ("commits.snapshot", u32(0, 0)),
    ("commits.parents", b"\x03"),
    ("commits.parents", b"\x01"),
    ("commits.fields", []),
    ("commits.rest", [{}, {}]),
    ("external", b"\0"),
    ("branch_heads", []),
    ("meta", 7),
]


@requirement("MPACK-010")
@pytest.mark.parametrize(("path", "value"), WRONG_COLUMNS)
def test_columns_fit_their_counts(framed_repo: Repository, path: str, value: Any) -> None:
    """A wrong type, or a length that does not fit, is malformed."""
    codes = ("malformed", "missing_field", "bad_frame")
    only_if_right(framed_repo, commit("a"), column(path, value), *codes)


@requirement("MPACK-011")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("snapshots.path", u32(1)),
        ("snapshots.object", u32(1)),
        ("snapshots.object", u32(0xFFFFFFFF)),
        ("snapshots.base", u32(1)),
        ("commits.snapshot", u32(7)),
        ("commits.snapshot", u32(0xFFFFFFFF)),
    ],
)
def test_ordinals_stay_in_range(framed_repo: Repository, path: str, value: bytes) -> None:
    """An ordinal beyond the end is malformed, and none stands only for a base."""
    only_if_right(framed_repo, commit("a"), column(path, value), "malformed")


@requirement("MPACK-011", "MPACK-028")
def test_ordinals_go_on_through_what_is_named(framed_repo: Repository) -> None:
    """Blobs, bases and parents that are here are named in `external` and not sent."""
    root = framed_repo.given(commit("root"))
    tip = child_of(root, files={"copy": root.files["root.txt"], "new": b"new"})
    framed_repo.push(tip, framed=True)
    framed_repo.holds(tip)


@requirement("MPACK-012")
@pytest.mark.parametrize("keys", ["format frames head", "format head", "format frames"])
def test_the_keys_have_an_order(framed_repo: Repository, keys: str) -> None:
    """Head before frames, and neither without the other."""
    tip = commit("a")
    sound = packs.framed(packs.plain(tip))
    value = msgpack.unpackb(sound.encode())
    bent = {key: value[key] for key in keys.split()}
    with unchanged(framed_repo, tip), refused(422, "malformed", "unknown_head"):
        framed_repo.push_body(packs.encode(bent), tip.id)
    with unchanged(framed_repo, tip), refused(422, "malformed"):
        framed_repo.push_body(packs.encode({**value, "more": 1}), tip.id)
    framed_repo.push_body(sound.encode(), tip.id)


@requirement("MPACK-013")
@pytest.mark.parametrize("head", [b"", b"junk", squeeze(b""), squeeze(b"\x90"), squeeze(b"\x80\0")])
def test_a_head_is_one_map_in_one_frame(framed_repo: Repository, head: bytes) -> None:
    """A head that is no frame over one map is refused."""

    def bend(framed: Framed) -> None:
        framed.squeezed = head

    only_if_right(framed_repo, commit("a"), bend, "malformed", "bad_frame")


@requirement("MPACK-014", "ID-018")
@pytest.mark.parametrize(
    ("paths", "code"),
    [(["b", "a"], "malformed"), (["a", "a"], "malformed"), (["../b", "a"], "invalid_path")],
)
def test_paths_are_sorted_and_good(framed_repo: Repository, paths: list[str], code: str) -> None:
    """Out of order, twice, or a bad path is refused."""
    tip = commit("a", files={"a": b"1", "b": b"2"})
    only_if_right(framed_repo, tip, column("paths", paths), code)


@requirement("MPACK-015")
@pytest.mark.parametrize("counts", [(0, 1), (1, 1), ()])
def test_frames_hold_every_blob(framed_repo: Repository, counts: tuple[int, ...]) -> None:
    """No empty frame, and as many blobs as there are sizes."""

    def bend(framed: Framed) -> None:
        framed.head["frame_counts"] = u32(*counts)
        framed.head["raw"] = bytes(len(counts))
        framed.payloads = framed.payloads * len(counts)

    only_if_right(framed_repo, commit("a"), bend, "malformed")


@requirement("MPACK-015")
def test_raw_is_0_or_1(framed_repo: Repository) -> None:
    """Another byte is malformed."""
    only_if_right(framed_repo, commit("a"), column("raw", b"\x02"), "malformed")


@requirement("MPACK-016")
def test_a_path_is_set_once(framed_repo: Repository) -> None:
    """A path twice among a snapshot's upserts is malformed."""
    tip = commit("a", files={"a": b"1", "b": b"1"})
    only_if_right(framed_repo, tip, column("snapshots.path", u32(0, 0)), "malformed")


@requirement("MPACK-017")
@pytest.mark.parametrize("name", ["commit_id", "snapshot_id", "parent_commit_id", "message"])
@pytest.mark.parametrize("where", ["fields", "rest"])
def test_no_field_stands_twice(framed_repo: Repository, name: str, where: str) -> None:
    """The four ids have columns of their own, and no name is in both fields and rest."""

    def bend(framed: Framed) -> None:
        commits = framed.head["commits"]
        if where == "fields":
            commits["fields"][name] = ["x"]
            commits["rest"] = [{name: "x"}]
        else:
            commits["rest"] = [{name: "x"}]

    only_if_right(framed_repo, commit("a"), bend, "malformed")


@requirement("MPACK-018")
@pytest.mark.parametrize("count", [0, 2])
def test_there_are_as_many_frames_as_counted(framed_repo: Repository, count: int) -> None:
    """Fewer or more bins than the head names are malformed."""

    def bend(framed: Framed) -> None:
        framed.payloads = framed.payloads * count

    only_if_right(framed_repo, commit("a"), bend, "malformed")


@requirement("MPACK-020")
def test_wrong_contents_show_in_the_manifest(framed_repo: Repository) -> None:
    """Blob ids are not sent: other contents give other ids, which the manifests do not prove."""

    def bend(framed: Framed) -> None:
        framed.payloads = [squeeze(bytes(len(content))) for content in framed.contents]

    only_if_right(framed_repo, commit("a"), bend, "snapshot_mismatch", "missing_object")
