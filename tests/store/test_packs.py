"""Packs in the store: taken in whole, found through an index, read like anything else."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from fixtures import packing, shapes
from fixtures.history import History
from reference.core.closure import closure
from reference.store import durable, fsck, loose, refs
from reference.store.pack_folder import list_packs
from reference.store.packing import Spool, build_framed, plan_frames
from reference.store.repository import CHAIN, Repository
from reference.wire.pack import Pack
from reference.wire.reader import read, unpack
from reference.wire.writer import write_plain
from tests import oracle
from tests.store.test_adapter import ABSENT, Adapter, data


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
    made = [
        store.commit(files={"a": data(b"%d" % turn)})["snapshot_id"] for turn in range(CHAIN + 8)
    ]
    steps: dict[str, int] = {}
    for snapshot in made:
        digits = snapshot[7:]
        path = store.root / f".muse/snapshots/{digits[:2]}/{digits[2:]}.json"
        parent = json.loads(path.read_bytes())["parent_snapshot_id"]
        steps[snapshot] = 0 if parent is None else steps[parent] + 1
    assert 32 < max(steps.values()) < 64


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
        store.commit(files={"more": data(b"%d" % turn)})
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


@pytest.mark.requirement("STORE-039", "STORE-015")
@pytest.mark.parametrize("index", ["sound", "missing"])
def test_a_damaged_pack_is_named_and_hides_nothing_else(packed: Repository, index: str) -> None:
    """Its bytes no longer are what its name says; whatever is sound beside it reads on."""
    store = Adapter(Path(packed.root))
    first = store.commit("side")["commit_id"]
    pack = next(list_packs(packed.dot))
    raw = bytearray(Path(pack.path).read_bytes())
    raw[-300] ^= 0xFF
    durable.write(pack.path, bytes(raw))
    if index == "missing":
        Path(pack.index_path).unlink()
    again = Adapter(Path(packed.root))
    assert any(pack.key in problem for problem in again.ok("fsck")["problems"])
    assert again.ok("get_commit", id=first)["record"]["branch"] == "side"
    again.commit("side", files={"more": data(b"more")})


@pytest.mark.requirement("STORE-015")
def test_a_blob_is_read_from_whichever_pack_is_sound(root: Path) -> None:
    """A pack whose frame is damaged does not stand in the way of another."""
    repository = Repository(str(root))
    history = shapes.build("step")
    for framed in (True, False):
        repository.receive([packing.to_bytes(history, framed)])
    blob = next(blob for blob in history.blobs if blob.content)
    for pack in list_packs(repository.dot):
        sound = Path(pack.path).read_bytes()
        row = next(row for row in pack.pack.rows() if row.object_id == blob.object_id)
        after = sound[row.frame_offset + row.frame_length :]
        damaged = sound[: row.frame_offset] + bytes(row.frame_length) + after
        durable.write(pack.path, damaged)
        assert Repository(str(root)).blob(blob.object_id) == blob.content
        durable.write(pack.path, sound)


@pytest.mark.requirement("STORE-039")
def test_fsck_goes_on_after_a_damaged_ref(root: Path) -> None:
    """It is one problem among others, not the end."""
    store = Adapter(root)
    store.commit("main")
    store.commit("side")
    for branch, text in (("main", "damaged"), ("side", oracle.blob_id(b""))):
        (root / ".muse/refs/heads" / branch).write_text(text)
    (root / ".muse/HEAD").write_text("damaged")
    found = store.ok("fsck")["problems"]
    assert [problem.split()[:2] for problem in found] == [
        ["HEAD:", "integrity"],
        ["branch", "main:"],
        ["branch", "side:"],
    ]


def test_a_pack_of_nothing_is_a_pack() -> None:
    """Nothing is a legitimate amount."""
    assert isinstance(read([b"\x81\xa6format\x01"]), Pack)


@pytest.mark.requirement("STORE-018")
@pytest.mark.parametrize("kind", ["commits", "snapshots"])
def test_a_corrupt_loose_record_is_healed_though_a_pack_has_it(
    packed: Repository, dag: History, kind: str
) -> None:
    """Writing it again replaces the file: nothing that is known to be damaged stays."""
    commit = next(c for c in dag.commits if c["commit_id"] == dag.head)
    name = {"commits": "commit_id", "snapshots": "snapshot_id"}[kind]
    path = Path(loose.path_of(packed.dot, kind, commit[name]))
    durable.write(str(path), b"damaged")
    again = Repository(packed.root)
    again.put_commit(commit)
    again.put_snapshot(*dag.tree())
    assert json.loads(path.read_bytes())[name] == commit[name]
    assert fsck.problems(Repository(packed.root)) == []


def test_a_pack_without_a_column_of_parents_knows_its_tip(root: Path) -> None:
    """A sender may leave an empty column out.  [MPACK-010]"""
    head = shapes.build("step").commits[0]["commit_id"]
    repository = Repository(str(root))
    repository.receive([packing.to_bytes(shapes.build("step"))])
    pack = next(list_packs(repository.dot))
    columns = unpack(pack._index["head"], "head")
    columns["commits"] = {"ids": bytes.fromhex(head[7:])}
    pack._index["head"] = msgpack.packb(columns)
    assert pack.tip == head
    pack = next(list_packs(repository.dot))
    pack._index["head"] = msgpack.packb({})
    assert pack.tip is None


@pytest.mark.requirement("STORE-015")
def test_a_folder_is_no_pack(store: Adapter) -> None:
    """Whatever its name: nothing is read from it, and nothing stops at it."""
    made = store.commit()
    (store.root / ".muse/objects/pack" / f"{'a' * 64}.mpack").mkdir()
    again = Adapter(store.root)
    assert again.ok("get_commit", id=made["commit_id"])
    again.refused("get_blob", "not_found", id=ABSENT)
    assert again.ok("fsck") == {"problems": []}


@pytest.mark.requirement("STORE-015")
@pytest.mark.parametrize("kind", ["objects", "commits", "snapshots"])
def test_an_unreadable_loose_copy_does_not_hide_a_packed_one(
    packed: Repository, dag: History, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that answers EIO for one file is no reason to give up on the other."""
    commit = dag.commits[-1]
    store, real = Adapter(Path(packed.root)), loose._read

    def read(path: str, *given: Any) -> bytes | None:
        if f"/{kind}/" in path:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *given)

    for shard in range(256):
        (Path(packed.dot) / loose.KINDS[kind][0] / f"{shard:02x}").mkdir(exist_ok=True)
    monkeypatch.setattr(loose, "_read", read)
    assert store.ok("get_blob", id=dag.blobs[0].object_id) == {"data": data(dag.blobs[0].content)}
    assert store.ok("get_commit", id=commit["commit_id"])
    assert store.ok("get_snapshot", id=commit["snapshot_id"])
    store.ask("get_blob", id=ABSENT)


@pytest.mark.requirement("STORE-014", "STORE-053")
def test_what_another_process_collected_is_not_found(root: Path) -> None:
    """At once, though its pack was there a moment ago."""
    repository = Repository(str(root))
    history = shapes.build("step")
    repository.receive([packing.to_bytes(history)])
    ours, blob = Adapter(root), history.blobs[0].object_id
    ours.ok("get_commit", id=history.head)
    Adapter(root).ok("gc", grace_seconds=0)
    ours.refused("get_blob", "not_found", id=blob)


def test_a_base_that_another_process_collected_is_told(root: Path, tmp_path: Path) -> None:
    """What is remembered of a snapshot is not the snapshot: nothing can stand on it."""
    ours = Adapter(root)
    first = ours.commit("x", files={"f": data(b"1")})
    second = ours.commit("x", files={"f": data(b"2")})
    record = ours.repository.snapshot(second["snapshot_id"])
    assert record["parent_snapshot_id"] == first["snapshot_id"]
    out: list[bytes] = []
    write_plain(out.append, [], [record], [(oracle.blob_id(b"2"), b"2")], 1)
    (tmp_path / "pack").write_bytes(b"".join(out))
    ours.repository.forget()
    ours.ok("get_snapshot", id=first["snapshot_id"])
    refs.delete(ours.repository.dot, "x")
    Adapter(root).ok("gc", grace_seconds=0)
    answers = [ours.ask("receive_pack", path=str(tmp_path / "pack")) for _ in range(2)]
    assert [answer["error"] for answer in answers] == ["io", "integrity"]
