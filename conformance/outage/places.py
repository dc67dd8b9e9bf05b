"""Where a server keeps what it promised, as far as its subject file shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conformance.inspection import Inspection
from conformance.outcomes import CouldNotRun


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of this machine that the server's processes write to."""

    name: str
    folder: Path


def places(inspect: Inspection) -> list[Place]:
    """The object store's folder and the database's, where both are here; else nothing is known.

    One alone would hide what happens in the other: then every file counts that is written to.
    """
    parts = urlsplit(inspect.subject.objects)
    if parts.scheme != "file" or not inspect.subject.postgres:
        return []
    try:
        [(database,)] = inspect.rows("SHOW data_directory")
    except CouldNotRun:
        return []
    found = [Place("objects", Path(parts.path)), Place("database", Path(str(database)))]
    return [Place(place.name, place.folder.resolve()) for place in found if place.folder.is_dir()]
