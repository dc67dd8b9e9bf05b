"""The golden vectors of the kit: texts, requests and packs with the one right answer to each."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import fixtures

FOLDER = Path(fixtures.__file__).parent / "vectors"


@cache
def table(name: str) -> Any:
    """A file of vectors, by its path without `.json`."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def accepted(kind: str) -> list[str]:
    """The texts that are ids, paths or branches."""
    return list(table("ids/texts")[kind]["accepted"])


def refused(kind: str) -> list[str]:
    """The texts that are not."""
    return list(table("ids/texts")[kind]["refused"])


def attacks(requirement: str) -> list[dict[str, Any]]:
    """The hostile packs that break a requirement and need no lowered limit."""
    rows: list[dict[str, Any]] = table("hostile/table")
    found = [row for row in rows if row["requirement"] == requirement and "limits" not in row]
    if not found:
        raise LookupError(f"no hostile pack breaks {requirement}")
    return found


def pack(name: str) -> bytes:
    """The bytes of a pack."""
    return bytes((FOLDER / f"{name}.mpack").read_bytes())


def hostile(row: dict[str, Any]) -> bytes:
    """The bytes of a hostile pack."""
    return bytes((FOLDER / "hostile" / row["file"]).read_bytes())
