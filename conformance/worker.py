"""A process that checks: forked with the checks it has collected, told what to do line by line."""

from __future__ import annotations

import gc
import json
import os
import signal
from dataclasses import dataclass, field
from typing import NoReturn, TextIO

from . import interruption
from .plugin import Suite
from .verdicts import Result
from .world import World

DIED = "died\n"
"""What is answered for an order over which a process ended."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Worker:
    """Orders go in, results come out: a JSON object for each, and a blank line when it is done.

    Made before the process has threads, since it forks. What is forked only waits for a child of
    its own that does the work, and makes another when that one ends over a check.
    """

    suite: Suite
    pid: int = field(init=False)
    orders: TextIO = field(init=False)
    results: TextIO = field(init=False)

    def __post_init__(self) -> None:
        taken, given = os.pipe()
        read, written = os.pipe()
        gc.freeze()  # what is there now stays, in every process, and is not looked through again
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(given)
                os.close(read)
                _keep(self.suite, taken, written)
            finally:
                os._exit(1)  # whatever happens: the rest of this program is its parent's
        os.close(taken)
        os.close(written)
        self.orders = os.fdopen(given, "w", encoding="utf-8")
        self.results = os.fdopen(read, encoding="utf-8")

    def signal(self, number: int) -> None:
        """Tells it and everything it started."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass  # it has ended

    def close(self) -> None:
        """Ends it: there are no more orders."""
        try:
            self.orders.close()
        except BrokenPipeError:
            pass  # it has ended before
        self.results.close()
        os.waitpid(self.pid, 0)


def _keep(suite: Suite, orders: int, results: int) -> NoReturn:
    os.setsid()  # the terminal's Ctrl-C comes through `signal`
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    while (child := os.fork()) and os.waitpid(child, 0)[1]:
        os.write(results, DIED.encode())
    if child == 0:
        _serve(suite, orders, results)
    os._exit(0)


def _serve(suite: Suite, orders: int, results: int) -> None:
    for number in _SIGNALS:
        signal.signal(number, lambda number, frame: interruption.request())
    silence = os.open(os.devnull, os.O_RDWR)  # what a check prints is no result
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    given = os.fdopen(orders, encoding="utf-8")
    told = os.fdopen(results, "w", encoding="utf-8", buffering=1)
    try:
        _work(suite, given, told)
    except KeyboardInterrupt:
        pass  # as somebody wants


def _work(suite: Suite, orders: TextIO, results: TextIO) -> None:
    def tell(result: Result) -> None:
        results.write(json.dumps(result.as_json()) + "\n")

    place = ""
    try:
        for line in orders:
            order = json.loads(line)
            if order["world"] != place:
                _leave(suite)
                place = order["world"]
                suite.enter(World.from_json(place), tell)
            suite.examine(order["check"])
            results.write("\n")
    finally:
        _leave(suite)


def _leave(suite: Suite) -> None:
    if suite.world is not None:
        suite.world.end()
