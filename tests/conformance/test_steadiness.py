"""The same subject gets the same verdicts, whatever the seed and the order."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from conformance.catalogue import Check
from conformance.ledger import Ledger
from conformance.plugin import Suite
from conformance.pool import turns
from conformance.subject import Subject
from conformance.verdicts import Result
from conformance.world import World

ROOT = Path(__file__).parents[2]

CHECKS = """
    import pytest
    from conformance.expectations import requirement

    @requirement("PUSH-009")
    @pytest.mark.parametrize("number", range(12))
    def test_one(number):
        '''One of many.'''
"""


def order(folder: Path, shuffle: int | None) -> list[str]:
    """The order in which twelve checks end."""
    world = World(Subject(url="http://127.0.0.1:1"), "token", 1, Ledger(folder / "ledger"))
    found: list[Result] = []
    Suite(world, emit=found.append, folder=folder, shuffle=shuffle).run()
    return [result.id for result in found]


def test_a_random_order_is_one_and_is_the_seeds(tmp_path: Path) -> None:
    """Every check once, in another order, and in the same one for the same seed."""
    (tmp_path / "test_many.py").write_text(dedent(CHECKS))
    plain, one, again, other = (order(tmp_path, shuffle) for shuffle in (None, 1, 1, 2))
    assert one == again
    assert len({tuple(plain), tuple(one), tuple(other)}) == 3
    assert sorted(plain) == sorted(one) == sorted(other)


def test_long_checks_are_handed_out_first() -> None:
    """Each check once; a process that is done with a short one takes another."""
    checks = [Check(str(n), (), "push", "", exclusive=False, long=n == 5) for n in range(8)]
    assert turns(checks) == [*"50123467"]
    shuffled = turns(checks, 1)
    assert sorted(shuffled) == [*"01234567"]
    assert shuffled == turns(checks, 1) != turns(checks, 2)


MORTAL = """
    import os
    import time
    from conformance.expectations import requirement

    @requirement("PUSH-009")
    def test_a():
        '''It passes, a little later.'''
        time.sleep(0.2)  # the second queue is there by then, and no process free for it
        print("what a check prints is no result")

    @requirement("PUSH-009")
    def test_b():
        '''It takes its process along.'''
        os._exit(9)

    @requirement("PUSH-009")
    def test_c():
        '''It passes.'''
"""
POOLED = """
import sys
from pathlib import Path
from conformance.ledger import Ledger
from conformance.plugin import Suite
from conformance.pool import Pool
from conformance.subject import Subject
from conformance.world import World

folder = Path(sys.argv[1])
suite = Suite(folder=folder)

def body():
    pool = Pool(suite, int(sys.argv[2]), lambda result: print(result.id, result.verdict))
    world = World(Subject(url="http://127.0.0.1:1"), "token", 1, Ledger(folder / "ledger"))
    pool.add(world, suite.checks[:1], 1)
    pool.add(world, suite.checks[1:], 2)
    pool.join()
    pool.close()

suite.hold(body)
"""


@pytest.mark.parametrize("processes", ["1", "2", "3"])
def test_a_check_that_ends_its_process_takes_no_other_along(tmp_path: Path, processes: str) -> None:
    """Those after it run in another process, and none is left in the end.

    A queue for which no process was free is taken over by the first that is done with its own.
    """
    (tmp_path / "test_some.py").write_text(dedent(MORTAL))
    command = [sys.executable, "-c", POOLED, str(tmp_path), processes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert sorted(done.stdout.splitlines()) == ["some/a pass", "some/c pass"]
    assert done.stderr == ""


def verdicts(report: Path, *options: str) -> dict[str, str]:
    """How each check on the embedded reference ends."""
    command = [sys.executable, "-m", "conformance", "--quiet", "--report", str(report), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    checks = json.loads((report / "report.json").read_text())["checks"]
    return {check["id"]: check["verdict"] for check in checks}


def test_a_part_of_the_suite_is_steady(tmp_path: Path) -> None:
    """Some checks under two seeds, the second time in random order."""
    of = ("--id", "legacy", "--id", "visibility")
    first = verdicts(tmp_path, *of, "--seed", "1")
    assert verdicts(tmp_path, *of, "--seed", "2", "--random-order") == first
    assert len(first) > 10


@pytest.mark.nightly
def test_the_whole_suite_is_steady(tmp_path: Path) -> None:
    """Every check under three seeds, and in random order."""
    runs = [("--seed", "1"), ("--seed", "2"), ("--seed", "3"), ("--seed", "4", "--random-order")]
    first, *others = (verdicts(tmp_path, *options) for options in runs)
    assert [other for other in others if other != first] == []
