"""Baselines: what is known not to pass is told apart, and leaves once it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import baseline, plugin, verdicts
from conformance.baseline import Baseline, BaselineError
from conformance.catalogue import Check
from conformance.verdicts import Result, Verdict
from tests.conformance.test_reports import report, results, shown

CHECKS = [Check("push/a[1]", ("PUSH-009",), "push", "It holds.", exclusive=False)]


def test_the_example_names_checks_that_there_are() -> None:
    """Those that need more than an address."""
    path = Path(baseline.__file__).parent / "examples" / "remote.baseline.toml"
    assert len(baseline.load(path, plugin.collect()[0]).known) == 5


def test_a_known_failure_does_not_count() -> None:
    """It is told apart, with its reason."""
    passing, failing = results()[:2]
    Baseline({"PUSH-009": "ours"}, {}).apply([passing, failing])
    assert (failing.known, verdicts.exit_code([passing, failing])) == ("ours", 0)
    assert "push/b: fail: ours" in shown(report(passing, failing))


def test_what_is_known_not_to_run_does_not_count_either() -> None:
    """A server of which only the address is known shows no log; until the day it does."""
    passing, _, lacking = results()[:3]
    known = Baseline({"FETCH-001": "no log"}, {})
    known.apply([passing, lacking])
    assert (lacking.known, verdicts.exit_code([passing, lacking])) == ("no log", 0)
    assert known.stale([passing, lacking]) == []
    lacking.verdict = Verdict.PASS
    assert known.stale([passing, lacking]) == ["FETCH-001"]


def test_an_entry_may_leave_out_parameters() -> None:
    """One entry for all cases of a check; it is stale once every one passes."""
    cases = [Result(f"a/b[{n}]", ("ID-001",), "push", Verdict.FAIL) for n in range(2)]
    known = Baseline({"a/b": "ours"}, {})
    known.apply(cases)
    assert [case.known for case in cases] == ["ours", "ours"]
    cases[0].verdict = Verdict.PASS
    assert known.stale(cases) == []
    cases[1].verdict = Verdict.PASS
    assert known.stale(cases) == ["a/b"]


def test_a_stale_entry_fails_the_run() -> None:
    """What is mended must leave the baseline; what did not run may stay."""
    passing = results()[0]
    known = Baseline({"push/a": "mended", "fetch/c": "not run"}, {})
    known.apply([passing])
    stale = known.stale([passing])
    assert (stale, verdicts.exit_code([passing], stale)) == (["push/a"], 1)
    assert "stale" in shown(report(passing, stale=stale))


def test_a_flaky_check_counts_neither_way() -> None:
    """It is listed apart, whatever it did."""
    passing, failing = results()[:2]
    Baseline({}, {"push/b": "one core"}).apply([passing, failing])
    assert verdicts.exit_code([passing, failing]) == 0
    assert "push/b: fail: one core" in shown(report(passing, failing))


@pytest.mark.parametrize(
    "text",
    [
        "[[known]]\nid = 'x'",
        "[[known]]\nid = 'x'\nreason = ' '",
        "[other]",
        "known = 7",
        "nonsense",
        "[[known]]\nid = 'push/aa'\nreason = 'x'",
        "[[known]]\nid = 'push'\nreason = 'x'",
        "[[flaky]]\nid = 'PUSH-999'\nreason = 'x'",
        "[[known]]\nid = 'push/a'\nreason = 'x'\n" * 2,
        "[[known]]\nid = 'push/a'\nreason = 'x'\n[[flaky]]\nid = 'push/a'\nreason = 'x'",
    ],
)
def test_a_bad_baseline_is_refused(tmp_path: Path, text: str) -> None:
    """Every entry has an id that some check answers to, once, and a reason."""
    path = tmp_path / "baseline.toml"
    path.write_text(text)
    with pytest.raises(BaselineError, match=str(path)):
        baseline.load(path, CHECKS)


@pytest.mark.parametrize("id", ["push/a", "push/a[1]", "PUSH-009"])
def test_an_entry_names_a_check_or_a_requirement(tmp_path: Path, id: str) -> None:
    """With or without the check's parameters."""
    path = tmp_path / "baseline.toml"
    path.write_text(f"[[known]]\nid = '{id}'\nreason = 'x'")
    assert baseline.load(path, CHECKS).known == {id: "x"}
