"""The durable steps of a server: calls of its processes that change or sync a file.

Nothing is modelled here: a step is counted, named and perhaps the last one.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import dataclass, field

from . import tasks as proc
from .ptrace import Entered
from .tasks import AT_FDCWD, Arguments, Tasks, signed

# call -> the argument that is the descriptor of the file
_DESCRIPTORS = {
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile"), 0),
    **dict.fromkeys(("splice", "copy_file_range"), 2),
    **dict.fromkeys(("ftruncate", "fallocate", "fsync", "fdatasync", "syncfs"), 0),
}
# call -> the arguments that are the folder's descriptor (-1: none) and the path
_PATHS = {
    **dict.fromkeys(("creat", "mkdir", "rmdir", "unlink", "truncate"), (-1, 0)),
    **dict.fromkeys(("rename", "link"), (-1, 1)),
    **dict.fromkeys(("mkdirat", "unlinkat"), (0, 1)),
    **dict.fromkeys(("renameat", "renameat2", "linkat"), (2, 3)),
    "open": (-1, 0), "openat": (0, 1), "openat2": (0, 1), "symlinkat": (1, 2), "symlink": (-1, 1),
}  # fmt: skip
_NOWHERE = ("/dev/", "/proc/", "/sys/", "/run/")


@dataclass(frozen=True, slots=True)
class Step:
    """One call, and where it acted."""

    call: str
    path: str
    place: str  # the watched folder's name, "" elsewhere

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.call}({self.path})"


@dataclass(slots=True)
class Steps:
    """The listener of a tracer that counts steps, and ends everything at a chosen one.

    With folders given, only what happens below one of them counts.
    """

    folders: dict[str, str] = field(default_factory=dict)  # name -> path
    ignored: tuple[str, ...] = ()
    seen: list[Step] = field(default_factory=list)
    last: float = 0.0  # when the last one was seen
    _tasks: Tasks = field(default_factory=Tasks)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fatal: int = -1

    def arm(self, nth: int) -> None:
        """From now on steps are counted anew, from 1; at the nth everything dies, at 0 nothing."""
        with self._lock:
            self.seen.clear()
            self._fatal = nth

    def entered(self, task: int, call: str, arguments: Arguments) -> Entered | None:
        path = self._target(task, call, arguments)
        if not path:
            return None
        place = self._place(path)
        if place is None:
            return None
        with self._lock:
            base = self.folders.get(place, "")
            self.seen.append(Step(call, os.path.relpath(path, base) if base else path, place))
            self.last = time.monotonic()
            if len(self.seen) != self._fatal:
                return None
        return Entered(lambda _: None, kill=True)

    def executed(self, task: int) -> None:
        self._tasks.forget(task)

    def gone(self, task: int, status: int) -> None:
        self._tasks.forget(task)

    def foreign(self, task: int) -> None:
        return  # its calls are not steps

    def close(self) -> None:
        self._tasks.close()

    def _place(self, path: str) -> str | None:
        """The name of the folder it is in; None where nobody looks."""
        if path.startswith(self.ignored):
            return None
        for name, folder in self.folders.items():
            if path == folder or path.startswith(folder + "/"):
                return name
        return None if self.folders or path.startswith(_NOWHERE) else ""

    def _target(self, task: int, call: str, arguments: Arguments) -> str:
        """The path of a call that is about to change or sync something; empty for any other."""
        if call in _DESCRIPTORS:
            return _regular(proc.descriptor(task, signed(arguments[_DESCRIPTORS[call]])))
        if call not in _PATHS:
            return "/" if call == "sync" and not self.folders else ""
        base, at = _PATHS[call]
        folder = AT_FDCWD if base < 0 else signed(arguments[base])
        place = proc.absolute(task, folder, self._tasks.text(task, arguments[at]))
        if call.startswith("open") and (os.path.lexists(place) or not place):
            return ""  # opened, not made; what is truncated is written next
        head, name = os.path.split(place)
        return os.path.join(os.path.realpath(head), name)


def _regular(descriptor: str) -> str:
    """The path of a file or folder that a descriptor is open on."""
    try:
        mode = os.stat(descriptor).st_mode
        path = os.readlink(descriptor)
    except OSError:
        return ""
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or not path.startswith("/"):
        return ""
    return "" if path.startswith("/memfd:") else path.removesuffix(" (deleted)")
