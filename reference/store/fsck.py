"""fsck: reads everything, proves everything, and says in words what does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from reference.wire.errors import ProtocolError
from reference.wire.ids import Manifest
from reference.wire.manifests import walk
from reference.wire.records import Snapshot, parents

from . import loose, refs
from .pack_folder import list_packs
from .repository import Repository


def problems(repository: Repository) -> list[str]:
    """One text a problem; temp files and missing indexes are none."""
    return sorted(set(_problems(repository)))


def _problems(repository: Repository) -> Iterator[str]:
    for name in loose.misplaced(repository.dot):
        yield f"{name}: not a file of this store's layout"
    for pack in list_packs(repository.dot):
        try:
            pack.verified()
        except ProtocolError as problem:
            yield f"pack {pack.key}: {problem.detail}"
    blobs = set()
    for object_id in repository.ids("objects"):
        blobs.add(object_id)
        if loose.has(repository.dot, object_id):
            try:
                loose.get_blob(repository.dot, object_id)
            except ProtocolError as problem:
                yield problem.detail
    snapshots = set(repository.ids("snapshots"))
    commits = set(repository.ids("commits"))
    yield from snapshot_problems(repository, snapshots, blobs)
    for object_id in sorted(commits):
        try:
            commit = repository.commit(object_id)
        except ProtocolError as problem:
            yield problem.detail
            continue
        if commit["snapshot_id"] not in snapshots:
            yield f"commit {object_id}: its snapshot {commit['snapshot_id']} is missing"
        for parent in parents(commit):
            if parent not in commits:
                yield f"commit {object_id}: its parent {parent} is missing"
    named: dict[str, Callable[[], str | None]] = {"HEAD": lambda: refs.read_head(repository.dot)[1]}
    named["branches"] = partial(refs.check_folder, repository.dot)
    for branch in refs.branches(repository.dot):
        named[f"branch {branch}"] = partial(refs.read, repository.dot, branch)
    for name, read in named.items():
        try:
            head = read()
        except ProtocolError as problem:
            yield f"{name}: {problem.detail}"
            continue
        if head is not None and head not in commits:
            yield f"{name}: its commit {head} is missing"


def snapshot_problems(
    repository: Repository, snapshots: set[str], blobs: set[str]
) -> Iterator[str]:
    """Every manifest rebuilt once, parents first; what is off is then looked at singly."""
    records: dict[str, Snapshot] = {}
    for object_id in sorted(snapshots):
        try:
            records[object_id] = repository.snapshot(object_id)
        except ProtocolError as problem:
            yield problem.detail
    order: dict[str, Snapshot] = {}
    for start in records:
        chain: list[str] = []
        at: str | None = start
        while at in records and at not in order and len(chain) <= len(records):
            chain.append(at)
            at = records[at]["parent_snapshot_id"]
        order.update((name, records[name]) for name in reversed(chain))
    listed = list(order.values())
    for record in listed:
        for path, oid in record["delta_upsert"].items():
            if oid not in blobs:
                yield f"snapshot {record['snapshot_id']}: {path!r} needs {oid}, which is missing"

    def elsewhere(base: str) -> tuple[Manifest, Sequence[str]]:
        raise ProtocolError("integrity", f"base snapshot {base} is missing")

    sound = 0
    try:
        for index, tree in walk(listed, elsewhere):
            if tree.snapshot_id() != listed[index]["snapshot_id"]:
                break
            sound += 1
    except ProtocolError:
        pass  # named below, snapshot by snapshot
    if sound < len(listed):
        for record in listed:
            try:
                repository.tree(record["snapshot_id"])
            except ProtocolError as problem:
                yield f"snapshot {record['snapshot_id']}: {problem.detail}"
