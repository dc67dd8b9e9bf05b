"""Runs trials, each in a process of its own, a few at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from conformance.verdicts import Result

from . import trial as trials
from .ground import Ground
from .trial import Trial

GRACE_SECONDS = 60
"""For a trial to stop its subject after its own alarm has rung."""
_fork = get_context("fork")  # the suite is imported and collected once, here


@dataclass(slots=True)
class Ended:
    """What became of one trial."""

    trial: Trial
    results: list[Result] = field(default_factory=list)
    problem: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class _Running:
    process: ForkProcess
    ended: Ended
    since: float


def run(ground: Ground, waiting: Sequence[Trial], jobs: int) -> Iterator[Ended]:
    """Each trial as it ends; those that take long go first."""
    left = deque(sorted(waiting, key=lambda trial: -trial.seconds))
    running: dict[Connection, _Running] = {}
    try:
        while left or running:
            while left and len(running) < jobs:
                pipe, one = _start(ground, left.popleft())
                running[pipe] = one
            for pipe in _readable(running):
                if not _read(pipe, running[pipe]):
                    yield running.pop(pipe).ended
    finally:
        for one in running.values():
            one.process.terminate()
            one.process.join()


def _start(ground: Ground, trial: Trial) -> tuple[Connection, _Running]:
    ours, theirs = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_in_child, args=(ground, trial, theirs))
    process.start()
    theirs.close()
    return ours, _Running(process, Ended(trial), time.monotonic())


def _in_child(ground: Ground, trial: Trial, pipe: Connection) -> None:
    try:
        trials.run(ground, trial, lambda result: pipe.send(result.as_json()))
    except KeyboardInterrupt:
        pipe.send(f"cut off after {trial.seconds} s")
    except Exception as problem:  # noqa: BLE001  # told to the parent, which fails the session
        pipe.send(f"{type(problem).__name__}: {problem}")


def _readable(running: dict[Connection, _Running]) -> list[Connection]:
    ready = [pipe for pipe in wait(list(running), timeout=1.0) if isinstance(pipe, Connection)]
    for one in running.values():
        if time.monotonic() - one.since > one.ended.trial.seconds + GRACE_SECONDS:
            one.process.kill()  # its pipe then reads as ended
    return ready


def _read(pipe: Connection, one: _Running) -> bool:
    """Takes one message; False when there will be no other."""
    try:
        told = pipe.recv()
    except EOFError:
        one.process.join()
        pipe.close()
        one.ended.seconds = time.monotonic() - one.since
        if one.process.exitcode and not one.ended.problem:
            one.ended.problem = f"its process ended with {one.process.exitcode}"
        return False
    if isinstance(told, str):
        one.ended.problem = told
    else:
        one.ended.results.append(Result.from_json(told))
    return True
