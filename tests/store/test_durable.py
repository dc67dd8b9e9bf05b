"""The atomic write and its relatives, where the matrix of writers does not reach.

One file, for all of it is about the one function that writes.
"""

import contextlib
import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reference.store import durable, folders
from tests.faults import Call, Disk
from tests.store.survival import Survival

HOLDER = """
import sys, time
from reference.store import durable
with durable.lock(sys.argv[1], exclusive=True):
    print("held", flush=True)
    time.sleep(60)
"""


def temps(folder: Path) -> list[str]:
    """Every temp file below `folder`."""
    return [name for _, _, names in os.walk(folder) for name in names if ".muse-tmp-" in name]


def test_a_relative_path_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With folders before it or without."""
    monkeypatch.chdir(tmp_path)
    durable.write("bare", b"1")
    durable.write("in/a/folder", b"2")
    assert durable.create("made", b"3")
    durable.write_many([("many", b"4"), ("in/many", b"5")])
    durable.remove("bare")
    found = {
        str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()
    }
    assert found == {"in/a/folder": b"2", "made": b"3", "many": b"4", "in/many": b"5"}


@pytest.mark.requirement("FS3", "DUR-012", "DUR-013")
def test_chunks_that_fail_half_way_leave_the_old_content(tmp_path: Path) -> None:
    """Whatever produces the bytes may fail as well as the disk."""

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("the source broke off")

    path = tmp_path / "file"
    durable.write(str(path), b"old")
    with pytest.raises(ValueError, match="broke off"):
        durable.write(str(path), chunks())
    assert path.read_bytes() == b"old"
    assert temps(tmp_path) == []
    durable.write(str(path), iter([b"in ", b"", b"parts"]))
    assert path.read_bytes() == b"in parts"


def test_a_mode_is_exact_and_without_one_the_umask_rules(tmp_path: Path) -> None:
    """As for any new file; a key file must not depend on the umask."""
    before = os.umask(0o027)
    try:
        durable.write(str(tmp_path / "plain"), b"")
        durable.write(str(tmp_path / "secret"), b"", mode=0o600)
        durable.write(str(tmp_path / "open"), b"", mode=0o644)
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert modes == {"plain": 0o640, "secret": 0o600, "open": 0o644}


@pytest.mark.parametrize("call", ["replace", "link", "mkdir", "unlink"])
@pytest.mark.requirement("DUR-007")
def test_an_interrupted_call_is_repeated(tmp_path: Path, call: str) -> None:
    """EINTR of the calls that the interpreter itself does not repeat."""
    path = tmp_path / "folder" / "file"
    folders.make_folder(str(tmp_path))
    with Disk(tmp_path) as disk:
        disk.fail(call, InterruptedError, times=2)
        assert durable.create(str(path), b"1")
        durable.write(str(path), b"2")
    assert len([c for c in disk.named(call) if c.failed]) == 2
    assert path.read_bytes() == b"2"
    assert temps(tmp_path) == []


@pytest.mark.requirement("DUR-012")
def test_a_temp_file_swept_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making and locking it, a temp file looks like one whose writer is dead."""
    real = os.open
    swept: list[str] = []

    def opened(path: str, flags: int, *rest: int) -> int:
        fd = real(path, flags, *rest)
        if ".muse-tmp-" in path and not swept:
            swept.append(path)
            os.unlink(path)
        return fd

    monkeypatch.setattr(os, "open", opened)
    durable.write(str(tmp_path / "file"), b"content")
    assert swept
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.requirement("DUR-006")
def test_a_temp_name_that_is_taken_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another writer's; the next name is tried."""
    names = iter([b"\1" * 8, b"\2" * 8])
    monkeypatch.setattr(os, "urandom", lambda size: next(names))
    taken = tmp_path / f".muse-tmp-{'01' * 8}"
    taken.write_bytes(b"another's")
    durable.write(str(tmp_path / "file"), b"content")
    assert taken.read_bytes() == b"another's"
    assert (tmp_path / "file").read_bytes() == b"content"


def test_what_is_created_has_its_mode_before_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is nobody else's to read, not even for a moment."""
    modes, real = [], durable._write_all

    def write_all(fd: int, content: bytes | memoryview) -> None:
        real(fd, content)
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))

    monkeypatch.setattr(durable, "_write_all", write_all)
    assert durable.create(f"{tmp_path}/key", b"seed", mode=0o600)
    assert modes == [0o600]


@pytest.mark.requirement("DUR-001", "DUR-010")
def test_create_writes_durably_and_only_once(tmp_path: Path) -> None:
    """The second time nothing changes, and the answer says so."""
    path = tmp_path / "new" / "file"
    survival = Survival.of(tmp_path)
    with Disk(tmp_path) as disk:
        assert durable.create(str(path), b"first", mode=0o400)
        assert not durable.create(str(path), b"second")
    survival.follow(disk.calls)
    assert survival.has(path)
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert temps(tmp_path) == []


def test_of_many_that_create_at_once_one_does(tmp_path: Path) -> None:
    """And the content is that one's."""
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda n: durable.create(f"{tmp_path}/file", b"%d" % n), range(20)))
    assert said.count(True) == 1
    assert (tmp_path / "file").read_bytes() == b"%d" % said.index(True)
    assert temps(tmp_path) == []


def count_calls(folder: Path, work: Callable[[], object]) -> int:
    """How many calls some work takes when all goes well."""
    with Disk(folder) as disk:
        work()
    return len(disk.calls)


@pytest.mark.parametrize("raised", [errno.EIO, KeyboardInterrupt], ids=["EIO", "Ctrl-C"])
@pytest.mark.requirement("FS3", "DUR-004", "DUR-012")
def test_create_that_fails_anywhere_can_be_repeated(
    tmp_path: Path, raised: int | type[BaseException]
) -> None:
    """No temp file is left, save where removing it is what fails; then the file is there."""
    for n in range(count_calls(tmp_path, lambda: durable.create(f"{tmp_path}/clean", b"1"))):
        path = tmp_path / str(n) / "file"
        path.parent.mkdir()
        with Disk(tmp_path) as disk, contextlib.suppress(OSError, KeyboardInterrupt):
            disk.fail(at_call(disk, n), raised)
            durable.create(str(path), b"1")
        assert disk.calls[n].failed
        assert temps(path.parent) == [] or disk.calls[n].name == "unlink"
        durable.create(str(path), b"1")
        assert path.read_bytes() == b"1"


def at_call(disk: Disk, number: int) -> Callable[[Call], bool]:
    """True of one call: the one of this number."""
    return lambda call: len(disk.calls) == number + 1


@pytest.mark.requirement("DUR-011")
def test_what_is_removed_stays_away(tmp_path: Path) -> None:
    """Each folder is synced once; what is not there is no error, but may not be gone for good."""
    names = ["a/1", "a/2", "b/3"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"old")
    survival = Survival.of(tmp_path)
    os.unlink(tmp_path / "a/1")
    del survival.live[str(tmp_path / "a/1")]
    with Disk(tmp_path) as disk:
        durable.remove(*(f"{tmp_path}/{name}" for name in names), f"{tmp_path}/no/folder")
    survival.follow(disk.calls)
    assert [path for path in names if not survival.lacks(tmp_path / path)] == []
    assert [call.path for call in disk.named("fsync")] == [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b"]


@pytest.mark.parametrize(
    ("raised", "after"),
    [
        pytest.param(errno.EIO, False, id="EIO"),
        pytest.param(errno.ENOSPC, False, id="ENOSPC"),
        pytest.param(KeyboardInterrupt, False, id="Ctrl-C before"),
        pytest.param(KeyboardInterrupt, True, id="Ctrl-C after"),
    ],
)
@pytest.mark.requirement("DUR-004", "DUR-011", "DUR-012", "DUR-013", "DUR-018")
def test_a_removal_that_fails_anywhere_can_be_repeated(
    tmp_path: Path, raised: int | type[BaseException], after: bool
) -> None:
    """Until it is acknowledged the old content stands; then it is gone for good."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for n in range(count_calls(tmp_path, lambda: durable.remove(str(path)))):
        path.write_bytes(b"old")
        survival = Survival.of(tmp_path)
        acknowledged = False
        with Disk(tmp_path) as disk, contextlib.suppress(OSError, KeyboardInterrupt):
            disk.fail(at_call(disk, n), raised, after=after)
            durable.remove(str(path))
            acknowledged = True
        survival.follow(disk.calls)
        tidying = disk.calls[n].name == "unlink"
        if acknowledged or tidying:
            assert survival.lacks(path)
        else:
            assert path.read_bytes() == b"old"
        assert temps(tmp_path) == [] or (tidying and acknowledged)
        with Disk(tmp_path) as disk:
            durable.remove(str(path))
        survival.follow(disk.calls)
        assert survival.lacks(path), n


@pytest.mark.requirement("DUR-014", "DUR-001")
def test_many_files_share_folder_syncs(tmp_path: Path) -> None:
    """Each file is synced itself; each folder, and the one above the new ones, once."""
    items = [(f"{tmp_path}/{'ab'[n % 2]}/{n}", b"%d" % n) for n in range(200)]
    survival = Survival.of(tmp_path)
    with Disk(tmp_path) as disk:
        durable.write_many(items, mode=0o444)
    survival.follow(disk.calls)
    assert [path for path, _ in items if not survival.has(path)] == []
    assert [Path(path).read_bytes() for path, _ in items] == [data for _, data in items]
    synced = [call.path for call in disk.named("fsync") if not call.is_temp]
    assert sorted(synced) == [f"{tmp_path}", f"{tmp_path}", f"{tmp_path}/a", f"{tmp_path}/b"]


def test_many_files_need_few_descriptors(tmp_path: Path) -> None:
    """A commit of thousands of files works where a process may open a hundred."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 80, hard))
    try:
        with Disk(tmp_path):
            durable.write_many([(f"{tmp_path}/{n}", b"%d" % n) for n in range(300)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list(tmp_path.iterdir())) == 300


@pytest.mark.parametrize("raised", [errno.ENOSPC, KeyboardInterrupt], ids=["ENOSPC", "Ctrl-C"])
@pytest.mark.requirement("FS3", "DUR-012", "DUR-014", "DUR-019")
def test_many_files_that_fail_are_whole_or_absent(
    tmp_path: Path, raised: int | type[BaseException]
) -> None:
    """No temp file is left, whichever call of the many fails."""

    def write(folder: Path) -> None:
        durable.write_many([(f"{folder}/{n}", b"%d" % n) for n in range(3)])

    (tmp_path / "clean").mkdir()
    for n in range(count_calls(tmp_path / "clean", lambda: write(tmp_path / "clean"))):
        folder = tmp_path / f"at {n}"
        folder.mkdir()
        with Disk(folder) as disk, contextlib.suppress(OSError, KeyboardInterrupt):
            disk.fail(at_call(disk, n), raised)
            write(folder)
        assert disk.calls[n].failed
        assert temps(folder) == []
        assert [p for p in folder.iterdir() if p.read_bytes() != p.name.encode()] == []
        write(folder)
        assert len(list(folder.iterdir())) == 3


@pytest.mark.requirement("DUR-012", "STORE-042", "STORE-063")
def test_only_the_temp_files_of_the_dead_are_swept(tmp_path: Path) -> None:
    """A living writer keeps its own, and names that only look alike belong to somebody else."""
    dead = tmp_path / "in" / f".muse-tmp-{'0' * 16}"
    dead.parent.mkdir()
    dead.write_bytes(b"half")
    dead.chmod(0o444)
    alike = [".muse-tmp-", ".muse-tmp-notes", f".muse-tmp-{'A' * 16}", f".muse-tmp-{'0' * 17}"]
    for name in alike:
        (tmp_path / name).write_bytes(b"mine")
    os.mkfifo(tmp_path / f".muse-tmp-{'1' * 16}")
    os.symlink(alike[1], tmp_path / f".muse-tmp-{'2' * 16}")
    (tmp_path / f".muse-tmp-{'3' * 16}").mkdir()
    with durable.draft(str(tmp_path)) as draft:
        draft.write(b"still ")
        assert durable.sweep(str(tmp_path)) == 2
        draft.write(b"here")
        draft.keep(f"{tmp_path}/file")
    assert (tmp_path / "file").read_bytes() == b"still here"
    assert not dead.exists()
    assert [name for name in alike if not (tmp_path / name).exists()] == []
    assert (tmp_path / f".muse-tmp-{'2' * 16}").is_symlink()
    assert (tmp_path / f".muse-tmp-{'3' * 16}").is_dir()


def test_a_lock_excludes_threads_and_processes(tmp_path: Path) -> None:
    """Shared ones go together; an exclusive one waits for all of them."""
    order: list[str] = []
    with durable.lock(str(tmp_path), exclusive=False):
        with durable.lock(str(tmp_path), exclusive=False):
            waiting = threading.Thread(target=hold, args=(tmp_path, order))
            waiting.start()
            waiting.join(timeout=0.05)
            assert waiting.is_alive()
        order.append("shared done")
    waiting.join(timeout=30)
    assert order == ["shared done", "exclusive"]


def hold(folder: Path, order: list[str]) -> None:
    """Takes the lock alone for a moment."""
    with durable.lock(str(folder), exclusive=True):
        order.append("exclusive")


@pytest.mark.requirement("DUR-021")
def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    """A killed process stops nobody."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waiting = threading.Thread(target=hold, args=(tmp_path, []))
        waiting.start()
        waiting.join(timeout=0.05)
        assert waiting.is_alive()
        holder.kill()
    assert holder.returncode == -signal.SIGKILL
    waiting.join(timeout=30)
    assert not waiting.is_alive()


@pytest.mark.requirement("DUR-005")
def test_settling_makes_a_strangers_file_durable(tmp_path: Path) -> None:
    """Its bytes, its name and its folder; what this process has settled it need not sync again."""
    survival = Survival.of(tmp_path)
    path = tmp_path / "new" / "file"
    with Disk(tmp_path) as disk:
        path.parent.mkdir()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"bytes")
        os.close(fd)
        assert durable.settle(str(path))
        survival.follow(disk.calls)
        assert survival.has(path)
        disk.calls.clear()
        assert durable.settle(str(path))
        assert disk.named("fsync") == []
        os.unlink(path)
        path.write_bytes(b"another")
        assert durable.settle(str(path))
        assert [call.path for call in disk.named("fsync")] == [str(path), str(path.parent)]


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.requirement("DUR-018")
def test_settling_does_not_trust_a_second_fsync(tmp_path: Path, what: str) -> None:
    """After one that failed only writing anew helps, and that does."""
    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    synced = path if what == "file" else tmp_path
    with Disk(tmp_path) as disk:
        disk.fail(lambda call: call.name == "fsync" and call.path == str(synced))
        with pytest.raises(OSError):
            durable.settle(str(path))
        assert not durable.settle(str(path))
        durable.write(str(path), b"bytes")
        assert durable.settle(str(path))


@pytest.mark.requirement("DUR-010")
def test_a_folder_is_made_once_and_with_all_above_it(tmp_path: Path) -> None:
    """The second time there is nothing to do; one that has gone is made again."""
    path = tmp_path / "a" / "b"
    folders.make_folder(str(tmp_path))
    with Disk(tmp_path) as disk:
        folders.make_folder(str(path))
        assert [call.name for call in disk.named("mkdir", "fsync")] == ["mkdir", "fsync"] * 2
        disk.calls.clear()
        folders.make_folder(str(path))
        assert disk.calls == []
        os.rmdir(path)
        folders.make_folder(str(path))
    assert path.is_dir()
    (tmp_path / "file").write_bytes(b"")
    for wrong in ("file", "file/in"):
        with pytest.raises(OSError):
            folders.make_folder(f"{tmp_path}/{wrong}")


def test_without_sync_a_write_is_atomic_only(tmp_path: Path) -> None:
    """As a working tree is written, which can be written again."""
    with Disk(tmp_path) as disk:
        durable.write(f"{tmp_path}/file", b"content", sync=False)
    assert disk.named("fsync") == []
    assert [call.is_temp for call in disk.named("replace")] == [True]
