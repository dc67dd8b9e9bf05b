"""What recording costs, in processor time: the machine may be busy with other things.

Both sides count, the subject's and ours; what a run without the recorder takes is subtracted.
"""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.crash.ptrace import Entered, Tracer
from conformance.crash.sandbox import sandbox
from conformance.crash.session import Session

pytestmark = pytest.mark.bench
ROUNDS = 5
# what is repeated; calls that stop in the folder, and work that is none of the recorder's business
INSIDE = "os.write(inside, b'x')"
OUTSIDE = "os.stat(root); sha256(os.pread(elsewhere, 4096, 0)).digest()"
PROGRAM = """\
import os, sys
from hashlib import sha256
root = sys.argv[2]
os.makedirs(root, exist_ok=True)
inside = os.open(root + '/f', os.O_CREAT | os.O_WRONLY)
elsewhere = os.open(sys.executable, os.O_RDONLY)
for _ in range({times}):
    {body}
"""


def processor_seconds() -> float:
    """Of this process and those it waited for."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


class Bare:
    """A listener that wants every result and does nothing: what two stops of a call take."""

    def entered(self, task: int, call: str, arguments: tuple[int, ...]) -> Entered:
        return Entered(lambda result: None)

    def executed(self, task: int) -> None: ...
    def gone(self, task: int, status: int) -> None: ...
    def foreign(self, task: int) -> None: ...


def plainly(command: list[str], folder: Path) -> None:
    subprocess.run([*command, "init", str(folder)], check=True)


def stopped(command: list[str], folder: Path) -> None:
    """Under a tracer that keeps nothing, on one processor as a session has it."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    try:
        tracer = Tracer(Bare())
        tracer.spawn(lambda: os.execv(command[0], [*command, "init", str(folder)]))
        tracer.run()
    finally:
        os.sched_setaffinity(0, processors)


def recorded(command: list[str], _: Path) -> None:
    with sandbox() as box, Session(command, box) as session:
        assert session.init()


Run = Callable[[list[str], Path], None]


def costs(folder: Path, body: str, times: int, *runs: Run) -> list[float]:
    """The least processor time of each kind of run, taken in turn, without what a start takes."""
    command = [sys.executable, "-I", "-S"]
    least: dict[tuple[Run, int], float] = {}
    for number in range(ROUNDS):
        for run, count in itertools.product(runs, (0, times)):
            program = folder / "program.py"
            program.write_text(PROGRAM.format(body=body, times=count), encoding="utf-8")
            begun = processor_seconds()
            run([*command, str(program)], folder / f"{run.__name__}-{count}-{number}")
            spent = processor_seconds() - begun
            least[run, count] = min(spent, least.get((run, count), spent))
    return [least[run, times] - least[run, 0] for run in runs]


def test_a_call_in_the_folder_costs_thirty_microseconds(tmp_path: Path) -> None:
    """A write that is stopped, read out of the subject's memory and kept.

    Where the kernel alone needs 15 µs to stop a call twice, twice as long.
    """
    times = 4000
    plain, bare, whole = costs(tmp_path, INSIDE, times, plainly, stopped, recorded)
    stops, each = ((spent - plain) / times * 1e6 for spent in (bare, whole))
    print(f"{each:.1f} µs a call, {stops:.1f} of them for two stops of which nothing is kept")
    assert each <= max(30, 2 * stops)


def test_what_happens_elsewhere_costs_next_to_nothing(tmp_path: Path) -> None:
    """Looking, reading and hashing pass the filter and wake nobody."""
    plain, whole = costs(tmp_path, OUTSIDE, 200_000, plainly, recorded)
    more = whole / plain - 1
    print(f"{more:+.1%} of {os.path.basename(sys.executable)}'s time")
    assert more <= 0.05
