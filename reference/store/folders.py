"""Folders whose own names are durable: synced into their parents, up to the root.  [DUR-010]

What another process did a moment ago is not known to be durable, so each process syncs the parent
of each folder that it meets once.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable

UNSUPPORTED = frozenset({None, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What fsync says where there is nothing to sync; anything else it says is fatal."""

_known: dict[str, int | None] = {}
"""The folders that this process found durable, by whole path, and which inode each was."""
doubtful: set[str] = set()
"""What an fsync failed for: a second one, though it succeed, proves nothing.  [DUR-018]"""


def again(call: Callable[..., None], *arguments: object) -> None:
    """Repeats an interrupted call; the interpreter does so itself for open, write and fsync."""
    while True:
        try:
            call(*arguments)
            return
        except InterruptedError:
            continue


def fsync(fd: int) -> None:
    """Makes what a descriptor stands for durable, where that can be done at all."""
    try:
        os.fsync(fd)
    except OSError as problem:
        if problem.errno not in UNSUPPORTED:
            raise


def sync_folder(path: str) -> None:
    """Makes the names in a folder durable."""
    sync_path(path, os.O_DIRECTORY)


def sync_path(path: str, flags: int = 0) -> None:
    """Makes what has a name already durable, or remembers that nobody can tell."""
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        fsync(fd)
    except OSError:
        doubtful.add(path)
        raise
    finally:
        os.close(fd)


def make_folder(path: str, sync: bool = True) -> None:
    """A folder that is there and durable, with every folder above it; or merely there."""
    path = os.path.abspath(path)
    wanting = []
    while not (_is_known(path) if sync else os.path.isdir(path)) and path != os.path.dirname(path):
        wanting.append(path)
        path = os.path.dirname(path)
    for folder in reversed(wanting):
        _make(folder, sync)


def _is_known(path: str) -> bool:
    known = _known.get(path)
    return known is not None and known == _inode(path)


def _make(path: str, sync: bool) -> None:
    parent = os.path.dirname(path)
    try:
        again(os.mkdir, path)
        made = True
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        made = False
    if not sync:
        return
    beside = {path: _inode(path)} if made else _folders_in(parent)  # one sync is for all of them
    try:
        sync_folder(parent)
    except OSError as problem:
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(path)  # a second fsync would prove nothing: the retry makes it anew
        if made or not isinstance(problem, PermissionError):
            raise
        # else a folder above that is not ours: whoever made it answers for it
    _known.update(beside)


def forget_folder(path: str) -> None:
    """For folders that come and go: what is known of one says nothing of the next of its name."""
    _known.pop(os.path.abspath(path), None)


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _folders_in(path: str) -> dict[str, int | None]:
    try:
        return {entry.path: entry.inode() for entry in os.scandir(path) if entry.is_dir()}
    except OSError:
        return {}
