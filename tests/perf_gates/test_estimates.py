"""Medians, their intervals and what they amount to."""

import pytest

from perf_gates.budgets import Row
from perf_gates.estimates import Estimate, estimate, ratio
from perf_gates.verdicts import Verdict, exit_code, judge


def row(budget: float | None = 100, unit: str = "ms", bound: str = "most", of: str = "ms") -> Row:
    """A row with a budget."""
    beside = "git" if unit == "×" else None
    words = ("a", "BG2", "negotiate", "refs", "what", unit, "check")
    return Row(*words, options={}, budget=budget, bound=bound, beside=beside, of=of)


def between(low: float, high: float) -> Estimate:
    """An estimate with this interval, its runs a little wider."""
    return Estimate((low + high) / 2, low, high, low * 0.9, high * 1.1, 9)


def test_the_same_samples_give_the_same_interval() -> None:
    """The resampling is seeded."""
    samples = [1.0, 1.1, 0.9, 1.3, 1.05]
    assert estimate(samples) == estimate(samples)


def test_an_interval_holds_its_median_and_lies_within_the_runs() -> None:
    """More of the same runs make it narrower."""
    few = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    many = estimate([1.0, 2.0, 3.0, 4.0, 5.0] * 8)
    assert few.least <= few.low <= few.median == 3.0 <= few.high <= few.most
    assert many.high - many.low < few.high - few.low


def test_a_ratio_pairs_the_rounds() -> None:
    """A round that is slow for both leaves the ratio as it is."""
    found = ratio([1.0, 2.0, 9.0], [2.0, 4.0, 18.0])
    assert (found.low, found.median, found.high) == (0.5, 0.5, 0.5)


def test_another_unit_changes_every_number_but_the_runs() -> None:
    """Seconds become milliseconds."""
    assert estimate([0.5, 0.5]).scaled(1e-3) == Estimate(500, 500, 500, 500, 500, 2)


@pytest.mark.parametrize(
    ("low", "high", "neighbours", "verdict"),
    [
        (50, 99, 0.0, Verdict.PASS),
        (50, 99, 1.5, Verdict.PASS),
        (90, 110, 0.0, Verdict.TOO_NOISY),
        (101, 120, 0.0, Verdict.FAIL),
        (101, 120, 0.1, Verdict.FAIL),
        (101, 120, 1.5, Verdict.TOO_NOISY),
    ],
)
def test_a_verdict_only_where_the_interval_clears(
    low: float, high: float, neighbours: float, verdict: Verdict
) -> None:
    """Noise never fails a release, and never hides that one is slower on a quiet machine."""
    assert judge(row(), between(low, high), neighbours)[0] is verdict


def test_beside_a_neighbour_no_ratio_of_times_passes() -> None:
    """What slows the peer makes it look better; a ratio of bytes stays what it is."""
    quiet, busy = (judge(row(unit="×"), between(50, 99), n)[0] for n in (0.0, 1.5))
    assert (quiet, busy) == (Verdict.PASS, Verdict.TOO_NOISY)
    assert judge(row(unit="×", of="KiB"), estimate([99.0]), 1.5)[0] is Verdict.PASS


def test_a_busy_machine_is_told() -> None:
    """Whoever reads the verdict learns what to do."""
    _, detail = judge(row(), between(101, 120), 1.5)
    assert "1.5 cores" in detail
    assert "run again" in detail


@pytest.mark.parametrize(("low", "verdict"), [(99, Verdict.FAIL), (101, Verdict.PASS)])
def test_more_is_better_where_the_row_says_so(low: float, verdict: Verdict) -> None:
    """Throughput is held from below."""
    narrow = Estimate(low, low, low, low, low, 3)
    assert judge(row(bound="least", unit="per s"), narrow)[0] is verdict


def test_counts_are_held_in_every_run() -> None:
    """One run beyond the budget is enough, whatever the median says and whoever was at work."""
    found = estimate([4.0] * 9 + [101.0])
    assert judge(row(unit="count"), found, 2.0)[0] is Verdict.FAIL
    assert judge(row(unit="count"), estimate([100.0] * 3))[0] is Verdict.PASS


def test_one_run_is_no_verdict_on_a_time() -> None:
    """Its interval would be a point."""
    assert judge(row(), estimate([1.0]))[0] is Verdict.TOO_NOISY


def test_without_a_budget_there_is_no_verdict() -> None:
    """It is shown."""
    assert judge(row(None), between(1, 2)) == (None, "shown, not gated")


@pytest.mark.requirement("K3")
@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ([Verdict.PASS, None], 0),
        ([Verdict.PASS, Verdict.FAIL, Verdict.TOO_NOISY], 1),
        ([Verdict.PASS, Verdict.TOO_NOISY], 3),
        ([Verdict.PASS, Verdict.COULD_NOT_RUN], 3),
        ([None], 3),
        ([], 3),
    ],
)
def test_exit_codes(ended: list[Verdict | None], code: int) -> None:
    """No gate at all is never green."""
    assert exit_code(ended) == code
