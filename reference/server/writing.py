"""The one transaction of a push: rows, pack, branch and jobs, all of them or none.  [PUSH-011]"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
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
Made = asyncio.Future[Table]


async def begin_adding(db: Connection, repo: bytes = b"") -> bool:
    """Keeps collection off what this transaction adds to the object store.

    Tells whether the repository is there, which then stays until the end.
    """
    found: bool = await db.fetchval(
        "SELECT EXISTS (SELECT FROM repos WHERE repo_id = $2 FOR KEY SHARE)"
        " FROM pg_advisory_xact_lock_shared($1)",
        *(GC_LOCK, repo),
    )
    return found


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
        self.repo = repo.raw
        self.key = to_raw(key)
        self.contents = contents
        self.last = last
        self._is_indexed = False
        self._there: Collection[str] = ()

    @cached_property
    def blob_ids(self) -> list[bytes]:
        """The ids of the pack's blobs, in its order, each once."""
        return list(dict.fromkeys(self._raws))

    @cached_property
    def _raws(self) -> list[bytes]:
        return list(map(to_raw, self.contents.blob_ids))

    @cached_property
    def _snapshot_ids(self) -> list[bytes]:
        return history.raws({record["snapshot_id"] for record in self.contents.snapshots})

    async def look(self, db: Connection) -> None:
        """Sees the number of the last commit, and what of the pack all repositories share.

        To copy what is there costs more than the rest: a copy that fails, then one around it.
        """
        row = await db.fetchrow(
            "SELECT (SELECT max(position) FROM commits WHERE repo_id = $1) AS last,"
            " EXISTS (SELECT FROM mpacks WHERE mpack_id = $2) AS is_indexed, ARRAY("
            f"SELECT snapshot_id FROM snapshots WHERE snapshot_id = ANY({_ids('$3')})) AS there",
            *(self.repo, self.key, b"".join(self._snapshot_ids)),
        )
        assert row is not None
        self.last, self._is_indexed = row["last"] or 0, row["is_indexed"]
        self._there = set(map(from_raw, row["there"]))

    def index(self) -> Table:
        """Where each blob lies; made once, whoever asks first."""
        return self._index

    @cached_property
    def _index(self) -> Table:
        return rows.index(self.key, self.contents, self._raws)

    def all(self) -> list[MakeTable]:
        """Snapshots, blobs and commits, without what is there; what is made fast comes first."""
        ids, there = self._snapshot_ids, self._there
        fresh = [own for own in self.contents.snapshots if own["snapshot_id"] not in there]
        return [
            lambda: rows.references("snapshot_refs", "snapshot_id", self.repo, ids, self.last),
            lambda: rows.snapshots(fresh),
            *([] if self._is_indexed else [self.index]),
            lambda: rows.commits(self.repo, self.contents.commits, self.last),
        ]


def _ids(joined: str) -> str:
    """An array of the ids that a parameter holds end to end: its items cost the driver more."""
    steps = f"generate_series(0, length({joined}::bytea) / 32 - 1)"
    return f"ARRAY(SELECT substr({joined}, 32 * n + 1, 32) FROM {steps} AS n)"


def making(tables: Iterable[MakeTable], worker: Executor | None = None) -> list[Made]:
    """The rows of tables, made on other threads, or one after another by a `worker` of one."""
    loop = asyncio.get_running_loop()
    return [loop.run_in_executor(worker, table) for table in tables]


async def copy(db: Connection, tables: Sequence[Made]) -> dict[str, int]:
    """Copies rows straight into their tables; where one is there already, around it."""
    try:
        async with db.transaction():
            return {(table := await made)[0]: await _copy(db, *table) for made in tables}
    except asyncpg.UniqueViolationError:
        return {(table := await made)[0]: await _copy_around(db, *table) for made in tables}


async def _copy(db: Connection, table: str, columns: tuple[str, ...], data: bytes) -> int:
    async def once() -> AsyncIterator[bytes]:
        yield data

    if data == rows.NONE:
        return 0
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


async def add_pack(db: Connection, tables: PackTables, form: str) -> int:
    """Says that the repository accepted this pack; how many of its blobs are new to it."""
    older: int = await db.fetchval(
        f"WITH named AS MATERIALIZED (SELECT {_ids('$4')} AS blob_ids),"
        " pack AS (INSERT INTO mpacks (mpack_id, size_bytes, form, blob_ids)"
        " SELECT $1, $2, $3, blob_ids FROM named ON CONFLICT DO NOTHING),"
        " accepted AS (INSERT INTO mpack_refs (mpack_id, repo_id, since)"
        " VALUES ($1, $5, $6) ON CONFLICT DO NOTHING)"
        " SELECT CASE WHEN EXISTS (SELECT FROM mpack_refs WHERE repo_id = $5)"
        " THEN (SELECT count(*) FROM object_refs WHERE repo_id = $5"
        " AND blob_id = ANY((SELECT blob_ids FROM named)::bytea[])) ELSE 0 END",
        *(tables.key, tables.contents.size, form, b"".join(tables.blob_ids)),
        *(tables.repo, tables.last),
    )
    return len(tables.blob_ids) - older


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


async def enqueue_push_jobs(db: Connection, repo: Repo, key: str | None = None) -> None:
    """The work that follows a push, known from the moment that it counts.  [JOB-001, JOB-002]

    Without a pack it is the clone packs of all branch tips alone.
    """
    await db.execute(
        """
        INSERT INTO jobs (type, payload, priority)
        SELECT 'mpack.index',
            json_build_object('mpack_key', $5::text, 'repo_id', $2::text), $3::integer
            WHERE $5::text IS NOT NULL
        UNION ALL SELECT 'fetch.mpack.prebuild',
            json_build_object('repo_id', $2::text, 'tip_commit_ids',
                json_agg(DISTINCT 'sha256:' || encode(head_commit_id, 'hex'))), $3
        FROM branches WHERE repo_id = $1 RETURNING pg_notify($4, '')
        """,
        repo.raw,
        repo.id,
        JOB_PRIORITY,
        JOB_CHANNEL,
        key,
    )


async def cache_pack(
    db: Connection, repo: Repo, tip: str, form: str, mpack_id: str, commits: int, blobs: int
) -> None:
    """Says that this pack answers a clone of `tip`; a row that expired is renewed.

    No constraint is named: of the two, PostgreSQL would fail at the other in a race.
    """
    await db.execute(
        """
        WITH renewed AS (
            UPDATE fetch_mpack_cache
            SET mpack_id = $5, commit_count = $6, blob_count = $7,
                created_at = now(), expires_at = DEFAULT
            WHERE cache_id = $1 AND expires_at <= now())
        INSERT INTO fetch_mpack_cache
            (cache_id, repo_id, tip_commit_id, form, mpack_id, commit_count, blob_count)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
        """,
        to_raw(derived_id("cache", repo.id, tip, form)),
        repo.raw,
        to_raw(tip),
        form,
        to_raw(mpack_id),
        commits,
        blobs,
    )
