"""Follows each requirement to its checks and mutants, and each row of the checklist to its checks.

Fails on a MUST that nothing checks, a row without proof, a claim to an unknown id, an excuse that
has outlived its reason, and a frozen requirement that changed without a word in the changelog.
Run as `nox -s trace`, or `python -m reference.spec.trace`.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reference.spec import checklist, releases, requirements
from reference.spec.checklist import PARTS, Row
from reference.spec.marks import Mark, find_checks, find_mutants
from reference.spec.requirements import Requirement

MUTANTS = "tests/mutants"


@dataclass(frozen=True, slots=True)
class Trace:
    """What is demanded, who claims to prove it, and everything that does not add up."""

    requirements: Sequence[Requirement]
    rows: Sequence[Row]
    checks: Sequence[Mark]
    mutants: Sequence[Mark]
    problems: Sequence[str]


def trace(root: Path) -> Trace:
    """Read the specification, the checklist and every check of the checkout at `root`."""
    folder = root / "reference" / "spec"
    demands = requirements.load(folder)
    rows = checklist.read(folder / "checklist.md")
    problems: list[str] = []
    checks = [mark for part in PARTS.values() for mark in find_checks(root, part, problems)]
    mutants = find_mutants(root, MUTANTS, problems)
    known = {demand.id for demand in demands} | {row.id for row in rows}
    problems += [
        f"{mark.name}: {mark.id} is neither a requirement nor a row of the checklist"
        for mark in (*checks, *mutants)
        if mark.id not in known
    ]
    for demand in demands:
        problems += _requirement_problems(demand, _names(checks, demand.id))
    for row in rows:
        problems += _row_problems(row, [mark for mark in checks if mark.id == row.id])
    problems += releases.problems_of(folder, requirements.VERSION, demands)
    return Trace(demands, rows, checks, mutants, problems)


def _names(marks: Sequence[Mark], id: str) -> list[str]:
    return list(dict.fromkeys(mark.name for mark in marks if mark.id == id))


def _requirement_problems(demand: Requirement, checks: list[str]) -> Iterator[str]:
    at = f"{demand.file}:{demand.line}: {demand.id}"
    excuse = "pending" if demand.pending else "excluded" if demand.excluded else None
    if checks and excuse:
        yield f"{at} is checked by {checks[0]}: its `{excuse}:` is stale"
    if demand.is_must and not checks and not excuse:
        yield f"{at} is a {demand.level} that nothing checks; add a check, or `pending:` and why"


def _row_problems(row: Row, marks: list[Mark]) -> Iterator[str]:
    at = f"checklist.md:{row.line}: {row.id}"
    for folder in row.folders:
        checks = [mark.name for mark in marks if mark.folder == folder]
        if checks and folder in row.pending:
            yield f"{at} is checked by {checks[0]}: its `pending` for {folder} is stale"
        if not checks and folder not in row.pending:
            yield f"{at} has no check in {folder}; add one, or `pending` and why"


def report(result: Trace) -> Iterator[str]:
    """The trace line by line: requirements, checklist, counts, problems."""
    for demand in result.requirements:
        yield f"{demand.id:<11}  {demand.level:<8}  {demand.text}"
        for name in _names(result.checks, demand.id):
            yield f"{'':13}check     {name}"
        for name in _names(result.mutants, demand.id):
            yield f"{'':13}mutant    {name}"
        for excuse, reason in (("pending", demand.pending), ("excluded", demand.excluded)):
            if reason:
                yield f"{'':13}{excuse:<8}  {reason}"
    yield ""
    for row in result.rows:
        yield f"{row.id:<11}  {row.demand}"
        for name in _names(result.checks, row.id):
            yield f"{'':13}check     {name}"
        for folder, reason in row.pending.items():
            yield f"{'':13}pending   {folder}: {reason}"
    yield ""
    yield from summary(result)
    yield from (f"problem: {problem}" for problem in result.problems)


def summary(result: Trace) -> Iterator[str]:
    """The counts that tell how far the proof has come."""
    checked = {mark.id for mark in result.checks}
    outside = {mark.id for mark in result.checks if mark.folder == PARTS["C"]}
    musts = [item for item in result.requirements if item.is_must]
    unseen = [item for item in musts if item.profile and item.id not in outside]
    proven = [row for row in result.rows if row.id in checked and not row.pending]
    yield f"requirements {requirements.VERSION}, {requirements.digest(result.requirements)}"
    yield (
        f"{len(result.requirements)} requirements, {len(musts)} binding:"
        f" {sum(item.id in checked for item in musts)} checked,"
        f" {sum(bool(item.pending) for item in musts)} pending,"
        f" {sum(bool(item.excluded) for item in musts)} excluded;"
        f" {len(unseen)} with a profile have no check in conformance yet"
    )
    yield (
        f"{len(result.rows)} rows of the checklist: {len(proven)} proven,"
        f" {len(result.rows) - len(proven)} not in every part"
    )
    yield (
        f"{len({mark.name for mark in result.checks})} proofs,"
        f" {len({mark.name for mark in result.mutants})} mutants, {len(result.problems)} problems"
    )


def main() -> int:
    """Print the trace of this checkout; 1 when anything does not add up."""
    try:
        result = trace(Path(__file__).parents[2])
    except requirements.SpecificationError as problem:
        print(problem, file=sys.stderr)
        return 1
    for line in report(result):
        print(line)
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
