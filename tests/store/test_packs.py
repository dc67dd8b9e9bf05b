"""Packs in the store: taken in whole, found through an index, read like anything else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from fixtures import packing, shapes
from fixtures.history import History
from reference.core.closure import closure
from reference.store import fsck, gc, loose, refs
from reference.store.packing import Spool, build_framed, plan_frames
from reference.store.packs import PackFile, list_packs
from reference.store.repository import CHAIN, Repository
from reference.wire.errors import ProtocolError
from reference.wire.pack import Pack
from reference.wire.reader import read
from tests import oracle
from tests.store.test_adapter import Adapter, tree_of


@pytest.fixture(scope="module")
def dag() -> History:
    """Merges, removals, directories, awkward paths, empty and identical blobs."""
    return shapes.build("dag")


@pytest.fixture
def packed(root: Path, dag: History) -> Repository:
    """A store that received `dag` as one framed pack."""
    repository = Repository(str(root))
    repository.receive([packing.to_bytes(dag)])
    for branch, head in dag.branches.items():
        refs.write(repository.dot, branch, head)
    return repository


@pytest.mark.requirement("STORE-009", "STORE-061", "STORE-010")
@pytest.mark.parametrize("framed", [True, False], ids=["framed", "plain"])
def test_a_pack_is_kept_as_received(root: Path, dag: History, framed: bool) -> None:
    """Its file holds its bytes; everything in it can be read; no ref moves."""
    raw = packing.to_bytes(dag, framed)
    (root / "incoming").write_bytes(raw)
    store = Adapter(root)
    counts = store.ok("receive_pack", path=str(root / "incoming"))
    assert counts == {
        "commits": len(dag.commits),
        "snapshots": len(dag.snapshots),
        "blobs": len(dag.blobs),
    }
    kept = root / f".muse/objects/pack/{oracle.mpack_key(raw)[7:]}.mpack"
    assert kept.read_bytes() == raw
    assert kept.stat().st_mode & 0o777 == 0o444
    assert kept.with_suffix(".idx").stat().st_mode & 0o777 == 0o444
    assert store.ok("list_refs") == {"refs": {}}
    for blob in dag.blobs:
        assert store.repository.blob(blob.object_id) == blob.content
    for commit in dag.commits:
        assert store.repository.commit(commit["commit_id"]) == commit
    manifest, directories = dag.tree()
    head = next(c for c in dag.commits if c["commit_id"] == dag.head)
    found = store.repository.tree(head["snapshot_id"])
    assert found[0] == manifest
    assert sorted(found[1]) == sorted(directories)
    assert store.ok("receive_pack", path=str(root / "incoming")) == counts
    assert store.ok("fsck") == {"problems": []}


@pytest.mark.requirement("STORE-009", "STORE-040")
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "empty"])
def test_a_damaged_index_is_remade(packed: Repository, dag: History, damage: str) -> None:
    """An index is never trusted further than its digest."""
    index = Path(next(list_packs(packed.dot)).index_path)
    sound = index.read_bytes()
    index.chmod(0o644)
    if damage == "missing":
        index.unlink()
    else:
        half = len(sound) // 2
        flipped = sound[:half] + bytes([sound[half] ^ 1]) + sound[half + 1 :]
        index.write_bytes({"cut": sound[:half], "flipped": flipped, "empty": b""}[damage])
    again = Repository(packed.root)
    assert fsck.problems(again) == []
    assert again.blob(dag.blobs[0].object_id) == dag.blobs[0].content
    assert index.read_bytes() == sound


@pytest.mark.requirement("STORE-062")
@pytest.mark.parametrize(
    ("name", "word"), [("truncated", "invalid"), ("blob", "integrity"), ("leaning", "integrity")]
)
def test_a_refused_pack_leaves_nothing(root: Path, dag: History, name: str, word: str) -> None:
    """Its form, its contents and what it leans on each have their word."""
    raw = packing.to_bytes(dag, framed=False)
    parts: list[bytes] = []
    if name == "leaning":
        repository = Repository.init(str(root.parent / "other"))
        repository.receive([raw])
        before = dag.commits[0]["commit_id"]
        build_framed(repository, closure(repository.lookups(), [dag.head], [before]), parts.append)
    elif name == "blob":
        content = max((blob.content for blob in dag.blobs), key=len)
        parts = [raw.replace(content, content[::-1])]
        assert parts != [raw]
    else:
        parts = [raw[:-1]]
    (root / "incoming").write_bytes(b"".join(parts))
    Adapter(root).refused("receive_pack", word, path=str(root / "incoming"))


@pytest.mark.requirement("STORE-062")
def test_no_pack_there_is_not_found(root: Path) -> None:
    """A folder is no pack either."""
    Adapter(root).refused("receive_pack", "not_found", path=str(root / "nothing"))
    Adapter(root).refused("receive_pack", "invalid", path=str(root))


@pytest.mark.requirement("STORE-015")
def test_a_corrupt_loose_copy_does_not_hide_a_packed_one(packed: Repository, dag: History) -> None:
    """Blobs, commits and snapshots are read from wherever they are sound."""
    blob = next(blob for blob in dag.blobs if blob.content)
    commit = dag.commits[-1]
    for kind, object_id in (
        ("objects", blob.object_id),
        ("commits", commit["commit_id"]),
        ("snapshots", commit["snapshot_id"]),
    ):
        path = Path(loose.path_of(packed.dot, kind, object_id))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"damaged")
    again = Repository(packed.root)
    assert again.blob(blob.object_id) == blob.content
    assert again.commit(commit["commit_id"]) == commit
    assert again.tree(commit["snapshot_id"])


@pytest.mark.requirement("STORE-008")
def test_loose_chains_end_within_64_steps(store: Adapter) -> None:
    """However long a history is, a snapshot stands on a root nearby."""
    made = [store.commit(files={"a": _base64(turn)})["snapshot_id"] for turn in range(CHAIN + 8)]
    steps: dict[str, int] = {}
    for snapshot in made:
        digits = snapshot[7:]
        path = store.root / f".muse/snapshots/{digits[:2]}/{digits[2:]}.json"
        parent = json.loads(path.read_bytes())["parent_snapshot_id"]
        steps[snapshot] = 0 if parent is None else steps[parent] + 1
    assert 32 < max(steps.values()) < 64


def _base64(number: int) -> str:
    from base64 import b64encode

    return b64encode(b"%d" % number).decode()


@pytest.fixture
def store(root: Path) -> Adapter:
    """An empty store."""
    return Adapter(root)


def test_a_pack_built_from_a_store_is_received_by_another(
    packed: Repository, dag: History, tmp_path: Path
) -> None:
    """From frames as they lie, and from loose objects after them."""
    store = Adapter(Path(packed.root))
    for turn in range(3):
        store.commit(files={"more": _base64(turn)})
    head = refs.read(packed.dot, "main")
    assert head is not None
    wanted = closure(store.repository.lookups(), [head])
    parts: list[bytes] = []
    build_framed(store.repository, wanted, parts.append)
    other = Repository.init(str(tmp_path / "other"))
    other.receive(parts)
    refs.write(other.dot, "main", head)
    assert fsck.problems(other) == []
    assert len(wanted.commits) > 3


def test_a_pack_knows_whose_closure_it_is(root: Path) -> None:
    """The commit that no other has as its parent, told from columns alone."""
    history = shapes.build("step")
    repository = Repository(str(root))
    repository.receive([packing.to_bytes(history)])
    assert next(list_packs(repository.dot)).tip == history.head


def test_a_pack_of_several_heads_is_no_closure(packed: Repository, dag: History) -> None:
    """One commit is asked for, and this pack holds more."""
    assert len(set(dag.branches.values())) > 1
    assert next(list_packs(packed.dot)).tip is None


def test_whole_frames_are_copied_unopened(packed: Repository, dag: History) -> None:
    """Only blobs of frames that are wanted in part are compressed again."""
    pack = next(list_packs(packed.dot))
    part = pack.blob_ids[1 : pack.pack.frames[0].blobs]
    with Spool(packed) as spool:
        plans, payloads = plan_frames(packed, list(pack.blob_ids), spool)
        assert [plan.length for plan in plans] == [frame.length for frame in pack.pack.frames]
        assert payloads[0]() == pack.payload(0)
        plans, payloads = plan_frames(packed, part, spool)
    assert [oid for plan in plans for oid in plan.blob_ids] == part


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
    made = [store.commit(files={f"f{turn}": _base64(turn)}) for turn in range(20)]
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


@pytest.mark.requirement("STORE-039")
def test_fsck_names_a_damaged_pack(packed: Repository) -> None:
    """Its bytes no longer are what its name says."""
    path = Path(next(list_packs(packed.dot)).path)
    path.chmod(0o644)
    raw = bytearray(path.read_bytes())
    raw[-300] ^= 0xFF
    path.write_bytes(raw)
    found = fsck.problems(Repository(packed.root))
    assert any(PackFile(str(path)).key in problem for problem in found)


def test_a_pack_of_nothing_is_a_pack() -> None:
    """Nothing is a legitimate amount."""
    assert isinstance(read([b"\x81\xa6format\x01"]), Pack)


def _age(store: Adapter, kind: str, object_id: str, days: float) -> None:
    path = loose.path_of(store.repository.dot, kind, object_id)
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


@pytest.mark.requirement("STORE-041")
def test_what_is_young_stays_with_all_it_stands_on(store: Adapter) -> None:
    """A new commit nobody refers to yet keeps its old parent, base and blobs."""
    parent = store.commit(files={"a": _base64(1), "b": _base64(2)})
    child = store.commit(files={"a": _base64(1), "b": _base64(3)})
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
