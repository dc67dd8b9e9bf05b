"""Syncs of a push and a clone, counted by strace: what is not needed costs most there."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..commands import MUSEKIT, CouldNotRun, run
from ..contests import OURS, Bench, Contest
from ..subject import Subject
from .asking import parts_of, second_server

CALLS = ("fsync", "fdatasync", "syncfs", "sync", "sync_file_range")
_SYNC = re.compile(rf"\b({'|'.join(CALLS)})\(")


def _tracing(log: Path, *words: str) -> list[str]:
    return ["strace", "-f", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *words]


def _taken(log: Path) -> float:
    """How many calls a log has; the log is gone then."""
    found = len(_SYNC.findall(log.read_text()))
    log.unlink()
    return float(found)


@contextmanager
def _attached(pid: int, log: Path) -> Iterator[None]:
    """Traces a process that runs already and all its threads, until the end of the block."""
    words = _tracing(log, "-p", str(pid))
    try:
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise CouldNotRun("strace is not installed") from None
    with process:
        assert process.stderr is not None
        said = process.stderr.readline()  # "Process … attached": from here on it counts
        if "attached" not in said:
            process.kill()
            raise CouldNotRun(f"strace may not look at the server: {said.strip()[:200]}")
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


@contextmanager
def fsyncs(bench: Bench, shape: str = "simple") -> Iterator[Contest]:
    """Syncs of the client's clone and push, and of the server that takes the push.

    That is a second server, with nothing else to do; what its database syncs is not counted.
    """
    history = bench.sources.history(shape)
    source = bench.sources.folder(shape)
    log, into = bench.work / "strace.log", bench.work / "clone"
    environment = {"MUSEKIT_HOME": str(bench.subject.home)}

    @contextmanager
    def pushing(subject: Subject) -> Iterator[list[str]]:
        """The words of a push to a new repository, which is gone afterwards."""
        made = subject.create()
        run([*MUSEKIT, "remote", "add", made.slug, made.url], source, environment)
        yield [*MUSEKIT, "push", made.slug, "main", *bench.stack.flags]
        made.check_head(history.head)
        subject.delete(made)

    def trial() -> Mapping[str, float]:
        clone = [*MUSEKIT, "clone", filled.url, str(into), *bench.stack.flags]
        run(_tracing(log, *clone), None, environment)
        found = {"clone": _taken(log)}
        bench.sources.remove(into)
        with pushing(bench.subject) as words:
            run(_tracing(log, *words), source, environment)
        found["push"] = _taken(log)
        if second is not None:
            subject, server = second
            with pushing(subject) as words, _attached(server, log):
                run(words, source, environment)
            found["push server"] = _taken(log)
        return found

    with ExitStack() as stack:
        second = None
        if bench.stack.process is not None:
            subject, running = stack.enter_context(second_server(bench, *parts_of(bench)))
            second = subject, running.allies[0]
        filled = bench.subject.create()
        filled.push(bench.sources.pack(shape), history.head)
        filled.settle(history.head)
        yield Contest({OURS: trial}, warm_ups=0)
        bench.subject.delete(filled)
