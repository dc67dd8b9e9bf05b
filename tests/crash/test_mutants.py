"""Each one-flaw store is found, in the weakest part that can show it, and the advice names it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.crash.examine import examine
from conformance.crash.states import MODELS

from .mutants import MUTANTS, Mutant
from .subject import QUICK, SMALL, toy

CASES = [
    pytest.param(mutant, id=mutant.flaw, marks=() if mutant.always else pytest.mark.nightly)
    for mutant in MUTANTS
]
STYLES = ("fdatasync", "osync", "odsync", "syncfs", "sync", "link", "tmpfile", "child", "thread",
          "pwrite", "writev", "cross-folder")  # fmt: skip


@pytest.mark.parametrize("mutant", CASES)
def test_a_flaw_is_found_where_it_first_shows(mutant: Mutant) -> None:
    """The part that must find it does, in words that name it."""
    outcome = examine(toy("--flaw", mutant.flaw), SMALL, parts=[mutant.part])
    assert outcome.findings, outcome.doubts
    flaws = [finding.flaw for finding in outcome.findings]
    assert any(mutant.words in flaw for flaw in flaws), flaws


def test_the_call_that_is_blamed_is_the_one_that_lost_it() -> None:
    """In a run of many faults, each in another operation."""
    tier = replace(SMALL, faults=[(6, 0)])
    outcome = examine(toy("--flaw", "found-is-trusted"), tier, parts=["fault"])
    told = [(finding.operation, finding.where) for finding in outcome.findings]
    assert told == [("put_blob", "fsync(.muse/objects/<id>) = EIO")]


@pytest.mark.nightly
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.part in MODELS[1:]])
def test_a_weaker_model_sees_nothing(mutant: Mutant) -> None:
    """A flaw is named by the weakest model that shows it, so the ones before have to be clean."""
    weaker = MODELS[: MODELS.index(mutant.part)]
    assert not examine(toy("--flaw", mutant.flaw), SMALL, parts=weaker).findings


@pytest.mark.nightly
@pytest.mark.parametrize("style", STYLES)
def test_an_unusual_but_correct_store_is_not_flagged(style: str) -> None:
    """Other ways to be durable: no finding, no broken rule, no doubt."""
    outcome = examine(toy("--style", style), QUICK)
    assert not outcome.findings
    assert not outcome.lints
    assert not outcome.doubts


def test_the_plain_store_is_sound() -> None:
    """Nothing to find in any part, and every operation is said to survive power loss."""
    outcome = examine(toy(), QUICK)
    assert outcome.exit_code == 0, [finding.flaw for finding in outcome.findings]
    assert not outcome.lints
    assert set(outcome.levels.values()) == {"survives power loss"}
