"""What is known not to pass, and why; an entry that passes is stale, and that fails."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalogue import Check
from .verdicts import Result, Verdict

_EXPECTED = (Verdict.FAIL, Verdict.COULD_NOT_RUN)


class BaselineError(Exception):
    """The baseline file cannot be used."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Reasons by the id of a check or of a requirement."""

    known: dict[str, str]
    flaky: dict[str, str]

    def apply(self, results: Iterable[Result]) -> None:
        """Marks the results that are expected not to pass, and the flaky ones whatever they are."""
        for result in results:
            names = _names(result)
            result.flaky = next((self.flaky[name] for name in names if name in self.flaky), "")
            if result.verdict in _EXPECTED and not result.flaky:
                result.known = next((self.known[name] for name in names if name in self.known), "")

    def stale(self, results: Sequence[Result]) -> list[str]:
        """The entries of which everything passed that was tried."""
        passing = {name for r in results if r.verdict is Verdict.PASS for name in _names(r)}
        expected = {name for r in results if r.verdict in _EXPECTED for name in _names(r)}
        return [name for name in self.known if name in passing - expected]


def _names(of: Check | Result) -> tuple[str, ...]:
    """What an entry may say: a check, a check whatever its parameters, or what it proves."""
    return (of.id, of.id.partition("[")[0], *of.requirements)


def load(path: Path, checks: Iterable[Check]) -> Baseline:
    """The baseline in a TOML file of [[known]] and [[flaky]] entries with `id` and `reason`."""
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise BaselineError(f"{path}: cannot be read as TOML: {problem}") from None
    if unknown := value.keys() - {"known", "flaky"}:
        raise BaselineError(f"{path}: has only [[known]] and [[flaky]], not {sorted(unknown)}")
    known, flaky = _entries(value, "known", path), _entries(value, "flaky", path)
    meant = {name for check in checks for name in _names(check)}
    for name in [*known, *flaky]:
        if name not in meant:
            raise BaselineError(f"{path}: no check has the id or requirement {name}")
        if name in known and name in flaky:
            raise BaselineError(f"{path}: {name} is both known and flaky")
    return Baseline(known, flaky)


def _entries(value: dict[str, object], name: str, path: Path) -> dict[str, str]:
    entries = value.get(name, [])
    reasons: dict[str, str] = {}
    if not isinstance(entries, list):
        raise BaselineError(f"{path}: write [[{name}]], once for each entry")
    for entry in entries:
        match entry:
            case {"id": str(id), "reason": _} if id in reasons:
                raise BaselineError(f"{path}: {id} stands twice in [[{name}]]")
            case {"id": str(id), "reason": str(reason)} if reason.strip() and len(entry) == 2:
                reasons[id] = reason
            case _:
                raise BaselineError(f"{path}: each [[{name}]] needs an id and a reason: {entry}")
    return reasons
