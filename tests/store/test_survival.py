"""The model of a power cut, on sequences whose outcome is known."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import Disk
from tests.store.survival import Survival


def put(path: Path, *steps: str) -> None:
    """Makes a file in just these steps."""
    temp = path.with_name("temp")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for step in steps:
        match step:
            case "write":
                os.write(fd, b"bytes")
            case "sync file":
                os.fsync(fd)
            case "rename":
                os.replace(temp, path)
            case "link":
                os.link(temp, path)
                os.unlink(temp)
            case "sync folder":
                sync(path.parent)
    os.close(fd)


def sync(path: Path) -> None:
    """One fsync of a file or folder by its path."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def after(folder: Path, work: Callable[[], object]) -> Survival:
    """What would survive once this has been done."""
    survival = Survival.of(folder)
    with Disk(folder) as disk:
        work()
    survival.follow(disk.calls)
    return survival


@pytest.mark.parametrize("naming", ["rename", "link"])
def test_all_steps_in_order_survive(tmp_path: Path, naming: str) -> None:
    """The one sequence that is enough, by either way of naming."""
    path = tmp_path / "file"
    work = after(tmp_path, lambda: put(path, "write", "sync file", naming, "sync folder"))
    assert work.has(path)


@pytest.mark.parametrize(
    "steps",
    [
        ("write", "rename", "sync folder"),
        ("sync file", "write", "rename", "sync folder"),
        ("write", "sync file", "rename"),
        ("write", "sync file", "sync folder", "rename"),
        ("write", "sync file", "rename", "write", "sync folder"),
        ("write", "sync file", "sync folder"),
    ],
)
def test_a_missing_or_misplaced_step_does_not(tmp_path: Path, steps: tuple[str, ...]) -> None:
    """No sync of the file or of the folder, or too early."""
    path = tmp_path / "file"
    assert not after(tmp_path, lambda: put(path, *steps)).has(path)


def test_a_new_folder_needs_its_parent(tmp_path: Path) -> None:
    """A file is lost with the folder it is in."""
    path = tmp_path / "a" / "b" / "file"

    def work(*synced: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, "write", "sync file", "rename", "sync folder")
        for folder in synced:
            sync(folder)

    survival = after(tmp_path, work)
    assert not survival.has(path)
    with Disk(tmp_path) as disk:
        sync(tmp_path / "a")
    survival.follow(disk.calls)
    assert not survival.has(path)
    with Disk(tmp_path) as disk:
        sync(tmp_path)
    survival.follow(disk.calls)
    assert survival.has(path)


def test_a_removal_needs_the_folder(tmp_path: Path) -> None:
    """Until it is synced the file comes back."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    survival = after(tmp_path, path.unlink)
    assert not survival.lacks(path)
    with Disk(tmp_path) as disk:
        sync(tmp_path)
    survival.follow(disk.calls)
    assert survival.lacks(path)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_second_fsync_brings_nothing_back(tmp_path: Path, what: str) -> None:
    """What an fsync failed to keep is lost, whatever the next one says; written anew, it stays."""
    path = tmp_path / "file"
    survival = Survival.of(tmp_path)
    with Disk(tmp_path) as disk:
        disk.fail(
            lambda call: call.name == "fsync" and (call.path == str(tmp_path)) == (what == "folder")
        )
        with pytest.raises(OSError) as failure:
            put(path, "write", "sync file", "rename", "sync folder")
        assert failure.value.errno == errno.EIO
        if what == "file":
            os.replace(tmp_path / "temp", path)
        sync(path)
        sync(tmp_path)
    survival.follow(disk.calls)
    assert not survival.has(path)
    with Disk(tmp_path) as disk:
        put(path, "write", "sync file", "rename", "sync folder")
    survival.follow(disk.calls)
    assert survival.has(path)
