"""The adapter that the explorer is tried on, and how much of it a test looks at."""

from __future__ import annotations

import sys
from pathlib import Path

from conformance.crash.examine import Tier

TOY = Path(__file__).parent / "subjects" / "toy.py"
SMALL = Tier(
    states={"kill": 120, "journal": 60, "strict": 60, "paranoid": 40},
    bound=4,
    kills=60,
    faults=[(nth, variant) for variant in range(2) for nth in (2, 4, 6, 8)],
    points=4,
    races=1,
    enough=1,
)


def toy(*options: str) -> list[str]:
    """The command line of the small store, with a style or a flaw."""
    return [sys.executable, "-I", "-S", str(TOY), *options]
