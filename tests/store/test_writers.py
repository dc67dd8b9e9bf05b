"""Each demand on a durable write, tried on every writer there is."""

import errno
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from reference.store.repository import Repository
from tests.faults import FATAL, TOLERATED, Call, Disk
from tests.store.survival import Survival
from tests.store.writers import (
    WRITERS,
    Writer,
    each_immutable_writer,
    each_replacing_writer,
    each_writer,
)

TEMP = re.compile(r"\.muse-tmp-[0-9a-f]{16}")


def temps(root: Path) -> list[str]:
    """Every temp file below `root`."""
    return [name for _, _, names in os.walk(root) for name in names if ".muse-tmp-" in name]


def repository(folder: Path, writer: Writer | None = None) -> Path:
    """A repository, quickly made; with `writer`, one in which it has written b"old"."""
    with Disk(folder):
        Repository.init(str(folder))
        if writer is not None:
            writer.write(folder, b"old")
    return folder


def calls_of(root: Path, writer: Writer, content: bytes = b"new") -> list[Call]:
    """The calls of one write that goes well."""
    with Disk(root) as disk:
        writer.write(root, content)
    assert writer.read(root, content) == writer.value(content)
    return disk.calls


def outcome(writer: Writer, root: Path, content: bytes) -> int | None:
    """The errno that a write ends with, or None where it was acknowledged."""
    try:
        writer.write(root, content)
    except OSError as problem:
        return problem.errno
    return None


def at_call(disk: Disk, number: int) -> Callable[[Call], bool]:
    """True of one call: the one of this number."""
    return lambda call: len(disk.calls) == number + 1


def is_naming(call: Call, path: Path) -> bool:
    """Whether a call gives the file its final name."""
    return call.target == os.path.realpath(path)


@each_writer
@pytest.mark.requirement("FS1", "DUR-006")
def test_each_temp_name_is_new_and_made_exclusively(root: Path, writer: Writer) -> None:
    """Two writes share no temp name, and neither would open a file that is there."""
    calls = calls_of(root, writer, b"one") + calls_of(root, writer, b"two")
    made = [call for call in calls if call.name == "open" and call.creates]
    assert len({call.path for call in made}) == len(made) >= 2
    assert [call for call in made if not call.exclusive] == []
    assert [call for call in made if not TEMP.fullmatch(os.path.basename(call.path))] == []


@each_writer
@pytest.mark.requirement("FS1", "DUR-006")
def test_the_temp_file_lies_where_the_file_will(root: Path, writer: Writer) -> None:
    """Beside it, so that the rename stays in one folder and one file system.

    An object read from a path learns its name last, and waits in the folder of the shards.
    """
    naming = [call for call in calls_of(root, writer) if is_naming(call, writer.path(root, b"new"))]
    assert len(naming) == 1
    folder = os.path.dirname(naming[0].target)
    if writer.name == "object from a path":
        folder = os.path.dirname(folder)
    assert os.path.dirname(naming[0].path) == folder


@each_writer
@pytest.mark.requirement("FS1", "DUR-008", "DUR-009", "DUR-015")
def test_the_file_is_synced_before_it_is_named_and_its_folder_after(
    root: Path, writer: Writer
) -> None:
    """Every change to the temp file, then its fsync, then its name, then the folder's fsync."""
    calls = calls_of(root, writer)
    path = writer.path(root, b"new")
    named = next(n for n, call in enumerate(calls) if is_naming(call, path))
    about_it = [call.name for call in calls[:named] if call.path == calls[named].path]
    assert about_it[0] == "open"
    assert about_it[-1] == "fsync"
    assert "write" in about_it
    folder = os.path.dirname(calls[named].target)
    assert next(call.path for call in calls[named:] if call.name == "fsync") == folder


@each_writer
@pytest.mark.requirement("FS1", "DUR-001", "DUR-010", "DUR-015")
def test_what_was_written_survives_a_power_cut(root: Path, writer: Writer) -> None:
    """Each folder that the write made is there too, up to the first that was there before."""
    survival = Survival.of(root)
    survival.follow(calls_of(root, writer))
    assert survival.has(writer.path(root, b"new"))


@each_writer
@pytest.mark.requirement("FS1", "DUR-010")
def test_a_folder_that_somebody_else_made_is_synced_too(root: Path, writer: Writer) -> None:
    """Another process made it a moment ago, and died before it had synced it."""
    survival = Survival.of(root)
    with Disk(root) as disk:
        os.makedirs(writer.path(root, b"new").parent, exist_ok=True)
        writer.write(root, b"new")
    survival.follow(disk.calls)
    assert survival.has(writer.path(root, b"new"))


@pytest.mark.parametrize("name", ["nested branch", "restored file"])
@pytest.mark.requirement("DUR-010", "STORE-025")
def test_a_folder_that_was_made_again_is_synced_again(tmp_path: Path, name: str) -> None:
    """Where folders come and go, having synced one says nothing of the next of its name."""
    writer = next(row for row in WRITERS if row.name == name)
    root = repository(tmp_path / "r", writer)
    folder = writer.path(root, b"old").parent
    survival = Survival.of(root)
    with Disk(root) as disk:
        shutil.rmtree(folder)
        os.mkdir(folder)
        writer.write(root, b"new")
    survival.follow(disk.calls)
    assert survival.has(writer.path(root, b"new"))


@each_writer
@pytest.mark.requirement("FS2", "DUR-016")
def test_where_fsync_is_not_supported_the_write_goes_on(tmp_path: Path, writer: Writer) -> None:
    """Some file systems cannot; the bytes are right all the same."""
    for number in TOLERATED:
        root = repository(tmp_path / str(number))
        with Disk(root) as disk:
            disk.fail("fsync", number, times=1000)
            writer.write(root, b"new")
        assert writer.read(root, b"new") == writer.value(b"new")
        assert [call for call in disk.calls if call.failed and call.name == "fsync"]
        assert temps(root) == []


@each_writer
@pytest.mark.requirement("FS2", "FS3", "DUR-013", "DUR-017", "DUR-019")
def test_an_fsync_that_fails_fails_the_write(tmp_path: Path, writer: Writer) -> None:
    """The error comes out, the old content stands, and there is no new file that might be torn."""
    for number in FATAL:
        root = repository(tmp_path / str(number), writer)
        before = writer.path(root, b"new").exists()
        with Disk(root) as disk:
            disk.fail(lambda call: call.name == "fsync" and call.is_temp, number)
            with pytest.raises(OSError) as failure:
                writer.write(root, b"new")
        assert failure.value.errno == number
        assert writer.read(root, b"old") == writer.value(b"old")
        assert writer.path(root, b"new").exists() == before
        assert temps(root) == []


@each_writer
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.requirement("FS2", "FS3", "DUR-004", "DUR-012", "DUR-013", "DUR-018", "DUR-019")
def test_whatever_call_fails_the_retry_heals(tmp_path: Path, writer: Writer, number: int) -> None:
    """An honest error, no temp file, old or new content and never a mixture; then it is durable.

    What an fsync failed to keep, a second one does not keep either.
    """
    path = writer.path(Path("."), b"new")
    count = len(calls_of(repository(tmp_path / "clean", writer), writer))
    for n in range(count):
        root = repository(tmp_path / str(n), writer)
        survival = Survival.of(root)
        with Disk(root) as disk:
            disk.fail(at_call(disk, n), number)
            said = outcome(writer, root, b"new")
            survival.follow(disk.calls)
            failed = disk.calls[n]
            assert failed.failed
            assert said in (None, number)
            assert temps(root) == [], failed
            if said is None:
                assert survival.has(root / path), failed
            elif not any(is_naming(call, root / path) and not call.failed for call in disk.calls):
                assert writer.read(root, b"old") == writer.value(b"old"), failed
            disk.calls.clear()
            writer.write(root, b"new")
            survival.follow(disk.calls)
        assert writer.read(root, b"new") == writer.value(b"new")
        assert survival.has(root / path), failed


@each_writer
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.requirement("FS3", "DUR-012")
def test_an_interrupt_leaves_no_temp_file(tmp_path: Path, writer: Writer, after: bool) -> None:
    """Ctrl-C at any call, just before it is made or just after."""
    count = len(calls_of(repository(tmp_path / "clean", writer), writer))
    for n in range(count):
        root = repository(tmp_path / str(n), writer)
        with Disk(root) as disk:
            disk.fail(at_call(disk, n), KeyboardInterrupt, after=after)
            with pytest.raises(KeyboardInterrupt):
                writer.write(root, b"new")
        assert temps(root) == [], disk.calls[n]
        writer.write(root, b"new")
        assert writer.read(root, b"new") == writer.value(b"new")


@each_writer
@pytest.mark.requirement("DUR-020")
def test_a_clean_up_that_fails_hides_nothing(root: Path, writer: Writer) -> None:
    """The error that is told is the one that stopped the write."""
    with Disk(root) as disk:
        disk.fail(lambda call: call.name in ("replace", "link"), errno.ENOSPC)
        disk.fail("unlink", errno.EIO)
        with pytest.raises(OSError) as failure:
            writer.write(root, b"new")
    assert failure.value.errno == errno.ENOSPC


@each_writer
@pytest.mark.requirement("DUR-007")
def test_short_writes_are_continued(root: Path, writer: Writer) -> None:
    """However few bytes the system takes at once, all of them arrive."""
    for most in (1, 7):
        content = b"taken %d at once" % most if writer.name != "HEAD at a branch" else b"b%d" % most
        with Disk(root) as disk:
            disk.write_at_most = most
            writer.write(root, content)
        assert writer.read(root, content) == writer.value(content)


@each_replacing_writer
@pytest.mark.requirement("FS3", "DUR-013")
def test_new_content_takes_the_place_of_old(root: Path, writer: Writer) -> None:
    """And nothing else stays behind."""
    writer.write(root, b"old")
    names = sorted(str(path) for path in root.rglob("*"))
    writer.write(root, b"new")
    assert writer.read(root, b"new") == writer.value(b"new")
    assert sorted(str(path) for path in root.rglob("*")) == names


@each_immutable_writer
@pytest.mark.requirement("FS10", "STORE-010")
def test_what_never_changes_is_read_only(root: Path, writer: Writer) -> None:
    """Mode 0444, whatever the umask is."""
    before = os.umask(0o077)
    try:
        writer.write(root, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(writer.path(root, b"new").stat().st_mode) == 0o444


@each_immutable_writer
@pytest.mark.requirement("DUR-005", "STORE-018")
def test_writing_again_promises_as_much(tmp_path: Path, writer: Writer) -> None:
    """Whoever wrote it first may not have lived to sync it."""
    whole = repository(tmp_path / "whole", writer)
    root = repository(tmp_path / "r")
    path = writer.path(root, b"old")
    survival = Survival.of(root)
    with Disk(root) as disk:
        os.makedirs(path.parent, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.write(fd, writer.path(whole, b"old").read_bytes())
        os.close(fd)
        writer.write(root, b"old")
    survival.follow(disk.calls)
    assert survival.has(path)
    assert writer.read(root, b"old") == writer.value(b"old")


@each_immutable_writer
@pytest.mark.parametrize("damage", ["zeroed", "halved", "emptied"])
@pytest.mark.requirement("DUR-005", "STORE-018")
def test_writing_again_heals_what_is_corrupt(tmp_path: Path, writer: Writer, damage: str) -> None:
    """Durably, and by the very process that wrote it well before."""
    root = repository(tmp_path / "r", writer)
    path = writer.path(root, b"old")
    good = path.read_bytes()
    bad = {"zeroed": bytes(len(good)), "halved": good[: len(good) // 2], "emptied": b""}[damage]
    path.chmod(0o644)
    path.write_bytes(bad)
    path.chmod(0o444)
    survival = Survival.of(root)
    survival.live[os.path.realpath(path)].synced = False
    with Disk(root) as disk:
        writer.write(root, b"old")
    survival.follow(disk.calls)
    assert writer.read(root, b"old") == writer.value(b"old")
    assert survival.has(path)
