"""What a push or a fetch carries: commits, the deltas between their snapshots, new blobs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from reference.wire import snapshots
from reference.wire.errors import ProtocolError
from reference.wire.ids import Manifest
from reference.wire.records import Commit, Snapshot, parents

from .history import reachable

Tree = tuple[Manifest, Sequence[str]]


class Lookups(NamedTuple):
    """How to reach the records of a repository."""

    commit: Callable[[str], Commit | None]
    snapshot: Callable[[str], Snapshot]
    tree: Callable[[str], Tree]


class Closure(NamedTuple):
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
    there = {cache[commit_id]["snapshot_id"] for commit_id in had if commit_id in cache}
    return carried(look, [cache[commit_id] for commit_id in order], there, cache.get)


def difference(look: Lookups, want: Iterable[str], have: Iterable[str]) -> Closure:
    """A closure for who would rather send a little twice than look at all that is had.

    Where every line from `want` ends at `have`, nothing below is looked at; what a sender's own
    commits share with an older one by another way may then be sent once more.
    """
    stop = frozenset(have)
    commits: dict[str, Commit] = {}
    at_a_root = False

    def parents_of(commit_id: str) -> list[str]:
        nonlocal at_a_root
        commit = look.commit(commit_id)
        found = parents(commit) if commit else []
        at_a_root = at_a_root or not found
        if commit:
            commits[commit_id] = commit
        return found

    order = reachable(parents_of, want, stop)
    if at_a_root:
        return closure(look, want, stop)
    edge = {parent for commit_id in order for parent in parents(commits[commit_id])} & stop
    had = {oid: commit for oid in edge if (commit := look.commit(oid))}
    there = {commit["snapshot_id"] for commit in had.values()}
    return carried(look, [commits[commit_id] for commit_id in order], there, had.get)


def carried(
    look: Lookups,
    commits: list[Commit],
    there: Collection[str],
    find: Callable[[str], Commit | None],
    seen: Collection[str] | None = None,
) -> Closure:
    """The closure of `commits`, for a receiver who has the snapshots `there`, and what they name.

    `find` tells parents that are not sent, as far as their snapshots are there; `seen` are the
    blobs that the receiver has, where somebody knows them already.
    """
    cache = {commit["commit_id"]: commit for commit in commits}
    known = set(there)
    seen = set(objects_of(look, known) if seen is None else seen)
    sent: list[Snapshot] = []
    fresh: list[tuple[bytes, int, str]] = []
    for commit in commits:
        if commit["snapshot_id"] in known:
            continue
        known.add(commit["snapshot_id"])
        first = commit["parent_commit_id"]
        parent = (cache.get(first) or find(first)) if first else None
        record = _delta_on_known(look, commit, parent, known)
        for path, oid in record["delta_upsert"].items():
            if oid not in seen:
                seen.add(oid)
                fresh.append((path.encode(), len(sent), oid))
        sent.append(record)
    return Closure(commits, sent, [oid for _, _, oid in sorted(fresh)])


def rebuilt(
    find: Callable[[str], Snapshot], snapshot_id: str, known: Callable[[str], Tree | None]
) -> tuple[dict[str, str], Sequence[str]]:
    """A snapshot's manifest and directories: its deltas on the first below it that is known."""
    chain: dict[str, Snapshot] = {}
    base: Tree | None = None
    at: str | None = snapshot_id
    while at is not None and (base := known(at)) is None:
        if at in chain:
            raise ProtocolError("missing_snapshot", f"snapshot {at} stands on itself")
        chain[at] = find(at)
        at = chain[at]["parent_snapshot_id"]
    manifest, directories = (dict(base[0]), base[1]) if base else ({}, ())
    for record in reversed(chain.values()):
        directories = change(manifest, directories, record)
    return manifest, directories


def change(manifest: dict[str, str], directories: Sequence[str], record: Snapshot) -> Sequence[str]:
    """Changes a manifest to what the record says; gives the directories, for they are replaced."""
    for path in record["delta_remove"]:
        manifest.pop(path, None)
    manifest.update(record["delta_upsert"])
    return snapshots.directories_of(record, directories)


def objects_of(look: Lookups, snapshot_ids: Collection[str]) -> set[str]:
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
    look: Lookups, commit: Commit, parent: Commit | None, known: set[str]
) -> Snapshot:
    """The commit's snapshot as a delta on something the receiver will have by then."""
    record = look.snapshot(commit["snapshot_id"])
    base = record["parent_snapshot_id"]
    preferred = parent["snapshot_id"] if parent else None
    if preferred == commit["snapshot_id"]:
        preferred = None
    if base in known or (base is None and preferred not in known):
        return record
    manifest, directories = look.tree(commit["snapshot_id"])
    if preferred is None or preferred not in known:
        return snapshots.between(commit["snapshot_id"], manifest, directories)
    before = look.tree(preferred)
    return snapshots.between(commit["snapshot_id"], manifest, directories, preferred, *before)
