"""The one transaction of a push: rows, pack, branch and jobs, all of them or none.  [PUSH-011]"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import asyncpg

from reference.wire.errors import ProtocolError
from reference.wire.ids import from_raw, to_raw
from reference.wire.pack import Pack

from . import history, rows
from .rows import Table
from .service import GC_LOCK, Repo, derived_id

if TYPE_CHECKING:
    from .database import Connection

JOB_PRIORITY = 10
JOB_CHANNEL = "musekit_jobs"
MakeTable = Callable[[], Table]


async def begin_adding(db: Connection) -> None:
    """Keeps collection off what this transaction adds to the object store."""
    await db.execute("SELECT pg_advisory_xact_lock_shared($1)", GC_LOCK)


async def begin(db: Connection, repo: Repo) -> None:
    """Takes the repository for this transaction, and keeps collection off what it adds."""
    found = await db.execute(
        "SELECT pg_advisory_xact_lock_shared($1) FROM repos WHERE repo_id = $2 FOR NO KEY UPDATE",
        GC_LOCK,
        repo.raw,
    )
    if _count(found) != 1:
        raise ProtocolError("unknown_repo", "the repository was deleted meanwhile")


class PackTables:
    """The rows that a verified pack adds; what two tables share is computed once."""

    def __init__(self, repo: Repo, key: str, contents: Pack, last: int = 0) -> None:
        self._repo = repo.raw
        self._last = last
        self._key = to_raw(key)
        self._contents = contents

    @cached_property
    def _raws(self) -> list[bytes]:
        return list(map(to_raw, self._contents.blob_ids))

    @cached_property
    def _places(self) -> dict[bytes, bytes]:
        return rows.places(self._contents, self._raws)

    @cached_property
    def _blobs(self) -> list[bytes]:
        return sorted(set(self._raws))

    @cached_property
    def snapshot_ids(self) -> list[bytes]:
        """The ids of the pack's snapshots, in order."""
        return history.raws({record["snapshot_id"] for record in self._contents.snapshots})

    def blobs(self, is_indexed: bool = False) -> list[MakeTable]:
        """Where each blob lies, unless that is known, and that this repository has it."""
        tables = [
            lambda: rows.index(self._key, self._places, self._blobs),
            lambda: rows.references("object_refs", "blob_id", self._repo, self._blobs, self._last),
        ]
        return tables[is_indexed:]

    def all(self, is_indexed: bool = False, there: Collection[str] = ()) -> list[MakeTable]:
        """Blobs, snapshots and commits; without what all repositories share and is there."""
        ids, snapshots = self.snapshot_ids, self._contents.snapshots
        fresh = [record for record in snapshots if record["snapshot_id"] not in there]
        return [
            *self.blobs(is_indexed),
            lambda: rows.snapshots(fresh),
            lambda: rows.references("snapshot_refs", "snapshot_id", self._repo, ids, self._last),
            lambda: rows.commits(self._repo, self._contents.commits, self._last),
        ]


async def shared(db: Connection, key: str, snapshot_ids: Sequence[bytes]) -> tuple[bool, set[str]]:
    """Whether the index has all of the pack, and which of its snapshots are there.

    To copy what is there costs more than the rest: a copy that fails, then one around it.
    """
    row = await db.fetchrow(
        "SELECT (SELECT p.blobs = (SELECT count(*) FROM mpack_index WHERE mpack_id = $1)"
        " FROM mpacks p WHERE mpack_id = $1) AS is_indexed,"
        " ARRAY(SELECT snapshot_id FROM snapshots WHERE snapshot_id = ANY($2)) AS there",
        to_raw(key),
        snapshot_ids,
    )
    assert row is not None
    return bool(row["is_indexed"]), set(map(from_raw, row["there"]))


async def copy(db: Connection, tables: Sequence[MakeTable]) -> dict[str, int]:
    """Copies rows straight into their tables; where one is there already, around it.

    The next table is made while the database takes the last one.
    """
    loop = asyncio.get_running_loop()
    maker = ThreadPoolExecutor(1, "rows")
    made = [loop.run_in_executor(maker, table) for table in tables]
    maker.shutdown(wait=False)
    try:
        async with db.transaction():
            return {(table := await rows_)[0]: await _copy(db, *table) for rows_ in made}
    except asyncpg.UniqueViolationError:
        return {(table := await rows_)[0]: await _copy_around(db, *table) for rows_ in made}


async def _copy(db: Connection, table: str, columns: tuple[str, ...], data: bytes) -> int:
    async def once() -> AsyncIterator[bytes]:
        yield data

    status = await db.copy_to_table(table, source=once(), columns=columns, format="binary")
    return _count(status)


async def _copy_around(db: Connection, table: str, columns: tuple[str, ...], data: bytes) -> int:
    fresh = f"fresh_{table}"
    names = ", ".join(f'"{column}"' for column in columns)
    await db.execute(f"CREATE TEMP TABLE {fresh} (LIKE {table}) ON COMMIT DROP")
    await _copy(db, fresh, columns, data)
    return _count(
        await db.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {fresh} ORDER BY 1, 2"
            " ON CONFLICT DO NOTHING"
        )
    )


def _count(status: str) -> int:
    """How many rows a statement wrote, as its status says."""
    return int(status.rpartition(" ")[2])


async def add_pack(db: Connection, repo: Repo, key: str, contents: Pack, form: str) -> None:
    """The rows that say that this repository accepted this pack."""
    await db.execute(
        "WITH pack AS (INSERT INTO mpacks (mpack_id, size_bytes, form, blobs)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING)"
        " INSERT INTO mpack_refs (mpack_id, repo_id) VALUES ($1, $5) ON CONFLICT DO NOTHING",
        to_raw(key),
        contents.size,
        form,
        len(set(contents.blob_ids)),
        repo.raw,
    )


async def move_branch(
    db: Connection, repo: Repo, branch: str, expected: str | None, head: str
) -> None:
    """Moves a branch by compare-and-swap, or makes it; else `ref_moved`.  [PUSH-012]"""
    if expected is not None:
        status = await db.execute(
            "UPDATE branches SET head_commit_id = $4, updated_at = now()"
            " WHERE repo_id = $1 AND name = $2 AND head_commit_id = $3",
            repo.raw,
            branch,
            to_raw(expected),
            to_raw(head),
        )
    else:
        status = await db.execute(
            "WITH first AS (UPDATE repos SET default_branch = $3 WHERE repo_id = $2"
            " AND NOT EXISTS (SELECT FROM branches WHERE repo_id = $2))"
            " INSERT INTO branches (branch_id, repo_id, name, head_commit_id)"
            " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            to_raw(derived_id("branch", repo.id, branch)),
            repo.raw,
            branch,
            to_raw(head),
        )
    if _count(status) != 1:
        raise ProtocolError("ref_moved", f"{branch} was moved by somebody else meanwhile")


async def enqueue_push_jobs(db: Connection, repo: Repo, key: str) -> None:
    """The work that follows a push, known from the moment that it counts.  [JOB-001, JOB-002]"""
    await db.execute(
        "INSERT INTO jobs (type, payload, priority) VALUES ('mpack.index', json_build_object("
        "'mpack_key', $1::text, 'repo_id', $2::text), $3)",
        *(key, repo.id, JOB_PRIORITY),
    )
    await enqueue_prebuild(db, repo)


async def enqueue_prebuild(db: Connection, repo: Repo) -> None:
    """Wants the clone packs of all branch tips."""
    await db.execute(
        """
        INSERT INTO jobs (type, payload, priority) SELECT 'fetch.mpack.prebuild',
            json_build_object('repo_id', $2::text, 'tip_commit_ids',
                json_agg(DISTINCT 'sha256:' || encode(head_commit_id, 'hex'))), $3
        FROM branches WHERE repo_id = $1 RETURNING pg_notify($4, '')
        """,
        repo.raw,
        repo.id,
        JOB_PRIORITY,
        JOB_CHANNEL,
    )


async def cache_pack(
    db: Connection, repo: Repo, tip: str, form: str, mpack_id: str, commits: int, blobs: int
) -> None:
    """Says that this pack answers a clone of `tip`; a row that expired is renewed."""
    await db.execute(
        """
        INSERT INTO fetch_mpack_cache
            (cache_id, repo_id, tip_commit_id, form, mpack_id, commit_count, blob_count)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (cache_id) DO UPDATE
        SET mpack_id = EXCLUDED.mpack_id, commit_count = EXCLUDED.commit_count,
            blob_count = EXCLUDED.blob_count, created_at = now(), expires_at = EXCLUDED.expires_at
        WHERE fetch_mpack_cache.expires_at <= now()
        """,
        to_raw(derived_id("cache", repo.id, tip, form)),
        repo.raw,
        to_raw(tip),
        form,
        to_raw(mpack_id),
        commits,
        blobs,
    )
