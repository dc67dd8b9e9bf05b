"""What a person at a terminal sees: progress while it runs, then failures, then the last lines."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TextIO

from conformance.verdicts import Result, Verdict

from .model import GROUPS, Report, worst

_COLOURS = {
    Verdict.PASS: "32",
    Verdict.FAIL: "31",
    Verdict.SUITE_ERROR: "35",
    Verdict.COULD_NOT_RUN: "33",
    Verdict.NOT_APPLICABLE: "2",
}
_SHOWN = 12
_ANY_NAME = re.compile(r"[0-9a-f]{64}|conf-[0-9a-f-]+")


class Progress:
    """A line that grows while checks end; nothing where no one watches."""

    def __init__(self, total: int, stream: TextIO = sys.stderr, quiet: bool = False) -> None:
        self.total = total
        self.results: list[Result] = []
        self._stream = stream
        self._live = stream.isatty() and not quiet
        self._drawn = 0.0

    def add(self, result: Result) -> None:
        """One more check has ended."""
        self.results.append(result)
        now = time.monotonic()
        if self._live and (now - self._drawn > 0.1 or len(self.results) == self.total):
            self._drawn = now
            self._draw(result)

    def _draw(self, result: Result) -> None:
        done, failed = len(self.results), sum(r.verdict is Verdict.FAIL for r in self.results)
        width = 24
        filled = width * done // max(1, self.total)
        bar = "█" * filled + "░" * (width - filled)
        line = f"{bar} {done}/{self.total}" + (f", {failed} failed" if failed else "")
        room = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[K" + f"{line}  {result.id}"[:room])
        self._stream.flush()

    def end(self) -> None:
        """Takes the line away."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def lines(report: Report, place: str, *, verbose: bool, quiet: bool, colour: bool) -> Iterator[str]:
    """The report for a terminal."""

    def paint(verdict: Verdict, text: str) -> str:
        return f"\x1b[{_COLOURS[verdict]}m{text}\x1b[0m" if colour else text

    if verbose:
        for id, results in report.by_requirement().items():
            verdict = worst(results)
            count = sum(result.verdict is not Verdict.NOT_APPLICABLE for result in results)
            yield f"{id:<11} {paint(verdict, f'{verdict:<15}')} {count} checks"
        yield ""
    for verdict in GROUPS:
        results = [r for r in report.results if r.verdict is verdict and not (r.known or r.flaky)]
        if results:
            yield from _group(results, paint(verdict, f"{verdict} ({len(results)})"))
    known = [r for r in report.results if r.known]
    flaky = [r for r in report.results if r.flaky]
    if known:
        yield f"known ({len(known)}), which do not count:"
        yield from (f"  {r.id}: {r.verdict}: {r.known}" for r in known)
    if flaky:
        yield f"flaky ({len(flaky)}), which do not count:"
        yield from (f"  {r.id}: {r.verdict}: {r.flaky}" for r in flaky)
    for name in report.stale:
        yield f"stale: the baseline knows that {name} does not pass, and it does: remove the entry"
    if report.left:
        yield f"left on the subject, please remove ({len(report.left)}):"
        yield from (f"  {name}" for name in report.left)
    if all(r.verdict is Verdict.NOT_APPLICABLE for r in report.results):
        yield from _nothing(report.results)
    if not quiet:
        ran = [r for r in report.results if r.verdict is not Verdict.NOT_APPLICABLE]
        profiles = dict.fromkeys(r.profile for r in ran)
        yield f"checked    {', '.join(filter(None, profiles)) or 'nothing'}"
    name, url = report.subject["name"], report.subject["url"]
    yield f"against    {name}{f' at {url}' if url not in ('', name) else ''}"
    yield f"verdict    {report.sentence} in {report.seconds:.0f} s, seed {report.seed}"
    yield f"report     {place}"


def _group(results: Sequence[Result], title: str) -> Iterator[str]:
    """Failures with their ground; those with the same ground share it."""
    yield title
    grounds: dict[str, list[Result]] = {}
    for result in results:
        ground = f"expected {result.expected}\n    got {result.actual}" if result.expected else ""
        grounds.setdefault(_ANY_NAME.sub("…", ground or result.detail), []).append(result)
    for ground, same in grounds.items():
        missing = ground.startswith("needs [")  # a line of the subject file says it all
        if len(same) > 3 or missing:
            yield f"  {len(same)} check{'s' * (len(same) > 1)}: {_names(same)}"
            yield f"    {ground}"
            yield f"    for example: {same[0].reproduce}"
            continue
        for result in same:
            yield f"  {result.id}  [{', '.join(result.requirements)}]"
            yield f"    {result.title}"
            yield f"    {ground}"
            if result.expected and result.detail and result.detail != result.title:
                yield f"    {result.detail}"
            yield from (f"    | {line[:160]}" for line in result.evidence[-3:])
            yield f"    {result.reproduce}"
    yield ""


def _nothing(results: Sequence[Result]) -> Iterator[str]:
    """Why a run checked nothing: whoever asked for one requirement learns what it belongs to."""
    grounds: dict[str, list[Result]] = {}
    for result in results:
        grounds.setdefault(result.detail, []).append(result)
    for ground, same in grounds.items():
        ids = list(dict.fromkeys(id for result in same for id in result.requirements))
        more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
        yield f"not applicable: {', '.join(ids[:_SHOWN])}{more}: {ground}"


def _names(results: Sequence[Result]) -> str:
    """Which checks, in a line: by name while they are few, else how many of each file."""
    if len(results) <= _SHOWN:
        return ", ".join(result.id for result in results)
    files = Counter(result.id.partition("/")[0] for result in results)
    return ", ".join(f"{name} ({count})" for name, count in files.items())
