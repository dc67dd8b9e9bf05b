"""The rows of budgets.toml: what is measured, its budget, and the published figure beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUDGETS = Path(__file__).with_name("budgets.toml")
SCALES: dict[str, float] = {
    "s": 1.0,
    "ms": 1e-3,
    "µs": 1e-6,
    "per s": 1.0,
    "MB": 1e6,
    "KiB": 1024.0,
    "bytes": 1.0,
    "%": 0.01,
    "count": 1.0,
    "×": 1.0,
}
"""How much of what a scenario returns (seconds, bytes, plain numbers) one unit is."""
EXACT = frozenset({"MB", "KiB", "bytes", "%", "count"})
"""Units that noise does not touch: every single run has to keep the budget."""
TIERS = ("quick", "full")
STACKS = ("embedded", "containers", "external")
BOUNDS = ("most", "least")
Option = str | int


class BudgetError(Exception):
    """budgets.toml does not say what it should; the text names the row and the field."""


def requirement(*ids: str) -> frozenset[str]:
    """The rows of the checklist that a module's figures prove; `nox -s trace` reads these lines."""
    return frozenset(ids)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: where it comes from, how it is got, and what it is held against."""

    id: str
    source: str
    scenario: str
    measure: str
    what: str
    unit: str
    check: str
    options: Mapping[str, Option]
    budget: float | None = None
    published: float | None = None
    beside: str | None = None
    of: str = "ms"  # what a ratio is of
    bound: str = "most"
    tier: str = "full"
    stacks: Sequence[str] = STACKS
    runs: int | None = None
    note: str = ""

    @property
    def group(self) -> tuple[str, tuple[tuple[str, Option], ...]]:
        """Rows of one group are measured by the same runs."""
        return self.scenario, tuple(sorted(self.options.items()))

    @property
    def is_exact(self) -> bool:
        """Whether noise cannot touch this figure."""
        return (self.of if self.beside else self.unit) in EXACT


@dataclass(frozen=True, slots=True)
class Budgets:
    """All rows, and what their sources are."""

    sources: Mapping[str, str]
    rows: Sequence[Row]


_TEXTS = ("id", "source", "scenario", "measure", "what", "unit", "check")
_OPTIONAL: dict[str, tuple[type, ...]] = {
    "with": (dict,),
    "budget": (int, float),
    "published": (int, float),
    "beside": (str,),
    "of": (str,),
    "bound": (str,),
    "tier": (str,),
    "runs": (int,),
    "stacks": (list,),
    "note": (str,),
}


def load(path: Path = BUDGETS) -> Budgets:
    """The rows of a file, or one sentence for each thing that is wrong with it."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BudgetError(f"{path}: {problem}") from None
    if unknown := document.keys() - {"sources", "row"}:
        raise BudgetError(f"{path}: unknown tables: {', '.join(sorted(unknown))}")
    sources = document.get("sources", {})
    if not isinstance(sources, dict) or not all(isinstance(v, str) for v in sources.values()):
        raise BudgetError(f"{path}: [sources] maps each source's id to a text")
    problems: list[str] = []
    rows: list[Row] = []
    for number, entry in enumerate(document.get("row", []), 1):
        found = [] if isinstance(entry, dict) else ["is not a table"]
        found = found or list(_problems(entry, sources, {row.id for row in rows}))
        name = entry.get("id", f"number {number}") if isinstance(entry, dict) else number
        problems += [f"{path.name}: row {name}: {problem}" for problem in found]
        if not found:
            entry = dict(entry)
            rows.append(Row(options=entry.pop("with", {}), **entry))
    if problems:
        raise BudgetError("\n".join(problems))
    if not rows:
        raise BudgetError(f"{path}: it has no [[row]]")
    return Budgets(sources, rows)


def _problems(entry: dict[str, Any], sources: Mapping[str, str], ids: set[str]) -> list[str]:
    found = [f"{name} is missing" for name in _TEXTS if name not in entry]
    found += [f"unknown field {name}" for name in sorted(entry.keys() - {*_TEXTS, *_OPTIONAL})]
    for name in _TEXTS:
        if name in entry and (not isinstance(entry[name], str) or not entry[name]):
            found.append(f"{name} has to be a text")
    for name, types in _OPTIONAL.items():
        value = entry.get(name)
        if name in entry and (not isinstance(value, types) or isinstance(value, bool)):
            found.append(f"{name} has to be {' or '.join(t.__name__ for t in types)}")
    if found:
        return found
    if entry["id"] in ids:
        found.append("there is an earlier row with this id")
    if entry["source"] not in sources:
        found.append(f"source {entry['source']} is not in [sources]")
    for name, allowed in (("unit", SCALES), ("of", SCALES), ("tier", TIERS), ("bound", BOUNDS)):
        if name in entry and entry[name] not in allowed:
            found.append(f"{name} {entry[name]!r} is none of {', '.join(allowed)}")
    if (entry["unit"] == "×") != ("beside" in entry):
        found.append("a ratio has the unit × and says what it is taken beside, and only a ratio")
    if not entry.get("stacks", STACKS) or not set(entry.get("stacks", STACKS)) <= set(STACKS):
        found.append(f"stacks has to name some of {', '.join(STACKS)}")
    for name in ("budget", "published", "runs"):
        if entry.get(name, 1) < 0 or (name == "runs" and entry.get(name, 1) < 1):
            found.append(f"{name} has to be positive")
    return found
