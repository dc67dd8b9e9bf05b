"""How much an examination does: in the conformance suite, in CI, at night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .faults import MENU
from .states import MODELS


@dataclass(frozen=True, slots=True)
class Tier:
    """How much is done: the sizes of everything that could be endless."""

    states: dict[str, int]  # judged in each model
    bound: int  # pending units up to which all subsets are built
    kills: int
    faults: Sequence[tuple[int, int]]  # (n-th call, variant of the error)
    points: int  # crashes in a race
    races: int
    enough: int = 120  # bad states of a model: more of them teach nothing
    kill_at: int = 0  # only this call, when it is not 0

    def one_kill(self, number: int) -> Tier:
        return replace(self, kill_at=number)

    def one_fault(self, nth: int, variant: int) -> Tier:
        return replace(self, faults=[(nth, variant)])


# A part of the conformance suite: each flaw's likeliest states, the rest is for the other tiers.
LIGHT = Tier(
    states={"kill": 48, "journal": 42, "strict": 40, "paranoid": 10},
    bound=3,
    kills=14,
    faults=[*((nth, variant) for variant in range(2) for nth in (1, 2, 4, 6, 9)), (3, 2)],
    points=4,
    races=1,
    enough=20,
)
CI = Tier(
    states={"kill": 120, "journal": 80, "strict": 110, "paranoid": 50},
    bound=4,
    kills=34,
    faults=[
        *((nth, variant) for variant in range(2) for nth in range(1, 10)),
        *((nth, 2) for nth in range(2, 10, 3)),
        *((nth, 0) for nth in range(12, 60, 6)),
    ],
    points=8,
    races=1,
)
_VARIANTS = max(map(len, MENU.values()))
NIGHTLY = Tier(
    states=dict.fromkeys(MODELS, 4000),
    bound=8,
    kills=1000,
    faults=[(nth, variant) for nth in range(1, 80) for variant in range(_VARIANTS)],
    points=60,
    races=5,
)
