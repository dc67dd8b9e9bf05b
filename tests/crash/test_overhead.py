"""What recording costs, in processor time: the machine may be busy with other things.

Both sides count, the subject's and ours; what a run without the recorder takes is subtracted.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

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


def cost(folder: Path, body: str, times: int) -> tuple[float, float]:
    """The least processor time of a run, plain and recorded."""
    program = folder / "program.py"
    program.write_text(PROGRAM.format(body=body, times=times), encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(program)]
    plain, recorded = [], []
    for number in range(ROUNDS):
        begun = processor_seconds()
        subprocess.run([*command, "init", str(folder / f"plain-{number}")], check=True)
        plain.append(processor_seconds() - begun)
        with sandbox() as box:
            session = Session(command, box)
            begun = processor_seconds()
            assert session.init()
            recorded.append(processor_seconds() - begun)
    return min(plain), min(recorded)


def test_a_call_in_the_folder_costs_thirty_microseconds(tmp_path: Path) -> None:
    """A write that is stopped, read out of the subject's memory and kept."""
    times = 4000
    plain, recorded = cost(tmp_path, INSIDE, times)
    idle, started = cost(tmp_path, "pass", 1)
    each = ((recorded - started) - (plain - idle)) / times * 1e6
    print(f"{each:.1f} µs a call")
    assert each <= 30


def test_what_happens_elsewhere_costs_next_to_nothing(tmp_path: Path) -> None:
    """Looking, reading and hashing pass the filter and wake nobody."""
    times = 60_000
    plain, recorded = cost(tmp_path, OUTSIDE, times)
    idle, started = cost(tmp_path, "pass", 1)
    more = (recorded - started) / (plain - idle) - 1
    print(f"{more:+.1%} of {os.path.basename(sys.executable)}'s time")
    assert more <= 0.05
