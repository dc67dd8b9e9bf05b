"""Snapshot records: deltas, directories, and what a delta may stand on."""

from __future__ import annotations

from typing import Any

import pytest

from conformance import packs
from conformance.checks.conftest import NewRepository
from conformance.expectations import only_if_right, refused, requirement, unchanged
from conformance.histories import child_of, commit, with_tree
from conformance.repository import Repository


def set_field(field: str, value: Any) -> Any:
    """Bends a pack: its first snapshot gets a field."""
    return lambda pack: pack["snapshots"][0].update({field: value})


@requirement("SNAP-001")
def test_a_snapshot_needs_its_id(repo: Repository) -> None:
    """A snapshot without id is refused as such."""
    bend = lambda pack: pack["snapshots"][0].pop("snapshot_id")  # noqa: E731 - one expression
    only_if_right(repo, commit("a"), bend, "missing_field")


@requirement("SNAP-001")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("snapshot_id", 7),
        ("parent_snapshot_id", 7),
        ("parent_snapshot_id", ""),
        ("delta_upsert", []),
        ("delta_upsert", None),
        ("delta_upsert", {"a": 7}),
        ("delta_upsert", {"a": None}),
        ("delta_upsert", {"a": "sha256:"}),
        ("delta_remove", {}),
        ("delta_remove", None),
        ("delta_remove", [7]),
        ("directories", "empty"),
        ("directories", [7]),
    ],
)
def test_a_field_of_another_type_is_refused(repo: Repository, field: str, value: Any) -> None:
    """A wrong type is malformed, a wrong id no id."""
    only_if_right(repo, commit("a"), set_field(field, value), "malformed", "invalid_id")


@requirement("SNAP-002", "DP3", "DP8")
@pytest.mark.parametrize("value", [None, {}, {"a": "b"}, 7])
def test_a_manifest_is_refused(repo: Repository, value: Any) -> None:
    """A record with the key `manifest` is refused, whatever its value."""
    only_if_right(repo, commit("a"), set_field("manifest", value), "malformed")


@requirement("SNAP-003")
@pytest.mark.parametrize("absent", ["absent", "null"])
def test_absent_directories_are_the_parents(repo: Repository, absent: str) -> None:
    """A delta that says nothing about directories has its parent's."""
    root = commit("root", directories=["empty", "more"])
    tip = child_of(root)
    value = packs.plain(tip)
    value["snapshots"][1].pop("directories", None)
    if absent == "null":
        value["snapshots"][1]["directories"] = None
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)


@requirement("SNAP-003")
def test_an_empty_list_means_no_directories(repo: Repository) -> None:
    """A delta with an empty list has none, whatever its parent had."""
    root = commit("root", directories=["empty"])
    tip = child_of(root, directories=[])
    repo.push(root, tip)
    repo.holds(tip)
    assert repo.snapshot(tip.snapshot)["directories"] == []


@requirement("SNAP-003")
def test_a_root_without_directories_has_none(repo: Repository) -> None:
    """On a root, absent means none, so one whose id says otherwise is refused."""
    tip = commit("a", directories=["empty"])
    bend = lambda pack: pack["snapshots"][0].pop("directories")  # noqa: E731 - one expression
    only_if_right(repo, tip, bend, "snapshot_mismatch")


@requirement("SNAP-004", "HTTP-032", "BOS8")
def test_a_delta_removes_and_sets(repo: Repository) -> None:
    """The manifest is the parent's without what is removed and with what is set."""
    root = commit("root", files={"keep": b"1", "edit": b"2", "gone": b"3", "moved": b"4"})
    files = {"keep": b"1", "edit": b"22", "new": b"5", "there": b"4"}
    tip = with_tree("tip", files, (root,))
    repo.push(root, tip)
    repo.holds(tip)


@requirement("SNAP-005")
@pytest.mark.parametrize("where", ["root", "delta"])
def test_what_is_not_there_cannot_be_removed(repo: Repository, where: str) -> None:
    """Removing a path that the parent does not have has a code of its own."""
    base = [repo.given(commit("root"))] if where == "delta" else []
    bend = set_field("delta_remove", ["never-there"])
    only_if_right(repo, commit("tip", on=base), bend, "delta_removes_unknown_path")


@requirement("SNAP-006")
@pytest.mark.parametrize("how", ["removed twice", "removed and set"])
def test_a_path_is_changed_once(repo: Repository, how: str) -> None:
    """A path stands once in the removals and not in the upserts as well."""
    root = repo.given(commit("root", files={"a": b"1", "b": b"2"}))
    files = {"a": b"1"} if how == "removed twice" else {"a": b"1", "b": b"3"}
    tip = with_tree("tip", files, (root,))
    gone = ["b", "b"] if how == "removed twice" else ["b"]
    only_if_right(repo, tip, set_field("delta_remove", gone), "malformed")


@requirement("SNAP-007")
def test_setting_what_is_set_already_is_accepted(repo: Repository) -> None:
    """An upsert that changes nothing is legal."""
    root = repo.given(commit("root"))
    tip = child_of(root)
    value = packs.plain(tip, known=[root])
    value["snapshots"][0]["delta_upsert"] |= root.manifest
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)


@requirement("SNAP-008")
def test_a_file_may_become_a_folder(repo: Repository) -> None:
    """Conflicts are looked for in the rebuilt tree, not between the steps."""
    root = commit("root", files={"a": b"1", "b/c": b"2"})
    tip = with_tree("tip", {"a/x": b"1", "b": b"2"}, (root,), directories=["d"])
    back = with_tree("back", {"a": b"1", "d": b"3"}, (tip,), directories=["b"])
    repo.push(root, tip, back)
    repo.holds(back)


@requirement("SNAP-008", "ID-022")
def test_a_delta_cannot_make_a_conflict(repo: Repository) -> None:
    """A delta that puts a file inside one that stays is refused."""
    root = repo.given(commit("root", files={"a": b"1"}))
    tip = with_tree("tip", {"a": b"1", "a/x": b"2"}, (root,))
    with unchanged(repo), refused(422, "path_conflict"):
        repo.push_body(repo.pack(tip), tip.id)
    repo.push(with_tree("tip", {"a/x": b"2"}, (root,)))


@requirement("SNAP-009")
@pytest.mark.parametrize("where", ["root", "middle", "last"])
def test_every_manifest_is_rebuilt(repo: Repository, where: str) -> None:
    """A snapshot that is not its id is refused wherever it stands in a chain."""
    root = commit("root")
    middle = child_of(root, "middle")
    tip = child_of(middle, "last")

    def bend(pack: packs.Value) -> None:
        at = ["root", "middle", "last"].index(where)
        pack["snapshots"][at]["delta_upsert"]["extra"] = root.manifest["root.txt"]
        for following in pack["snapshots"][at + 1 : at + 2]:
            following["delta_remove"].append("extra")  # so that this one is what its id says

    only_if_right(repo, tip, bend, "snapshot_mismatch")


@requirement("SNAP-010")
@pytest.mark.parametrize("how", ["unknown", "later"])
def test_a_delta_stands_on_what_comes_before(repo: Repository, how: str) -> None:
    """The parent of a delta is earlier in the pack, or here already."""
    root = commit("root")
    tip = child_of(root)

    def bend(pack: packs.Value) -> None:
        if how == "later":
            pack["snapshots"].reverse()
        else:
            del pack["snapshots"][0]

    only_if_right(repo, tip, bend, "missing_snapshot")


@requirement("SNAP-010")
def test_a_delta_may_stand_on_a_snapshot_that_is_here(repo: Repository) -> None:
    """A pack that leans on what was pushed before is accepted."""
    root = repo.given(commit("root"))
    tip = child_of(root)
    value = packs.plain(tip, known=[root])
    assert value["snapshots"][0]["parent_snapshot_id"] == root.snapshot
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)


@requirement("SNAP-011", "AUTH-013")
def test_another_repositorys_snapshot_is_not_here(new_repo: NewRepository) -> None:
    """A delta on a snapshot that only another repository has is refused."""
    elsewhere, here = new_repo(), new_repo()
    root = elsewhere.given(commit("root"))
    tip = child_of(root)
    whole = packs.plain(tip)
    leaning = {**whole, "snapshots": whole["snapshots"][1:]}
    with unchanged(here, tip), refused(422, "missing_snapshot"):
        here.push_body(packs.encode(leaning), tip.id)
    here.push_body(packs.encode(whole), tip.id)


@requirement("SNAP-012")
def test_a_delta_may_stand_on_any_snapshot(repo: Repository) -> None:
    """The parent of a delta says how it is written, not what happened."""
    one, two = commit("one"), commit("two", files={"b": b"2"})
    tip = with_tree("tip", {"b": b"2", "c": b"3"}, (one,))
    value = packs.plain(tip, two)
    value["snapshots"] = [packs.delta(one), packs.delta(two), packs.delta(tip, two)]
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)


@requirement("SNAP-013")
def test_every_blob_that_is_named_is_here(repo: Repository) -> None:
    """A snapshot that names a blob nobody sent is refused."""
    bend = lambda pack: pack["blobs"].pop()  # noqa: E731 - one expression
    only_if_right(repo, commit("a"), bend, "missing_object")


@requirement("REC-014")
def test_unknown_fields_of_a_snapshot_are_dropped(repo: Repository) -> None:
    """A snapshot is served with the fields of the specification and no others."""
    tip = commit("a")
    value = packs.plain(tip)
    value["snapshots"][0]["unheard_of"] = 1
    repo.push_body(packs.encode(value), tip.id)
    fields = {"snapshot_id", "parent_snapshot_id", "delta_upsert", "delta_remove", "directories"}
    assert repo.snapshot(tip.snapshot).keys() == fields
