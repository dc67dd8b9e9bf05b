"""What a check can end as, and what a whole run of them amounts to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The end of one check; only `pass` is one."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not-applicable"
    COULD_NOT_RUN = "could-not-run"
    SUITE_ERROR = "suite-error"


@dataclass(slots=True)
class Result:
    """One check's verdict, with what a reader needs to believe it."""

    id: str
    requirements: Sequence[str]
    profile: str
    verdict: Verdict
    title: str = ""
    expected: str = ""
    actual: str = ""
    detail: str = ""
    reproduce: str = ""
    ms: int = 0
    evidence: list[str] = field(default_factory=list)
    known: str = ""
    flaky: str = ""

    def as_json(self) -> dict[str, Any]:
        """This result as it stands in report.json."""
        shown = {
            "id": self.id,
            "requirements": list(self.requirements),
            "profile": self.profile,
            "verdict": str(self.verdict),
            "title": self.title,
            "expected": self.expected,
            "actual": self.actual,
            "detail": self.detail,
            "reproduce": self.reproduce,
            "ms": self.ms,
        }
        optional = {"evidence": self.evidence, "known": self.known, "flaky": self.flaky}
        return shown | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Result:
        """The result that `as_json` wrote."""
        return cls(**{**value, "verdict": Verdict(value["verdict"])})


def summary(results: Iterable[Result]) -> dict[str, int]:
    """How many checks ended as what."""
    counts = {str(verdict): 0 for verdict in Verdict}
    for result in results:
        counts[result.verdict] += 1
    return counts


def exit_code(results: Sequence[Result], stale: Sequence[str] = ()) -> int:
    """0 all applicable checks pass, 1 one failed, 3 something could not run, or nothing ran."""
    counted = [result for result in results if not result.known and not result.flaky]
    verdicts = {result.verdict for result in counted}
    if Verdict.FAIL in verdicts or stale:
        return 1
    if verdicts & {Verdict.COULD_NOT_RUN, Verdict.SUITE_ERROR}:
        return 3
    return 0 if Verdict.PASS in verdicts else 3
