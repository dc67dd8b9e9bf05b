"""gc: what nothing reaches goes, what is loose is packed, and what is missing stops it all."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from reference.core.closure import closure
from reference.core.history import reachable
from reference.wire.errors import ProtocolError
from reference.wire.ids import is_id
from reference.wire.records import parents

from . import durable, fsck, loose, refs, state
from .packing import build_framed
from .repository import Repository

GRACE_SECONDS = 14 * 24 * 3600
PACK_BEYOND = 2000
"""How many reachable loose objects and records a store keeps before gc packs them."""


def collect(repository: Repository, grace_seconds: float = GRACE_SECONDS) -> int:
    """Removes what is unreachable and older than the grace period; returns how many things."""
    with durable.lock(repository.dot, exclusive=True):
        keep = _reachable(repository)
        before = time.time() - grace_seconds
        removed = durable.sweep(repository.dot)
        if sum(len(ids) for ids in keep.values()) > PACK_BEYOND:
            _pack(repository, keep)
        packed = {
            kind: {oid for pack in repository.packs() for oid in ids_of(pack)}
            for kind, ids_of in loose.PACKED_IDS.items()
        }
        goners = []
        for kind in loose.KINDS:
            for object_id in list(loose.iter_ids(repository.dot, kind)):
                path = loose.path_of(repository.dot, kind, object_id)
                reached = object_id in keep[kind]
                if object_id in packed[kind] if reached else os.stat(path).st_mtime <= before:
                    goners.append(path)
                    removed += not reached
        durable.remove(*goners)
        everything = set().union(*keep.values())
        for pack in repository.packs():
            held = {oid for ids_of in loose.PACKED_IDS.values() for oid in ids_of(pack)}
            if held.isdisjoint(everything) and os.stat(pack.path).st_mtime <= before:
                durable.remove(pack.path, pack.index_path)
                removed += len(held)
        repository.forget()
        return removed


def _roots(repository: Repository) -> Iterator[str]:
    """Every commit or object that a ref, HEAD or a state file names."""
    yield from refs.list_refs(repository.dot).values()
    _, commit = refs.read_head(repository.dot)
    if commit is not None:
        yield commit
    for value in state.all_values(repository.dot):
        yield from _ids_in(value)


def _ids_in(value: object) -> Iterator[str]:
    if isinstance(value, str) and is_id(value):
        yield value
    elif isinstance(value, dict):
        for item in (*value.keys(), *value.values()):
            yield from _ids_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _ids_in(item)


def _reachable(repository: Repository) -> dict[str, set[str]]:
    """What must stay, by kind; something missing among it is an `integrity` error."""
    commits: set[str] = set()
    snapshots: set[str] = set()
    objects: set[str] = set()
    heads = set(refs.list_refs(repository.dot).values())
    for root in set(_roots(repository)):
        if root in heads or repository.find_commit(root):
            commits.add(root)
        elif repository.find_snapshot(root):
            snapshots.add(root)
        elif repository.has_blob(root):
            objects.add(root)

    def parents_of(object_id: str) -> list[str]:
        commit = repository.find_commit(object_id)
        if commit is None:
            raise _missing(object_id)
        snapshots.add(commit["snapshot_id"])
        return parents(commit)

    commits.update(reachable(parents_of, sorted(commits)))
    for snapshot_id in list(snapshots):
        at: str | None = snapshot_id
        while at is not None and (at == snapshot_id or at not in snapshots):
            record = repository.find_snapshot(at)
            if record is None:
                raise _missing(at)
            snapshots.add(at)
            objects.update(record["delta_upsert"].values())
            at = record["parent_snapshot_id"]
    _verify(repository, snapshots, objects)
    return {"objects": objects, "commits": commits, "snapshots": snapshots}


def _verify(repository: Repository, snapshots: set[str], objects: set[str]) -> None:
    """Everything that stays reads back: a store in doubt is mended, not collected."""
    packed = [oid for pack in repository.packs() for oid in pack.blob_ids if oid in objects]
    try:
        for object_id in dict.fromkeys([*packed, *sorted(objects)]):  # packs frame by frame
            repository.blob(object_id)
    except ProtocolError as problem:
        raise ProtocolError("integrity", f"{problem.detail}: nothing was removed") from None
    for found in fsck.snapshot_problems(repository, snapshots, objects):
        raise ProtocolError("integrity", f"{found}: nothing was removed")


def _missing(object_id: str) -> ProtocolError:
    return ProtocolError("integrity", f"{object_id} is reachable and missing: nothing was removed")


def _pack(repository: Repository, keep: dict[str, set[str]]) -> None:
    """One pack of everything reachable that is loose; the loose copies go once it is durable."""
    tips = [commit for commit in keep["commits"] if repository.find_commit(commit)]
    wanted = closure(repository.lookups(), sorted(tips))
    lying = {kind: set(loose.iter_ids(repository.dot, kind)) & keep[kind] for kind in loose.KINDS}
    if sum(map(len, lying.values())) <= PACK_BEYOND:
        return
    wanted.commits[:] = [c for c in wanted.commits if c["commit_id"] in lying["commits"]]
    wanted.snapshots[:] = [s for s in wanted.snapshots if s["snapshot_id"] in lying["snapshots"]]
    wanted.objects[:] = [oid for oid in wanted.objects if oid in lying["objects"]]
    with repository.intake() as intake:
        build_framed(repository, wanted, intake.write)
        intake.install()
