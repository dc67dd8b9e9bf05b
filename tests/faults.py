"""Faults at the boundary to the operating system: every call is recorded, chosen ones go wrong.

`with Disk(folder) as disk:` patches the functions of `os` that change files; calls on paths
outside `folder` pass unseen. An fsync is only pretended, which makes thousands of runs cheap:
what it would have kept is worked out from the record.
"""

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

TOLERATED = [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, None]
FATAL = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EBADF]
CALLS = {
    os: "open write fsync fchmod utime replace rename link unlink mkdir rmdir".split(),
    fcntl: ["flock"],
}


def error(number: int | None) -> OSError:
    """What the interpreter raises for an errno; without one, as a wrapper might."""
    return OSError("not supported") if number is None else OSError(number, os.strerror(number))


@dataclass
class Call:
    """One call: its name, the path it is about, and for a new name also where that is."""

    name: str
    path: str
    target: str = ""
    creates: bool = False
    exclusive: bool = False
    failed: bool = False
    synced: bytes | None = None
    """What an fsync found in the file, if the disk keeps that."""

    @property
    def is_temp(self) -> bool:
        """Whether the call is about a file under a temporary name."""
        return ".muse-tmp-" in self.path


@dataclass
class Fault:
    """Which call goes wrong, and how: before it has done anything, or just after."""

    when: Callable[[Call], bool]
    error: Callable[[], BaseException]
    after: bool = False
    times: int = 1


@dataclass
class Disk:
    """The calls below `folder` while the context is open, and the faults among them."""

    folder: Path
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    write_at_most: int | None = None
    keeps_bytes: bool = False
    _patches: ExitStack = field(default_factory=ExitStack)

    def fail(
        self,
        when: str | Callable[[Call], bool],
        raised: int | type[BaseException] | None = errno.EIO,
        *,
        after: bool = False,
        times: int = 1,
    ) -> None:
        """Makes the next `times` calls fail that have this name, or of which this is true."""
        chosen = (lambda call: call.name == when) if isinstance(when, str) else when
        if isinstance(raised, type):
            self.faults.append(Fault(chosen, raised, after, times))
        else:
            self.faults.append(Fault(chosen, lambda: error(raised), after, times))

    def named(self, *names: str) -> list[Call]:
        """The recorded calls of these names, in order."""
        return [call for call in self.calls if call.name in names]

    def __enter__(self) -> Self:
        self.folder = Path(os.path.realpath(self.folder))
        for module, names in CALLS.items():
            for name in names:
                wrapped = self._wrap(name, getattr(module, name))
                self._patches.enter_context(mock.patch.object(module, name, wrapped))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._patches.close()

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            call = self._described(name, args, options)
            if call is None:
                return real(*args, **options)
            self.calls.append(call)
            fault = self._fault_of(call)
            if fault is not None and not fault.after:
                call.failed = True
                raise fault.error()
            if name == "write" and self.write_at_most is not None:
                args = (args[0], memoryview(args[1])[: self.write_at_most])
            answer = None
            try:
                answer = None if name == "fsync" else real(*args, **options)
            except OSError:
                call.failed = True
                if fault is None:
                    raise
            if fault is not None:
                raise fault.error()
            if name == "fsync" and self.keeps_bytes and os.path.isfile(call.path):
                call.synced = Path(call.path).read_bytes()
            return answer

        return wrapped

    def _fault_of(self, call: Call) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.when(call):
                fault.times -= 1
                return fault
        return None

    def _described(self, name: str, args: Any, options: Any) -> Call | None:
        path = self._path(args[0], options.get("dir_fd", options.get("src_dir_fd")))
        target = ""
        if name in ("replace", "rename", "link"):
            target = self._path(args[1], options.get("dst_dir_fd")) or ""
        if path is None and not target:
            return None
        flags = args[1] if name == "open" else 0
        return Call(name, path or "", target, bool(flags & os.O_CREAT), bool(flags & os.O_EXCL))

    def _path(self, given: Any, folder: int | None) -> str | None:
        """The whole path of what a call is about, if it lies below the folder."""
        if isinstance(given, int):
            try:
                path = os.readlink(f"/proc/self/fd/{given}").removesuffix(" (deleted)")
            except OSError:
                return None
        else:
            inside = "" if folder is None else os.readlink(f"/proc/self/fd/{folder}")
            path = os.path.abspath(os.path.join(inside, os.fspath(given)))
            path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        root = str(self.folder)
        return path if path == root or path.startswith(root + "/") else None
