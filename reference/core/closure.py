"""What a push or a fetch carries: commits, the deltas between their snapshots, new blobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reference.wire import snapshots
from reference.wire.errors import ProtocolError
from reference.wire.ids import Manifest
from reference.wire.records import Commit, Snapshot, parents

from .history import reachable


@dataclass(frozen=True, slots=True)
class Lookups:
    """How to reach the records of a repository."""

    commit: Callable[[str], Commit | None]
    snapshot: Callable[[str], Snapshot]
    tree: Callable[[str], tuple[Manifest, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Closure:
    """What to send, in the order to send it: parents first, blobs by path and version."""

    commits: list[Commit]
    snapshots: list[Snapshot]
    objects: list[str]


def closure(look: Lookups, want: Iterable[str], have: Iterable[str] = ()) -> Closure:
    """Everything reachable from `want` and not from `have`."""
    cache: dict[str, Commit] = {}

    def parents_of(commit_id: str) -> list[str]:
        commit = look.commit(commit_id)
        if commit is None:
            return []
        cache[commit_id] = commit
        return parents(commit)

    had = reachable(parents_of, have)
    order = reachable(parents_of, want, frozenset(had))
    if missing := [commit_id for commit_id in order if commit_id not in cache]:
        raise ProtocolError("unknown_commit", f"commit {missing[0]} is not here")
    commits = [cache[commit_id] for commit_id in order]
    there = {cache[commit_id]["snapshot_id"] for commit_id in had if commit_id in cache}
    seen = _objects_of(look, there)
    sent: list[Snapshot] = []
    fresh: list[tuple[bytes, int, str]] = []
    for commit in commits:
        snapshot_id = commit["snapshot_id"]
        if snapshot_id in there:
            continue
        there.add(snapshot_id)
        record = _delta_on_known(look, commit, cache, there)
        for path, oid in record["delta_upsert"].items():
            if oid not in seen:
                seen.add(oid)
                fresh.append((path.encode(), len(sent), oid))
        sent.append(record)
    return Closure(commits, sent, [oid for _, _, oid in sorted(fresh)])


def _objects_of(look: Lookups, snapshot_ids: set[str]) -> set[str]:
    """Every blob of these snapshots: what each changed, where its base is one of them too."""
    found: set[str] = set()
    for snapshot_id in snapshot_ids:
        record = look.snapshot(snapshot_id)
        base = record["parent_snapshot_id"]
        if base is None or base in snapshot_ids:
            found.update(record["delta_upsert"].values())
        else:
            found.update(look.tree(snapshot_id)[0].values())
    return found


def _delta_on_known(
    look: Lookups, commit: Commit, cache: dict[str, Commit], known: set[str]
) -> Snapshot:
    """The commit's snapshot as a delta on something the receiver will have by then."""
    record = look.snapshot(commit["snapshot_id"])
    base = record["parent_snapshot_id"]
    first = commit["parent_commit_id"]
    preferred = cache[first]["snapshot_id"] if first in cache else None
    if preferred == commit["snapshot_id"]:
        preferred = None
    if base in known or (base is None and preferred not in known):
        return record
    manifest, directories = look.tree(commit["snapshot_id"])
    if preferred is None or preferred not in known:
        return snapshots.between(commit["snapshot_id"], manifest, directories)
    before = look.tree(preferred)
    return snapshots.between(commit["snapshot_id"], manifest, directories, preferred, *before)
