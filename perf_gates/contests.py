"""A scenario opened for measuring: who takes part, and the runs taken in turn."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from .estimates import LEAST_RUNS
from .sources import Sources
from .stacks import Stack
from .subject import Subject

OURS = "ours"
Trial = Callable[[], Mapping[str, float]]
"""One run: what has to be in place first and whether the result is right stay outside its clocks.

It returns seconds, bytes or plain numbers by the names of measures.
"""
Samples = dict[str, dict[str, list[float]]]


@dataclass(slots=True)
class Contest:
    """The trials of one scenario by contender, ours among them; why others are absent."""

    trials: dict[str, Trial]
    absent: dict[str, str] = field(default_factory=dict)
    warm_ups: int = 1
    rotates: bool = True


@dataclass(frozen=True, slots=True)
class Bench:
    """What every scenario works with."""

    stack: Stack
    subject: Subject
    sources: Sources
    work: Path
    peers: Sequence[str] = ("git",)


Scenario = Callable[..., AbstractContextManager[Contest]]


def hold(
    contest: Contest, runs: int, seconds: float = math.inf, least: int = LEAST_RUNS
) -> Samples:
    """Runs the contenders in turn, each first as often as another; warm-ups are thrown away.

    Once `seconds` are over no run begins beyond the `least`: what is slow is run less often.
    """
    samples: Samples = defaultdict(lambda: defaultdict(list))
    names = list(contest.trials)
    deadline = time.monotonic() + seconds
    for number in range(-contest.warm_ups, runs):
        if number >= least and time.monotonic() > deadline:
            break
        turn = number % len(names) if contest.rotates else 0
        for name in (*names[turn:], *names[:turn]):
            for measure, value in contest.trials[name]().items():
                if number >= 0:
                    samples[name][measure].append(value)
    return {name: dict(measures) for name, measures in samples.items()}
