"""Two results side by side: what counts as slower, and when nothing can be said."""

import json
from pathlib import Path
from typing import Any

import pytest

from perf_gates import diff
from perf_gates.__main__ import main
from perf_gates.comparison import Change, compare, differences, exit_code
from tests.perf_gates.machine import MACHINE

CLOCK: dict[str, Any] = {
    "id": "clone-simple",
    "unit": "ms",
    "bound": "most",
    "median": 100.0,
    "low": 95.0,
    "high": 105.0,
    "min": 90.0,
    "max": 110.0,
    "runs": 9,
    "detail": "",
    "beside": None,
    "peer": {},
}
COUNT = {**CLOCK, "id": "statements", "unit": "count", "min": 24, "median": 24, "max": 24}
SIZE = {**CLOCK, "id": "wire", "unit": "MB", "min": 2.0, "median": 2.0, "max": 2.0}
RATE = {**CLOCK, "id": "clones-32", "unit": "per s", "bound": "least"}
RATIO = {**CLOCK, "id": "clone-git", "unit": "×", "beside": "git", "peer": {"git": {"unit": "ms"}}}


def result(*rows: dict[str, Any], neighbours: float = 0.0, **machine: Any) -> dict[str, Any]:
    """A result with these rows."""
    return {
        "schema": 1,
        "stack": "embedded",
        "machine": {**MACHINE, **machine},
        "tier": "full",
        "measured_at": "2026-01-01T00:00:00Z",
        "neighbour_cores": neighbours,
        "rows": list(rows),
    }


def moved(row: dict[str, Any], factor: float) -> dict[str, Any]:
    """The same row with every figure so many times as large."""
    names = ("median", "low", "high", "min", "max")
    return {**row, **{name: row[name] * factor for name in names}}


def change(old: dict[str, Any], new: dict[str, Any]) -> Change:
    """What became of the only row of two results."""
    [found] = compare(old, new)
    return found.change


@pytest.mark.parametrize(
    ("row", "factor", "expected"),
    [
        (CLOCK, 1.0, Change.WITHIN),
        (CLOCK, 1.08, Change.WITHIN),
        (CLOCK, 1.3, Change.WORSE),
        (CLOCK, 0.7, Change.BETTER),
        (RATE, 0.7, Change.WORSE),
        (RATE, 1.3, Change.BETTER),
        (RATIO, 1.3, Change.WORSE),
        (SIZE, 1.04, Change.WITHIN),
        (SIZE, 1.06, Change.WORSE),
        (COUNT, 25 / 24, Change.WORSE),
        (COUNT, 23 / 24, Change.BETTER),
    ],
)
def test_worse_is_beyond_noise(row: dict[str, Any], factor: float, expected: Change) -> None:
    """Clocks by their intervals, sizes by a twentieth, counts by one."""
    assert change(result(row), result(moved(row, factor))) is expected


def test_a_narrow_interval_is_no_news_by_itself() -> None:
    """A clock that moved by less than a twentieth did not move."""
    narrow = {**CLOCK, "low": 99.9, "high": 100.1}
    assert change(result(narrow), result(moved(narrow, 1.03))) is Change.WITHIN


@pytest.mark.parametrize(
    "machine", [{"cores": 8}, {"processor": "Another"}, {"python_ms": 4.0}, {"fsync_ms": 3.0}]
)
def test_another_machine_tells_nothing_of_clocks(machine: dict[str, Any]) -> None:
    """Neither slower nor faster; counts and sizes are the same everywhere."""
    for factor in (0.5, 2.0):
        for row in (CLOCK, RATIO):
            new = result(moved(row, factor), **machine)
            assert change(result(row), new) is Change.UNTOLD
    new = result(moved(COUNT, 2), **machine)
    assert change(result(COUNT), new) is Change.WORSE
    assert differences(result(), new)


def test_machines_that_are_alike_are_compared() -> None:
    """A tenth in the calibration is not another machine."""
    assert differences(result(), result(sha256_mb_per_s=1600.0, fsync_ms=0.6)) == []


def test_a_busy_machine_is_not_slower_code() -> None:
    """Noise only adds: slower beside others proves nothing, nor faster than beside others."""
    slow, fast = result(moved(CLOCK, 2)), result(CLOCK)
    busy_slow = result(moved(CLOCK, 2), neighbours=1.0)
    assert change(fast, busy_slow) is Change.UNTOLD
    assert change(busy_slow, fast) is Change.WITHIN
    assert change(slow, result(CLOCK, neighbours=1.0)) is Change.BETTER


def test_what_cannot_be_measured_any_more_is_not_fine() -> None:
    """Where a row is new, or gone, that is told and nothing else."""
    gone = {**CLOCK, "median": None, "detail": "git is not installed"}
    [found] = compare(result(CLOCK), result(gone))
    assert (found.change, found.detail) == (Change.UNTOLD, "git is not installed")
    assert change(result(gone), result(CLOCK)) is Change.ADDED
    assert change(result(), result(CLOCK)) is Change.ADDED
    assert change(result(CLOCK), result()) is Change.GONE
    assert change(result(CLOCK), result({**CLOCK, "unit": "s"})) is Change.UNTOLD
    assert change(result(CLOCK), result({**moved(CLOCK, 2), "runs": 1})) is Change.UNTOLD


@pytest.mark.requirement("K3")
@pytest.mark.parametrize(
    ("new", "code", "said"),
    [
        (result(CLOCK, COUNT), 0, "2 within noise"),
        (result(moved(CLOCK, 0.5), COUNT), 0, "better"),
        (result(moved(CLOCK, 1.5), COUNT), 1, "worse        clone-simple"),
        (result(moved(CLOCK, 1.5), COUNT, cores=8), 3, "cores was 2 and is 8"),
        (result(moved(CLOCK, 1.5), moved(COUNT, 2), cores=8), 1, "worse        statements"),
        (result(CLOCK), 3, "gone         statements"),
    ],
)
def test_a_release_hangs_on_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], new: dict[str, Any], code: int, said: str
) -> None:
    """1 where something is worse, 3 where it cannot be told, 0 else; folders do as files do."""
    for name, document in (("old", result(CLOCK, COUNT)), ("new", new)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "perf.json").write_text(json.dumps(document))
    assert main(["diff", str(tmp_path / "old"), str(tmp_path / "new" / "perf.json")]) == code
    assert said in capsys.readouterr().out


def test_every_stack_of_two_folders_is_compared(tmp_path: Path) -> None:
    """As the kept results lie; one stack that is worse is enough."""
    for name, factor in (("old", 1.0), ("new", 1.5)):
        (tmp_path / name).mkdir()
        for stack, row in (("embedded", CLOCK), ("containers", moved(CLOCK, factor))):
            document = {**result(row), "stack": stack}
            (tmp_path / name / f"{stack}.json").write_text(json.dumps(document))
    assert diff.main([str(tmp_path / "old"), str(tmp_path / "new"), "--all"]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "perf.json"),
        ("[]", "not a perf.json"),
        ('{"schema": 1, "rows": []}', "not a perf.json"),
        (json.dumps({**result(CLOCK), "schema": 9}), "schema 9, this reads 1"),
        (json.dumps({**result(CLOCK), "stack": "containers"}), "no stack in common"),
    ],
)
def test_what_is_no_result_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """A sentence on stderr, exit code 2."""
    (tmp_path / "old.json").write_text(json.dumps(result(CLOCK)))
    (tmp_path / "perf.json").write_text(text)
    assert diff.main([str(tmp_path / "old.json"), str(tmp_path / "perf.json")]) == 2
    assert said in capsys.readouterr().err


def test_nothing_changed_is_a_pass() -> None:
    """Rows that came or went are told, and are no failure."""
    assert exit_code(compare(result(CLOCK), result(CLOCK, COUNT))) == 0
