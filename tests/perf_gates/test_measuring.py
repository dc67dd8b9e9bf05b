"""The runs: who goes when, and what happens when something goes wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from perf_gates import measuring
from perf_gates.budgets import Row
from perf_gates.commands import CouldNotRun, WrongResult
from perf_gates.contests import OURS, Bench, Contest, Scenario, hold
from perf_gates.estimates import LEAST_RUNS
from perf_gates.neighbours import _tree_seconds
from perf_gates.sources import Sources
from perf_gates.stacks import Options, Stack
from perf_gates.subject import Subject
from perf_gates.verdicts import Verdict


def row(scenario: str, id: str = "a", **more: Any) -> Row:
    """A row of a scenario, held to 100 ms."""
    texts: dict[str, Any] = {"source": "BG2", "what": "what", "check": "check", "options": {}}
    numbers: dict[str, Any] = {"measure": "time", "unit": "ms", "budget": 100.0}
    return Row(id=id, scenario=scenario, **texts | numbers | more)


def bench(folder: Path) -> Bench:
    """Nothing runs behind it: these scenarios need no server."""
    stack = Stack("none", "http://127.0.0.1:9", Options())
    return Bench(stack, Subject(stack.url, folder), Sources(folder), folder)


def scenario(**trials: Callable[[], Mapping[str, float]]) -> Scenario:
    """A scenario with these contenders."""

    @contextmanager
    def opened(bench: Bench, shape: str = "") -> Iterator[Contest]:
        yield Contest(dict(trials), absent={"mercurial": "it is not installed"})

    return opened


def always(value: float) -> Callable[[], Mapping[str, float]]:
    """A trial that takes just that long."""
    return lambda: {"time": value}


def failing(problem: Exception) -> Callable[[], Mapping[str, float]]:
    """A trial that goes wrong."""

    def trial() -> Mapping[str, float]:
        raise problem

    return trial


def verdict_of(folder: Path, opened: Scenario, **more: Any) -> measuring.Outcome:
    """How the one row of a scenario ends."""
    scenarios = {"it": opened}
    made = measuring.measure([row("it", **more)], bench(folder), "quick", 3, scenarios=scenarios)
    return made.outcomes[0]


def test_contenders_take_turns_and_each_is_first_in_turn() -> None:
    """A warm-up is run and thrown away."""
    order: list[str] = []

    def noted(name: str) -> Callable[[], Mapping[str, float]]:
        def trial() -> Mapping[str, float]:
            order.append(name)
            return {"time": float(len(order))}

        return trial

    samples = hold(Contest({OURS: noted("ours"), "git": noted("git")}), 2)
    assert order == ["git", "ours", "ours", "git", "git", "ours"]
    assert samples == {OURS: {"time": [3.0, 6.0]}, "git": {"time": [4.0, 5.0]}}


def test_a_slow_contender_fails_its_gate(tmp_path: Path) -> None:
    """200 ms against 100, on a machine that was quiet for that instant, or too noisy to say."""
    quick, slow = (verdict_of(tmp_path, scenario(ours=always(s))) for s in (0.05, 0.2))
    assert quick.verdict is Verdict.PASS
    assert slow.verdict in (Verdict.FAIL, Verdict.TOO_NOISY)
    assert slow.found is not None
    assert slow.found.median == 200


def test_a_wrong_result_fails_whatever_its_time(tmp_path: Path) -> None:
    """Work that was not done is not fast."""
    ended = verdict_of(tmp_path, scenario(ours=failing(WrongResult("a file differs"))))
    assert ended.verdict is Verdict.FAIL
    assert "a file differs" in ended.detail


def test_what_is_not_here_could_not_run(tmp_path: Path) -> None:
    """That is not a pass, and it says what is missing."""
    ended = verdict_of(tmp_path, scenario(ours=failing(CouldNotRun("strace is not installed"))))
    assert (ended.verdict, ended.detail) == (Verdict.COULD_NOT_RUN, "strace is not installed")


def test_a_measure_that_the_stack_does_not_show_could_not_run(tmp_path: Path) -> None:
    """A foreign server's memory, for one."""
    ended = verdict_of(tmp_path, scenario(ours=always(1)), measure="server memory")
    assert ended.verdict is Verdict.COULD_NOT_RUN


def test_a_ratio_is_taken_beside_its_peer(tmp_path: Path) -> None:
    """Both medians and the ratio are kept."""
    both = scenario(ours=always(0.1), git=always(0.2))
    ended = verdict_of(tmp_path, both, unit="×", beside="git", budget=0.6)
    assert ended.found is not None
    assert (ended.found.median, ended.peers["git"].median) == (0.5, 200)


def test_a_peer_that_is_absent_could_not_run(tmp_path: Path) -> None:
    """With the reason that was given for it."""
    ended = verdict_of(tmp_path, scenario(ours=always(1)), unit="×", beside="mercurial")
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.detail == "mercurial: it is not installed"


def test_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    """Rows come out in the order that they went in."""
    scenarios = {"bad": scenario(ours=failing(WrongResult("no"))), "good": scenario(ours=always(0))}
    rows = [row("good", "a"), row("bad", "b"), row("good", "c")]
    made = measuring.measure(rows, bench(tmp_path), "quick", 3, scenarios=scenarios)
    ended = [(outcome.row.id, outcome.verdict) for outcome in made.outcomes]
    assert ended == [("a", Verdict.PASS), ("b", Verdict.FAIL), ("c", Verdict.PASS)]


def test_an_interrupted_run_keeps_what_it_has(tmp_path: Path) -> None:
    """The rest could not run."""

    def interrupted() -> Mapping[str, float]:
        raise KeyboardInterrupt

    scenarios = {"good": scenario(ours=always(0)), "long": scenario(ours=interrupted)}
    rows = [row("good", "a"), row("long", "b"), row("good", "c", options={"shape": "simple"})]
    made = measuring.measure(rows, bench(tmp_path), "quick", 3, scenarios=scenarios)
    ended = [(outcome.row.id, outcome.verdict) for outcome in made.outcomes]
    assert ended == [
        ("a", Verdict.PASS),
        ("b", Verdict.COULD_NOT_RUN),
        ("c", Verdict.COULD_NOT_RUN),
    ]


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps a core busy and is none of ours: its parent has ended."""
    spin = "import time; end = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    popen = f"subprocess.Popen([sys.executable, '-c', {spin!r}], stdout=subprocess.DEVNULL)"
    words = [sys.executable, "-c", f"import subprocess, sys; print({popen}.pid)"]
    started = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=30)
    try:
        yield
    finally:
        os.kill(int(started.stdout.split()[0]), signal.SIGKILL)


@pytest.mark.requirement("K3")
def test_beside_a_busy_neighbour_a_miss_is_noise(tmp_path: Path) -> None:
    """Twice its budget, but somebody else was at work: no failure, and a pass stays a pass."""

    def working(milliseconds: float) -> Callable[[], Mapping[str, float]]:
        def trial() -> Mapping[str, float]:
            time.sleep(0.2)  # long enough for the kernel's ticks to tell who was at work
            return {"time": milliseconds / 1000}

        return trial

    with neighbour():
        slow = verdict_of(tmp_path, scenario(ours=working(200)))
        quick = verdict_of(tmp_path, scenario(ours=working(50)))
    assert (slow.verdict, quick.verdict) == (Verdict.TOO_NOISY, Verdict.PASS)
    assert "stop them and run again" in slow.detail


def test_what_takes_long_is_run_less_often() -> None:
    """Once the time is over the fewest runs have to do; without an end all are made."""
    taken: list[float] = []

    def trial() -> Mapping[str, float]:
        taken.append(1.0)
        return {"time": 0.0}

    hold(Contest({OURS: trial}, warm_ups=0), 50, seconds=0)
    assert len(taken) == LEAST_RUNS
    hold(Contest({OURS: trial}, warm_ups=0), 50)
    assert len(taken) == LEAST_RUNS + 50


def test_a_run_tells_what_it_does_and_how_long_each_took(tmp_path: Path) -> None:
    """By the first row of each scenario."""
    told: list[str] = []
    scenarios = {"it": scenario(ours=always(0))}
    rows = [row("it", "a"), row("it", "b"), row("it", "c", options={"shape": "simple"})]
    made = measuring.measure(rows, bench(tmp_path), "quick", 3, told.append, scenarios)
    assert told == ["1/2 it", "2/2 it simple"]
    assert made.seconds.keys() == {"a", "c"}


def test_our_own_children_are_no_neighbours() -> None:
    """The work of a child that has ended is counted as ours."""
    before = _tree_seconds({os.getpid()})
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert _tree_seconds({os.getpid()}) - before >= 0.25
