"""The one way a file of the store comes to be: whole, synced, then named.  [DUR-006 to DUR-020]

Temp file in the same folder, all bytes, fsync, rename, fsync of the folder; a folder's own name
is synced into its parent before anything in it counts.  What another process did a moment ago is
not known to be durable, so each process syncs each folder it meets once, up to the root.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
TEMP_PREFIX = ".muse-tmp-"
UNSUPPORTED = frozenset({None, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What fsync says where there is nothing to sync; anything else it says is fatal."""

_known_folders: set[str] = set()
_settled: set[str] = set()
_doubtful: set[str] = set()


def _again(call: Callable[..., T], *arguments: object) -> T:
    """Repeats an interrupted call; the interpreter does so itself for open, write and fsync."""
    while True:
        try:
            return call(*arguments)
        except InterruptedError:
            continue


def _fsync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as problem:
        if problem.errno not in UNSUPPORTED:
            raise


def sync_folder(path: str) -> None:
    """Makes the names in a folder durable."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # a folder above that is not ours: whoever made it answers for it
    try:
        _fsync(fd)
    except OSError:
        _doubtful.add(path)
        raise
    finally:
        os.close(fd)


def make_folder(path: str) -> None:
    """A folder that is there and durable, with every folder above it."""
    path = os.path.abspath(path)
    if path in _known_folders:
        return
    parent = os.path.dirname(path)
    if parent == path:
        return
    make_folder(parent)
    beside = [path]
    try:
        _again(os.mkdir, path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        beside += _folders_in(parent)  # the one sync below makes all of them known
    except FileNotFoundError:  # the parent was known and has gone since
        _known_folders.discard(parent)
        make_folder(path)
        return
    sync_folder(parent)
    _known_folders.update(beside)


def _folders_in(path: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


class Draft:
    """A file being written under a temp name, locked so that `sweep` knows its writer lives."""

    def __init__(self, folder: str, sync: bool = True) -> None:
        self.folder = os.path.abspath(folder)
        self._sync = sync
        if sync:
            make_folder(self.folder)
        self._fd = -1
        while self._fd < 0:
            self._temp = f"{self.folder}/{TEMP_PREFIX}{os.urandom(8).hex()}"
            try:
                self._fd = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                continue
            except FileNotFoundError:
                _known_folders.discard(self.folder)
                make_folder(self.folder)
                continue
            self._lock()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError:
            return  # no locks on this file system; then sweep finds none to respect either
        if os.fstat(self._fd).st_nlink == 0:  # swept between its making and its lock
            os.close(self._fd)
            self._fd = -1

    def write(self, data: bytes | memoryview) -> None:
        """Takes the next bytes, all of them."""
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            if written == 0:
                raise OSError(errno.EIO, "write took no bytes")
            view = view[written:]

    def seal(self, mode: int | None = None, mtime_ns: int | None = None) -> None:
        """Makes the bytes durable, still under the temp name."""
        if mode is not None:
            os.fchmod(self._fd, mode)
        if mtime_ns is not None:
            os.utime(self._fd, ns=(mtime_ns, mtime_ns))
        if self._sync:
            _fsync(self._fd)

    def name(self, path: str) -> None:
        """Gives the sealed file its name, which is durable once the folder is synced."""
        _again(os.replace, self._temp, path)
        self._close()

    def name_new(self, path: str) -> bool:
        """Gives the sealed file its name unless something has that name already."""
        try:
            _again(os.link, self._temp, path)
        except FileExistsError:
            return False
        finally:
            self.discard()
        return True

    def keep(self, path: str, mode: int | None = None, mtime_ns: int | None = None) -> None:
        """The rest of one write: durable bytes, their name, a durable name."""
        self.seal(mode, mtime_ns)
        self.name(path)
        if self._sync:
            sync_folder(os.path.dirname(path))
            if os.path.dirname(path) != self.folder:
                sync_folder(self.folder)  # or the temp name could come back
            settled(path)

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):  # synced before, so nothing is lost by it
                os.close(fd)

    def discard(self) -> None:
        """Removes the temp file unless it was named; hides no error and no success."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                _again(os.unlink, self._temp)
            self._close()


@contextlib.contextmanager
def draft(folder: str, sync: bool = True) -> Iterator[Draft]:
    """A draft that is gone at the end unless it was named."""
    made = Draft(folder, sync)
    try:
        yield made
    finally:
        made.discard()


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


def write_many(items: Iterable[tuple[str, bytes]], *, mode: int | None = None) -> None:
    """Several files of one operation; each is sealed before any is named, folders sync once."""
    with contextlib.ExitStack() as stack:
        sealed = []
        for path, data in items:
            made = stack.enter_context(draft(os.path.dirname(path)))
            made.write(data)
            made.seal(mode)
            sealed.append((made, path))
        for made, path in sealed:
            made.name(path)
        for folder in sorted({made.folder for made, _ in sealed}):
            sync_folder(folder)
        for _, path in sealed:
            settled(path)


def create(path: str, data: bytes, *, mode: int | None = None) -> bool:
    """Writes a file only if nothing has its name; whether it did."""
    with draft(os.path.dirname(path)) as made:
        made.write(data)
        made.seal(mode)
        created = made.name_new(path)
    sync_folder(os.path.dirname(path))
    return created


def remove(*paths: str) -> None:
    """Removes files durably, each folder synced once; one that is gone already is no error."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            _again(os.unlink, path)
        _settled.discard(path)
    for folder in sorted({os.path.dirname(path) for path in paths}):
        sync_folder(folder)


def settled(path: str) -> None:
    """Remembers that this process made `path` durable."""
    if len(_settled) > 100_000:
        _settled.clear()
    _settled.add(path)


def is_settled(path: str) -> bool:
    """Whether this process knows `path` to be durable."""
    return path in _settled


def settle(path: str) -> bool:
    """Makes a file that somebody wrote durable; false when only writing it anew would do.

    After a failed fsync of its folder a second one proves nothing: the kernel may have dropped
    what it could not write and forgotten the error.  [DUR-018]
    """
    if path in _settled:
        return True
    folder = os.path.dirname(path)
    if path in _doubtful or folder in _doubtful:
        return False
    make_folder(folder)
    fd = os.open(path, os.O_RDONLY)
    try:
        _fsync(fd)
    except OSError:
        _doubtful.add(path)
        raise
    finally:
        os.close(fd)
    sync_folder(folder)
    settled(path)
    return True


def sweep(folder: str) -> int:
    """Removes the temp files of writers that are dead; returns how many."""
    removed = 0
    for parent, _, names in os.walk(folder):
        swept = 0
        for name in names:
            if name.startswith(TEMP_PREFIX) and _unlink_dead(f"{parent}/{name}"):
                swept += 1
        if swept:
            sync_folder(parent)
        removed += swept
    return removed


def _unlink_dead(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _again(os.unlink, path)
    except (BlockingIOError, FileNotFoundError):
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
