"""Reading: every id recomputed, nothing wrong ever returned, nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import oracle, packs
from conformance.adapter import Store
from conformance.expectations import fail, requirement
from conformance.histories import commit
from conformance.outcomes import NotApplicable

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "zeroed": lambda data: bytes(len(data)),
    "halved": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "one bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "longer": lambda data: data + b"\0",
}


def spoil(path: Path, how: str) -> bytes:
    """Damages a file behind the store's back; its sound bytes."""
    sound = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(DAMAGE[how](sound))
    return sound


@requirement("STORE-013", "FS8", "STORE-018")
@pytest.mark.parametrize("how", list(DAMAGE))
def test_a_damaged_blob_is_an_integrity_error(store: Store, how: str) -> None:
    """Zeroed, halved, emptied or changed: `integrity check`; put again, it is healed."""
    content = b"some content of a blob\n"
    id = store.put(content)
    spoil(store.loose(id), how)
    answer = store.refuses("integrity", "get_blob", id=id)
    if "integrity check" not in str(answer.get("detail")):
        fail("a detail with `integrity check`", repr(answer.get("detail")))
    dest = store.folder / "restored"
    store.refuses("integrity", "restore", id=id, dest=str(dest))
    assert not dest.exists()
    store.put(content)
    assert store.get(id) == content


@requirement("STORE-013", "FS8")
@pytest.mark.parametrize("kind", ["commit", "snapshot"])
@pytest.mark.parametrize("how", ["zeroed", "halved", "emptied"])
def test_a_damaged_record_is_an_integrity_error(store: Store, kind: str, how: str) -> None:
    """The same for records."""
    first, snapshot = store.commit()
    id = first if kind == "commit" else snapshot
    spoil(store.record(f"{kind}s", id), how)
    store.close()
    answer = store.refuses("integrity", f"get_{kind}", id=id)
    assert "integrity check" in str(answer.get("detail"))


@requirement("STORE-013")
def test_a_record_of_something_else_is_an_integrity_error(store: Store) -> None:
    """A sound record under another's name is not that one."""
    first, _ = store.commit()
    second, _ = store.commit(message="two")
    path = store.record("commits", first)
    path.chmod(0o644)
    path.write_bytes(store.record("commits", second).read_bytes())
    store.close()
    store.refuses("integrity", "get_commit", id=first)


@requirement("STORE-014")
@pytest.mark.parametrize("op", ["get_blob", "get_commit", "get_snapshot"])
def test_what_is_not_there_is_not_found(store: Store, op: str) -> None:
    """Also where an id of another kind is asked for."""
    first, snapshot = store.commit()
    store.refuses("not_found", op, id=oracle.ABSENT)
    if op == "get_blob":
        store.refuses("not_found", op, id=first)
        store.refuses("not_found", op, id=snapshot)
    store.refuses("not_found", "get_ref", branch="nowhere")
    store.refuses("not_found", "put_blob_file", path=str(store.folder / "nothing"))
    store.refuses("not_found", "restore", id=oracle.ABSENT, dest=str(store.folder / "x"))


@requirement("STORE-015")
@pytest.mark.parametrize("sound", ["pack", "loose"])
def test_a_corrupt_copy_hides_no_sound_one(store: Store, sound: str) -> None:
    """What lies loose and in a pack is read from whichever is whole."""
    tip = commit("a", files={"a": b"content " * 40})
    blob, content = next(iter(tip.blobs.items()))
    raw = packs.encode(packs.plain(tip))
    path = store.folder / "a.mpack"
    path.write_bytes(raw)
    store.put(content)
    store.do("receive_pack", path=str(path))
    kept = store.inside / "objects" / "pack" / f"{oracle.digest(raw)[7:]}.mpack"
    loose = store.loose(blob)
    store.close()
    if not loose.exists() or not kept.exists():
        raise NotApplicable("the store keeps one copy")
    if sound == "pack":
        spoil(loose, "zeroed")
    else:
        kept.chmod(0o644)
        kept.write_bytes(raw.replace(content, b"!" * len(content)))
    assert store.get(blob) == content


@requirement("STORE-015")
def test_a_damaged_pack_hides_nothing_else(store: Store) -> None:
    """With one pack that cannot be read, index and all, whatever lies elsewhere is found."""
    first, _ = store.commit(files={"a": b"elsewhere"})
    raw = packs.encode(packs.plain(commit("a", files={"a": b"in a pack"})))
    path = store.folder / "a.mpack"
    path.write_bytes(raw)
    store.do("receive_pack", path=str(path))
    store.close()
    kept = store.inside / "objects" / "pack" / f"{oracle.digest(raw)[7:]}.mpack"
    spoil(kept, "halved")
    kept.with_suffix(".idx").unlink(missing_ok=True)
    assert store.get(oracle.blob_id(b"elsewhere")) == b"elsewhere"
    assert store.do("get_commit", id=first)["record"]["commit_id"] == first
    store.commit(message="two")
    absent = store.ask("get_commit", id=oracle.ABSENT)  # what could lie in the damaged pack
    assert absent.get("error") in ("not_found", "integrity")


@requirement("STORE-016")
def test_reading_changes_nothing(store: Store) -> None:
    """Reads leave every file as it was."""
    first, snapshot = store.commit()
    blob = store.put(b"a")
    before = store.tree()
    store.do("get_commit", id=first)
    store.do("get_snapshot", id=snapshot)
    store.get(blob)
    store.do("list_refs")
    store.do("get_ref", branch="main")
    store.do("get_head")
    store.do("fsck")
    store.ask("get_state", kind="merge")
    assert store.tree() == before


@requirement("STORE-025", "DUR-021")
def test_a_store_left_by_a_killed_process_is_usable(store: Store) -> None:
    """No lock, no repair: the next process reads and writes at once."""
    first, _ = store.commit()
    store.batch.write(b'{"op": "put_blob", "data": "' + b"YWFh" * 200_000 + b'"}')
    store.batch.kill()
    assert store.do("get_ref", branch="main")["id"] == first
    store.commit(message="two")
    store.do("set_state", kind="merge", value={})
    store.sound()


@requirement("STORE-013", "STORE-051")
def test_a_damaged_ref_is_told_where_it_is_read(store: Store) -> None:
    """get_ref, list_refs, commit and set_ref with expect; a plain set_ref replaces it."""
    first, _ = store.commit()
    store.close()
    (store.inside / "refs" / "heads" / "main").write_bytes(b"not an id")
    store.refuses("integrity", "get_ref", branch="main")
    store.refuses("integrity", "list_refs")
    text = {"message": "two", "author": "a", "committed_at": "2026-01-01T00:00:00Z"}
    store.refuses("integrity", "commit", branch="main", files={}, **text)
    for expect in (first, None):
        store.refuses("integrity", "set_ref", branch="main", id=first, expect=expect)
    store.do("set_ref", branch="main", id=first)
    assert store.do("get_ref", branch="main")["id"] == first
