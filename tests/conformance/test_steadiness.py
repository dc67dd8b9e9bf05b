"""The same subject gets the same verdicts, whatever the seed and the order."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from conformance.ledger import Ledger
from conformance.plugin import Suite
from conformance.pool import SHARES, shares
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


@pytest.mark.parametrize("shuffle", [None, 5])
@pytest.mark.parametrize(("count", "jobs"), [(0, 3), (1, 3), (7, 3), (100, 1), (100, 4)])
def test_every_check_is_in_one_share(count: int, jobs: int, shuffle: int | None) -> None:
    """As many shares as the processes can use, none of them empty or much larger."""
    ids = [str(number) for number in range(count)]
    dealt = shares(ids, jobs, shuffle)
    assert sorted(id for share in dealt for id in share) == sorted(ids)
    assert len(dealt) == min(count, SHARES * jobs)
    assert max(map(len, dealt), default=0) - min(map(len, dealt), default=0) <= 1


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
