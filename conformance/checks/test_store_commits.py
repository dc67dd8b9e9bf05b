"""Commits, heads and states of a local store."""

from __future__ import annotations

from typing import Any

import pytest

from conformance import oracle
from conformance.adapter import Store
from conformance.expectations import requirement


@requirement("STORE-054")
def test_a_commit_advances_its_branch(store: Store) -> None:
    """The head, if any, is the only parent; HEAD does not move; files are the whole tree."""
    first, _ = store.commit("side", files={"a": b"1", "b/c": b"2"}, directories=["empty"])
    second, snapshot = store.commit("side", files={}, message="two")
    record = store.do("get_commit", id=second)["record"]
    wanted = {"parent_commit_id": first, "parent2_commit_id": None, "branch": "side"}
    wanted |= {"signature": "", "signer_public_key": "", "message": "two"}
    assert {name: record[name] for name in wanted} == wanted
    assert oracle.commit_id(record) == second
    assert snapshot == oracle.snapshot_id({})
    assert store.do("get_ref", branch="side")["id"] == second
    assert store.do("get_head")["branch"] == "main"
    store.sound()


@requirement("STORE-054")
def test_absent_directories_are_none(store: Store) -> None:
    """The list is the full list, not what changed."""
    store.commit(directories=["empty"])
    _, snapshot = store.commit(files={"a": b""})
    assert snapshot == oracle.snapshot_id({"a": oracle.EMPTY_BLOB})


@requirement("STORE-054", "ID-012")
def test_texts_of_a_commit_are_kept(store: Store) -> None:
    """Message, author and time exactly as given."""
    texts = {"message": " two\nlines ", "author": "Zoë <z@x>"}
    texts |= {"committed_at": "2026-01-01T01:00:00.50+01:00"}
    first, _ = store.commit(**texts)
    record = store.do("get_commit", id=first)["record"]
    assert {name: record[name] for name in texts} == texts


@requirement("STORE-058")
@pytest.mark.parametrize("kind", ["absent", "snapshot", "blob"])
def test_refs_and_heads_name_commits_that_are_there(store: Store, kind: str) -> None:
    """Another id is not found, and nothing moves."""
    first, snapshot = store.commit()
    id = {"absent": oracle.ABSENT, "snapshot": snapshot, "blob": store.put(b"x")}[kind]
    before = store.tree()
    store.refuses("not_found", "set_ref", branch="x", id=id)
    store.refuses("not_found", "set_head", commit=id)
    assert store.tree() == before
    store.do("set_ref", branch="x", id=first)


@requirement("STORE-058", "STORE-049")
def test_head_is_a_branch_or_a_commit(store: Store) -> None:
    """Both, or neither, are invalid."""
    first, _ = store.commit()
    store.refuses("invalid", "set_head")
    store.refuses("invalid", "set_head", branch="main", commit=first)


@requirement("STORE-053", "STORE-003")
def test_list_refs_lists_all(store: Store) -> None:
    """Nested names included, temp files and locks not."""
    first, _ = store.commit()
    names = ["main", "feat/x", "feat/y/z", "é", "a.b"]
    for name in names:
        store.do("set_ref", branch=name, id=first)
    assert store.do("list_refs")["refs"] == dict.fromkeys(names, first)


VALUES: dict[str, dict[str, Any]] = {
    "merge": {"base_commit": None, "conflict_paths": ["a", "é/b"], "ours_commit": "x"},
    "rebase": {"remaining": ["1", "2"], "squash": False, "n": 1.5},
    "reservation": {"addresses": ["a"], "unheard_of": {"deep": [None]}},
    "intent": {"operation": "edit", "empty": ""},
    "checkpoint": {"free": {"": []}},
}


@requirement("STORE-012", "STORE-060", "FS6")
@pytest.mark.parametrize("kind", list(VALUES))
def test_a_state_comes_back_as_it_was(store: Store, kind: str) -> None:
    """The same JSON value, until it is cleared; clearing what is not set succeeds."""
    store.refuses("not_found", "get_state", kind=kind)
    store.do("set_state", kind=kind, value=None)
    for value in (VALUES[kind], {}):
        store.do("set_state", kind=kind, value=value)
        assert store.do("get_state", kind=kind)["value"] == value
    store.close()
    assert store.do("get_state", kind=kind)["value"] == {}
    store.do("set_state", kind=kind, value=None)
    store.refuses("not_found", "get_state", kind=kind)


@requirement("STORE-012", "STORE-059", "FS6")
@pytest.mark.parametrize("kind", ["reservation", "intent", "checkpoint"])
def test_named_states_are_one_file_each(store: Store, kind: str) -> None:
    """Names keep apart; no name means `default`."""
    names = ["default", "a", "A_b.c:d@e-f", "x" * 200]
    for name in names:
        store.do("set_state", kind=kind, name=name, value={"name": name})
    for name in names:
        assert store.do("get_state", kind=kind, name=name)["value"] == {"name": name}
    assert store.do("get_state", kind=kind)["value"] == {"name": "default"}
    store.do("set_state", kind=kind, name="a", value=None)
    store.refuses("not_found", "get_state", kind=kind, name="a")
    assert store.do("get_state", kind=kind)["value"] == {"name": "default"}


@requirement("STORE-059", "STORE-019")
def test_bad_names_and_kinds_are_invalid(store: Store) -> None:
    """Traversal, dots, overlong names, names where there are none, unknown kinds."""
    before = store.tree()
    for name in ("", ".", "..", "../x", "a/b", ".a", "-a", "a b", "é", "x" * 201, "a\n", 7):
        store.refuses("invalid", "set_state", kind="intent", name=name, value={})
        store.refuses("invalid", "get_state", kind="intent", name=name)
    for kind in ("merge", "rebase", "config"):
        store.refuses("invalid", "set_state", kind=kind, name="a", value={})
    for unknown in ("", "MERGE", "nothing", None):
        store.refuses("invalid", "set_state", kind=unknown, value={})
    no_maps: list[Any] = [7, "text", [], True]
    for value in no_maps:
        store.refuses("invalid", "set_state", kind="merge", value=value)
    assert store.tree() == before


@requirement("STORE-060")
def test_config_is_replaced_and_not_cleared(store: Store) -> None:
    """The whole file at a time; null, and what TOML cannot hold, are invalid."""
    store.do("set_state", kind="config", value={"a": {"b": 1}, "c": [1.5, "x"]})
    store.do("set_state", kind="config", value={"d": True})
    assert store.do("get_state", kind="config")["value"] == {"d": True}
    impossible: list[Any] = [None, {"a": None}, {"a": [1, None]}, []]
    for value in impossible:
        store.refuses("invalid", "set_state", kind="config", value=value)
    assert store.do("get_state", kind="config")["value"] == {"d": True}
