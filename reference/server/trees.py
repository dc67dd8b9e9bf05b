"""Manifests rebuilt from deltas, and from the full ones that are kept so that chains stay short.

A kept manifest is what the snapshot's id hashes over, compressed.  It says nothing that the
deltas do not: all of them can be dropped at any time, and come back as pushes go on.  [STORAGE-007]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import zstandard

from reference.core.closure import Tree, change, rebuilt
from reference.wire.ids import PREFIX, Manifest, from_raw, snapshot_payload, to_raw
from reference.wire.records import Snapshot

from .rows import snapshot_of

if TYPE_CHECKING:
    from .database import Connection

LINK = 8
"""What a row costs to load, in entries of a manifest."""
SLACK = 4
"""How many times as long as a manifest the chain that leads to it may take to load."""
LITTLE_ENTRIES, LITTLE_TEXT = 512, 32 * 1024
"""Entries and characters of manifests that are rebuilt in less time than a thread costs."""
_RECENT = 16
# Row by row from child to parent: a join would be free to read the whole table each time.
_CHAIN = """
    WITH RECURSIVE chain AS (
        SELECT unnest($1::bytea[]) AS snapshot_id
        UNION
        SELECT link.parent_snapshot_id FROM chain c CROSS JOIN LATERAL (
            SELECT s.parent_snapshot_id FROM snapshots s
            WHERE s.snapshot_id = c.snapshot_id AND s.parent_snapshot_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM manifests m WHERE m.snapshot_id = c.snapshot_id) OFFSET 0
        ) link
    ) SELECT own.* FROM chain c CROSS JOIN LATERAL (
        SELECT s.snapshot_id, s.parent_snapshot_id, s.delta, s.directories,
            (SELECT m.payload FROM manifests m WHERE m.snapshot_id = s.snapshot_id) AS payload
        FROM snapshots s WHERE s.snapshot_id = c.snapshot_id OFFSET 0
    ) own
"""


class Trees:
    """Manifests rebuilt from what was loaded before."""

    def __init__(
        self, records: Mapping[str, Snapshot], kept: Mapping[str, bytes] | None = None
    ) -> None:
        self.record = records.__getitem__
        self._records = records
        self._kept = kept or {}
        self._recent: dict[str, Tree] = {}

    def tree(self, snapshot_id: str) -> Tree:
        """The manifest and directories of a snapshot."""
        found = rebuilt(self.record, snapshot_id, self._known)
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[snapshot_id] = found
        return found

    def _known(self, snapshot_id: str) -> Tree | None:
        kept = self._kept.get(snapshot_id)
        return self._recent.get(snapshot_id) or (_opened(kept) if kept else None)

    def cost(self, snapshot_id: str) -> int:
        """What it took to load the chain of a snapshot."""
        total = 0
        at: str | None = snapshot_id
        while at is not None and at not in self._kept:
            total += _cost(self._records[at])
            at = self._records[at]["parent_snapshot_id"]
        return total

    def takes_little(self, times: int, added: Sequence[Snapshot] = ()) -> bool:
        """Whether `times` manifests of these snapshots, and `added`, are soon rebuilt."""
        if self._kept or 3 * times * (len(self._records) + len(added)) > LITTLE_ENTRIES:
            return False
        named = [
            paths
            for record in (*self._records.values(), *added)
            for paths in (
                record["delta_upsert"],
                record["delta_remove"],
                record.get("directories", ()),
            )
        ]
        entries, text = sum(map(len, named)), sum(map(len, chain.from_iterable(named)))
        return times * (len(named) + entries) <= LITTLE_ENTRIES and times * text <= LITTLE_TEXT

    def due(self, head: str, added: Mapping[str, Snapshot]) -> list[tuple[bytes, bytes]]:
        """Which manifests to keep, now that `head` stands on what was loaded and `added`."""
        if head not in added:  # a tree that was here before, as of a commit that reverts
            return []
        line: list[Snapshot] = []
        at: str | None = head
        while at is not None and at in added:
            line.append(added[at])
            at = added[at]["parent_snapshot_id"]
        if not line:
            return []
        spent = 0 if at is None else self.cost(at)
        found, directories = self.tree(at) if at is not None else ({}, ())
        manifest = dict(found)
        kept = []
        for record in reversed(line):
            directories = change(manifest, directories, record)
            spent += _cost(record)
            if spent > SLACK * (len(manifest) + LINK):
                kept.append((to_raw(record["snapshot_id"]), _closed(manifest, directories)))
                spent = 0
        return kept


def _cost(record: Snapshot) -> int:
    return LINK + len(record["delta_upsert"]) + len(record["delta_remove"])


def _closed(manifest: Manifest, directories: Sequence[str]) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(snapshot_payload(manifest, directories))


def _opened(kept: bytes) -> tuple[dict[str, str], list[str]]:
    fields = zstandard.ZstdDecompressor().decompress(kept).decode().split("\0")
    files, directories = {}, []
    for path, what in zip(fields[::2], fields[1::2], strict=False):  # the empty one is one field
        if what == "dir":
            directories.append(path)
        else:
            files[path] = PREFIX + what
    return files, directories


async def load(db: Connection, snapshot_ids: Iterable[str]) -> Trees:
    """What rebuilds these snapshots, loaded with one statement."""
    wanted = sorted(map(to_raw, snapshot_ids))
    rows = await db.fetch(_CHAIN, wanted) if wanted else []
    return Trees(
        {from_raw(row["snapshot_id"]): snapshot_of(row) for row in rows},
        {from_raw(row["snapshot_id"]): row["payload"] for row in rows if row["payload"]},
    )


async def keep(db: Connection, manifests: Sequence[tuple[bytes, bytes]]) -> None:
    """Keeps full manifests, so that what stands on them is loaded from there."""
    if manifests:
        await db.execute(
            "INSERT INTO manifests SELECT * FROM unnest($1::bytea[], $2::bytea[])"
            " ON CONFLICT DO NOTHING",
            [snapshot_id for snapshot_id, _ in sorted(manifests)],
            [payload for _, payload in sorted(manifests)],
        )
