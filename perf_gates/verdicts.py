"""What a figure amounts to: a verdict only where its interval clears the budget."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from .budgets import Row, requirement
from .estimates import LEAST_RUNS, Estimate

COVERS = requirement("K3")
NEIGHBOUR_CORES = 0.15
"""Above this much work of other processes a time that misses its budget proves nothing."""


class Verdict(StrEnum):
    """How a row ends; only `pass` is one."""

    PASS = "pass"
    FAIL = "fail"
    TOO_NOISY = "too-noisy"
    COULD_NOT_RUN = "could-not-run"


def judge(row: Row, found: Estimate, neighbours: float = 0.0) -> tuple[Verdict | None, str]:
    """The verdict on a figure in its row's unit, and why; none where there is no budget.

    Sizes and counts are held to the budget in every run.  A time passes when its whole interval
    is within the budget, whoever else was at work: noise only adds.  It fails only when the whole
    interval is beyond it and nobody else was.  A ratio can be moved both ways.
    """
    if row.budget is None:
        return None, "shown, not gated"
    least = row.bound == "least"
    if row.is_exact:
        kept = found.least >= row.budget if least else found.most <= row.budget
        return (Verdict.PASS, "") if kept else (Verdict.FAIL, "in at least one run")
    if found.runs < LEAST_RUNS:
        return Verdict.TOO_NOISY, f"a time takes {LEAST_RUNS} runs at least"
    busy = neighbours > NEIGHBOUR_CORES
    clears = found.low >= row.budget if least else found.high <= row.budget
    misses = found.high < row.budget if least else found.low > row.budget
    if clears and not (busy and row.beside):
        return Verdict.PASS, ""
    if not (clears or misses):
        spread = f"spread: {found.low:.4g} to {found.high:.4g} {row.unit} spans the budget"
        return Verdict.TOO_NOISY, f"{spread}: take more runs, or a quieter machine"
    if busy:
        others = f"other processes used {neighbours:.1f} cores meanwhile"
        return Verdict.TOO_NOISY, f"{others}: stop them and run again"
    return Verdict.FAIL, "the whole interval is beyond the budget"


def exit_code(verdicts: Iterable[Verdict | None]) -> int:
    """0 every gate passes, 1 one fails, 3 one was too noisy or could not run, or there was none."""
    found = set(verdicts) - {None}
    if Verdict.FAIL in found:
        return 1
    return 0 if found == {Verdict.PASS} else 3
