"""What a server keeps, all of it, for comparing before and after."""

from __future__ import annotations

import os
from typing import Any

from reference.server.objects_files import FileObjects
from reference.server.service import Service

TABLES = (
    "identities repos branches commits snapshots snapshot_refs mpacks mpack_refs mpack_index"
    " object_refs fetch_mpack_cache jobs"
).split()


async def dump(service: Service) -> dict[str, Any]:
    """Every row of every table, and every pack."""
    kept: dict[str, Any] = {}
    async with service.database.session() as db:
        for table in TABLES:
            rows = await db.fetch(f"SELECT t::text AS row FROM {table} t ORDER BY 1")
            kept[table] = [row["row"] for row in rows]
    kept["packs"] = packs(service)
    return kept


def packs(service: Service) -> list[str]:
    """The names of all packs in the object store."""
    assert isinstance(service.objects, FileObjects)
    folder = service.objects.path("packs")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
