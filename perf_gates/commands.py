"""Commands as a user runs them: timed from start to exit, their output kept, their failure told."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

SOURCES = Path(__file__).parents[1]
MUSEKIT = tuple(shlex.split(os.environ.get("MUSEKIT_COMMAND", "")))
MUSEKIT = MUSEKIT or (sys.executable, "-m", "reference")
"""How the kit's commands are run; `MUSEKIT_COMMAND` names another build of them."""
TIMEOUT = 600.0
_WRAPPER: ContextVar[Callable[[str], Sequence[str]]] = ContextVar(
    "what stands before a command", default=lambda name: ()
)


class CouldNotRun(Exception):
    """Something that a measurement needs is not here; the text says what."""


class WrongResult(Exception):
    """What was measured did not do its work: its time means nothing."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that succeeded."""

    seconds: float
    output: str
    peak_bytes: int = 0
    read_bytes: int = 0


def run(
    command: Sequence[str | Path],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    watch_memory: bool = False,
) -> Finished:
    """Runs a command to its end; raises `WrongResult` unless it exits with 0."""
    words = [str(word) for word in command]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env = {**inherited, "PYTHONPATH": str(SOURCES), **(environment or {})}
    started = time.perf_counter()
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as problem:
        raise CouldNotRun(f"{problem.filename} is not installed") from None
    peak = read = 0
    try:
        if watch_memory:
            peak, read = _watch(process)
        output, errors = process.communicate(stdin or None, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise WrongResult(f"{' '.join(words[:6])} took over {TIMEOUT:.0f} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    seconds = time.perf_counter() - started
    if process.returncode:
        said = errors.decode(errors="replace").strip().splitlines() or ["nothing"]
        shown = " ".join(words[:6])
        raise WrongResult(f"{shown} exited with {process.returncode}: {said[-1][:300]}")
    return Finished(seconds, output.decode(), peak, read)


def musekit(*words: str | Path, folder: Path | None = None, home: Path | None = None) -> Finished:
    """Runs one command of the kit, with a configuration folder of its own."""
    environment = {"MUSEKIT_HOME": str(home)} if home else {}
    before = _WRAPPER.get()(str(words[0]))
    done = run([*before, *MUSEKIT, *words], folder, environment)
    if not before:
        return done
    name = Path(before[0]).name
    own = [line for line in done.output.splitlines() if line and not line.startswith(f"{name}>")]
    return replace(done, output="\n".join(own))


@contextmanager
def wrapping(before: Callable[[str], Sequence[str]]) -> Iterator[None]:
    """Puts what `before` says of a command's name in front of the kit's commands in the block.

    What is put there may tell of itself, in lines that begin with its name: `py-spy> …`.
    """
    token = _WRAPPER.set(before)
    try:
        yield
    finally:
        _WRAPPER.reset(token)


def _watch(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Peak memory and bytes read of a process that writes little, seen every two milliseconds.

    Not from its resource usage: that also counts what its parent had before the start.
    """
    peak = read = 0
    while process.poll() is None:
        peak = max(peak, peak_memory(process.pid))
        read = max(read, _bytes_read(process.pid))
        time.sleep(0.002)  # memory has to be looked at while the process lives
    return peak, read


def _bytes_read(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/io").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def peak_memory(pid: int) -> int:
    """The most resident bytes a living process has had, or 0."""
    return _status(pid, "VmHWM")


def resident_memory(pid: int) -> int:
    """The resident bytes of a living process, or 0."""
    return _status(pid, "VmRSS")


def forget_peak(pid: int) -> None:
    """Lets the peak memory of a process count from now."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError as problem:
        raise CouldNotRun(f"the peak memory of process {pid} cannot be reset: {problem}") from None


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else 0
