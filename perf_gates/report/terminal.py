"""The table on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from .document import Document
from .numbers import budget, interval, number

MARKS = {"pass": "pass", "fail": "FAIL", "too-noisy": "noisy", "could-not-run": "-", None: "shown"}


def lines(document: Document) -> Iterator[str]:
    """The machine, a row a line, what did not pass in full, and the counts."""
    yield machine(document)
    yield (
        f"{'':27}{'verdict':8}{'budget':>12}{'published':>11}{'here':>12}"
        f"  {'interval':17}{'runs':>5}  beside"
    )
    source = None
    for row in document["rows"]:
        if row["source"] != source:
            source = row["source"]
            yield f"{source}  {document['sources'].get(source, '')}"
        yield (
            f"  {row['id']:25}{MARKS[row['verdict']]:8}{budget(row):>12}"
            f"{number(row['published']):>11}{number(row['median']) + ' ' + row['unit']:>12}"
            f"  {interval(row):17}{row['runs']:>5}  {beside(row)}"
        ).rstrip()
    yield ""
    for row in document["rows"]:
        if row["verdict"] not in ("pass", None):
            yield f"{row['verdict']}: {row['id']}: {row['detail']}"
    counts = ", ".join(f"{count} {name}" for name, count in document["summary"].items() if count)
    yield f"{counts} on {document['stack']}"


def machine(document: Document) -> str:
    """One line about where this was measured."""
    found = document["machine"]
    return (
        f"{found['processor']}, {found['cores']} cores, {found['system']},"
        f" Python {found['python']}; sha256 {found['sha256_mb_per_s']:.0f} MB/s,"
        f" 100,000 loops {found['python_ms']} ms,"
        f" fsync {found['fsync_ms']} ms, loopback {found['loopback_us']} µs;"
        f" other processes used {document['neighbour_cores']} cores"
    )


def beside(row: Document) -> str:
    """Each peer's median, and how we compare."""
    parts = []
    for name, peer in row["peer"].items():
        if "median" in peer:
            parts.append(f"{name} {number(peer['median'])} {peer['unit']} ({peer['ratio']:.2f}×)")
    return ", ".join(parts)
