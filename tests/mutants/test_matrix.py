"""What the matrix makes of verdicts: only a FAIL of what is meant flags a mutant."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.catalogue import Check
from conformance.verdicts import Result, Verdict
from tests.mutants import collateral, matrix
from tests.mutants.matrix import Matrix
from tests.mutants.mutant import Mutant
from tests.mutants.schedule import Ended
from tests.mutants.trial import Trial, function_of

MUTANT = Mutant("a", "reference.x", "old", "new", flagged_by="PUSH-001")
NAMED = Mutant("b", "reference.x", "old", "new", flagged_by="PUSH-001", check="test_p.py::test_one")


def check(id: str, *requirements: str) -> Check:
    """A check of the suite."""
    return Check(id, requirements, "push", id, exclusive=False)


CHECKS = (check("p/one[x]", "PUSH-001"), check("p/one[y]", "PUSH-002"), check("p/two", "PUSH-001"))


def ended(*verdicts: tuple[str, Verdict], problem: str = "") -> Ended:
    """A trial in which these checks ended so."""
    results = [Result(id, ("PUSH-001",), "push", verdict) for id, verdict in verdicts]
    return Ended(Trial(1, "t/a", "reference.x", CHECKS, 1), results, problem)


def test_cases_of_a_function_are_one() -> None:
    """Parameters do not make another function."""
    assert {function_of(one) for one in CHECKS} == {"test_p.py::test_one", "test_p.py::test_two"}


def test_a_mutant_meets_what_it_names_or_what_its_requirement_has() -> None:
    """Of a named function only the cases that prove the requirement, if any does."""
    assert matrix.meant(MUTANT, CHECKS) == (CHECKS[0], CHECKS[2])
    assert matrix.meant(NAMED, CHECKS) == (CHECKS[0],)


@pytest.mark.parametrize(
    "mutant",
    [
        Mutant("c", "reference.x", "old", "new", flagged_by="PUSH-009"),
        Mutant("d", "reference.x", "old", "new", "PUSH-001", check="test_p.py::test_three"),
        Mutant("e", "reference.x", "old", "new", "PUSH-009", check="test_p.py::test_one"),
    ],
)
def test_a_mutant_that_nothing_is_meant_for_is_a_mistake(mutant: Mutant) -> None:
    """Its requirement has a check, and the functions that it names are there and prove it."""
    assert matrix.misnamed(MUTANT, CHECKS) == matrix.misnamed(NAMED, CHECKS) == ""
    assert matrix.misnamed(mutant, CHECKS) != ""


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.FAIL])
def test_only_a_failed_check_flags(verdict: Verdict) -> None:
    """Anything else than FAIL lets the mutant live."""
    assert matrix.row("t/a", MUTANT, ended(("p/two", Verdict.FAIL))).is_flagged
    assert not matrix.row("t/a", MUTANT, ended(("p/two", verdict))).is_flagged


def test_every_named_function_must_flag() -> None:
    """Another check that fails does not stand in for the one that is meant."""
    assert matrix.row("t/b", NAMED, ended(("p/one[x]", Verdict.FAIL))).is_flagged
    assert not matrix.row("t/b", NAMED, ended(("p/two", Verdict.FAIL))).is_flagged


def test_a_broken_trial_flags_nothing() -> None:
    """A subject that did not start proves nothing; one that was cut off, what it showed before."""
    late = "cut off after 1 s"
    assert not matrix.row("t/a", MUTANT, ended(problem="NoSubject")).is_flagged
    assert not matrix.row("t/a", MUTANT, ended(problem=late)).is_flagged
    assert matrix.row("t/a", MUTANT, ended(("p/two", Verdict.FAIL), problem=late)).is_flagged


def test_a_survivor_and_an_idle_check_are_problems(tmp_path: Path) -> None:
    """Both are named; an idle check only where all mutants were tried."""
    rows = [
        matrix.row("t/a", MUTANT, ended(("p/two", Verdict.FAIL))),
        matrix.row("t/b", NAMED, ended(("p/one[x]", Verdict.PASS))),
    ]
    found = Matrix(rows, CHECKS, complete=True).problems
    assert ["t/b" in found[0], "test_p.py: test_one" in found[1], len(found)] == [True, True, 2]
    assert len(Matrix(rows, CHECKS, complete=False).problems) == 1
    Matrix(rows, CHECKS, complete=True).write(tmp_path)
    table = (tmp_path / "mutants.md").read_text()
    assert "| t/a | `x` | PUSH-001 | `test_p.py::test_two` |" in table
    assert "| `test_p.py::test_one` | **none** |" in table


def test_a_perfect_matrix_has_no_problem() -> None:
    """Every mutant flagged, every check used."""
    verdicts = (("p/one[x]", Verdict.FAIL), ("p/two", Verdict.FAIL))
    assert (
        Matrix([matrix.row("t/b", NAMED, ended(*verdicts))], CHECKS, complete=True).problems == []
    )


def test_a_second_try_is_told(tmp_path: Path) -> None:
    """What was noticed only then counts, and the table says so."""
    passed, failed = ended(("p/two", Verdict.PASS)), ended(("p/two", Verdict.FAIL))
    first = matrix.row("t/a", MUTANT, passed)
    late = matrix.row("t/a", MUTANT, failed, first=str(first))
    assert late.is_flagged
    result = Matrix([late], CHECKS, complete=False)
    assert "(1 of them at a second try)" in result.summary()
    assert result.as_json()["mutants"][0]["first_try"] == str(first)
    result.write(tmp_path)
    assert "`test_p.py::test_two` at the second try |" in (tmp_path / "mutants.md").read_text()
    again = matrix.row("t/a", MUTANT, passed, first=str(first))
    assert Matrix([again], CHECKS, complete=False).problems


def test_collateral_is_what_else_trips() -> None:
    """Checks that are meant for the mutant, or prove its requirement, are not counted."""
    tripped = ended(*((check.id, Verdict.FAIL) for check in CHECKS))
    tripped.results.append(Result("q/far", ("REC-001", "REC-002"), "core-wire", Verdict.FAIL))
    assert collateral.further_requirements(MUTANT, CHECKS, tripped) == ["REC-001"]
