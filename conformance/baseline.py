"""Known failures with their reasons; an entry that no longer fails is stale, and that fails."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .verdicts import Result, Verdict


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
            names = (result.id, *result.requirements)
            result.flaky = next((self.flaky[name] for name in names if name in self.flaky), "")
            if result.verdict is Verdict.FAIL and not result.flaky:
                result.known = next((self.known[name] for name in names if name in self.known), "")

    def stale(self, results: Sequence[Result]) -> list[str]:
        """The known failures that ran and failed nowhere."""
        ran = [r for r in results if r.verdict in (Verdict.PASS, Verdict.FAIL)]
        touched = {name for result in ran for name in (result.id, *result.requirements)}
        failing = {
            name
            for result in ran
            if result.verdict is Verdict.FAIL
            for name in (result.id, *result.requirements)
        }
        return [name for name in self.known if name in touched and name not in failing]


def load(path: Path) -> Baseline:
    """The baseline in a TOML file of [[known]] and [[flaky]] entries with `id` and `reason`."""
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise BaselineError(f"{path}: cannot be read as TOML: {problem}") from None
    if unknown := value.keys() - {"known", "flaky"}:
        raise BaselineError(f"{path}: has only [[known]] and [[flaky]], not {sorted(unknown)}")
    return Baseline(_entries(value, "known", path), _entries(value, "flaky", path))


def _entries(value: dict[str, object], name: str, path: Path) -> dict[str, str]:
    entries = value.get(name, [])
    reasons: dict[str, str] = {}
    if not isinstance(entries, list):
        raise BaselineError(f"{path}: write [[{name}]], once for each entry")
    for entry in entries:
        match entry:
            case {"id": str(id), "reason": str(reason)} if reason.strip() and len(entry) == 2:
                reasons[id] = reason
            case _:
                raise BaselineError(f"{path}: each [[{name}]] needs an id and a reason: {entry}")
    return reasons
