"""How much processor time went to processes that have nothing to do with the measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ, _STEAL = 0, 1, 2, 5, 6, 7


class Neighbours:
    """Cores that others kept busy since this was made: everything, less our own processes.

    `allies` are further roots of processes that belong to the measurement, such as containers.
    A hypervisor that takes the processor away counts as a neighbour.
    """

    def __init__(self, allies: Callable[[], Iterable[int]] = tuple) -> None:
        self._allies = allies
        self._started = self._now()

    def cores(self) -> float:
        """The mean number of cores that others used."""
        seconds, busy, ours = (
            now - then for now, then in zip(self._now(), self._started, strict=True)
        )
        return max(0.0, (busy - ours) / seconds) if seconds > 0 else 0.0

    def _now(self) -> tuple[float, float, float]:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        kinds = (_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ, _STEAL)
        busy = sum(int(fields[kind]) for kind in kinds) / _TICK
        return time.monotonic(), busy, _tree_seconds({os.getpid(), *self._allies()})


def _tree_seconds(roots: set[int]) -> float:
    """Processor seconds of some processes and all below them, those that ended included."""
    table = dict(_processes())
    total = 0
    for pid in table:
        at: int | None = pid
        while at is not None and at not in roots:
            at = table[at][0] if at in table else None
        if at is not None:
            total += table[pid][1]
    return total / _TICK


def _processes() -> Iterable[tuple[int, tuple[int, int]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue  # it ended meanwhile
            fields = stat.rpartition(")")[2].split()
            yield int(entry), (int(fields[1]), sum(map(int, fields[11:15])))
