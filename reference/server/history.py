"""What a repository's rows say: commits, snapshots, who descends from whom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from reference.core.closure import Lookups
from reference.core.history import reachable
from reference.wire import snapshots
from reference.wire.errors import ProtocolError
from reference.wire.ids import Manifest, from_raw, to_raw
from reference.wire.records import Commit, Snapshot, parents

from .rows import snapshot_of

if TYPE_CHECKING:
    from .database import Connection

Tree = tuple[Manifest, Sequence[str]]
_CHAIN = """
    WITH RECURSIVE chain AS (
        SELECT snapshot_id, parent_snapshot_id FROM snapshots WHERE snapshot_id = ANY($1)
        UNION
        SELECT s.snapshot_id, s.parent_snapshot_id
        FROM snapshots s JOIN chain c ON s.snapshot_id = c.parent_snapshot_id
    ) SELECT snapshot_id, parent_snapshot_id, delta, directories
      FROM snapshots WHERE snapshot_id IN (SELECT snapshot_id FROM chain)
"""


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


async def graph(db: Connection, repo: bytes) -> dict[str, list[str]]:
    """Every commit of the repository with its parents."""
    rows = await db.fetch(
        "SELECT commit_id, parent_commit_id, parent2_commit_id FROM commits WHERE repo_id = $1",
        repo,
    )
    return {
        from_raw(own): [from_raw(parent) for parent in (first, second) if parent is not None]
        for own, first, second in rows
    }


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
    text = await db.fetchval(
        "SELECT record FROM commits WHERE repo_id = $1 AND commit_id = $2", repo, to_raw(commit_id)
    )
    if text is None:
        raise ProtocolError("unknown_commit", f"no commit {commit_id} here", "AUTH-013")
    record: Commit = json.loads(text)
    return record


class Trees:
    """Manifests rebuilt from deltas that were loaded before."""

    def __init__(self, records: Mapping[str, Snapshot]) -> None:
        self._records = records
        self._recent: dict[str, Tree] = {}

    def tree(self, snapshot_id: str) -> Tree:
        """The manifest and directories of a snapshot."""
        chain: list[Snapshot] = []
        at: str | None = snapshot_id
        manifest: dict[str, str] = {}
        directories: Sequence[str] = ()
        while at is not None:
            if at in self._recent:
                manifest, directories = dict(self._recent[at][0]), self._recent[at][1]
                break
            chain.append(self._records[at])
            at = chain[-1]["parent_snapshot_id"]
        for record in reversed(chain):
            for path in record["delta_remove"]:
                del manifest[path]
            manifest.update(record["delta_upsert"])
            directories = snapshots.directories_of(record, directories)
        if len(self._recent) > 16:
            del self._recent[next(iter(self._recent))]
        self._recent[snapshot_id] = (manifest, directories)
        return manifest, directories


async def trees(db: Connection, snapshot_ids: Iterable[str]) -> Callable[[str], Tree]:
    """How to rebuild these snapshots; their deltas are loaded with one statement."""
    wanted = raws(snapshot_ids)
    rows = await db.fetch(_CHAIN, wanted) if wanted else []
    return Trees({from_raw(row["snapshot_id"]): snapshot_of(row) for row in rows}).tree


async def lookups(db: Connection, repo: bytes) -> Lookups:
    """All records of the repository, for whoever computes a closure."""
    texts = await db.fetch("SELECT record FROM commits WHERE repo_id = $1", repo)
    refs = await db.fetch("SELECT snapshot_id FROM snapshot_refs WHERE repo_id = $1", repo)
    rows = await db.fetch(_CHAIN, [row["snapshot_id"] for row in refs])
    commits: dict[str, Commit] = {}
    for row in texts:
        record = json.loads(row["record"])
        commits[record["commit_id"]] = record
    records = {from_raw(row["snapshot_id"]): snapshot_of(row) for row in rows}
    return Lookups(commits.get, records.__getitem__, Trees(records).tree)


def parents_in(records: Mapping[str, Commit]) -> Callable[[str], list[str]]:
    """Looks up parents among `records`; a commit that is not there has none."""
    return lambda commit_id: parents(records[commit_id]) if commit_id in records else []


async def newest_base(
    db: Connection, repo: bytes, want: Collection[str], ack: Collection[str]
) -> str | None:
    """The acknowledged commit to build on: the newest that `want`, or a branch, has.  [HTTP-029]"""
    if not ack:
        return None
    edges = await graph(db, repo)

    def parents_of(commit_id: str) -> list[str]:
        return edges.get(commit_id, [])

    heads = (await branch_heads(db, repo)).values()
    for starts in (want, heads):
        found = set(reachable(parents_of, starts)).intersection(ack)
        inner = {parent for own in found for parent in parents_of(own)}
        if best := found - set(reachable(parents_of, inner)):
            rows = await db.fetch(
                "SELECT commit_id, record ->> 'committed_at' AS at FROM commits"
                " WHERE repo_id = $1 AND commit_id = ANY($2)",
                repo,
                raws(best),
            )
            return min((-instant(row["at"]), from_raw(row["commit_id"])) for row in rows)[1]
    return None


def instant(committed_at: str) -> float:
    """The moment that a commit's time names, whatever its offset and fraction."""
    whole, fraction, offset = re.fullmatch(
        r"([^.Z+]+?)(\.\d+)?(Z|[+-]\d\d:\d\d)", committed_at
    ).groups()  # type: ignore[union-attr]  # its form was checked when it came in
    moment = datetime.fromisoformat(whole + ("+00:00" if offset == "Z" else offset))
    return moment.timestamp() + float(fraction or 0)
