"""The processes that check: each takes a share of the checks and tells its results line by line."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import interruption
from .verdicts import Result
from .world import World

Emit = Callable[[Result], None]
SHARES = 2
"""Shares a process: who is done early takes another, and a process costs half a second."""


def shares(ids: Sequence[str], jobs: int, shuffle: int | None = None) -> list[list[str]]:
    """The checks dealt out evenly; in a random order, to random shares."""
    ids = list(ids)
    if shuffle is not None:
        random.Random(shuffle).shuffle(ids)
    count = min(SHARES * jobs, len(ids))
    return [ids[start::count] for start in range(count)]


@dataclass(slots=True)
class Pool:
    """Up to `jobs` processes at a time, and a queue of shares for them."""

    jobs: int
    emit: Emit
    shuffle: int | None = None
    _waiting: list[tuple[str, list[str]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def add(self, world: World, ids: Sequence[str], jobs: int) -> None:
        """Begins with these checks in `jobs` processes, or in as many as are still allowed."""
        dealt = shares(ids, jobs, self.shuffle)
        with self._lock:
            self._waiting += [(world.to_json(), share) for share in dealt]
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
        while not interruption.requested():
            with self._lock:
                if not self._waiting:
                    # Under the lock, so that `add` never counts on a thread that is leaving.
                    self._threads.remove(threading.current_thread())
                    return
                world, chosen = self._waiting.pop(0)
            self._run(world, chosen)

    def _run(self, world: str, chosen: list[str]) -> None:
        worker = subprocess.Popen(
            [sys.executable, "-m", "conformance.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C comes through `stop`
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        self._workers.append(worker)
        if interruption.requested():
            self.stop(signal.SIGINT)
        told = {"world": world, "chosen": chosen, "shuffle": self.shuffle}
        with worker:
            try:
                worker.stdin.write(json.dumps(told) + "\n")
                worker.stdin.close()
            except BrokenPipeError:
                return  # it was told to end before it began
            for line in worker.stdout:
                self.emit(Result.from_json(json.loads(line)))
