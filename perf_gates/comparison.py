"""Two results row by row: better, worse, or within what noise explains; machines side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .budgets import EXACT
from .estimates import LEAST_RUNS
from .report.document import Document
from .verdicts import NEIGHBOUR_CORES

MARGIN = 0.05
"""A size or a median that moved by less did not move, however narrow its interval."""
MACHINE: dict[str, float | None] = {
    "processor": None,
    "cores": None,
    "sha256_mb_per_s": 0.2,
    "python_ms": 0.2,
    "fsync_ms": 1.0,
}
"""What has to be alike for clocks to be compared: the same, or different by such a part at most."""
SHOWN = ("system", "python", *MACHINE, "loopback_us", "kit")


class Change(StrEnum):
    """What became of a row."""

    WORSE = "worse"
    UNTOLD = "cannot tell"
    BETTER = "better"
    WITHIN = "within noise"
    ADDED = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Compared:
    """One row of two results."""

    id: str
    change: Change
    detail: str
    old: Document | None
    new: Document | None


def differences(old: Document, new: Document) -> list[str]:
    """Why clocks of two machines cannot be compared; one sentence for each reason."""
    found = []
    for name, part in MACHINE.items():
        before, now = (document["machine"][name] for document in (old, new))
        alike = before == now
        if part is not None and not alike:
            alike = max(before, now) <= min(before, now) * (1 + part)
        if not alike:
            found.append(f"{name} was {before} and is {now}")
    return found


def compare(old: Document, new: Document) -> list[Compared]:
    """Each row of either, in the order of the new one."""
    before = {row["id"]: row for row in old["rows"]}
    now = {row["id"]: row for row in new["rows"]}
    reasons = differences(old, new)
    busy = tuple(document["neighbour_cores"] > NEIGHBOUR_CORES for document in (old, new))
    found = []
    for id in [*now, *(id for id in before if id not in now)]:
        earlier, later = before.get(id), now.get(id)
        if earlier is None:
            change, detail = Change.ADDED, ""
        elif later is None:
            change, detail = Change.GONE, ""
        else:
            change, detail = _row(earlier, later, reasons, busy)
        found.append(Compared(id, change, detail, earlier, later))
    return found


def _row(
    old: Document, new: Document, reasons: list[str], busy: tuple[bool, bool]
) -> tuple[Change, str]:
    if old["unit"] != new["unit"] or old["bound"] != new["bound"]:
        return Change.UNTOLD, f"it was in {old['unit']} and is in {new['unit']}"
    if old["median"] is None:
        return Change.ADDED, "it could not run before"
    if new["median"] is None:
        return Change.UNTOLD, new["detail"] or "it could not run"
    change = _moved(old, new)
    if is_exact(new) or change is Change.WITHIN:
        return change, ""
    if reasons:
        return Change.UNTOLD, "another machine"
    if min(old["runs"], new["runs"]) < LEAST_RUNS:
        return Change.UNTOLD, f"a clock takes {LEAST_RUNS} runs at least"
    if change is Change.WORSE and busy[1]:
        return Change.UNTOLD, "other processes were at work: stop them and run again"
    if change is Change.BETTER and busy[0]:
        return Change.WITHIN, "other processes were at work when the old one was measured"
    return change, ""


def is_exact(row: Document) -> bool:
    """Whether noise cannot touch a row: a count or a size, or a ratio of them."""
    if row["unit"] != "×":
        return row["unit"] in EXACT
    peer = row["peer"].get(row["beside"], {})
    return peer.get("unit") in EXACT


def _moved(old: Document, new: Document) -> Change:
    """How a figure moved, by the worst of its runs if it is exact, else by its interval."""
    sign = -1 if new["bound"] == "least" else 1  # more is worse, unless the budget is a floor
    if is_exact(new):
        end = "min" if new["bound"] == "least" else "max"
        before, now = sign * old[end], sign * new[end]
        allowed = 0.0 if new["unit"] == "count" else MARGIN * abs(before)
        if abs(now - before) <= allowed:
            return Change.WITHIN
        return Change.WORSE if now > before else Change.BETTER
    if abs(new["median"] - old["median"]) <= MARGIN * old["median"]:
        return Change.WITHIN
    before_low, before_high = sorted(sign * old[end] for end in ("low", "high"))
    low, high = sorted(sign * new[end] for end in ("low", "high"))
    if low > before_high:
        return Change.WORSE
    return Change.BETTER if high < before_low else Change.WITHIN


def exit_code(found: list[Compared]) -> int:
    """1 where something is worse, 3 where it cannot be told or is gone, 0 where nothing is."""
    changes = {compared.change for compared in found}
    if Change.WORSE in changes:
        return 1
    return 3 if changes & {Change.UNTOLD, Change.GONE} else 0


def machines(old: Document, new: Document) -> Iterator[tuple[str, str, str]]:
    """What the two were measured on, side by side."""
    for name in SHOWN:
        values = [str(document["machine"].get(name, "–")) for document in (old, new)]
        yield name, values[0], values[1]
    for name in ("neighbour_cores", "measured_at", "tier"):
        yield name, str(old[name]), str(new[name])
