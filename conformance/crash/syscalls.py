"""The system calls that matter to a file system, by name and by number of each architecture.

Three sorts: those that always trap, those that trap only when an argument says they change
something (`open` with O_CREAT, a shared writable mapping), and those that are refused because they
would act out of sight (io_uring).
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Architecture:
    """What differs between machines: the audit word, the numbers, and how to set the registers."""

    audit: int
    numbers: dict[str, int]
    number_at: int  # index of the system call's number in the register set, -1: its own set
    result_at: int
    arguments_at: tuple[int, ...]


_X86_64 = {
    "write": 1, "open": 2, "mmap": 9, "ioctl": 16, "pwrite64": 18, "writev": 20, "sendfile": 40,
    "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83,
    "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91,
    "mknod": 133, "sync": 162, "openat": 257, "mkdirat": 258, "mknodat": 259, "unlinkat": 263,
    "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "splice": 275,
    "fallocate": 285, "pwritev": 296, "syncfs": 306, "renameat2": 316, "copy_file_range": 326,
    "pwritev2": 328, "io_uring_setup": 425, "openat2": 437, "fchmodat2": 452,
}  # fmt: skip

_AARCH64 = {
    "ioctl": 29, "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37,
    "renameat": 38, "truncate": 45, "ftruncate": 46, "fallocate": 47, "fchmod": 52,
    "fchmodat": 53, "openat": 56, "write": 64, "writev": 66, "pwrite64": 68, "pwritev": 70,
    "sendfile": 71, "splice": 76, "sync": 81, "fsync": 82, "fdatasync": 83, "mmap": 222,
    "syncfs": 267, "renameat2": 276, "copy_file_range": 285, "pwritev2": 287,
    "io_uring_setup": 425, "openat2": 437, "fchmodat2": 452,
}  # fmt: skip

ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000003E, _X86_64, 15, 10, (14, 13, 12, 7, 9, 8)),
    "aarch64": Architecture(0xC00000B7, _AARCH64, -1, 0, (0, 1, 2, 3, 4, 5)),
}

O_TMPFILE: Final = os.O_TMPFILE & ~os.O_DIRECTORY
FICLONE: Final = 0x40049409
FICLONERANGE: Final = 0x4020940D

# name -> (argument, mask): traps when any bit of the mask is set in the argument
WHEN_FLAGGED: Final = {
    "open": (1, os.O_CREAT | os.O_TRUNC | O_TMPFILE),
    "openat": (2, os.O_CREAT | os.O_TRUNC | O_TMPFILE),
}
# name -> [(argument, value)…]: traps when the argument has exactly one of these values
WHEN_EQUAL: Final = {"ioctl": ((1, FICLONE), (1, FICLONERANGE))}
REFUSED: Final = frozenset({"io_uring_setup"})


def this_architecture() -> Architecture | None:
    """The table of the machine we run on; None where recording is not possible."""
    return ARCHITECTURES.get(platform.machine())
