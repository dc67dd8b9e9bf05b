"""How a check ends becomes its verdict."""

from textwrap import dedent

import pytest

from conformance.ledger import Ledger
from conformance.plugin import Suite, collect
from conformance.subject import Subject
from conformance.verdicts import Result, Verdict
from conformance.world import World
from reference.spec import requirements

CHECKS = """
    import pytest
    from conformance.expectations import fail, requirement
    from conformance.client import Fields
    from conformance.outcomes import CouldNotRun, NotApplicable, prepared

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
