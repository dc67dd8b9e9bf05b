"""The processes that check: each takes one after the other and tells results line by line."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from . import interruption
from .catalogue import Check
from .plugin import Suite
from .verdicts import Result
from .worker import DIED, Worker
from .world import World

Emit = Callable[[Result], None]
DEATHS = 5
"""Checks that may end their process; beyond, it is the suite that cannot run."""


def turns(checks: Sequence[Check], shuffle: int | None = None) -> list[str]:
    """The order in which checks are handed out: the long ones first, or what the dice say."""
    if shuffle is None:
        return [check.id for check in sorted(checks, key=lambda check: not check.long)]
    return random.Random(shuffle).sample([check.id for check in checks], len(checks))


@dataclass(slots=True)
class Pool:
    """`jobs` processes and queues for them: who is done with its own helps with the others."""

    suite: Suite
    jobs: int
    emit: Emit
    shuffle: int | None = None
    _queues: list[list[str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _workers: list[Worker] = field(init=False)
    _idle: list[Worker] = field(init=False)
    _deaths: int = 0

    def __post_init__(self) -> None:
        self._workers = [Worker(self.suite) for _ in range(self.jobs)]
        self._idle = [*self._workers]

    def add(self, world: World, checks: Sequence[Check], jobs: int) -> None:
        """Begins with these checks in `jobs` processes, or in as many as are still free."""
        told, dealt = world.to_json(), turns(checks, self.shuffle)
        queue = [json.dumps({"world": told, "check": id}) for id in dealt]
        with self._lock:
            self._queues.append(queue)
            for _ in range(min(sum(map(len, self._queues)), jobs, len(self._idle))):
                thread = threading.Thread(target=self._work, args=(self._idle.pop(), queue))
                self._threads.append(thread)
                thread.start()

    def join(self) -> None:
        """Waits until nothing is left to do."""
        while running := [thread for thread in self._threads if thread.is_alive()]:
            running[0].join()

    def stop(self, number: int) -> None:
        """Tells every process that the run is to end."""
        self._forget()
        for worker in self._workers:
            worker.signal(number)

    def close(self) -> None:
        """Ends the processes, once there is nothing to do for them."""
        for worker in reversed(self._workers):  # each has the pipes of those made before it
            worker.close()

    def _forget(self) -> None:
        for queue in self._queues:
            queue.clear()

    def _work(self, worker: Worker, queue: list[str]) -> None:
        while (order := self._next(worker, queue)) and self._run(worker, order):
            pass

    def _next(self, worker: Worker, queue: list[str]) -> str:
        """The next order; a process for which there is none is free again."""
        with self._lock:
            for waiting in () if interruption.requested() else (queue, *self._queues):
                with suppress(IndexError):  # it may be emptied at any moment
                    return waiting.pop(0)
            self._idle.append(worker)
            return ""

    def _run(self, worker: Worker, order: str) -> bool:
        """Whether the process can take another order."""
        try:
            print(order, file=worker.orders, flush=True)
        except BrokenPipeError:
            return False  # it was told to end
        for line in worker.results:
            if line == "\n":
                return True
            if line == DIED:
                self._deaths += 1
                if self._deaths > DEATHS:
                    self._forget()
                return True
            self.emit(Result.from_json(json.loads(line)))
        return False
