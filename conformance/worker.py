"""One of several processes that run checks: told on standard input, answers line by line."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import TextIO

import pytest

from . import interruption
from .plugin import WORLD, Suite
from .verdicts import Result
from .world import World


class Served(Suite):
    """Collects once, then runs the check of each order; a blank line says that it is done."""

    def __init__(self, orders: Iterable[str], results: TextIO) -> None:
        super().__init__(emit=self._answer)
        self._orders = orders
        self._results = results
        self._place = ""

    @property
    def lists(self) -> bool:
        """Never: the worlds come with the orders."""
        return False

    def run(self) -> int:
        """Until there are no more orders; pytest's exit code."""
        try:
            return super().run()
        finally:
            self._leave()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own order, ours."""
        items = dict(zip((check.id for check in self.checks), session.items, strict=True))
        for line in self._orders:
            order = json.loads(line)
            self._enter(order["world"], session.config)
            item = items[order["check"]]
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            self._write("")
        return True

    def _enter(self, world: str, config: pytest.Config) -> None:
        if world == self._place:
            return
        self._leave()
        self._place, self.world = world, World.from_json(world)
        config.stash[WORLD] = self.world

    def _leave(self) -> None:
        if self.world is not None:
            self.world.end()

    def _answer(self, result: Result) -> None:
        self._write(json.dumps(result.as_json()))

    def _write(self, line: str) -> None:
        self._results.write(line + "\n")
        self._results.flush()


def main() -> int:
    """Reads orders, a world and a check each, and writes one line of JSON a result."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: interruption.request())
    # Both under other numbers: pytest takes 0 and 1, and what a check prints is no result.
    with os.fdopen(os.dup(0)) as orders, os.fdopen(os.dup(1), "w", encoding="utf-8") as results:
        os.dup2(2, 1)
        Served(orders, results).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
