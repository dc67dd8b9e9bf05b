"""Reads the checklist: rows of `| id | demand | where |` with the parts that must prove each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reference.spec.requirements import SpecificationError, is_dated

PARTS = {"C": "conformance", "T": "tests", "P": "perf_gates"}

_ID = re.compile(r"[A-Z]+_?\d+")
_PART = re.compile(r"([CTP])(?: [a-z][a-z -]*)?")
_PENDING = re.compile(r"pending (\S+)((?:,? [CTP])*): (.*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One demand, the folders whose checks must prove it, and those excused so far."""

    id: str
    demand: str
    folders: tuple[str, ...]
    pending: Mapping[str, str]
    line: int


def read(path: Path) -> list[Row]:
    """Every row of the checklist at `path`; all faults at once."""
    rows: dict[str, Row] = {}
    problems = []
    for number, cells in _table_rows(path.read_text(encoding="utf-8")):
        try:
            row = _row(number, cells)
            if row.id in rows:
                raise SpecificationError(f"{row.id} is already at line {rows[row.id].line}")
            rows[row.id] = row
        except SpecificationError as problem:
            problems.append(f"{path.name}:{number}: {problem}")
    if problems:
        raise SpecificationError("\n".join(problems))
    return list(rows.values())


def _table_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0] != "id" and not set(cells[0]) <= set("-: "):
            yield number, cells


def _row(line: int, cells: list[str]) -> Row:
    if len(cells) != 3 or not _ID.fullmatch(cells[0]) or not cells[1]:
        raise SpecificationError(f"expected `| ID | demand | where |`, found {cells}")
    id, demand, where = cells
    first, *excuses = (piece.strip() for piece in where.split(";"))
    letters = [_PART.fullmatch(piece.strip()) for piece in first.split(",")]
    folders = tuple(PARTS[match[1]] for match in letters if match)
    if len(folders) != len(letters):
        raise SpecificationError(f"{id}: expected parts C, T or P, found {first!r}")
    pending: dict[str, str] = {}
    for excuse in excuses:
        match = _PENDING.fullmatch(excuse)
        if match is None or not is_dated(f"{match[1]} {match[3]}"):
            raise SpecificationError(f"{id}: expected `pending DATE PARTS: reason`: {excuse!r}")
        excused = [PARTS[letter] for letter in re.findall("[CTP]", match[2])] or folders
        for folder in excused:
            if folder not in folders or folder in pending:
                raise SpecificationError(f"{id}: {excuse!r} excuses {folder} without need")
            pending[folder] = f"{match[1]} {match[3]}"
    return Row(id, demand, folders, pending, line)
