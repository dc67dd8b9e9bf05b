"""The one way a file of the store comes to be: whole, synced, then named.  [DUR-006 to DUR-020]

Temp file in the same folder, all bytes, fsync, rename, fsync of the folder, whose own name was
synced into its parent before.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterable, Iterator

from .folders import again, doubtful, fsync, sync_folder, sync_path
from .folders import make_folder as make_folder

TEMP_PREFIX = ".muse-tmp-"
BATCH = 64
"""How many files are written at once, which is how many are open."""

_settled: dict[str, tuple[int, int]] = {}
"""The files that this process made durable, by whole path: inode and ctime of each."""


def _temp_path(folder: str) -> str:
    return f"{folder}/{TEMP_PREFIX}{os.urandom(8).hex()}"


def _discard(temp: str) -> None:
    """Removes a temp file, if it is still there, even where Ctrl-C comes just now."""
    try:
        again(os.unlink, temp)
    except OSError:
        pass  # nothing that the caller promised depends on it
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise


def is_temp(name: str) -> bool:
    """Whether a file's name is one that only unfinished writes have."""
    if not name.startswith(TEMP_PREFIX):
        return False
    return re.fullmatch("[0-9a-f]{16}", name.removeprefix(TEMP_PREFIX)) is not None


def _write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.EIO, "write took no bytes")
        view = view[written:]


class Draft:
    """A file being written under a temp name, locked so that `sweep` knows its writer lives.

    At the end of its `with` it is gone unless it was named.
    """

    def __init__(self, folder: str, sync: bool, mode: int = 0o666) -> None:
        self.folder = folder
        self._sync = sync
        self._mode = mode
        self._temp = ""
        self._fd = -1

    def __enter__(self) -> Draft:
        try:
            self._open()
        except BaseException:
            self.discard()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def _open(self) -> None:
        """Makes the temp file; an interrupt at any moment leaves `discard` its name."""
        while self._fd < 0:
            self._temp = _temp_path(self.folder)
            try:
                self._fd = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode)
            except FileExistsError:
                self._temp = ""  # another writer's
                continue
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            except OSError:
                continue  # no locks on this file system; then `sweep` leaves all temp files alone
            if os.fstat(self._fd).st_nlink == 0:  # swept between its making and its lock
                self._close()

    @property
    def path(self) -> str:
        """Where the bytes lie until they are named."""
        return self._temp

    def write(self, data: bytes | memoryview) -> None:
        """Takes the next bytes, all of them."""
        _write_all(self._fd, data)

    def seal(self, mode: int | None = None, mtime_ns: int | None = None) -> None:
        """Makes the bytes durable, still under the temp name."""
        if mode is not None:
            os.fchmod(self._fd, mode)
        if mtime_ns is not None:
            os.utime(self._fd, ns=(mtime_ns, mtime_ns))
        if self._sync:
            fsync(self._fd)

    def name(self, path: str) -> None:
        """Gives the sealed file its name, which is durable once the folder is synced."""
        again(os.replace, self._temp, path)
        self._temp = ""
        self._close()

    def name_new(self, path: str) -> bool:
        """Gives the sealed file its name unless something has that name already."""
        try:
            again(os.link, self._temp, path)
        except FileExistsError:
            return False
        finally:
            self.discard()
        return True

    def keep(self, path: str, mode: int | None = None, mtime_ns: int | None = None) -> None:
        """The rest of one write: durable bytes, their name, a durable name."""
        self.seal(mode, mtime_ns)
        path = os.path.abspath(path)
        self.name(path)
        if self._sync:
            sync_folder(os.path.dirname(path))
            if os.path.dirname(path) != self.folder:
                sync_folder(self.folder)  # or the temp name could come back
            _remember(path)

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):  # synced before, so nothing is lost by it
                os.close(fd)

    def discard(self) -> None:
        """Removes the temp file unless it was named; hides no error and no success."""
        if self._temp:
            _discard(self._temp)
            self._temp = ""
        self._close()


def draft(folder: str, sync: bool = True, mode: int | None = None) -> Draft:
    """A draft in a folder that is there and, with `sync`, durable.

    With `mode` nobody else can read a byte of it before it is sealed: it may be a key.
    """
    folder = os.path.abspath(folder)
    if sync:
        make_folder(folder)
    return Draft(folder, sync, 0o666 if mode is None else mode)


def _chunks(data: bytes | Iterable[bytes]) -> Iterable[bytes]:
    return (data,) if isinstance(data, bytes) else data


def write(
    path: str,
    data: bytes | Iterable[bytes],
    *,
    mode: int | None = None,
    mtime_ns: int | None = None,
    sync: bool = True,
) -> None:
    """Replaces a file at once and durably; on any failure the old content stands.

    Without `sync` it is only atomic: for a working tree, which can be written again.
    """
    path = os.path.abspath(path)
    with draft(os.path.dirname(path), sync) as made:
        for chunk in _chunks(data):
            made.write(chunk)
        made.keep(path, mode, mtime_ns)


def write_new(path: str, data: bytes) -> None:
    """A file in a folder that nobody knows of yet: not atomic, not synced, never over another."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _write_all(fd, data)
    finally:
        os.close(fd)


def write_many(items: Iterable[tuple[str, bytes]], *, mode: int | None = None) -> None:
    """Many files of one operation; each is sealed before it is named, each folder synced once."""
    remaining = [(os.path.abspath(path), data) for path, data in items]
    folders = sorted({os.path.dirname(path) for path, _ in remaining})
    for folder in folders:
        make_folder(folder)
    for start in range(0, len(remaining), BATCH):
        with contextlib.ExitStack() as stack:
            sealed = []
            for path, data in remaining[start : start + BATCH]:
                made = stack.enter_context(Draft(os.path.dirname(path), sync=True))
                made.write(data)
                made.seal(mode)
                sealed.append((made, path))
            for made, path in sealed:
                made.name(path)
    for folder in folders:
        sync_folder(folder)
    for path, _ in remaining:
        _remember(path)


def create(path: str, data: bytes, *, mode: int | None = None) -> bool:
    """Writes a file only if nothing has its name; whether it did."""
    path = os.path.abspath(path)
    with draft(os.path.dirname(path), mode=mode) as made:
        made.write(data)
        made.seal(mode)
        created = made.name_new(path)
    sync_folder(os.path.dirname(path))
    return created


def remove(*paths: str) -> None:
    """Removes files durably, each folder synced once; one that is gone already is no error.

    They are only moved aside until the folder is synced. If that fails they are put back: the old
    content stands, and a retry has something to do that a second fsync can keep.
    """
    aside: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        try:
            for path in map(os.path.abspath, paths):
                aside[path] = _temp_path(os.path.dirname(path))
                stack.callback(_discard, aside[path])
                with contextlib.suppress(FileNotFoundError):
                    again(os.replace, path, aside[path])
            for folder in sorted({os.path.dirname(path) for path in aside}):
                if os.path.isdir(folder):
                    sync_folder(folder)
        except BaseException:
            for path, temp in aside.items():
                with contextlib.suppress(OSError):
                    again(os.link, temp, path)
            raise
    for path in aside:
        _settled.pop(path, None)


def _mark(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def settled(path: str) -> None:
    """Remembers that this process made `path` durable as it is now."""
    _remember(os.path.abspath(path))


def _remember(path: str) -> None:
    if len(_settled) > 100_000:
        _settled.clear()
    if mark := _mark(path):
        _settled[path] = mark


def is_settled(path: str) -> bool:
    """Whether this process knows `path` to be durable, nobody having touched it since."""
    path = os.path.abspath(path)
    return path in _settled and _settled[path] == _mark(path)


def settle(path: str) -> bool:
    """Makes a file that somebody wrote durable; false when only writing it anew would do.

    After a failed fsync of its folder a second one proves nothing: the kernel may have dropped
    what it could not write and forgotten the error.  [DUR-018]
    """
    if is_settled(path):
        return True
    path = os.path.abspath(path)
    folder = os.path.dirname(path)
    if path in doubtful or folder in doubtful:
        return False
    make_folder(folder)
    sync_path(path)
    sync_folder(folder)
    _remember(path)
    return True


def sweep(folder: str) -> int:
    """Removes the temp files of writers that are dead; returns how many."""
    removed = 0
    for parent, _, names in os.walk(folder):
        swept = sum(is_temp(name) and _unlink_dead(f"{parent}/{name}") for name in names)
        if swept:
            sync_folder(os.path.abspath(parent))
        removed += swept
    return removed


def _unlink_dead(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone, or not one that this user wrote
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        again(os.unlink, path)
    except OSError:  # its writer lives, or nobody can tell
        return False
    finally:
        os.close(fd)
    return True


@contextlib.contextmanager
def lock(folder: str, exclusive: bool) -> Iterator[None]:
    """An advisory lock on a folder, between threads and processes; it dies with its holder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)
