"""What an exploration found, in the shape that reports and tests use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .states import MODELS

LEVELS = {
    "": "survives power loss",
    "paranoid": "survives power loss, unless a write is torn",
    "strict": "survives power loss only where the file system orders metadata",
    "journal": "survives kill only",
    "kill": "survives nothing",
}
# what a finding is about -> the profile it fails
PROFILES = {
    "kill": "store-kill",
    "race": "store-kill",
    "killed": "store-strict",
    "fault": "store-journal",
    "journal": "store-journal",
    "strict": "store-strict",
    "paranoid": "store-strict",
}


@dataclass(slots=True)
class Finding:
    """One flaw: where it shows, what it costs, and what to do."""

    model: str  # kill, journal, strict, paranoid, fault or race
    operation: str
    symptom: str  # lost, torn, wrong, fsck, retry, unusable, dishonest, litter
    what: str  # what was seen
    flaw: str  # what is missing, in words
    where: str = ""
    calls: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    reproduce: str = ""  # options to add to the command
    part: str = ""  # the part of the examination that found it, if not named as the model

    def __post_init__(self) -> None:
        self.part = self.part or self.model


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each flaw of each operation: the first, which is the weakest model's."""
    kept: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.operation, finding.flaw), finding)
    return list(kept.values())


def levels(
    operations: Iterable[str], findings: Iterable[Finding], harmed: Mapping[str, set[str]]
) -> dict[str, str]:
    """What each operation survives: the weakest model in which it, or what it promised, was bad."""
    known, result = list(findings), {}
    for operation in operations:
        bad = [f.model for f in known if f.operation == operation and f.model in MODELS]
        bad += harmed.get(operation, set())
        result[operation] = LEVELS[min(bad, key=MODELS.index) if bad else ""]
    return result
