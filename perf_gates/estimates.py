"""From samples to a median with its interval; seeded, so the same samples give the same verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 1031
LEAST_RUNS = 3
"""Fewer runs give no interval worth its name."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The median of some runs, and where it would lie if they were made again."""

    median: float
    low: float
    high: float
    least: float
    most: float
    runs: int

    def scaled(self, unit: float) -> Estimate:
        """The same in another unit."""
        return Estimate(
            self.median / unit,
            self.low / unit,
            self.high / unit,
            self.least / unit,
            self.most / unit,
            self.runs,
        )


def estimate(samples: Sequence[float]) -> Estimate:
    """The median of samples with its bootstrap interval."""
    dice = Random(SEED)
    medians = [median(dice.choices(samples, k=len(samples))) for _ in range(RESAMPLES)]
    return _summary(samples, median(samples), medians)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Our median over theirs; rounds are resampled as pairs, for a slow round slows both."""
    pairs = list(zip(ours, theirs, strict=True))
    dice = Random(SEED)
    quotients = []
    for _ in range(RESAMPLES):
        drawn = dice.choices(pairs, k=len(pairs))
        quotients.append(median(a for a, _ in drawn) / median(b for _, b in drawn))
    return _summary([a / b for a, b in pairs], median(ours) / median(theirs), quotients)


def _summary(samples: Sequence[float], middle: float, resampled: list[float]) -> Estimate:
    resampled.sort()
    cut = round(len(resampled) * (1 - CONFIDENCE) / 2)
    low, high = resampled[cut], resampled[-cut - 1]
    return Estimate(middle, low, high, min(samples), max(samples), len(samples))
