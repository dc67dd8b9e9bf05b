"""What operators see: readiness with reasons, metrics, one line of JSON for each event."""

from __future__ import annotations

import json
import logging
import sys
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter, time

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
request_id: ContextVar[str] = ContextVar("request_id", default="-")
_log = logging.getLogger("musekit.server")


def configure_logging(quiet: bool = False) -> None:
    """Sends events to stderr, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(logging.CRITICAL if quiet else logging.INFO)


def log(event: str, **fields: object) -> None:
    """One event; never a signature, a key or a presigned URL.  [HTTP-044]"""
    if not _log.isEnabledFor(logging.INFO):
        return
    line = {"time": round(time(), 3), "request": request_id.get(), "event": event, **fields}
    _log.info("%s", json.dumps(line, default=str, separators=(",", ":")))


class Metrics:
    """Counters and histograms of this process, in Prometheus' text format."""

    def __init__(self) -> None:
        self._counters: Counter[tuple[str, str]] = Counter()
        self._sums: Counter[tuple[str, str]] = Counter()
        self._buckets: defaultdict[tuple[str, str], list[int]] = defaultdict(_empty_buckets)

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Adds to a counter."""
        self._counters[name, _labels(labels)] += amount

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Adds one duration to a histogram."""
        key = (name, _labels(labels))
        self._sums[key] += seconds  # type: ignore[assignment]  # a Counter also adds floats
        self._buckets[key][bisect_left(BUCKETS, seconds)] += 1

    @contextmanager
    def timed(self, name: str, **labels: str) -> Iterator[None]:
        """Observes how long the body takes, also when it fails."""
        started = perf_counter()
        try:
            yield
        finally:
            self.observe(name, perf_counter() - started, **labels)

    def text(self, **gauges: float) -> str:
        """Everything, and the gauges given."""
        lines = [f"# TYPE musekit_{name} gauge\nmusekit_{name} {n}" for name, n in gauges.items()]
        for name in sorted({name for name, _ in self._counters}):
            lines.append(f"# TYPE musekit_{name}_total counter")
            for (other, labels), amount in sorted(self._counters.items()):
                if other == name:
                    lines.append(f"musekit_{name}_total{_braced(labels)} {amount}")
        for name in sorted({name for name, _ in self._sums}):
            lines.append(f"# TYPE musekit_{name}_seconds histogram")
            for (other, labels), total in sorted(self._sums.items()):
                if other != name:
                    continue
                count = 0
                for bound, amount in zip(
                    (*BUCKETS, "+Inf"), self._buckets[name, labels], strict=True
                ):
                    count += amount
                    inside = _braced(",".join(filter(None, (labels, f'le="{bound}"'))))
                    lines.append(f"musekit_{name}_seconds_bucket{inside} {count}")
                lines.append(f"musekit_{name}_seconds_sum{_braced(labels)} {total:.6f}")
                lines.append(f"musekit_{name}_seconds_count{_braced(labels)} {count}")
        return "\n".join(lines) + "\n"


def _empty_buckets() -> list[int]:
    return [0] * (len(BUCKETS) + 1)


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""
