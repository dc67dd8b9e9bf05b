"""`python -m perf_gates diff OLD NEW`: did anything become slower since the last release?

OLD and NEW are each a perf.json or a folder with one, or with one for each stack.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from .comparison import Change, Compared, compare, differences, exit_code, machines
from .report.document import SCHEMA, Document
from .report.numbers import number

USAGE = 2
NEEDED = {"schema", "stack", "machine", "neighbour_cores", "measured_at", "tier", "rows"}
QUIET = (Change.WITHIN, Change.ADDED)
"""Changes that are only counted unless all rows are asked for."""


class DiffError(Exception):
    """A file is no result, or two have nothing in common; the text says which."""


def load(path: Path) -> dict[str, Document]:
    """The results in a file or a folder, by their stack."""
    paths = [path]
    if path.is_dir():
        own = path / "perf.json"
        paths = [own] if own.exists() else sorted(path.glob("*.json"))
    found = {}
    for each in paths:
        try:
            document = json.loads(each.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise DiffError(f"{each}: {problem}") from None
        if not isinstance(document, dict) or not document.keys() >= NEEDED:
            raise DiffError(f"{each}: not a perf.json")
        if document.get("schema") != SCHEMA:
            raise DiffError(f"{each}: schema {document.get('schema')}, this reads {SCHEMA}")
        found[str(document["stack"])] = document
    return found


def main(words: Sequence[str]) -> int:
    """0 nothing is worse, 1 something is, 2 usage, 3 it cannot be told."""
    parser = argparse.ArgumentParser("python -m perf_gates diff", description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--all", action="store_true", help="also rows that did not move")
    arguments = parser.parse_args(words)
    try:
        before, now = load(arguments.old), load(arguments.new)
        if not (stacks := [stack for stack in now if stack in before]):
            old, new = (" and ".join(sorted(found)) or "none" for found in (before, now))
            raise DiffError(f"no stack in common: {old} before, {new} now")
    except DiffError as problem:
        print(problem, file=sys.stderr)
        return USAGE
    every = []
    for stack in stacks:
        found = compare(before[stack], now[stack])
        every += found
        print("\n".join(lines(stack, before[stack], now[stack], found, arguments.all)))
    return exit_code(every)


def lines(
    stack: str, old: Document, new: Document, found: Sequence[Compared], everything: bool
) -> Iterator[str]:
    """The machines, the rows that moved with the worst first, and how many did what."""
    yield f"{stack:18}{'old':34}new"
    for name, before, now in machines(old, new):
        yield f"  {name:16}{before:34}{now}".rstrip()
    if reasons := differences(old, new):
        yield f"clocks cannot be compared: {'; '.join(reasons)}"
    yield ""
    shown = [change for change in Change if everything or change not in QUIET]
    for change in shown:
        yield from (_line(compared) for compared in found if compared.change is change)
    counts = Counter(compared.change for compared in found)
    yield ", ".join(f"{counts[change]} {change}" for change in Change if counts[change])


def _line(compared: Compared) -> str:
    before, now = (_figure(row) for row in (compared.old, compared.new))
    moved = ""
    if before and now and compared.old and compared.new and compared.old["median"]:
        moved = f"{compared.new['median'] / compared.old['median'] - 1:+.1%}"
    detail = f"  {compared.detail}" if compared.detail else ""
    text = f"{compared.change:13}{compared.id:28}{before:>26} → {now:26}{moved:>8}{detail}"
    return text.rstrip()


def _figure(row: Document | None) -> str:
    """A median with its interval."""
    if row is None or row["median"] is None:
        return "–"
    return f"{number(row['median'])} {row['unit']} ({number(row['low'])}–{number(row['high'])})"
