"""What a person sees while bytes travel, and how long each step took."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

SECONDS_BETWEEN = 0.1
_WIDTH = 24


class Steps:
    """Milliseconds by step, in the order of the steps; one that comes again adds up."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times its body as `name`."""
        started = perf_counter()
        try:
            yield
        finally:
            self.ms[name] = round(self.ms.get(name, 0.0) + (perf_counter() - started) * 1000, 1)


class Bar:
    """Bytes that have passed, with rate and remaining time; silent unless on a terminal."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._started = self._shown = perf_counter()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def advance(self, data: bytes) -> None:
        """Takes notice of bytes that pass."""
        self._done += len(data)
        if self._terminal and perf_counter() - self._shown >= SECONDS_BETWEEN:
            self._shown = perf_counter()
            self._show(self._shown - self._started)

    def watch(self, take: Callable[[bytes], object]) -> Callable[[bytes], None]:
        """`take`, with its bytes counted."""

        def watched(data: bytes) -> None:
            take(data)
            self.advance(data)

        return watched

    def close(self) -> None:
        """Clears the line."""
        if self._terminal and self._shown > self._started:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _show(self, seconds: float) -> None:
        rate = self._done / max(seconds, 1e-6)
        text = f"{self._what} {_bytes(self._done)}"
        if self._total:
            part = min(self._done / self._total, 1.0)
            drawn = "#" * int(part * _WIDTH)
            left = max(self._total - self._done, 0) / max(rate, 1.0)
            text = f"{self._what} [{drawn:.<{_WIDTH}}] {part:4.0%} {_bytes(self._done)}"
            text += f" {_bytes(rate)}/s, {left:.0f} s left"
        else:
            text += f" {_bytes(rate)}/s"
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Bar]:
    """A bar that is gone at the end, however it comes."""
    shown = Bar(what, total)
    try:
        yield shown
    finally:
        shown.close()


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
