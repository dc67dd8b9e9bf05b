"""One of several processes that run checks: told on standard input, answers line by line."""

from __future__ import annotations

import json
import os
import signal
import sys

from . import interruption
from .plugin import Suite
from .verdicts import Result
from .world import World


def main() -> int:
    """Reads a world and a list of checks, runs them, writes one line of JSON a result."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: interruption.request())
    told = json.loads(sys.stdin.readline())
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as results:
        os.dup2(2, 1)  # what a check prints by accident is no result

        def emit(result: Result) -> None:
            results.write(json.dumps(result.as_json()) + "\n")
            results.flush()

        world = World.from_json(told["world"])
        try:
            Suite(world, set(told["chosen"]), emit, shuffle=told["shuffle"]).run()
        finally:
            world.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
