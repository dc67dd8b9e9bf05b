"""A whole run as values: what every kind of report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.catalogue import specification
from conformance.verdicts import Result, Verdict, exit_code, summary
from reference import __version__
from reference.spec import requirements

SCHEMA = 1
GROUPS = (Verdict.FAIL, Verdict.SUITE_ERROR, Verdict.COULD_NOT_RUN)
"""The verdicts that need an explanation, worst first."""


@dataclass(slots=True)
class Report:
    """The subject, the results, and what is to be said about the run itself."""

    subject: dict[str, Any]
    seed: int
    results: Sequence[Result]
    stale: Sequence[str] = ()
    left: Sequence[str] = ()
    seconds: float = 0.0
    started: str = ""
    counts: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = summary(self.results)

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return exit_code(self.results, self.stale)

    @property
    def sentence(self) -> str:
        """The run in one sentence."""
        counted = [f"{count} {name}" for name, count in self.counts.items() if count]
        if not self.counts[Verdict.PASS]:
            counted.append("no check passed")
        return ", ".join(counted) or "no check ran"

    def by_requirement(self) -> dict[str, list[Result]]:
        """The results under each requirement of the specification they prove, in its order."""
        found: dict[str, list[Result]] = {id: [] for id in specification()}
        for result in self.results:
            for id in result.requirements:
                if id in found:
                    found[id].append(result)
        return {id: results for id, results in found.items() if results}

    def as_json(self) -> dict[str, Any]:
        """report.json."""
        known = requirements.load()
        return {
            "schema": SCHEMA,
            "kit": __version__,
            "requirements": {"version": requirements.VERSION, "digest": requirements.digest(known)},
            "subject": self.subject,
            "seed": self.seed,
            "started": self.started,
            "seconds": round(self.seconds, 1),
            "summary": self.counts,
            "stale": list(self.stale),
            "left": list(self.left),
            "checks": [result.as_json() for result in self.results],
        }


def worst(results: Sequence[Result]) -> Verdict:
    """The verdict of a requirement that several checks prove."""
    order = (*GROUPS, Verdict.PASS, Verdict.NOT_APPLICABLE)
    found = {result.verdict for result in results}
    return next((verdict for verdict in order if verdict in found), Verdict.NOT_APPLICABLE)
