"""A private place for one exploration: its folders, its limits, and nothing left afterwards."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_DATA, _FILE = 4 << 30, 1 << 30
_SHARED = "/dev/shm"
_ROOM = 1 << 30
"""Bytes that must be free in memory: a container often has no more than 64 MiB."""


@dataclass(slots=True)
class Sandbox:
    """A folder of its own, and numbered places in it."""

    root: Path
    _counter: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def place(self, name: str) -> Path:
        """A new empty folder."""
        with self._lock:
            self._counter += 1
            place = self.root / f"{name}-{self._counter}"
        place.mkdir()
        return place

    def environment(self) -> dict[str, str]:
        """What a subject is started with: ours, but its temp files stay in here."""
        scratch = self.root / "scratch"
        scratch.mkdir(exist_ok=True)
        return {**os.environ, "TMPDIR": str(scratch)}

    def bare_environment(self) -> dict[str, str]:
        """The same for a subject that is recorded or killed: Python keeps nothing it compiled."""
        return {**self.environment(), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A sandbox, removed at the end with every process that was started in it."""
    become_subreaper()
    parent = roomy()
    sweep(Path(parent))
    root = Path(tempfile.mkdtemp(prefix=f"crash-{os.getpid()}-", dir=parent))
    try:
        yield Sandbox(root)
    finally:
        reap_strays(root)
        shutil.rmtree(root, ignore_errors=True)


def roomy() -> str:
    """The folder for what lasts no longer than a run: in memory, if there is room and no other.

    What is killed leaves there what it leaves on a disk: only a power cut would tell the two apart.
    """
    if "TMPDIR" not in os.environ and os.access(_SHARED, os.W_OK):
        found = os.statvfs(_SHARED)
        if found.f_bavail * found.f_frsize >= _ROOM:
            return _SHARED
    return tempfile.gettempdir()


def sweep(parent: Path) -> None:
    """Removes what an exploration left that was killed itself."""
    for place in parent.glob("crash-*-*"):
        owner = place.name.split("-")[1]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            shutil.rmtree(place, ignore_errors=True)


def become_subreaper(*, really: bool = True) -> None:
    """Orphans of a subject become our children, so that they can be found."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(really), 0, 0, 0)


def limit(pid: int = 0) -> None:
    """Caps a process, our own if none is named: memory, file size, no core file."""
    for what, most in (
        (resource.RLIMIT_DATA, _DATA),
        (resource.RLIMIT_FSIZE, _FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.prlimit(pid, what, (most, most))
        except ProcessLookupError:
            return  # it is gone already


def reap_strays(root: Path) -> list[int]:
    """Kills what still runs with its temp folder in `root`: a subject's daemons, say."""
    mark = f"TMPDIR={root}/".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                ours = mark in file.read()
            if ours:
                os.kill(int(entry), signal.SIGKILL)
                found.append(int(entry))
        except OSError:
            continue
    for pid in found:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            continue
    return found
