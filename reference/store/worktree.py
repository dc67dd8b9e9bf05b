"""The working tree: what of it a snapshot holds, and how a file gets back into it."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable

from reference.wire.errors import ProtocolError
from reference.wire.names import ancestors, check_path

from . import durable, folders, ignore

IGNORE_FILE = ".museignore"


class Found:
    """What a scan found: files, empty folders, and notes on what was left out."""

    def __init__(self) -> None:
        self.files: dict[str, os.stat_result] = {}
        self.directories: list[str] = []
        self.notes: list[str] = []


def scan(root: str) -> Found:
    """Every regular file that is not ignored; folders with nothing left in them are listed."""
    found = Found()
    ignored = ignore.matcher(_rules(root))
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        empty = True
        for entry in os.scandir(f"{root}/{prefix}"):
            path = prefix + entry.name
            if not prefix and entry.name.lower() == ".muse":
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            if ignored(path, is_folder):
                continue
            if why := _unfit(path, entry.name):
                found.notes.append(f"skipped {path!r}: {why}")
            elif is_folder:
                waiting.append(path + "/")
                empty = False
            elif entry.is_file(follow_symlinks=False):
                found.files[path] = entry.stat(follow_symlinks=False)
                empty = False
            else:
                kind = "a symbolic link" if entry.is_symlink() else "a special file"
                found.notes.append(f"skipped {path!r}: {kind}")
        if empty and prefix:
            found.directories.append(prefix[:-1])
    found.directories.sort(key=str.encode)
    found.notes.sort()
    return found


def _unfit(path: str, name: str) -> str | None:
    """Why no snapshot can hold this path, if so."""
    if durable.is_temp(name):
        return "left by a write that did not end"
    try:
        check_path(path)
    except ProtocolError as problem:
        return problem.detail
    return None


def _rules(root: str) -> list[ignore.Rule]:
    try:
        with open(f"{root}/{IGNORE_FILE}", encoding="utf-8") as file:
            return ignore.parse(file.read())
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise ProtocolError("invalid", f"{IGNORE_FILE} is not UTF-8") from None


def check_destination(root: str, dest: str) -> None:
    """Refuses to restore over a folder or into the store itself."""
    if not os.path.islink(dest) and os.path.isdir(dest):
        raise ProtocolError("invalid", f"{dest!r} is a folder")
    name = os.path.basename(dest)
    real = os.path.join(os.path.realpath(os.path.dirname(dest)), name)
    store = os.path.join(os.path.realpath(root), ".muse")
    if name in ("", ".", "..") or (real.lower() + "/").startswith(store.lower() + "/"):
        raise ProtocolError("invalid", f"{dest!r} is no place for a file, or inside the store")


def restore_file(dest: str, chunks: Iterable[bytes], sync: bool = True) -> None:
    """Writes a file at once, as new as can be; a link there is replaced.

    A file that it replaces was no newer, whatever the clocks say, and leaves its permissions.
    """
    now, mode = time.time_ns(), None
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(dest)
        if stat.S_ISDIR(found.st_mode):
            raise ProtocolError("invalid", f"{dest!r} is a folder")
        now = max(now, found.st_mtime_ns)
        if stat.S_ISREG(found.st_mode):
            mode = found.st_mode & 0o777
    folder = os.path.dirname(os.path.abspath(dest))
    folders.forget_folder(folder)  # people remove folders and make them again
    if not sync:
        folders.make_folder(folder, sync=False)
    durable.write(dest, chunks, mode=mode, mtime_ns=now, sync=sync)


def write_path(root: str, path: str, content: bytes) -> None:
    """Writes one path of a snapshot, never through a symbolic link.

    Not synced: the store holds the content, and the tree can be written again.
    """
    _clear_way(root, path)
    restore_file(f"{root}/{path}", [content], sync=False)


def _clear_folders(root: str, paths: Iterable[str]) -> None:
    """Where a folder must be, whatever is none goes."""
    for folder in paths:
        at = f"{root}/{folder}"
        if os.path.lexists(at) and (os.path.islink(at) or not os.path.isdir(at)):
            os.unlink(at)


def _clear_way(root: str, path: str) -> None:
    """Folders above are folders; where the file must be, empty folders go."""
    _clear_folders(root, reversed(ancestors(path)))
    if os.path.isdir(f"{root}/{path}") and not os.path.islink(f"{root}/{path}"):
        for folder, _, _ in os.walk(f"{root}/{path}", topdown=False):
            os.rmdir(folder)


def remove_path(root: str, path: str) -> None:
    """Removes a file of a snapshot, and the folders that are empty without it."""
    if any(os.path.islink(f"{root}/{folder}") for folder in ancestors(path)):
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        os.unlink(f"{root}/{path}")
    _remove_empty(root, ancestors(path))


def write_folder(root: str, path: str) -> None:
    """Makes an explicit directory of a snapshot, never through a symbolic link."""
    _clear_folders(root, [*reversed(ancestors(path)), path])
    folders.make_folder(f"{root}/{path}", sync=False)


def remove_folder(root: str, path: str) -> None:
    """Removes an explicit directory, if nothing is in it, and the folders empty without it."""
    upwards = [path, *ancestors(path)]
    if not any(os.path.islink(f"{root}/{folder}") for folder in upwards):
        _remove_empty(root, upwards)


def _remove_empty(root: str, upwards: Iterable[str]) -> None:
    for folder in upwards:
        try:
            os.rmdir(f"{root}/{folder}")
        except OSError:
            return
