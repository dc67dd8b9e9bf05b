"""Writing: what is refused leaves no trace, what is there already counts, restores are fresh."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from conformance import oracle, vectors
from conformance.adapter import Store, text_of
from conformance.expectations import fail, requirement

SLACK = 0.010


@requirement("STORE-017", "FS9")
def test_wrong_content_for_an_id_is_refused(store: Store) -> None:
    """It is an integrity error, and the original stays."""
    id = store.put(b"right")
    before = store.tree()
    store.refuses("integrity", "put_blob", data=text_of(b"wrong"), id=id)
    store.refuses("integrity", "put_blob", data=text_of(b"wrong"), id=oracle.ABSENT)
    assert store.tree() == before
    assert store.get(id) == b"right"
    assert store.do("put_blob", data=text_of(b"right"), id=id)["id"] == id


@requirement("STORE-018")
def test_writing_again_succeeds(store: Store) -> None:
    """The same content twice is one object."""
    assert store.put(b"a") == store.put(b"a")
    path = store.folder / "file"
    path.write_bytes(b"a")
    assert store.do("put_blob_file", path=str(path))["id"] == oracle.blob_id(b"a")
    store.sound()


@requirement("STORE-018", "DUR-005")
@pytest.mark.parametrize("way", ["put_blob", "put_blob_file", "commit"])
def test_a_corrupt_copy_is_replaced(store: Store, way: str) -> None:
    """Writing what is there but damaged heals it."""
    content = b"to be damaged"
    id = store.put(content)
    path = store.loose(id)
    path.chmod(0o644)
    path.write_bytes(b"blob 13\0to be damagex")
    if way == "put_blob":
        store.put(content)
    elif way == "put_blob_file":
        source = store.folder / "file"
        source.write_bytes(content)
        store.do("put_blob_file", path=str(source))
    else:
        store.commit(files={"a": content})
    assert store.get(id) == content
    store.sound()


@requirement("STORE-019", "FS5")
def test_bad_ids_are_invalid_and_write_nothing(store: Store) -> None:
    """Short, not hexadecimal, upper case, traversal; the detail speaks of sha256."""
    before = store.tree()
    upper = "sha256:" + "AB" * 32
    for text in [*vectors.refused("ids"), "../escape", "sha256:../../escape", upper]:
        for op in ("get_blob", "get_commit", "get_snapshot"):
            store.refuses("invalid", op, id=text)
        store.refuses("invalid", "put_blob", data="YQ==", id=text)
        answer = store.refuses("invalid", "set_ref", branch="main", id=text)
        store.refuses("invalid", "set_head", commit=text)
        if "sha256" not in str(answer.get("detail")):
            fail("a detail that names sha256", repr(answer.get("detail")))
    assert store.tree() == before


@requirement("STORE-019", "FS5")
def test_bad_branches_are_invalid_and_write_nothing(store: Store) -> None:
    """No ref, no HEAD, no folder."""
    first, _ = store.commit()
    before = store.tree()
    for name in vectors.refused("branches"):
        store.refuses("invalid", "set_ref", branch=name, id=first)
        store.refuses("invalid", "set_head", branch=name)
        store.refuses("invalid", "get_ref", branch=name)
        store.refuses(
            "invalid",
            "commit",
            branch=name,
            files={},
            message="m",
            author="a",
            committed_at="2026-01-01T00:00:00Z",
        )
    assert store.tree() == before


@requirement("STORE-019", "STORE-056")
def test_an_invalid_commit_leaves_nothing(store: Store) -> None:
    """Bad paths, conflicting paths, bad times and texts: no object, no folder."""
    before = store.tree()
    value = {"branch": "main", "message": "m", "author": "a"}
    when = {"committed_at": "2026-01-01T00:00:00Z"}
    for path in vectors.refused("paths"):
        store.refuses("invalid", "commit", **value, **when, files={path: "YQ=="})
        store.refuses("invalid", "commit", **value, **when, files={}, directories=[path])
    conflict = {"a": "YQ==", "a/b": "YQ=="}
    store.refuses("invalid", "commit", **value, **when, files=conflict)
    store.refuses("invalid", "commit", **value, files={}, committed_at="yesterday")
    store.refuses("invalid", "commit", **{**value, "message": "a\0"}, **when, files={})
    assert store.tree() == before


@requirement("STORE-020", "ID-028")
@pytest.mark.parametrize("first", ["feat", "feat/x"])
def test_branches_in_each_others_way_are_a_conflict(store: Store, first: str) -> None:
    """`feat` beside `feat/x`: both, or a conflict that changes nothing."""
    id, _ = store.commit()
    store.do("set_ref", branch=first, id=id)
    second = {"feat": "feat/x", "feat/x": "feat"}[first]
    before = store.tree()
    answer = store.ask("set_ref", branch=second, id=id)
    if answer["ok"]:
        assert store.do("list_refs")["refs"].keys() == {"main", "feat", "feat/x"}
        return
    assert (answer["error"], store.tree() == before) == ("conflict", True)


@requirement("STORE-020")
def test_a_name_the_file_system_cannot_hold_is_invalid(store: Store) -> None:
    """A segment of 255 characters of four bytes: held, or invalid with nothing changed."""
    id, _ = store.commit()
    before = store.tree()
    branch = "deep/" + "\U0001f680" * 240
    answer = store.ask("set_ref", branch=branch, id=id)
    if answer["ok"]:
        assert store.do("list_refs")["refs"] == {"main": id, branch: id}
        return
    assert (answer["error"], store.tree() == before) == ("invalid", True)


@requirement("STORE-021")
def test_a_ref_moves_only_from_what_is_expected(store: Store) -> None:
    """The expected value, null for none, or a conflict; without expect, anyhow."""
    one, _ = store.commit()
    two, _ = store.commit(message="two")
    store.refuses("conflict", "set_ref", branch="x", id=one, expect=two)
    store.do("set_ref", branch="x", id=one, expect=None)
    store.refuses("conflict", "set_ref", branch="x", id=two, expect=None)
    store.refuses("conflict", "set_ref", branch="x", id=two, expect=two)
    store.refuses("conflict", "set_ref", branch="x", id=one, expect=two)
    store.do("set_ref", branch="x", id=two, expect=one)
    store.do("set_ref", branch="x", id=one)
    assert store.do("get_ref", branch="x")["id"] == one
    store.refuses("invalid", "set_ref", branch="x", id=two, expect="short")


@requirement("STORE-023", "FS7")
@pytest.mark.parametrize("replaces", [False, True], ids=["new", "replacing"])
def test_a_restored_file_is_fresh(store: Store, replaces: bool) -> None:
    """The blob's bytes, and a time not before the call, nor before the file it replaces."""
    content = b"restored " * 100
    id = store.put(content)
    old = time.time() - 3600
    if store.loose(id).exists():
        os.utime(store.loose(id), (old, old))
    dest = store.folder / "out" / "deep" / "file"
    floor = time.time() - SLACK
    if replaces:
        dest.parent.mkdir(parents=True)
        dest.write_bytes(b"before")
        floor = time.time() + 300
        os.utime(dest, (floor, floor))
    store.do("restore", id=id, dest=str(dest))
    assert dest.read_bytes() == content
    assert dest.stat().st_mtime >= floor


@requirement("STORE-024")
def test_a_link_is_replaced_and_not_followed(store: Store) -> None:
    """What a symbolic link at the destination points at stays."""
    target = store.folder / "target"
    target.write_bytes(b"untouched")
    link = store.folder / "link"
    link.symlink_to(target)
    store.do("restore", id=store.put(b"new"), dest=str(link))
    assert (link.is_symlink(), link.read_bytes(), target.read_bytes()) == (
        False,
        b"new",
        b"untouched",
    )


@requirement("STORE-024")
@pytest.mark.parametrize("where", ["a folder", "inside", "deep inside", "the store"])
def test_some_destinations_are_invalid(store: Store, where: str) -> None:
    """A folder, and anything inside `.muse`."""
    (store.folder / "folder").mkdir()
    dest = {
        "a folder": store.folder / "folder",
        "inside": store.inside / "HEAD",
        "deep inside": store.folder / "folder" / ".." / ".muse" / "refs" / "x",
        "the store": store.inside,
    }[where]
    id = store.put(b"new")
    before = store.tree()
    store.refuses("invalid", "restore", id=id, dest=str(dest))
    assert store.tree() == before


@requirement("STORE-049", "STORE-014")
def test_put_blob_file_takes_regular_files(store: Store) -> None:
    """A folder or a device is invalid."""
    before = store.tree()
    for path in (store.folder, "/dev/null"):
        store.refuses("invalid", "put_blob_file", path=str(path))
    assert store.tree() == before


@requirement("DUR-006", "DUR-012")
def test_writes_leave_nothing_else_behind(store: Store) -> None:
    """Beside the files of the specification there are no more after every kind of write again."""
    names = "HEAD repo.json config.toml refs/heads/main refs/heads/x MERGE_STATE.json"
    names += " REBASE_STATE.json coordination/reservations/n.json coordination/intents/n.json"
    names += " op_log/n/checkpoint.json"
    known = {store.inside / name for name in names.split()}
    others: list[set[Path]] = []
    for content in (b"one", b"two"):
        first, snapshot = store.commit(files={"a": content})
        known |= {store.loose(oracle.blob_id(content)), store.record("commits", first)}
        known |= {store.record("snapshots", snapshot)}
        store.do("set_ref", branch="x", id=first)
        store.do("set_head", branch="x")
        for kind in ("merge", "rebase"):
            store.do("set_state", kind=kind, value={})
        for kind in ("reservation", "intent", "checkpoint"):
            store.do("set_state", kind=kind, name="n", value={})
        store.do("set_state", kind="config", value={})
        store.ask("put_blob", data="YQ==", id=oracle.ABSENT)
        assert [path for path in known if not path.is_file()] == []
        others.append({path for path in store.inside.rglob("*") if path.is_file()} - known)
    before, after = others  # locks and indexes, of which a write needs no more than there were
    if len(after) > len(before):
        fail(f"{len(before)} other files", f"{len(after)}: {sorted(after - before)[:3]}")


@requirement("STORE-024")
def test_permissions_are_those_of_what_was_there(store: Store) -> None:
    """A private file stays private, a program stays one; a new file is as any."""
    id = store.put(b"new")
    usual = store.folder / "usual"
    usual.write_bytes(b"")
    for mode in (0o600, 0o755):
        dest = store.folder / f"mode {mode:o}"
        dest.write_bytes(b"before")
        dest.chmod(mode)
        store.do("restore", id=id, dest=str(dest))
        assert dest.stat().st_mode & 0o7777 == mode
    fresh = store.folder / "fresh"
    store.do("restore", id=id, dest=str(fresh))
    assert fresh.stat().st_mode == usual.stat().st_mode
