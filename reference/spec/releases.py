"""Freezes the requirements of a release, and finds what was changed since without being told.

`releases/VERSION.txt` lists each requirement of that release with the digest of its level and
text. What differs from the newest of them needs a line in CHANGELOG.md, under a later version.
`python -m reference.spec.releases` prints the file of the version in requirements.py.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reference.spec import requirements
from reference.spec.requirements import Requirement

FOLDER = "releases"
CHANGELOG = "CHANGELOG.md"

_SPEC = "reference/spec"
"""Where problems say these files are: the checkout has another CHANGELOG.md at its top."""

_SECTION = re.compile(r"## (\d+(?:\.\d+)*)\b.*")
_ENTRY = re.compile(r"- ([A-Z]+-\d{3}(?:, [A-Z]+-\d{3})*): \S.*")
_LINE = re.compile(r"([A-Z]+-\d{3}) (sha256:[0-9a-f]{64})")
_LIKE_AN_ENTRY = re.compile(r"- \W*[A-Z]+-\d")

Meanings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Release:
    """A version of the set, and what each of its requirements meant."""

    version: str
    meanings: Meanings


def order(version: str) -> tuple[int, ...]:
    """What versions are sorted by: 0.10 comes after 0.9."""
    return tuple(map(int, version.split(".")))


def meaning(item: Requirement) -> str:
    """The digest of what one requirement demands: where it is checked is not part of it."""
    return "sha256:" + hashlib.sha256(f"{item.level}\0{item.text}".encode()).hexdigest()


def meanings(items: Iterable[Requirement]) -> Meanings:
    """Each requirement's meaning by its id."""
    return {item.id: meaning(item) for item in items}


def document(version: str, items: list[Requirement]) -> str:
    """The file of a release."""
    lines = [f"{id} {digest}" for id, digest in sorted(meanings(items).items())]
    return "\n".join([f"# requirements {version}, {requirements.digest(items)}", *lines, ""])


def read(folder: Path, problems: list[str]) -> list[Release]:
    """The frozen releases of a specification, oldest first."""
    found = []
    for path in sorted((folder / FOLDER).glob("*.txt"), key=lambda path: order(path.stem)):
        lines = path.read_text(encoding="utf-8").splitlines()
        matches = [_LINE.fullmatch(line) for line in lines[1:]]
        problems += [
            f"{_SPEC}/{FOLDER}/{path.name}:{number}: expected an id and a digest"
            for number, match in enumerate(matches, 2)
            if match is None
        ]
        found.append(Release(path.stem, {match[1]: match[2] for match in matches if match}))
    return found


def told(folder: Path, problems: list[str]) -> dict[str, set[str]]:
    """The requirements that each version of the changelog speaks of."""
    path = folder / CHANGELOG
    found: dict[str, set[str]] = {}
    version = ""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _SECTION.fullmatch(line):
            version = match[1]
            found[version] = set()
        elif (match := _ENTRY.fullmatch(line)) and version:
            found[version] |= set(match[1].split(", "))
        elif _LIKE_AN_ENTRY.match(line):
            problems.append(
                f"{_SPEC}/{CHANGELOG}:{number}: expected `- PUSH-007, PUSH-009: what changed`, and"
                " a heading with a version above it"
            )
    return found


def problems_of(folder: Path, version: str, items: list[Requirement]) -> Iterator[str]:
    """What was frozen and is not as it was, and what the changelog says that is not so."""
    problems: list[str] = []
    releases, entries = read(folder, problems), told(folder, problems)
    yield from problems
    if not releases:
        return
    if version not in entries:
        yield f"{_SPEC}/{CHANGELOG}: version {version} of the requirements has no section"
    last = releases[-1]
    if order(version) < order(last.version):
        where = f"{_SPEC}/requirements.py"
        yield f"{where}: version {version} is older than the frozen {last.version}"
        return
    changed = dict(difference(last.meanings, meanings(items)))
    later = set().union(*(ids for v, ids in entries.items() if order(v) > order(last.version)))
    for id, how in changed.items():
        if version == last.version:
            yield (
                f"{id} {how}, but {version} is frozen: move VERSION in {_SPEC}/requirements.py"
                f" and say so in {_SPEC}/{CHANGELOG}"
            )
        elif id not in later:
            yield f"{id} {how} since {last.version}: say so in {_SPEC}/{CHANGELOG} under {version}"
    for id in sorted(later - changed.keys()):
        yield f"{_SPEC}/{CHANGELOG}: {id} is as it was in {last.version}: the entry is stale"


def difference(old: Meanings, new: Meanings) -> Iterator[tuple[str, str]]:
    """What happened to each requirement that is not as it was."""
    for id in sorted(old.keys() | new.keys()):
        if id not in new:
            yield id, "vanished"
        elif id not in old:
            yield id, "is new"
        elif old[id] != new[id]:
            yield id, "means something else"


if __name__ == "__main__":
    print(document(requirements.VERSION, requirements.load()), end="")
