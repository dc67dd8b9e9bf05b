"""The processes that check: each takes one after the other and tells results line by line."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from . import interruption
from .catalogue import Check
from .verdicts import Result
from .world import World

Emit = Callable[[Result], None]
Worker = subprocess.Popen[str]
DEATHS = 5
"""Processes that may end over a check; beyond, it is the suite that cannot run."""


def turns(checks: Sequence[Check], shuffle: int | None = None) -> list[str]:
    """The order in which checks are handed out: the long ones first, or what the dice say."""
    if shuffle is None:
        return [check.id for check in sorted(checks, key=lambda check: not check.long)]
    return random.Random(shuffle).sample([check.id for check in checks], len(checks))


@dataclass(slots=True)
class Pool:
    """Up to `jobs` processes at a time, and a queue for them: who is done takes the next."""

    jobs: int
    emit: Emit
    shuffle: int | None = None
    _waiting: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _workers: list[Worker] = field(default_factory=list)
    _deaths: int = 0

    def add(self, world: World, checks: Sequence[Check], jobs: int) -> None:
        """Begins with these checks in `jobs` processes, or in as many as are still allowed."""
        told, dealt = world.to_json(), turns(checks, self.shuffle)
        with self._lock:
            self._waiting += [json.dumps({"world": told, "check": id}) for id in dealt]
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            for _ in range(min(len(dealt), jobs, self.jobs - len(self._threads))):
                thread = threading.Thread(target=self._work)
                self._threads.append(thread)
                thread.start()

    def join(self) -> None:
        """Waits until nothing is left to do."""
        while running := [thread for thread in self._threads if thread.is_alive()]:
            running[0].join()

    def stop(self, number: int) -> None:
        """Tells every process that the run is to end."""
        self._waiting.clear()
        for worker in self._workers:
            if worker.poll() is None:
                os.killpg(worker.pid, number)

    def _work(self) -> None:
        while order := self._next(leaving=True):
            with self._start() as worker:
                while order and self._run(worker, order):
                    order = self._next()

    def _next(self, *, leaving: bool = False) -> str:
        """The next order, if there is one."""
        with self._lock:
            if self._waiting and not interruption.requested():
                return self._waiting.pop(0)
            if leaving:  # under the lock, so that `add` never counts on a thread that does
                self._threads.remove(threading.current_thread())
            return ""

    def _start(self) -> Worker:
        worker = subprocess.Popen(
            [sys.executable, "-m", "conformance.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C comes through `stop`
        )
        self._workers.append(worker)
        if interruption.requested():
            self.stop(signal.SIGINT)
        return worker

    def _run(self, worker: Worker, order: str) -> bool:
        """Whether the process carried out the order, or ended over it."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(order + "\n")
            worker.stdin.flush()
            for line in worker.stdout:
                if line == "\n":
                    return True
                self.emit(Result.from_json(json.loads(line)))
        except BrokenPipeError:  # it has ended, or was told to before it began
            with suppress(BrokenPipeError):  # of what it did not read
                worker.stdin.close()
        self._deaths += 1
        if self._deaths > DEATHS:
            self._waiting.clear()
        return False
