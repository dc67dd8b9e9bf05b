"""Collection: what nothing needs any more, counted as it goes.  [STORAGE-012]

It holds the lock that keeps everybody from adding packs, so what it finds unneeded stays so
until it is gone; it removes objects before the rows commit, so a crash leaves rows to collect.
A link is given for as long as a cache row is fresh, so an expired row is kept, and with it its
pack, until the last of those links has expired too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from reference.store import durable
from reference.wire.ids import PREFIX, from_raw, to_raw

from .objects import LINK_SECONDS, ObjectStore, pack_key
from .objects_files import FileObjects
from .service import GC_LOCK, Service

if TYPE_CHECKING:
    from .database import Connection

UPLOAD_GRACE_SECONDS = 2 * 3600.0
PACK_GRACE_SECONDS = 2.0 * LINK_SECONDS
"""For packs without a row: longer than the link to one lives."""
PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 0.05
"""How long it looks for a moment without a push before it makes pushes wait."""
_NEEDED = """
    EXISTS (SELECT FROM fetch_mpack_cache c WHERE c.mpack_id = m.mpack_id)
    OR m.blob_ids <> '{}' AND EXISTS (SELECT FROM mpack_refs r WHERE r.mpack_id = m.mpack_id)
"""


async def collect(service: Service) -> dict[str, int]:
    """One collection; returns how much of each kind it removed."""
    objects = service.objects
    async with service.database.transaction() as db:
        await _alone(db)
        listed = dict(await asyncio.to_thread(lambda: list(objects.list("packs/"))))
        old = {_pack_id(key) for key, age in listed.items() if age > PACK_GRACE_SECONDS}
        lost = await _drop_lost_packs(db, objects, {_pack_id(key) for key in listed})
        expired = await db.fetch(
            "DELETE FROM fetch_mpack_cache WHERE expires_at <= now() - make_interval(secs => $1)"
            " RETURNING mpack_id",
            LINK_SECONDS,
        )
        unneeded = await db.fetch(f"SELECT mpack_id FROM mpacks m WHERE NOT ({_NEEDED})")
        await _drop_packs(db, [row[0] for row in unneeded])
        needed = await _packs_with_rows(db)
        gone = old.union(from_raw(row[0]) for row in (*expired, *unneeded)) - needed
        await asyncio.to_thread(_delete_packs, objects, gone)
        snapshots = await _drop_snapshots(db)
        await db.execute(
            "DELETE FROM jobs WHERE state = 'done' AND finished_at < now() - interval '7 days'"
        )
    uploads = await asyncio.to_thread(_delete_uploads, objects)
    await asyncio.to_thread(durable.sweep, service.spool)
    counts = {"cache_rows": len(expired), "packs": len(gone), "uploads": uploads}
    return {**counts, "snapshots": snapshots, **lost}


async def _alone(db: Connection) -> None:
    """Keeps everybody from adding packs; who would stand in line meanwhile, it lets pass first."""
    deadline = monotonic() + PATIENCE_SECONDS
    while monotonic() < deadline:
        if await db.fetchval("SELECT pg_try_advisory_xact_lock($1)", GC_LOCK):
            return
        await asyncio.sleep(PAUSE_SECONDS)
    await db.execute("SELECT pg_advisory_xact_lock($1)", GC_LOCK)


def _pack_id(key: str) -> str:
    return PREFIX + os.path.basename(key)


async def _packs_with_rows(db: Connection) -> set[str]:
    rows = await db.fetch(
        "SELECT mpack_id FROM mpacks UNION SELECT mpack_id FROM fetch_mpack_cache"
    )
    return {from_raw(row["mpack_id"]) for row in rows}


async def purge_stale_index(service: Service) -> dict[str, int]:
    """Drops the index rows of packs that the object store says are gone, and counts them."""
    async with service.database.transaction() as db:
        await _alone(db)
        return await _drop_lost_packs(db, service.objects, set())


async def _drop_lost_packs(db: Connection, objects: ObjectStore, seen: set[str]) -> dict[str, int]:
    """A blob that no pack holds any more is not claimed to be here, so a push can bring it back.

    Raises, and so removes nothing, while the store does not answer.  [STORAGE-014]
    """
    suspects = await _packs_with_rows(db) - seen
    lost = [to_raw(own) for own in await asyncio.to_thread(_absent, objects, suspects)]
    if not lost:
        return {"lost_packs": 0, "stale_index_rows": 0}
    stale = await _drop_packs(db, lost)
    for table in ("mpack_refs", "fetch_mpack_cache"):
        await db.execute(f"DELETE FROM {table} WHERE mpack_id = ANY($1)", lost)
    return {"lost_packs": len(lost), "stale_index_rows": stale}


async def _drop_packs(db: Connection, mpack_ids: Sequence[bytes]) -> int:
    """Drops the rows of packs, and tells how many of the index there were."""
    found: int = await db.fetchval(
        "WITH pack AS (DELETE FROM mpacks WHERE mpack_id = ANY($1) RETURNING mpack_id, blob_ids),"
        " stale AS (DELETE FROM mpack_index i USING pack, unnest(pack.blob_ids) AS b (blob_id)"
        " WHERE i.blob_id = b.blob_id AND i.mpack_id = pack.mpack_id RETURNING 1)"
        " SELECT count(*) FROM stale",
        mpack_ids,
    )
    return found


def _absent(objects: ObjectStore, mpack_ids: Iterable[str]) -> list[str]:
    return [mpack_id for mpack_id in mpack_ids if not objects.exists(pack_key(mpack_id))]


def _delete_packs(objects: ObjectStore, mpack_ids: Iterable[str]) -> None:
    for mpack_id in mpack_ids:
        objects.delete(pack_key(mpack_id))


def _delete_uploads(objects: ObjectStore) -> int:
    """Uploads that are older than their links; and what killed writers left."""
    if isinstance(objects, FileObjects):
        durable.sweep(objects.root)
    old = [key for key, age in objects.list("uploads/") if age > UPLOAD_GRACE_SECONDS]
    for key in old:
        objects.delete(key)
    return len(old)


async def _drop_snapshots(db: Connection) -> int:
    """Snapshots that no repository has and that none of a repository's stands on."""
    status = await db.execute(
        """
        WITH RECURSIVE kept AS (
            SELECT s.snapshot_id, s.parent_snapshot_id
            FROM snapshots s WHERE snapshot_id IN (SELECT snapshot_id FROM snapshot_refs)
            UNION
            SELECT s.snapshot_id, s.parent_snapshot_id
            FROM snapshots s JOIN kept k ON s.snapshot_id = k.parent_snapshot_id
        ) DELETE FROM snapshots s
          WHERE NOT EXISTS (SELECT FROM kept WHERE kept.snapshot_id = s.snapshot_id)
        """
    )
    await db.execute(
        "DELETE FROM manifests m WHERE NOT EXISTS"
        " (SELECT FROM snapshots s WHERE s.snapshot_id = m.snapshot_id)"
    )
    return int(status.rpartition(" ")[2])
