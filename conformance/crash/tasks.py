"""What a stopped task's registers and descriptors point at, read through /proc."""

from __future__ import annotations

import os
from collections.abc import Callable

AT_FDCWD = -100
_PAGE = 4096
_MOST_OPENED = 200

Inode = tuple[int, int]
Opened = tuple[Inode, int, int]  # and offset, and flags
Arguments = tuple[int, ...]
Finish = Callable[[int], None]  # gets the call's result
Effect = tuple[Finish, str] | None  # what a call of interest amounts to, and the path it is about


def signed(value: int) -> int:
    """A register that holds a C int."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


class Tasks:
    """Memory and descriptors of the traced tasks."""

    def __init__(self) -> None:
        self._memory: dict[int, int] = {}
        self._opened: dict[tuple[int, int], int] = {}  # fdinfo kept open: half of a write's cost
        self._devices: dict[bytes, int] = {}  # of mounts whose fdinfo tells the inode

    def forget(self, task: int) -> None:
        """The task is gone, or runs another program: its memory is another one."""
        descriptor = self._memory.pop(task, None)
        if descriptor is not None:
            os.close(descriptor)
        for key in [key for key in self._opened if key[0] == task]:
            os.close(self._opened.pop(key))

    def close(self) -> None:
        for task in [*self._memory, *(task for task, _ in self._opened)]:
            self.forget(task)

    def opened(self, task: int, number: int) -> Opened | None:
        """What a descriptor stands for, and where it stands in it."""
        key = task, number
        try:
            if key not in self._opened:
                if len(self._opened) >= _MOST_OPENED:
                    os.close(self._opened.pop(next(iter(self._opened))))
                place = f"/proc/{task}/fdinfo/{number}"
                self._opened[key] = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            fields = os.pread(self._opened[key], 200, 0).split()
            at, flags, mount = int(fields[1]), int(fields[3], 8), fields[5]
            device = self._devices.get(mount)
            if device is not None and fields[6] == b"ino:":
                return (device, int(fields[7])), at, flags
            found = os.stat(descriptor(task, number))
        except (OSError, IndexError):
            return None
        if fields[6:8] == [b"ino:", b"%d" % found.st_ino]:  # where stat tells another one, ask it
            self._devices[mount] = found.st_dev
        return inode(found), at, flags

    def read(self, task: int, address: int, size: int) -> bytes:
        descriptor = self._memory.get(task)
        if descriptor is None:
            descriptor = os.open(f"/proc/{task}/mem", os.O_RDONLY | os.O_CLOEXEC)
            self._memory[task] = descriptor
        try:
            return os.pread(descriptor, size, address)
        except OSError:
            return b""

    def text(self, task: int, address: int) -> str:
        """A path: the bytes up to the NUL, read to the end of a page at a time."""
        found = b""
        while len(found) < _PAGE:
            piece = self.read(task, address, _PAGE - address % _PAGE)
            end = piece.find(b"\0")
            if end >= 0 or not piece:
                return os.fsdecode(found + piece[: max(end, 0)])
            found, address = found + piece, address + len(piece)
        return os.fsdecode(found)

    def number(self, task: int, address: int) -> int:
        return int.from_bytes(self.read(task, address, 8), "little", signed=True)

    def vector(self, task: int, address: int, count: int) -> list[tuple[int, int]]:
        """The pieces of a writev: (address, length)."""
        raw = self.read(task, address, 16 * min(count, 1024))
        numbers = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def gather(self, task: int, pieces: list[tuple[int, int]], size: int) -> bytes:
        """The first `size` bytes that the pieces hold."""
        found = []
        for address, length in pieces:
            found.append(self.read(task, address, min(length, size)))
            size -= len(found[-1])
            if size <= 0:
                break
        return b"".join(found)


def descriptor(task: int, number: int) -> str:
    return f"/proc/{task}/fd/{number}"


def status(path: str, *, follow: bool = True) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError:
        return None


def inode(found: os.stat_result) -> Inode:
    return found.st_dev, found.st_ino


def absolute(task: int, base: int, path: str) -> str:
    """A path that means to us what `path` means to the task."""
    if path.startswith(("/proc/self/", "/proc/thread-self/")):
        return f"/proc/{task}/" + path.split("/", 3)[3]
    if path.startswith("/"):
        return path
    start = f"/proc/{task}/cwd" if base == AT_FDCWD else descriptor(task, base)
    return f"{start}/{path}" if path else start


def contents(task: int, number: int, offset: int, size: int) -> bytes:
    """Bytes of the file behind a descriptor, as the kernel holds them now."""
    try:
        handle = os.open(descriptor(task, number), os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.pread(handle, size, offset)
    finally:
        os.close(handle)
