"""The adapter that the explorer is tried on, and how much of it a test looks at."""

from __future__ import annotations

import atexit
import py_compile
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from conformance.crash.tiers import Tier

SMALL = Tier(
    states={"kill": 120, "journal": 60, "strict": 130, "paranoid": 40},
    bound=4,
    kills=60,
    faults=[(nth, variant) for variant in range(2) for nth in (2, 4, 6, 8)],
    points=4,
    races=1,
    enough=4,
)

QUICK = Tier(
    states={"kill": 60, "journal": 40, "strict": 60, "paranoid": 20},
    bound=4,
    kills=14,
    faults=[(nth, variant) for variant in range(2) for nth in (2, 5)],
    points=3,
    races=1,
)


@cache
def compiled() -> Path:
    """The small store as byte code: it is started thousands of times."""
    folder = tempfile.mkdtemp(prefix="toy-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = Path(__file__).parent / "subjects" / "toy.py"
    target = Path(folder, "toy.pyc")
    py_compile.compile(str(source), str(target), doraise=True)
    return target


def toy(*options: str) -> list[str]:
    """The command line of the small store, with a style or a flaw."""
    return [sys.executable, "-I", "-S", str(compiled()), *options]
