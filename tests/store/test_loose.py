"""Loose objects: kept under what they hash to, found again, and nothing else taken for one."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.store import durable, folders, loose
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from tests import oracle
from tests.faults import Disk
from tests.store.survival import Survival
from tests.store.test_seed_demands import contents, refused
from tests.store.writers import sharded


@given(content=st.binary(max_size=300))
@pytest.mark.requirement("STORE-005")
def test_an_object_is_named_by_its_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """What sha256sum says of the file is where the file lies; the content comes back."""
    root = tmp_path_factory.mktemp("store")
    with Disk(root):
        object_id = loose.put_blob(f"{root}/.muse", content)
    raw = (root / sharded("objects/sha256", object_id)).read_bytes()
    assert oracle.mpack_key(raw) == object_id == oracle.blob_id(content)
    assert loose.get_blob(f"{root}/.muse", object_id) == content


def test_many_objects_are_kept_at_once(root: Path, dot: str) -> None:
    """Each content once, however often it is given; the ids are in the order of the contents."""
    given_contents = [b"%d" % (n % 150) for n in range(300)]
    survival = Survival.of(root)
    with Disk(root) as disk:
        ids = loose.put_blobs(dot, given_contents)
    survival.follow(disk.calls)
    assert ids == [oracle.blob_id(content) for content in given_contents]
    assert sorted(loose.iter_ids(dot, "objects")) == sorted(set(ids))
    assert [oid for oid in ids if not survival.has(root / sharded("objects/sha256", oid))] == []
    assert len([call for call in disk.named("open") if call.creates]) == 150


@pytest.mark.requirement("STORE-014")
def test_an_object_that_is_not_there_is_not_found(dot: str) -> None:
    """Neither read nor seen."""
    object_id = oracle.blob_id(b"never stored")
    assert not loose.has(dot, object_id)
    assert object_id not in loose.iter_ids(dot, "objects")
    with refused("not_found", object_id):
        loose.get_blob(dot, object_id)
    loose.put_blob(dot, b"never stored")
    assert loose.has(dot, object_id)


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_file_of_any_size_is_kept(root: Path, dot: str, size: int) -> None:
    """At and around the size of one read."""
    source = root / "source"
    source.write_bytes(os.urandom(size))
    object_id = loose.put_blob_file(dot, str(source))
    assert object_id == oracle.blob_id(source.read_bytes())
    assert loose.get_blob(dot, object_id) == source.read_bytes()


def test_a_large_file_is_not_held_in_memory(root: Path, dot: str) -> None:
    """Reading and writing go on side by side."""
    source = root / "source"
    with source.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        with Disk(root):
            loose.put_blob_file(dot, str(source))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_file_that_grows_is_kept_as_it_was(
    root: Path, dot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is written to all the time can be kept; the id is that of what was kept."""
    source = root / "log"
    source.write_bytes(b"line\n" * 1000)
    meanwhile(monkeypatch, lambda: os.truncate(source, 6000))
    object_id = loose.put_blob_file(dot, str(source))
    assert source.stat().st_size == 6000
    assert object_id == oracle.blob_id(b"line\n" * 1000)
    assert loose.get_blob(dot, object_id) == b"line\n" * 1000


def test_a_file_that_shrinks_is_refused(
    root: Path, dot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was promised in the header is not there any more: nothing is kept."""
    source = root / "log"
    source.write_bytes(b"line\n" * 1000)
    before = contents(root / ".muse")
    meanwhile(monkeypatch, lambda: os.truncate(source, 10))
    with refused("io", "changed"):
        loose.put_blob_file(dot, str(source))
    assert contents(root / ".muse") == before


def meanwhile(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Does something just when the first bytes of a temp file are written."""
    real = os.write
    done: list[object] = []

    def write(fd: int, data: bytes) -> int:
        if not done:
            done.append(None)
            work()
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "not_found"),
        (lambda path: path.mkdir(), "invalid"),
        (lambda path: os.mkfifo(path), "invalid"),
    ],
    ids=["nothing", "a folder", "a pipe"],
)
def test_only_a_regular_file_is_kept(
    root: Path, dot: str, make: Callable[[Path], object], code: str
) -> None:
    """A pipe is not waited for."""
    make(root / "source")
    before = contents(root / ".muse")
    with refused(code, "source"):
        loose.put_blob_file(dot, str(root / "source"))
    assert contents(root / ".muse") == before


@pytest.mark.requirement("STORE-013")
def test_a_folder_where_an_object_belongs_is_an_error(root: Path, dot: str) -> None:
    """Reading says integrity check; writing cannot replace it and says so."""
    object_id = oracle.blob_id(b"content")
    path = root / sharded("objects/sha256", object_id)
    (path / "in").mkdir(parents=True)
    with refused("integrity", "integrity check"):
        loose.get_blob(dot, object_id)
    with pytest.raises(OSError, match=object_id[9:]):
        loose.put_blob(dot, b"content")
    assert [name for _, _, names in os.walk(root) for name in names if ".muse-tmp-" in name] == []


@pytest.mark.requirement("STORE-018")
def test_a_link_where_an_object_belongs_is_replaced(root: Path, dot: str) -> None:
    """What it points to is left alone."""
    other = root / "precious"
    other.write_bytes(b"do not touch")
    path = root / sharded("objects/sha256", oracle.blob_id(b"content"))
    path.parent.mkdir()
    path.symlink_to(other)
    loose.put_blob(dot, b"content")
    assert not path.is_symlink()
    assert loose.get_blob(dot, oracle.blob_id(b"content")) == b"content"
    assert other.read_bytes() == b"do not touch"


@pytest.mark.requirement("STORE-039", "STORE-040")
def test_what_is_no_object_is_told_apart(root: Path, dot: str) -> None:
    """Files with other names are reported by their places, temp files are not, ids are listed."""
    object_id = loose.put_blob(dot, b"content")
    folder = root / sharded("objects/sha256", object_id).rpartition("/")[0]
    (folder / "README").write_bytes(b"")
    (folder / object_id[9:].upper()).write_bytes(b"")
    (folder / f".muse-tmp-{'0' * 16}").write_bytes(b"")
    (root / ".muse/commits/00").mkdir()
    (root / ".muse/commits/00/x.json").write_bytes(b"{}")
    assert list(loose.iter_ids(dot, "objects")) == [object_id]
    assert list(loose.iter_ids(dot, "commits")) == []
    assert sorted(loose.misplaced(dot)) == [
        "commits/00/x.json",
        f"objects/sha256/{object_id[7:9]}/{object_id[9:].upper()}",
        f"objects/sha256/{object_id[7:9]}/README",
    ]


def test_putting_again_makes_an_object_young(root: Path, dot: str) -> None:
    """So that a collection with a grace period leaves it to whoever put it."""
    path = root / sharded("objects/sha256", loose.put_blob(dot, b"content"))
    for _ in range(2):
        os.utime(path, (1, 1))
        loose.put_blob(dot, b"content")
        assert path.stat().st_mtime > 1_000_000_000


@pytest.mark.requirement("DUR-005")
def test_what_this_process_settled_is_not_written_again(root: Path, dot: str) -> None:
    """Unless somebody touched it since: then nothing is known of it."""
    content = b"content"
    path = root / sharded("objects/sha256", loose.put_blob(dot, content))
    with Disk(root) as disk:
        loose.put_blob(dot, content)
        loose.put_blob(dot, content)
    assert disk.named("write", "fsync", "replace") == []
    durable.remove(str(path))
    os.chmod(path.parent, 0o755)
    path.write_bytes(oracle.stored_blob(content))
    survival = Survival.of(root)
    survival.live[str(path)].synced = False
    with Disk(root) as disk:
        loose.put_blob(dot, content)
    survival.follow(disk.calls)
    assert survival.has(path)


def test_a_record_that_is_there_keeps_its_bytes(root: Path, dot: str) -> None:
    """If it reads well, whoever wrote it; one that does not is replaced."""
    object_id = oracle.blob_id(b"some record")
    path = root / sharded("commits", object_id, ".json")

    def proves(object_id: str, raw: bytes) -> None:
        if not raw.startswith(b"good"):
            raise ProtocolError("integrity", "integrity check: not good")

    def put(raw: bytes) -> bytes | None:
        loose.put_record(dot, "commits", object_id, raw, proves)
        return loose.read_record(dot, "commits", object_id)

    assert put(b"good, first") == b"good, first"
    assert put(b"good, second") == b"good, first"
    for raw in (b"bad", b"", b"good, by somebody else"):
        path.chmod(0o644)
        path.write_bytes(raw)
        assert put(b"good, third") == (raw if raw.startswith(b"good") else b"good, third")
    assert loose.read_record(dot, "snapshots", object_id) is None


@pytest.mark.requirement("STORE-007", "STORE-018")
def test_deltas_never_stand_on_each_other(root: Path) -> None:
    """A tree that comes back is not written again as a delta on what came after it.

    Each time by another process, which cannot know what is durable.
    """
    trees = [{}, {"a": oracle.blob_id(b"a")}, {}, {"a": oracle.blob_id(b"a")}]
    base = None
    for tree in trees:
        folders_and_files_are_unknown()
        base = Repository(str(root)).put_snapshot(tree, [], base)
        assert base == oracle.snapshot_id(tree)
    for tree in trees:
        assert Repository(str(root)).tree(oracle.snapshot_id(tree))[0] == tree


def folders_and_files_are_unknown() -> None:
    """Makes this process as ignorant as a new one."""
    folders._known.clear()
    durable._settled.clear()
