"""What an exploration found, in the shape that reports and tests use."""

from __future__ import annotations

from dataclasses import dataclass, field

from .states import MODELS

LEVELS = {
    "": "survives power loss",
    "paranoid": "survives power loss, unless a write is torn",
    "strict": "survives power loss only where the file system orders metadata",
    "journal": "survives kill only",
    "kill": "survives nothing",
    "kept": "is wrong without any crash",
}
# what a finding is about -> the profile it fails
PROFILES = {
    "kept": "store-kill",
    "kill": "store-kill",
    "race": "store-kill",
    "fault": "store-journal",
    "journal": "store-journal",
    "strict": "store-strict",
    "paranoid": "store-strict",
}


@dataclass(slots=True)
class Finding:
    """One flaw: where it shows, what it costs, and what to do."""

    model: str  # kept (no crash at all), kill, journal, strict, paranoid, fault or race
    operation: str
    symptom: str  # lost, torn, wrong, fsck, retry, unusable, dishonest, litter
    what: str
    advice: str
    calls: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    selector: str = ""  # what --state takes

    @property
    def key(self) -> tuple[str, str, str]:
        return self.operation, self.symptom, self.advice


def levels(operations: list[str], findings: list[Finding]) -> dict[str, str]:
    """What each operation survives, judged by the weakest model that has a finding about it."""
    result = {}
    order = ["kept", *MODELS]
    for operation in operations:
        bad = [f.model for f in findings if f.operation == operation and f.model in order]
        result[operation] = LEVELS[min(bad, key=order.index) if bad else ""]
    return result
