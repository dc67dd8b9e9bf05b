"""Looking inside a subject that allows it: its database by query, its object store by listing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .outcomes import CouldNotRun, NotApplicable
from .stored import BucketObject, StoredFile, StoredObject, bucket, files
from .subject import Subject

_DIGITS = "decode(substr($1, 8), 'hex')"
REFERENCE_QUERIES = {
    "commit_storage_uri": f"SELECT storage_uri FROM commits WHERE commit_id = {_DIGITS}",
    "snapshot_storage_uri": f"SELECT storage_uri FROM snapshots WHERE snapshot_id = {_DIGITS}",
    "blob_storage_uri": (
        "SELECT 'mpack://' || encode(mpack_id, 'hex') FROM mpack_index"
        f" WHERE blob_id = {_DIGITS} ORDER BY mpack_id"
    ),
    "jobs": "SELECT type, payload FROM jobs ORDER BY job_id",
}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What `[inspect]` of the subject file opens."""

    subject: Subject

    @property
    def has_reference_tables(self) -> bool:
        """Whether the tables are those of storage.md: no query of the subject's own is given."""
        return bool(self.subject.postgres) and not self.subject.queries

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        if not self.subject.postgres:
            raise CouldNotRun('needs [inspect] postgres = "postgresql://…" in the subject file')
        return asyncio.run(_rows(self.subject.postgres, query, arguments))

    def named(self, name: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """The rows of one of the subject file's queries, or of the reference's own."""
        queries = self.subject.queries or REFERENCE_QUERIES
        if name not in queries:
            raise CouldNotRun(f'needs [inspect.queries] {name} = "SELECT …" in the subject file')
        return self.rows(queries[name], *arguments)

    def storage_uris(self, kind: str, id: str) -> list[Any]:
        """The storage_uri of each row for a commit, snapshot or blob."""
        return [row[0] for row in self.named(f"{kind}_storage_uri", id)]

    def jobs(self) -> list[tuple[str, dict[str, Any]]]:
        """The jobs, as type and payload."""
        return [(row[0], _as_map(row[1])) for row in self.named("jobs")]

    def tables(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """A query on the reference's tables; a subject with others leaves the check aside."""
        if self.subject.postgres and not self.has_reference_tables:
            raise NotApplicable("looks into tables of storage.md, which [inspect.queries] replaces")
        return self.rows(query, *arguments)

    def objects(self) -> dict[str, int]:
        """The keys in the object store, with their sizes."""
        if not self.subject.objects:
            raise CouldNotRun('needs [inspect] objects = "file://…" or "s3://…"')
        parts = urlsplit(self.subject.objects)
        if parts.scheme == "file":
            return dict(files(Path(parts.path)))
        return dict(bucket(self.subject.objects))

    def object(self, key: str) -> StoredObject:
        """One object, for checks that damage it or take it away."""
        parts = urlsplit(self.subject.objects)
        if parts.scheme == "file":
            return StoredFile(Path(parts.path) / key)
        return BucketObject(self.subject.objects, key)


async def _rows(dsn: str, query: str, arguments: Iterable[Any]) -> list[tuple[Any, ...]]:
    import asyncpg

    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as problem:
        raise CouldNotRun(f"[inspect] postgres cannot be reached: {problem}") from None
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments, timeout=20)]
    except asyncpg.PostgresError as problem:
        raise CouldNotRun(f"[inspect] a query failed: {problem}") from None
    finally:
        await connection.close()


def _as_map(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str | bytes) else value
    return found if isinstance(found, dict) else {}
