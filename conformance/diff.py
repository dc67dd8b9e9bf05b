"""`python -m conformance diff OLD NEW`: which checks changed between two reports or bundles."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .bundle import BundleError, load
from .verdicts import Verdict

_BAD = (Verdict.FAIL, Verdict.SUITE_ERROR, Verdict.COULD_NOT_RUN)


def main(arguments: Sequence[str]) -> int:
    """0 when nothing got worse, 1 when something did, 2 for files that are no reports."""
    parser = argparse.ArgumentParser(prog="python -m conformance diff")
    parser.add_argument("old", type=Path, help="a report.json or a signed bundle")
    parser.add_argument("new", type=Path)
    help = "a key you trust: bundles by others are refused"
    parser.add_argument("--key", action="append", default=[], help=help)
    asked = parser.parse_args(arguments)
    try:
        old, new = (load(path, asked.key) for path in (asked.old, asked.new))
    except BundleError as problem:
        print(problem, file=sys.stderr)
        return 2
    for line in lines(old, new):
        print(line)
    return 1 if worse(old, new) else 0


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """The verdict of each check of a report."""
    return {check["id"]: check["verdict"] for check in report["checks"]}


def worse(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The checks that were fine, or absent, and are no longer; or passed, and prove nothing now."""
    before, now = verdicts(old), verdicts(new)
    latest = {check["id"]: check for report in (old, new) for check in report["checks"]}
    steady = [id for id, check in latest.items() if not check.get("flaky")]
    return [id for id in steady if _is_worse(before.get(id), now.get(id))]


def _is_worse(before: str | None, now: str | None) -> bool:
    if before == Verdict.PASS:
        return now != Verdict.PASS  # nor absent, or no longer applicable: nothing is shown then
    return now in _BAD and before not in _BAD


def lines(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What changed, worst first."""
    before, now = verdicts(old), verdicts(new)
    names = [f"{report['subject']['name']} (kit {report['kit']})" for report in (old, new)]
    yield " → ".join(names)
    demanded = [report.get("requirements", {}) for report in (old, new)]
    if demanded[0] != demanded[1]:
        sets = [f"{item.get('version')} ({item.get('digest', '')[:15]}…)" for item in demanded]
        yield f"the requirements changed, so the same verdict may mean more: {' → '.join(sets)}"
    bad = worse(old, new)
    changed = [id for id in now if id in before and before[id] != now[id]]
    better = [id for id in changed if before[id] in _BAD and now[id] not in _BAD]
    groups = {
        "worse": bad,
        "better": better,
        "other": [id for id in changed if id not in bad and id not in better],
        "new": [id for id in now if id not in before and id not in bad],
        "gone": [id for id in before if id not in now and id not in bad],
    }
    for name, ids in groups.items():
        if ids:
            yield f"{name} ({len(ids)})"
            for id in ids:
                yield f"  {id}: {before.get(id, 'absent')} → {now.get(id, 'absent')}"
    if not any(groups.values()):
        yield "no check changed"
