"""Collection: what stays, what goes, in which order, and when nothing does."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from fixtures.history import History
from reference.core.closure import closure
from reference.store import durable, fsck, gc, intake, loose, refs, working
from reference.store.pack_folder import list_packs
from reference.store.packing import build_framed
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from reference.wire.pack import Limits
from tests import oracle
from tests.store.test_adapter import TIME, Adapter, data, tree_of


@pytest.fixture
def store(root: Path) -> Adapter:
    """An empty store."""
    return Adapter(root)


@pytest.mark.requirement("STORE-043")
def test_collection_refuses_when_something_reachable_is_damaged(
    packed: Repository, dag: History
) -> None:
    """A store in doubt is mended, not collected."""
    path = Path(next(list_packs(packed.dot)).path)
    path.chmod(0o644)
    raw = bytearray(path.read_bytes())
    raw[-300] ^= 0xFF
    path.write_bytes(raw)
    garbage = Adapter(Path(packed.root)).ok("put_blob", data="aGk=")["id"]
    before = tree_of(Path(packed.root))
    with pytest.raises(ProtocolError, match="nothing was removed"):
        gc.collect(Repository(packed.root), 0)
    assert tree_of(Path(packed.root)) == before
    assert loose.has(packed.dot, garbage)


@pytest.mark.requirement("STORE-042", "STORE-063")
def test_collection_packs_what_is_loose(
    root: Path, dag: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a few thousand loose files they become one pack, and read as before."""
    monkeypatch.setattr(gc, "PACK_BEYOND", 20)
    store = Adapter(root)
    made = [store.commit(files={f"f{turn}": data(b"%d" % turn)}) for turn in range(20)]
    garbage = store.ok("put_blob", data="aGk=")["id"]
    assert store.ok("gc", grace_seconds=0) == {"removed": 1}
    assert len(list(list_packs(store.repository.dot))) == 1
    assert not any(list(loose.iter_ids(store.repository.dot, kind)) for kind in loose.KINDS)
    store.refused("get_blob", "not_found", id=garbage)
    again = Adapter(root)
    for turn, commit in enumerate(made):
        record = again.ok("get_snapshot", id=commit["snapshot_id"])["record"]
        assert record["delta_upsert"] == {f"f{turn}": oracle.blob_id(b"%d" % turn)}
    assert again.ok("fsck") == {"problems": []}


@pytest.mark.requirement("STORE-042")
def test_collection_removes_a_pack_that_nothing_reaches(packed: Repository) -> None:
    """Index and all; while a ref reaches into it, it stays whole."""
    assert gc.collect(Repository(packed.root), 0) == 0
    for branch in refs.list_refs(packed.dot):
        refs.delete(packed.dot, branch)
    assert gc.collect(Repository(packed.root), 3600) == 0
    assert gc.collect(Repository(packed.root), 0) > 0
    assert os.listdir(f"{packed.dot}/objects/pack") == []


@pytest.mark.requirement("STORE-043")
@pytest.mark.parametrize("on", ["branch", "commit"])
def test_collection_refuses_where_a_tip_is_missing(store: Adapter, on: str) -> None:
    """The commit of a branch, or of a HEAD that is on none."""
    tip = store.commit()["commit_id"]
    if on == "commit":
        store.ok("set_head", commit=tip)
        refs.delete(store.repository.dot, "main")
    os.unlink(loose.path_of(store.repository.dot, "commits", tip))
    store.ok("put_blob", data=data(b"stray"))
    assert tip in store.refused("gc", "integrity", grace_seconds=0)


class Killed(Exception):
    """Stands for a kill right after a removal is durable."""


@pytest.mark.requirement("DUR-011", "DUR-027")
def test_a_collection_cut_short_leaves_nothing_without_its_base(
    store: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack goes before what it leans on, be that loose, and after what leans on it."""
    base = store.commit(files={"a": data(b"1"), "b": data(b"2")})["commit_id"]
    shutil.copytree(store.root, tmp_path / "other")
    other = Adapter(tmp_path / "other")
    tip = other.commit(files={"a": data(b"1"), "c": data(b"3")})["commit_id"]
    parts: list[bytes] = []
    wanted = closure(other.repository.lookups(), [tip], [base])
    build_framed(other.repository, wanted, parts.append)
    store.repository.receive(parts)
    refs.write(store.repository.dot, "main", tip)
    store.commit(files={"c": data(b"3"), "d": data(b"4")})
    refs.delete(store.repository.dot, "main")

    remove = durable.remove
    removed, stops = None, 0
    root = store.root
    while removed is None:
        root = tmp_path / f"after {stops} removals"
        shutil.copytree(store.root, root)
        left = stops

        def remove_or_die(*paths: str) -> None:
            nonlocal left
            if left == 0 and paths:
                raise Killed
            left -= bool(paths)
            remove(*paths)

        monkeypatch.setattr(durable, "remove", remove_or_die)
        try:
            removed = gc.collect(Repository(str(root)), 0)
        except Killed:
            assert fsck.problems(Repository(str(root))) == []
            stops += 1
    assert (removed, stops > 3) == (11, True)
    assert not any(os.scandir(f"{root}/.muse/objects/pack"))


def _age(store: Adapter, kind: str, object_id: str, days: float) -> None:
    path = loose.path_of(store.repository.dot, kind, object_id)
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


@pytest.mark.requirement("STORE-041")
def test_what_is_young_stays_with_all_it_stands_on(store: Adapter) -> None:
    """A new commit nobody refers to yet keeps its old parent, base and blobs."""
    parent = store.commit(files={"a": data(b"1"), "b": data(b"2")})
    child = store.commit(files={"a": data(b"1"), "b": data(b"3")})
    refs.delete(store.repository.dot, "main")
    _age(store, "commits", parent["commit_id"], 30)
    _age(store, "snapshots", parent["snapshot_id"], 30)
    for number in (1, 2, 3):
        _age(store, "objects", oracle.blob_id(b"%d" % number), 30)
    assert store.ok("gc") == {"removed": 0}
    assert store.ok("fsck") == {"problems": []}
    _age(store, "commits", child["commit_id"], 30)
    _age(store, "snapshots", child["snapshot_id"], 30)
    assert store.ok("gc") == {"removed": 7}


@pytest.mark.requirement("STORE-063")
def test_collection_sweeps_the_working_tree_too(store: Adapter) -> None:
    """A checkout that was killed leaves its temp file there."""
    (store.root / "d").mkdir()
    (store.root / "d/.muse-tmp-0123456789abcdef").write_bytes(b"half")
    (store.root / "d/.muse-tmp-mine").write_bytes(b"somebody's own")
    assert store.ok("gc") == {"removed": 1}
    assert os.listdir(store.root / "d") == [".muse-tmp-mine"]


@pytest.mark.requirement("STORE-042")
@pytest.mark.parametrize("sound", [True, False], ids=["sound", "damaged"])
def test_a_loose_copy_goes_only_where_the_packed_one_reads_back(root: Path, sound: bool) -> None:
    """What a damaged pack holds too is the last of it."""
    store = Adapter(root)
    content = os.urandom(3000)
    head = store.commit(files={"f": data(content)})["commit_id"]
    out: list[bytes] = []
    build_framed(store.repository, closure(store.repository.lookups(), [head]), out.append)
    store.repository.receive(out)
    pack = Path(next(list_packs(store.repository.dot)).path)
    if not sound:
        pack.chmod(0o644)
        raw = bytearray(pack.read_bytes())
        raw[-100] ^= 1
        pack.write_bytes(raw)
    again = Adapter(root)
    again.ok("gc", grace_seconds=0)
    assert again.ok("get_blob", id=oracle.blob_id(content)) == {"data": data(content)}
    assert loose.has(again.repository.dot, oracle.blob_id(content)) != sound


@pytest.mark.requirement("STORE-042")
def test_what_was_taken_in_is_packed_whatever_the_limits_are_now(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are for what others send: not for a person's own commit, not for a collection."""
    monkeypatch.setattr(intake, "DEFAULT_LIMITS", Limits(pack_bytes=100, raw_bytes=100))
    monkeypatch.setattr(gc, "PACK_BEYOND", 0)
    for n in range(working.PACK_BEYOND + 1):
        (root / f"f{n}").write_bytes(b"%d" % n)
    store = Adapter(root)
    said = {"message": "m", "author": "a", "committed_at": TIME}
    working.commit(store.repository, said)
    store.commit("side", files={"more": data(b"more")})
    store.ok("gc", grace_seconds=0)
    assert not list(loose.iter_ids(store.repository.dot, "objects"))
    assert store.ok("fsck") == {"problems": []}
