"""How a check ends becomes its verdict."""

import time
from pathlib import Path
from textwrap import dedent

import pytest

from conformance.ledger import Ledger
from conformance.plugin import Suite, collect
from conformance.subject import Subject
from conformance.verdicts import Result, Verdict
from conformance.world import World
from reference.spec import requirements
from tests.conformance.impostors import impostor, says

CHECKS = """
    import pytest
    from conformance.expectations import fail, requirement
    from conformance.outcomes import CouldNotRun, Fields, NotApplicable, prepared

    @requirement("PUSH-009", "BP11")
    def test_passes():
        '''One sentence.'''

    @requirement("PUSH-009")
    def test_fails():
        '''Two sentences.

        The second.
        '''
        fail("this", "that", "because")

    @requirement("PUSH-009")
    def test_compares():
        assert 1 + 1 == 3

    @requirement("PUSH-009")
    def test_lacks():
        Fields(a=1)["b"]

    @requirement("PUSH-009")
    def test_could_not():
        raise CouldNotRun("needs [x] y")

    @requirement("PUSH-009")
    def test_was_not_prepared():
        with prepared("a push"):
            fail("this", "that")

    @requirement("PUSH-009")
    def test_does_not_apply():
        raise NotApplicable("not here")

    @requirement("PUSH-009")
    def test_errs():
        {}["x"]

    @pytest.fixture
    def broken():
        fail("a", "b")

    @requirement("PUSH-009")
    def test_fixture_fails(broken):
        pass

    @requirement("PUSH-009")
    def test_tells_a_secret():
        fail('sig="' + 'A' * 86 + '"', "http://h/p?X-Amz-Signature=abcdefghijkl")
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """The results of the checks above."""
    folder = tmp_path_factory.mktemp("checks")
    (folder / "test_some.py").write_text(dedent(CHECKS))
    world = World(Subject(url="http://127.0.0.1:1"), "token", 1, Ledger(folder / "ledger"))
    found: list[Result] = []
    Suite(world, emit=found.append, folder=folder).run()
    return {result.id.removeprefix("some/"): result for result in found}


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("passes", Verdict.PASS),
        ("fails", Verdict.FAIL),
        ("compares", Verdict.FAIL),
        ("lacks", Verdict.FAIL),
        ("could_not", Verdict.COULD_NOT_RUN),
        ("was_not_prepared", Verdict.COULD_NOT_RUN),
        ("does_not_apply", Verdict.NOT_APPLICABLE),
        ("errs", Verdict.SUITE_ERROR),
        ("fixture_fails", Verdict.COULD_NOT_RUN),
    ],
)
def test_each_end_has_its_verdict(results: dict[str, Result], name: str, verdict: Verdict) -> None:
    """Only what the check is about makes it fail."""
    assert results[name].verdict is verdict


def test_a_result_says_what_it_is_about(results: dict[str, Result]) -> None:
    """Requirements, the profile of the first, and the first sentence of the docstring."""
    result = results["passes"]
    assert result.requirements == ("PUSH-009", "BP11")
    assert (result.profile, result.title) == ("push", "One sentence.")
    assert results["fails"].title == "Two sentences."


def test_a_failure_says_what_was_expected(results: dict[str, Result]) -> None:
    """Expected and actual, also where a plain comparison failed."""
    fails, compares, lacks = (results[name] for name in ("fails", "compares", "lacks"))
    assert (fails.expected, fails.actual, fails.detail) == ("this", "that", "because")
    assert (compares.expected, compares.actual) == ("3", "2")
    assert lacks.expected == "an answer with `b`"


def test_no_secret_is_in_a_result(results: dict[str, Result]) -> None:
    """Signatures and permissions are taken out before anybody sees them."""
    result = results["tells_a_secret"]
    assert "AAAA" not in result.expected
    assert "abcdefghijkl" not in result.actual


def test_every_check_is_in_order() -> None:
    """Each names a requirement with a profile, and has a sentence and an id of its own."""
    checks, problems = collect()
    known = {item.id for item in requirements.load()}
    assert problems == []
    assert len({check.id for check in checks}) == len(checks) > 900
    assert [check.id for check in checks if not check.profile] == []
    assert [check.id for check in checks if not check.title.endswith(".")] == []
    assert [check.id for check in checks if not known & set(check.requirements)] == []


SILENT = """
    import pytest
    from conformance.client import NoAnswer
    from conformance.expectations import requirement

    @requirement("PUSH-009")
    @pytest.mark.parametrize("number", range(12))
    def test_asks(number):
        '''It is asked.'''
        if number != ANSWERED:
            raise NoAnswer("an answer", "none")
"""


def silence(folder: Path, url: str, answered: int = -1) -> list[Verdict]:
    """How twelve checks end of which one alone gets an answer."""
    name = f"test_{folder.name}_{answered + 1}.py"  # modules of one name are imported once
    (folder / name).write_text(dedent(SILENT).replace("ANSWERED", str(answered)))
    found: list[Result] = []
    world = World(Subject(url=url), "token", 1, Ledger(folder / "ledger"))
    Suite(world, emit=found.append, folder=folder / name).run()
    return [result.verdict for result in found]


def test_a_subject_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    """Three checks fail; the others could not run, and take no time."""
    begun = time.monotonic()
    verdicts = silence(tmp_path, "http://127.0.0.1:1")
    assert verdicts == [Verdict.FAIL] * 3 + [Verdict.COULD_NOT_RUN] * 9
    assert time.monotonic() - begun < 15


def test_a_subject_that_answers_nothing_but_health_is_given_up(tmp_path: Path) -> None:
    """Nobody waits for a thousand timeouts; one answer in between begins anew."""
    with impostor(says("200 OK", "application/json", b"{}")) as url:
        assert silence(tmp_path, url) == [Verdict.FAIL] * 6 + [Verdict.COULD_NOT_RUN] * 6
        fails, runs = [Verdict.FAIL], [Verdict.COULD_NOT_RUN]
        expected = fails * 4 + [Verdict.PASS] + fails * 6 + runs
        assert silence(tmp_path, url, answered=4) == expected


FAULT = """
    from conformance import transcript
    from conformance.expectations import fail, requirement

    @requirement("PUSH-009")
    def test_provokes():
        '''It is refused.'''
        transcript.note("POST /x → 500 Internal Server Error")
        fail("422", "500")

    @requirement("PUSH-009")
    def test_is_refused():
        '''It is refused.'''
        transcript.note("POST /x → 422 {}")
        fail("422", "409")
"""


def test_a_fault_shows_what_the_subject_wrote(tmp_path: Path) -> None:
    """Where the suite has its log, the last lines stand beside a 500, and no secret in them."""
    (tmp_path / "test_faults.py").write_text(dedent(FAULT))
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(99)) + f'sig="{"A" * 86}"\n')
    found: list[Result] = []
    world = World(Subject(url="http://127.0.0.1:1"), "token", 1, Ledger(tmp_path / "l"), log=log)
    Suite(world, emit=found.append, folder=tmp_path / "test_faults.py").run()
    first, second = found
    assert "log: line 98" in first.evidence
    assert "log: line 3" not in first.evidence
    assert "AAAA" not in "".join(first.evidence)
    assert second.evidence == ["POST /x → 422 {}"]
