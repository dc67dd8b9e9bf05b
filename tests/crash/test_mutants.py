"""Each one-flaw store is found, in the weakest part that can show it, and the advice names it."""

from __future__ import annotations

import pytest

from conformance.crash.examine import examine
from conformance.crash.states import MODELS

from .mutants import MUTANTS, Mutant
from .subject import SMALL, toy

CASES = [
    pytest.param(mutant, id=mutant.flaw, marks=() if mutant.always else pytest.mark.nightly)
    for mutant in MUTANTS
]
STYLES = ("fdatasync", "osync", "odsync", "syncfs", "sync", "link", "tmpfile", "child", "thread",
          "pwrite", "writev", "cross-folder")  # fmt: skip
CONTROLS = [
    pytest.param(style, marks=() if style in ("tmpfile", "child") else pytest.mark.nightly)
    for style in STYLES
]


@pytest.mark.parametrize("mutant", CASES)
def test_a_flaw_is_found_where_it_first_shows(mutant: Mutant) -> None:
    """The part that must find it does, in words; weaker models see nothing wrong."""
    weaker = MODELS[: MODELS.index(mutant.part)] if mutant.part in MODELS else ()
    outcome = examine(toy("--flaw", mutant.flaw), SMALL, parts=[*weaker, mutant.part])
    assert outcome.findings, outcome.doubts
    assert {finding.part for finding in outcome.findings} == {mutant.part}
    flaws = [finding.flaw for finding in outcome.findings]
    assert any(mutant.words in flaw for flaw in flaws), flaws


@pytest.mark.parametrize("style", CONTROLS)
def test_an_unusual_but_correct_store_is_not_flagged(style: str) -> None:
    """Other ways to be durable: no finding, no broken rule, no doubt."""
    outcome = examine(toy("--style", style), SMALL)
    assert not outcome.findings
    assert not outcome.lints
    assert not outcome.doubts


def test_the_plain_store_is_sound() -> None:
    """Nothing to find in any part, and every operation is said to survive power loss."""
    outcome = examine(toy(), SMALL)
    assert outcome.exit_code == 0, [finding.flaw for finding in outcome.findings]
    assert not outcome.lints
    assert set(outcome.levels.values()) == {"survives power loss"}
