"""What a fetch carries, read from rows: as much as is new to whoever asks, not as much as there is.

Commits are numbered as they arrive, and what arrived after the last commit that somebody has is
new to them.  Only what is older needs to be looked for among what they have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from reference.core.closure import Closure, Lookups, carried, objects_of
from reference.core.history import Sweep
from reference.wire.ids import from_raw, to_raw
from reference.wire.records import Commit

from . import history, trees
from .trees import Trees

if TYPE_CHECKING:
    from .database import Connection


async def gather(
    db: Connection, repo: bytes, want: Collection[str], have: Collection[str]
) -> Closure:
    """Everything reachable from `want` and not from `have`; unknown ids of `have` do not count."""
    there = await history.positions(db, repo, have)
    found = Sweep(map(to_raw, want), map(to_raw, there))
    await history.sweep(db, repo, found, [*want, *there])
    order = [from_raw(commit) for commit in reversed(found.only)]
    edge = {from_raw(parent) for parents in found.only.values() for parent in parents}
    records = await history.records(db, repo, {*order, *edge, *there})
    sent = [records[commit] for commit in order]
    had = {records[commit]["snapshot_id"] for commit in {*edge, *there}.difference(order)}
    named = {commit["snapshot_id"] for commit in sent}
    loaded = await trees.load(db, named | had)
    result = await _carried(loaded, sent, had, records)
    if there:
        oldest = await _oldest(db, repo, named - had, result.objects, max(there.values()))
        if oldest is not None:
            had |= await _had_since(db, repo, there, oldest)
            loaded = await trees.load(db, named | had)
            result = await _carried(loaded, sent, had, records)
    return result


async def _carried(
    loaded: Trees, sent: list[Commit], had: set[str], records: dict[str, Commit]
) -> Closure:
    look = Lookups(records.get, loaded.record, loaded.tree)

    def work() -> Closure:
        return carried(look, sent, had, records.get, objects_of(look, had))

    is_little = loaded.takes_little(len(sent) + len(had))
    return work() if is_little else await asyncio.to_thread(work)


async def _oldest(
    db: Connection, repo: bytes, snapshots: Collection[str], blobs: Collection[str], newest: int
) -> int | None:
    """Since when the oldest is here of what the receiver may have, though it looked new."""
    found: int | None = await db.fetchval(
        "SELECT min(since) FROM ("
        " SELECT since FROM snapshot_refs WHERE repo_id = $1 AND snapshot_id = ANY($2) UNION ALL"
        " SELECT since FROM object_refs WHERE repo_id = $1 AND blob_id = ANY($3)"
        ") AS everything WHERE since < $4",
        *(repo, history.raws(snapshots), history.raws(blobs), newest),
    )
    return found


async def _had_since(db: Connection, repo: bytes, have: Collection[str], last: int) -> set[str]:
    """The snapshots of what `have` reaches and that arrived after `last`."""
    reached = Sweep(map(to_raw, have))
    await history.sweep(db, repo, reached, have, above=last)
    rows = await db.fetch(
        "SELECT snapshot_id FROM commits WHERE repo_id = $1 AND commit_id = ANY($2)",
        repo,
        sorted(reached.only),
    )
    return {from_raw(row["snapshot_id"]) for row in rows}
