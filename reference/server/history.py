"""What a repository's rows say: commits, and who descends from whom.

Commits are numbered as they arrive, so whoever asks reads from the end, as far as needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import msgpack

from reference.core.history import Sweep, instant
from reference.wire.errors import ProtocolError
from reference.wire.ids import from_raw, to_raw
from reference.wire.records import Commit

if TYPE_CHECKING:
    from .database import Connection

_WINDOW, _LARGEST_WINDOW = 64, 16384
_LAST_OF = "(SELECT max(position) FROM commits WHERE repo_id = $1 AND commit_id = ANY($2))"


def raws(ids: Iterable[str]) -> list[bytes]:
    """Ids as the database keeps them, in an order that does not lead to deadlocks."""
    return sorted(to_raw(object_id) for object_id in ids)


async def known(db: Connection, table: str, repo: bytes, ids: Collection[str]) -> set[str]:
    """Those of `ids` that the repository has in `table`."""
    if not ids:
        return set()
    column = {"commits": "commit_id", "snapshot_refs": "snapshot_id", "object_refs": "blob_id"}
    name = column[table]
    found = await db.fetch(
        f"SELECT {name} AS id FROM {table} WHERE repo_id = $1 AND {name} = ANY($2)", repo, raws(ids)
    )
    return {from_raw(row["id"]) for row in found}


async def positions(db: Connection, repo: bytes, ids: Collection[str]) -> dict[str, int]:
    """Those of `ids` that the repository has, and the number that each arrived as."""
    if not ids:
        return {}
    rows = await db.fetch(
        "SELECT commit_id, position FROM commits WHERE repo_id = $1 AND commit_id = ANY($2)",
        repo,
        raws(set(ids)),
    )
    return {from_raw(row["commit_id"]): row["position"] for row in rows}


async def last_position(db: Connection, repo: bytes) -> int:
    """The number of the commit that arrived last; 0 in an empty repository."""
    found = await db.fetchval("SELECT max(position) FROM commits WHERE repo_id = $1", repo)
    return found or 0


async def sweep(
    db: Connection, repo: bytes, found: Sweep[bytes], starts: Iterable[str], above: int = 0
) -> None:
    """Shows `found` the commits, from the last of `starts` to arrive, until it has seen enough."""
    window = _WINDOW
    last: str = _LAST_OF
    asked: list[bytes] | int = raws(starts)
    while not found.done:
        rows = await db.fetch(
            "SELECT commit_id, parent_commit_id, parent2_commit_id, position FROM commits"
            f" WHERE repo_id = $1 AND position <= {last} AND position > $3"
            f" ORDER BY position DESC LIMIT {window}",
            *(repo, asked, above),
        )
        for own, first, second, _ in rows:
            parents_ = () if first is None else (first,) if second is None else (first, second)
            found.take(own, parents_)
        if len(rows) < window:
            return
        last, asked = "$2", rows[-1]["position"] - 1
        window = min(4 * window, _LARGEST_WINDOW)


async def descends(db: Connection, repo: bytes, starts: Iterable[str], ancestor: str) -> bool:
    """Whether one of `starts` is `ancestor` or descends from it."""
    found: bool = await db.fetchval(
        """
        WITH RECURSIVE line AS (
            SELECT unnest($2::bytea[]) AS commit_id
            UNION
            SELECT parent FROM line JOIN commits c USING (commit_id),
                   unnest(ARRAY[c.parent_commit_id, c.parent2_commit_id]) AS parent
            WHERE c.repo_id = $1 AND parent IS NOT NULL AND line.commit_id <> $3
            AND c.position > (SELECT position FROM commits WHERE repo_id = $1 AND commit_id = $3)
        ) SELECT EXISTS (SELECT FROM line WHERE commit_id = $3)
        """,
        repo,
        raws(starts),
        to_raw(ancestor),
    )
    return found


async def branch_heads(db: Connection, repo: bytes) -> dict[str, str]:
    """Each branch and its head."""
    rows = await db.fetch(
        "SELECT name, head_commit_id FROM branches WHERE repo_id = $1 ORDER BY name", repo
    )
    return {row["name"]: from_raw(row["head_commit_id"]) for row in rows}


async def commit(db: Connection, repo: bytes, commit_id: str) -> Commit:
    """The record of one commit, or `unknown_commit`."""
    packed = await db.fetchval(
        "SELECT record FROM commits WHERE repo_id = $1 AND commit_id = $2", repo, to_raw(commit_id)
    )
    if packed is None:
        raise ProtocolError("unknown_commit", f"no commit {commit_id} here", "AUTH-013")
    record: Commit = msgpack.unpackb(packed)
    return record


async def records(db: Connection, repo: bytes, ids: Iterable[str]) -> dict[str, Commit]:
    """The records of these commits."""
    rows = await db.fetch(
        "SELECT record FROM commits WHERE repo_id = $1 AND commit_id = ANY($2)", repo, raws(ids)
    )
    found = (msgpack.unpackb(row["record"]) for row in rows)
    return {record["commit_id"]: record for record in found}


async def merge_bases(db: Connection, repo: bytes, ours: str, theirs: str) -> list[str]:
    """The best common ancestors of two commits, one of which may be the other's."""
    found = Sweep([to_raw(ours)], [to_raw(theirs)])
    await sweep(db, repo, found, [ours, theirs])
    return [from_raw(base) for base in found.bases]


async def newest_base(
    db: Connection, repo: bytes, want: Collection[str], ack: Collection[str]
) -> str | None:
    """The acknowledged commit to build on: the newest that `want`, or a branch, has.  [HTTP-029]"""
    if not ack:
        return None
    heads = (await branch_heads(db, repo)).values()
    for starts in (want, heads):
        found = Sweep(map(to_raw, starts), met=set(map(to_raw, ack)))
        await sweep(db, repo, found, starts)
        if found.bases:
            bases = await records(db, repo, map(from_raw, found.bases))
            return max(sorted(bases), key=lambda own: instant(bases[own]["committed_at"]))
    return None
