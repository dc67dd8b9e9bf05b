"""Deltas between manifests, one after the other and back again."""

import pytest
from hypothesis import given

from reference.wire import snapshots
from reference.wire.errors import ProtocolError
from reference.wire.records import Snapshot, check_snapshot
from tests import oracle

from .strategies import trees

ONE, TWO = ("sha256:" + digit * 64 for digit in "12")
Tree = tuple[dict[str, bytes], list[str]]


def delta(upsert: dict[str, str], remove: list[str], *directories: str) -> Snapshot:
    """A delta record; with no directories it names none."""
    record: Snapshot = {"snapshot_id": ONE, "delta_upsert": upsert, "delta_remove": remove}
    return check_snapshot({**record, "directories": list(directories) or None})


@pytest.mark.requirement("SNAP-004")
def test_a_delta_is_applied() -> None:
    """Removed paths are gone, written ones set, the others as they were."""
    before = {"a": ONE, "b": ONE, "c": ONE}
    assert snapshots.apply(before, delta({"b": TWO, "d": TWO}, ["a"])) == {
        "b": TWO,
        "c": ONE,
        "d": TWO,
    }
    assert before == {"a": ONE, "b": ONE, "c": ONE}


@pytest.mark.requirement("SNAP-005")
def test_what_is_not_there_cannot_be_removed() -> None:
    """The refusal names the path."""
    with pytest.raises(ProtocolError, match="'z'") as caught:
        snapshots.apply({"a": ONE}, delta({"b": ONE}, ["a", "z"]))
    assert (caught.value.code, caught.value.requirement) == (
        "delta_removes_unknown_path",
        "SNAP-005",
    )


@pytest.mark.requirement("SNAP-007")
def test_writing_what_is_there_changes_nothing() -> None:
    """An upsert of the same blob is accepted."""
    assert snapshots.apply({"a": ONE}, delta({"a": ONE}, [])) == {"a": ONE}


@pytest.mark.requirement("SNAP-008")
def test_a_file_becomes_a_folder_and_back() -> None:
    """The rules hold for the result, not on the way there."""
    assert snapshots.apply({"a": ONE}, delta({"a/b": ONE}, ["a"])) == {"a/b": ONE}
    assert snapshots.apply({"a/b": ONE}, delta({"a": ONE}, ["a/b"])) == {"a": ONE}


@pytest.mark.requirement("SNAP-008")
@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({"a": ONE}, delta({"a/b": ONE}, [])),
        ({"a/b/c": ONE}, delta({"a": ONE}, [])),
        ({"a": ONE}, delta({}, [], "a")),
        ({"a": ONE}, delta({}, [], "a/b")),
    ],
)
def test_a_result_that_contradicts_itself(before: dict[str, str], change: Snapshot) -> None:
    """A file inside a file, or a directory named like one, is `path_conflict`."""
    with pytest.raises(ProtocolError) as caught:
        snapshots.apply(before, change)
    assert caught.value.code == "path_conflict"


@pytest.mark.requirement("SNAP-003")
def test_directories_are_inherited_only_when_absent() -> None:
    """An empty list is the whole truth."""
    inherited = ["x"]
    assert snapshots.directories_of(delta({}, []), inherited) == ["x"]
    assert snapshots.directories_of(delta({}, [], "y"), inherited) == ["y"]
    empty = check_snapshot({"snapshot_id": ONE, "directories": []})
    assert snapshots.directories_of(empty, inherited) == []


@pytest.mark.requirement("SNAP-015")
@given(trees(), trees())
def test_a_delta_between_any_two_trees_leads_from_one_to_the_other(old: Tree, new: Tree) -> None:
    """It holds what differs and nothing else, and applied it gives the second tree."""
    (before, after), (old_folders, folders) = (
        [
            {path: oracle.blob_id(content) for path, content in tree[0].items()}
            for tree in (old, new)
        ],
        (old[1], new[1]),
    )
    record = snapshots.between(ONE, after, folders, TWO, before, old_folders)
    assert record == check_snapshot(record)
    assert snapshots.apply(before, record) == after
    assert set(snapshots.directories_of(record, old_folders)) == set(folders)
    assert all(before.get(path) != oid for path, oid in record["delta_upsert"].items())
    assert set(record["delta_remove"]) == before.keys() - after.keys()
    assert ("directories" in record) == (set(folders) != set(old_folders))


@pytest.mark.requirement("SNAP-015")
@given(trees())
def test_a_root_is_the_whole_manifest(tree: Tree) -> None:
    """Without a parent everything is written and nothing removed."""
    manifest = {path: oracle.blob_id(content) for path, content in tree[0].items()}
    record = snapshots.between(ONE, manifest, tree[1])
    assert record["parent_snapshot_id"] is None
    assert (record["delta_upsert"], record["delta_remove"]) == (manifest, [])
    assert sorted(record.get("directories", [])) == sorted(tree[1])
