"""Reads the numbered requirements out of the specification's pages.

A requirement is a paragraph: `[ID-003] MUST – text`, wrapped as it likes until a blank line, then
optional lines `profile: NAME`, `pending: YYYY-MM-DD reason` and `excluded: reason`.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

VERSION = "0.2"  # of the set of requirements: moves with every change of its digest

TOPICS = {
    "identity": "ID",
    "records": "REC",
    "snapshots": "SNAP",
    "mpack": "MPACK",
    "http": "HTTP",
    "auth": "AUTH",
    "push": "PUSH",
    "fetch": "FETCH",
    "storage": "STORAGE",
    "jobs": "JOB",
    "store": "STORE",
    "durability": "DUR",
}
PROFILES = (
    "core-wire",
    "push",
    "fetch",
    "auth",
    "storage-blob-only",
    "cache",
    "crash-server",
    "store-kill",
    "store-journal",
    "store-strict",
    "legacy-names",
)
ATTRIBUTES = ("profile", "pending", "excluded")

_FIRST_LINE = re.compile(r"\[([A-Z]+)-(\d{3})\] (MUST NOT|MUST|SHOULD|MAY) – (\S.*)")
_OPENING = re.compile(r"\W*\[[A-Za-z]+-\d*\]")  # looks as if it were meant to be a first line
_BURIED = re.compile(r"\[[A-Z]+-\d+\] (?:MUST|SHOULD|MAY)\b")
_ATTRIBUTE = re.compile(rf"({'|'.join(ATTRIBUTES)}):\s*(.*)")
_FENCE = re.compile(r"`{3,}|~{3,}")
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2}) \S.*")


class SpecificationError(ValueError):
    """The specification's pages break their own format; one line a problem, as `file:line: …`."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One numbered demand, as the specification states it."""

    id: str
    topic: str
    level: str
    text: str
    pending: str | None
    excluded: str | None
    profile: str | None
    file: str
    line: int

    @property
    def is_must(self) -> bool:
        """Whether an implementation that breaks it does not conform."""
        return self.level.startswith("MUST")


def load(folder: Path | None = None) -> list[Requirement]:
    """Every requirement of the pages in `folder`, in the order of the pages; all faults at once."""
    folder = folder or Path(__file__).parent
    problems: list[str] = []
    found: dict[str, Requirement] = {}
    order = list(TOPICS)
    pages = sorted(
        folder.glob("*.md"),
        key=lambda page: (order.index(page.stem) if page.stem in TOPICS else len(order), page.stem),
    )
    for page in pages:
        for requirement in _read_page(page, problems):
            if (first := found.setdefault(requirement.id, requirement)) is not requirement:
                at = f"{requirement.file}:{requirement.line}"
                problems.append(f"{at}: {requirement.id} is already at {first.file}:{first.line}")
    if problems:
        raise SpecificationError("\n".join(problems))
    _refuse_gaps(found)
    return list(found.values())


def digest(requirements: Iterable[Requirement]) -> str:
    """The identity of what is demanded: ids, levels and texts, not where each is checked."""
    lines = sorted(f"{item.id}\0{item.level}\0{item.text}\n" for item in requirements)
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _refuse_gaps(found: Collection[str]) -> None:
    for topic, prefix in TOPICS.items():
        numbers = {int(id.rpartition("-")[2]) for id in found if id.startswith(f"{prefix}-")}
        if gaps := set(range(1, max(numbers, default=0))) - numbers:
            raise SpecificationError(
                f"{topic}.md: {prefix}-{min(gaps):03} is missing; a requirement that is withdrawn"
                " keeps its line, with `excluded: withdrawn, …`"
            )


def _read_page(page: Path, problems: list[str]) -> Iterator[Requirement]:
    for line, paragraph in _paragraphs(page.read_text(encoding="utf-8")):
        for offset, text in enumerate(paragraph[1:], 1):
            if _BURIED.match(text):
                problems.append(f"{page.name}:{line + offset}: a blank line is missing before this")
        if not _OPENING.match(paragraph[0]):
            continue
        try:
            yield _requirement(page, line, paragraph)
        except SpecificationError as problem:
            problems.append(f"{page.name}:{line}: {problem}")


def _paragraphs(text: str) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between blank lines, with the number of the first; fenced blocks left out."""
    fence = ""
    start, lines = 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        words = line.strip()
        if fence:
            fence = "" if words.startswith(fence) and not words.strip(fence[0]) else fence
            words = ""
        elif mark := _FENCE.match(words):
            fence = mark[0]
            words = ""
        if words:
            start = start if lines else number
            lines.append(line.rstrip())
        elif lines:
            yield start, lines
            lines = []


def _requirement(page: Path, line: int, paragraph: list[str]) -> Requirement:
    match = _FIRST_LINE.fullmatch(paragraph[0])
    if match is None:
        raise SpecificationError(
            "expected `[PREFIX-001] MUST – text` (or MUST NOT, SHOULD, MAY; an en dash, from the"
            f" line's start), found {paragraph[0][:60]!r}"
        )
    prefix, number, level, first_words = match.groups()
    if TOPICS.get(page.stem) != prefix:
        expected = TOPICS.get(page.stem)
        raise SpecificationError(
            f"{prefix}-{number} does not belong here: "
            + (f"this page's ids begin with {expected}-" if expected else "no topic of this name")
        )
    words = [first_words]
    attributes: dict[str, str] = {}
    for text in paragraph[1:]:
        if match := _ATTRIBUTE.fullmatch(text):
            if match[1] in attributes:
                raise SpecificationError(f"{prefix}-{number} has two lines `{match[1]}:`")
            attributes[match[1]] = _checked(match[1], match[2])
        elif attributes:
            raise SpecificationError(
                f"{prefix}-{number} goes on after its attributes: {text[:60]!r}"
            )
        else:
            words.append(text.strip())
    if "pending" in attributes and "excluded" in attributes:
        raise SpecificationError(f"{prefix}-{number} is both pending and excluded")
    return Requirement(
        id=f"{prefix}-{number}",
        topic=page.stem,
        level=level,
        text=" ".join(words),
        pending=attributes.get("pending"),
        excluded=attributes.get("excluded"),
        profile=attributes.get("profile"),
        file=page.name,
        line=line,
    )


def _checked(attribute: str, value: str) -> str:
    if not value.strip():
        raise SpecificationError(f"`{attribute}:` is empty")
    if attribute == "profile" and value not in PROFILES:
        raise SpecificationError(f"unknown profile {value!r}; one of {', '.join(PROFILES)}")
    if attribute == "pending" and not is_dated(value):
        raise SpecificationError(f"`pending:` wants YYYY-MM-DD and a reason, found {value!r}")
    return value


def is_dated(text: str) -> bool:
    """Whether `text` is a real date and, after one space, a reason."""
    match = _DATED.fullmatch(text)
    if match is None:
        return False
    try:
        date.fromisoformat(match[1])
    except ValueError:
        return False
    return True
