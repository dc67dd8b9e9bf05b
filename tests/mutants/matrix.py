"""What each mutant was flagged by, which checks flag none, and both as a table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.catalogue import Check
from conformance.verdicts import Verdict

from .mutant import Mutant
from .schedule import Ended
from .trial import function_of

BEYOND_REACH: dict[str, str] = {}
"""Checks that no flaw of the reference can reach, and why."""


def meant(mutant: Mutant, checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that a mutant is tried on: those it names, else those of its requirement.

    Of a function whose cases prove different requirements, only the cases of the mutant's.
    """
    carrying = [check for check in checks if mutant.flagged_by in check.requirements]
    if not mutant.checks:
        return tuple(carrying)
    exact = {function_of(check) for check in carrying}
    named = [check for check in checks if function_of(check) in mutant.checks]
    return tuple(c for c in named if c in carrying or function_of(c) not in exact)


def misnamed(mutant: Mutant, checks: Sequence[Check]) -> str:
    """What is wrong with the checks that a mutant names, if anything is."""
    found = meant(mutant, checks)
    functions = {function_of(check) for check in found}
    if missing := [name for name in mutant.checks if name not in functions]:
        return f"there is no check {', '.join(missing)}"
    if not any(mutant.flagged_by in check.requirements for check in found):
        return f"no check that is meant for it proves {mutant.flagged_by}"
    return ""


@dataclass(slots=True)
class Row:
    """One mutant and the functions that said FAIL about it."""

    key: str
    mutant: Mutant
    failed: list[str] = field(default_factory=list)
    problem: str = ""
    seconds: float = 0.0
    first: str = ""
    """How an earlier try ended, if this is the second."""

    @property
    def missed(self) -> list[str]:
        """The functions that should have said so and did not."""
        if self.mutant.checks:
            return [name for name in self.mutant.checks if name not in self.failed]
        return [] if self.failed else [f"any check of {self.mutant.flagged_by}"]

    @property
    def is_flagged(self) -> bool:
        """Whether the mutant was noticed by everything that is meant for it."""
        return not self.missed and not self.problem

    def __str__(self) -> str:
        by = ", ".join(name.removeprefix("test_") for name in self.failed) or "nothing"
        if self.is_flagged:
            again = "; at the second try" if self.first else ""
            return f"{self.key} [{self.mutant.flagged_by}] by {by}{again}"
        why = self.problem or f"SURVIVED {', '.join(self.missed)}"
        return f"{self.key} [{self.mutant.flagged_by}] {why} (flagged by {by})"


def row(key: str, mutant: Mutant, ended: Ended, first: str = "") -> Row:
    """What the results of a mutant's trial say."""
    failed = [function_of(one) for one in ended.results if one.verdict is Verdict.FAIL]
    other = [
        f"{result.verdict}: {result.id}: {result.detail}"
        for result in ended.results
        if result.verdict in (Verdict.COULD_NOT_RUN, Verdict.SUITE_ERROR)
    ]
    made = Row(key, mutant, list(dict.fromkeys(failed)), ended.problem, ended.seconds, first)
    if made.problem.startswith("cut off") and not made.missed:
        made.problem = ""  # it had been noticed before
    if made.missed and not made.problem and other:
        made.problem = f"SURVIVED {', '.join(made.missed)}: {other[0]}"
    return made


@dataclass(slots=True)
class Matrix:
    """The whole outcome."""

    rows: list[Row]
    checks: Collection[Check]
    complete: bool

    @property
    def flags(self) -> dict[str, list[str]]:
        """Each function with the mutants it flagged; those that flagged none included."""
        found: dict[str, list[str]] = {function_of(check): [] for check in self.checks}
        for one in self.rows:
            for name in one.failed:
                found[name].append(one.key)
        return found

    @property
    def problems(self) -> list[str]:
        """What fails the session."""
        found = [str(one) for one in self.rows if not one.is_flagged]
        if self.complete:
            found += [f"{file}: {', '.join(names)}: no mutant" for file, names in self.idle.items()]
            flags = self.flags
            found += [
                f"{name} is said to be beyond reach, and is not or is not there"
                for name in BEYOND_REACH
                if flags.get(name, [name])
            ]
        return found

    @property
    def idle(self) -> dict[str, list[str]]:
        """The functions that flag no mutant, by file."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, keys in self.flags.items():
            if not keys and name not in BEYOND_REACH:
                file, _, function = name.partition("::")
                found[file].append(function)
        return found

    def summary(self) -> str:
        """The counts."""
        flags = self.flags
        used = sum(bool(keys) for keys in flags.values())
        flagged = sum(one.is_flagged for one in self.rows)
        seconds = sum(one.seconds for one in self.rows)
        again = sum(bool(one.first) and one.is_flagged for one in self.rows)
        second = f" ({again} of them at a second try)" if again else ""
        return (
            f"{flagged} of {len(self.rows)} mutants flagged by what is meant for them{second},"
            f" {used} of {len(flags)} check functions flag one; {seconds:.0f} s of trials"
        )

    def as_json(self) -> dict[str, Any]:
        """The matrix for other programs."""
        return {
            "schema": 1,
            "summary": self.summary(),
            "mutants": [
                {
                    "name": one.key,
                    "module": one.mutant.module,
                    "flagged_by": one.mutant.flagged_by,
                    "checks": one.failed,
                    "flagged": one.is_flagged,
                    "problem": "" if one.is_flagged else str(one),
                    "first_try": one.first,
                    "inspired": one.mutant.inspired,
                    "seconds": round(one.seconds, 1),
                }
                for one in self.rows
            ],
            "checks": self.flags,
            "beyond_reach": BEYOND_REACH,
        }

    def as_markdown(self) -> Iterator[str]:
        """The matrix for people: by mutant, then by check."""
        yield f"# Kill matrix\n\n{self.summary()}.\n"
        yield "| mutant | flaw in | requirement | flagged by | seen elsewhere |\n|-|-|-|-|-|"
        for one in self.rows:
            by = ", ".join(f"`{name}`" for name in one.failed)
            seen = f"[here]({one.mutant.inspired})" if one.mutant.inspired else ""
            again = " at the second try" if one.first else ""
            shown = f"{by}{again}" if one.is_flagged else f"**{one.problem or 'survived'}** {by}"
            where = one.mutant.module.removeprefix("reference.")
            yield f"| {one.key} | `{where}` | {one.mutant.flagged_by} | {shown} | {seen} |"
        yield "\n| check | mutants |\n|-|-|"
        by_module: dict[str, list[str]] = defaultdict(list)
        for name, keys in self.flags.items():
            shown = ", ".join(keys) or BEYOND_REACH.get(name, "**none**")
            by_module[name.partition("::")[0]].append(f"| `{name}` | {shown} |")
        for lines in by_module.values():
            yield from lines

    def write(self, folder: Path) -> None:
        """Both forms, in a folder of reports."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_json(), indent=1)
        (folder / "mutants.json").write_text(text + "\n", encoding="utf-8")
        table = "\n".join(self.as_markdown())
        (folder / "mutants.md").write_text(table + "\n", encoding="utf-8")
