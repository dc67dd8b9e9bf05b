"""`python -m conformance diff OLD.json NEW.json`: which checks changed between two runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .verdicts import Verdict

_BAD = (Verdict.FAIL, Verdict.SUITE_ERROR, Verdict.COULD_NOT_RUN)


class DiffError(Exception):
    """A file is not a report."""


def main(arguments: Sequence[str]) -> int:
    """0 when nothing got worse, 1 when something did, 2 for files that are no reports."""
    if len(arguments) != 2:
        print("usage: python -m conformance diff OLD.json NEW.json", file=sys.stderr)
        return 2
    try:
        old, new = (load(Path(name)) for name in arguments)
    except DiffError as problem:
        print(problem, file=sys.stderr)
        return 2
    for line in lines(old, new):
        print(line)
    return 1 if worse(old, new) else 0


def load(path: Path) -> dict[str, Any]:
    """A report, or the sentence that says why it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DiffError(f"{path}: cannot be read: {problem}") from None
    if not isinstance(value, dict) or value.get("schema") != 1 or "checks" not in value:
        raise DiffError(f"{path}: this is no report.json of schema 1")
    return value


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """The verdict of each check of a report."""
    return {check["id"]: check["verdict"] for check in report["checks"]}


def worse(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The checks that were fine, or absent, and are no longer."""
    before = verdicts(old)
    now = verdicts(new).items()
    return [id for id, verdict in now if verdict in _BAD and before.get(id) not in _BAD]


def lines(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What changed, worst first."""
    before, now = verdicts(old), verdicts(new)
    names = [f"{report['subject']['name']} (kit {report['kit']})" for report in (old, new)]
    yield " → ".join(names)
    bad = worse(old, new)
    changed = [id for id in now if id in before and before[id] != now[id]]
    better = [id for id in changed if before[id] in _BAD and now[id] not in _BAD]
    groups = {
        "worse": bad,
        "better": better,
        "other": [id for id in changed if id not in bad and id not in better],
        "new": [id for id in now if id not in before and id not in bad],
        "gone": [id for id in before if id not in now],
    }
    for name, ids in groups.items():
        if ids:
            yield f"{name} ({len(ids)})"
            for id in ids:
                yield f"  {id}: {before.get(id, 'absent')} → {now.get(id, 'absent')}"
    if not any(groups.values()):
        yield "no check changed"
