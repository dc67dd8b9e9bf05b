"""fsck and gc: what is reported, what is removed, what never is."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from conformance import oracle, packs
from conformance.adapter import Store, text_of
from conformance.expectations import fail, requirement
from conformance.histories import commit


def age(store: Store, seconds: float = 30 * 24 * 3600) -> None:
    """Makes everything in the store look that old."""
    then = time.time() - seconds
    for path in store.inside.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)


WRONG = ["blob", "blob gone", "commit", "snapshot", "snapshot gone", "lost ref", "ref", "HEAD"]
WRONG += ["pack", "pack without index"]


@requirement("STORE-039")
@pytest.mark.parametrize("what", WRONG)
def test_fsck_reports_what_is_wrong(store: Store, what: str) -> None:
    """Corrupt or missing objects, records and packs, refs to nothing, unreadable ref or HEAD."""
    first, snapshot = store.commit(files={"a": b"content"})
    store.sound()
    blob = store.loose(oracle.blob_id(b"content"))
    paths = {
        "blob": blob,
        "blob gone": blob,
        "commit": store.record("commits", first),
        "snapshot": store.record("snapshots", snapshot),
        "snapshot gone": store.record("snapshots", snapshot),
        "lost ref": store.inside / "refs" / "heads" / "lost",
        "ref": store.inside / "refs" / "heads" / "main",
        "HEAD": store.inside / "HEAD",
    }
    if what.startswith("pack"):
        raw = packs.encode(packs.plain(commit("a", files={"a": b"in a pack"})))
        path = store.folder / "a.mpack"
        path.write_bytes(raw)
        store.do("receive_pack", path=str(path))
        paths[what] = store.inside / "objects" / "pack" / f"{oracle.digest(raw)[7:]}.mpack"
    store.close()
    path = paths[what]
    if path.exists():
        path.chmod(0o644)
    if what.endswith("gone"):
        path.unlink()
    elif what == "lost ref":
        path.write_text(oracle.ABSENT)
    elif what.startswith("pack"):
        path.write_bytes(path.read_bytes().replace(b"in a pack", b"in a pick"))
        if what == "pack without index":
            path.with_suffix(".idx").unlink(missing_ok=True)
    else:
        path.write_bytes(b"damaged")
    if not store.problems():
        fail(f"fsck reports the damaged {what}", "no problem")


@requirement("STORE-040")
def test_fsck_leaves_alone_what_is_no_problem(store: Store) -> None:
    """Unreachable objects, a HEAD without commits, a pack without index."""
    store.put(b"nobody names this")
    store.do("set_head", branch="nowhere/yet")
    raw = packs.encode(packs.plain(commit("unreachable")))
    path = store.folder / "a.mpack"
    path.write_bytes(raw)
    store.do("receive_pack", path=str(path))
    store.close()
    for index in (store.inside / "objects" / "pack").glob("*.idx"):
        index.unlink()
    store.sound()


def reachable(store: Store) -> list[str]:
    """Commits under refs, HEAD and a state; the ids of their blobs."""
    contents = [b"by a branch", b"by head", b"by a state"]
    store.commit("main", files={"a": contents[0]})
    two, _ = store.commit("gone", files={"a": contents[1]})
    three, _ = store.commit("gone too", files={"a": contents[2]})
    store.do("set_head", commit=two)
    store.do("set_state", kind="merge", value={"ours_commit": three, "n": 1})
    for name in ("gone", "gone too"):
        (store.inside / "refs" / "heads" / name).unlink()
    store.close()
    return [oracle.blob_id(content) for content in contents]


@requirement("STORE-041", "STORE-042", "STORE-063")
def test_gc_keeps_what_is_reachable(store: Store) -> None:
    """From refs, HEAD and state files; with no grace, and after however long."""
    kept = reachable(store)
    stray = store.put(b"stray")
    age(store)
    store.do("gc", grace_seconds=0)
    for blob in kept:
        store.get(blob)
    store.refuses("not_found", "get_blob", id=stray)
    store.sound()


@requirement("STORE-041")
@pytest.mark.parametrize("grace", [None, 3600])
def test_gc_keeps_what_is_young(store: Store, grace: int | None) -> None:
    """Something acknowledged and not yet referenced survives the grace period."""
    young = store.put(b"young")
    store.do("gc", **({} if grace is None else {"grace_seconds": grace}))
    assert store.get(young) == b"young"


@requirement("STORE-041", "STORE-040")
@pytest.mark.parametrize("grace", [None, 3600])
def test_what_is_young_keeps_what_it_stands_on(store: Store, grace: int | None) -> None:
    """A young commit that nothing names, on an old one: parents, snapshots and blobs stay."""
    store.commit(files={"a": b"old", "b": b"older"})
    age(store)
    young, _ = store.commit(files={"a": b"old"}, message="young")
    (store.inside / "refs" / "heads" / "main").unlink()
    store.close()
    store.do("gc", **({} if grace is None else {"grace_seconds": grace}))
    store.sound()
    parent = store.do("get_commit", id=young)["record"]["parent_commit_id"]
    store.do("get_snapshot", id=store.do("get_commit", id=parent)["record"]["snapshot_id"])
    assert store.get(oracle.blob_id(b"old")) == b"old"
    assert store.get(oracle.blob_id(b"older")) == b"older"


@requirement("STORE-041")
@pytest.mark.parametrize(
    "kind", ["merge", "rebase", "reservation", "intent", "checkpoint", "config"]
)
def test_every_state_keeps_what_it_names(store: Store, kind: str) -> None:
    """At any depth of the value; an id that names nothing is passed over."""
    blob = store.put(b"named by a state")
    store.do("set_state", kind=kind, value={"a": {"b": [blob]}, "c": oracle.ABSENT})
    age(store)
    store.do("gc", grace_seconds=0)
    assert store.get(blob) == b"named by a state"


@requirement("STORE-041", "STORE-018")
def test_putting_again_makes_young(store: Store) -> None:
    """An old object that was put again counts as young."""
    id = store.put(b"old")
    age(store)
    store.put(b"old")
    store.do("gc")
    assert store.get(id) == b"old"


@requirement("STORE-042", "STORE-063")
def test_gc_removes_what_is_old_and_unreachable(store: Store) -> None:
    """Older than the grace period and named by nothing: gone, and the count says so."""
    stray = store.put(b"stray")
    store.commit()
    age(store)
    answer = store.do("gc")
    store.refuses("not_found", "get_blob", id=stray)
    if not isinstance(answer["removed"], int) or answer["removed"] < 1:
        fail("removed: at least 1", repr(answer.get("removed")))
    store.sound()


@requirement("STORE-043")
@pytest.mark.parametrize("what", ["blob", "commit", "snapshot", "commit of HEAD"])
@pytest.mark.parametrize("how", ["missing", "corrupt"])
def test_gc_refuses_when_something_is_missing(store: Store, what: str, how: str) -> None:
    """With something reachable missing or corrupt, nothing is removed."""
    first, snapshot = store.commit(files={"a": b"content"})
    if what == "commit of HEAD":
        store.do("set_head", commit=first)
        (store.inside / "refs" / "heads" / "main").unlink()
    store.put(b"stray")
    age(store)
    path = {
        "blob": store.loose(oracle.blob_id(b"content")),
        "snapshot": store.record("snapshots", snapshot),
    }.get(what, store.record("commits", first))
    path.chmod(0o644)
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(b"damaged")
    store.close()
    before = store.tree()
    store.refuses("integrity", "gc", grace_seconds=0)
    assert store.tree().keys() >= before.keys()


@requirement("STORE-042", "STORE-015")
def test_gc_may_pack_and_reads_stay_the_same(store: Store) -> None:
    """Whatever gc does with what it keeps, everything reads as before."""
    made = [store.commit(files={"a": b"%d" % n, "b": b"same"}, message=str(n)) for n in range(12)]
    before = [store.do("get_commit", id=first)["record"] for first, _ in made]
    trees = [store.do("get_snapshot", id=snapshot)["record"] for _, snapshot in made]
    for _ in range(2):
        store.do("gc", grace_seconds=0)
    assert [store.do("get_commit", id=first)["record"] for first, _ in made] == before
    assert [store.do("get_snapshot", id=snapshot)["record"] for _, snapshot in made] == trees
    assert store.get(oracle.blob_id(b"7")) == b"7"
    store.sound()


def files(store: Store) -> set[Path]:
    """Every file of the store, temp files included."""
    return {Path(folder, name) for folder, _, names in os.walk(store.inside) for name in names}


@requirement("STORE-063", "STORE-042", "DUR-012")
def test_gc_removes_what_killed_writers_left(store: Store) -> None:
    """After kills in the middle of writes, a collection leaves only what is known."""
    first, _ = store.commit()
    for _ in range(4):
        content = os.urandom(3_000_000)  # another each time: one that was there is not written
        line = b'{"op": "put_blob", "data": "' + text_of(content).encode() + b'"}'
        batch = store.start()
        batch.ask("list_refs")
        before = files(store)
        batch.write(line)
        until = time.monotonic() + 2
        while files(store) <= before and time.monotonic() < until:
            pass  # the moment at which it begins to write is short
        batch.kill()
    store.close()
    left = [path for path in files(store) if path.stat().st_size > 100_000]
    removed = store.do("gc", grace_seconds=0)["removed"]
    assert [path for path in files(store) if path.stat().st_size > 100_000] == []
    assert removed >= len(left)
    assert store.do("get_ref", branch="main")["id"] == first
    store.sound()


@requirement("STORE-044")
def test_writers_beside_gc_lose_nothing(store: Store) -> None:
    """Objects put, or found present, while collections run are there afterwards."""
    contents = [b"object %d" % number for number in range(40)]
    for content in contents[:20]:
        store.put(content)
    age(store)
    collector, writer = store.start(), store.start()
    stop = threading.Event()
    collected: list[bool] = []

    def collect() -> None:
        while not stop.is_set() or not collected:
            collected.append(collector.ask("gc", grace_seconds=3600)["ok"])

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        ids = [writer.ask("put_blob", data=text_of(content))["id"] for content in contents]
    finally:
        stop.set()
        thread.join()
    lost = [id for id in ids if not store.ask("get_blob", id=id)["ok"]]
    assert (lost, any(collected)) == ([], True)
