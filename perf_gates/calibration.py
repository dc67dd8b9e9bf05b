"""What this machine can do: figures that let results of different machines be read side by side."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from reference import __version__


def describe(folder: Path) -> dict[str, str | int | float]:
    """The machine by name and by measure; `folder` is where repositories will be written."""
    return {
        "kit": __version__,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "sha256_mb_per_s": round(1 / _best(_hash_a_megabyte), 0),
        "python_ms": round(_best(_count_to_a_hundred_thousand) * 1e3, 2),
        "fsync_ms": round(_fsync_seconds(folder) * 1e3, 3),
        "loopback_us": round(_loopback_seconds() * 1e6, 1),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _best(call: Callable[[], object], rounds: int = 15) -> float:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


_MEGABYTE = bytes(1_000_000)


def _hash_a_megabyte() -> None:
    hashlib.sha256(_MEGABYTE).digest()


def _count_to_a_hundred_thousand() -> int:
    total = 0
    for number in range(100_000):
        total += number & 3
    return total


def _fsync_seconds(folder: Path) -> float:
    """The median of a synced 4 KiB write."""
    seconds = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            started = time.perf_counter()
            os.pwrite(file.fileno(), os.urandom(4096), 0)
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - started)
    return median(seconds)


def _loopback_seconds() -> float:
    """The median time of one byte there and back over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        echo = threading.Thread(target=_echo, args=(far,))
        echo.start()
        seconds = []
        for _ in range(300):
            started = time.perf_counter()
            near.sendall(b"x")
            near.recv(1)
            seconds.append(time.perf_counter() - started)
        near.shutdown(socket.SHUT_WR)
        echo.join()
    return median(seconds)


def _echo(far: socket.socket) -> None:
    while data := far.recv(1):
        far.sendall(data)
