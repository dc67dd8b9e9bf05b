"""gc: what nothing reaches goes, what is loose is packed, and what is missing stops it all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from reference.core.history import reachable
from reference.wire.errors import ProtocolError
from reference.wire.ids import is_id
from reference.wire.records import parents

from . import durable, fsck, loose, refs, removal, state
from .removal import Kept, contents
from .repository import Repository

GRACE_SECONDS = 14 * 24 * 3600
PACK_BEYOND = 2000
"""How many reachable loose objects and records a store keeps before gc packs them."""


Record = dict[str, Any]


def collect(repository: Repository, grace_seconds: float = GRACE_SECONDS) -> int:
    """Removes what is unreachable and older than the grace period; returns how many things."""
    with durable.lock(repository.dot, exclusive=True):
        before = time.time() - grace_seconds
        reached = _closure(repository, _roots(repository), strict=True)
        _verify(repository, reached)
        keep = {kind: set(ids) for kind, ids in reached.items()}
        _keep_young(repository, keep, before)
        swept = durable.sweep(repository.root)
        if sum(map(len, reached.values())) > PACK_BEYOND:
            _pack(repository, reached)
        removed = removal.remove_all_but(repository, keep)
        repository.forget()
        return swept + removed


def _keep_young(repository: Repository, keep: Kept, before: float) -> None:
    """What was written lately stays with all it stands on, and so does all of a pack that stays."""
    young = {
        kind: {
            object_id
            for object_id in loose.iter_ids(repository.dot, kind)
            if os.stat(loose.path_of(repository.dot, kind, object_id)).st_mtime > before
        }
        for kind in loose.KINDS
    }
    waiting = list(repository.packs())
    while True:
        _merge(keep, young)
        _merge(keep, _closure(repository, set().union(*young.values()), strict=False))
        staying = [
            pack
            for pack in waiting
            if os.stat(pack.path).st_mtime > before
            or any(not ids.isdisjoint(keep[kind]) for kind, ids in contents(pack).items())
        ]
        if not staying:
            return
        young = {kind: set() for kind in loose.KINDS}
        for pack in staying:
            _merge(young, contents(pack))
        waiting = [pack for pack in waiting if pack not in staying]


def _merge(keep: Kept, more: Kept) -> None:
    for kind, ids in more.items():
        keep[kind] |= ids


def _named(repository: Repository) -> Iterator[str]:
    """The commits that a ref or HEAD names: without one of them nothing may go."""
    yield from refs.list_refs(repository.dot).values()
    _, commit = refs.read_head(repository.dot)
    if commit is not None:
        yield commit


def _roots(repository: Repository) -> Iterator[str]:
    """Every commit or object that a ref, HEAD or a state file names."""
    yield from _named(repository)
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


def _closure(repository: Repository, roots: Iterable[str], strict: bool) -> Kept:
    """The roots and what they stand on; where `strict`, a gap is an `integrity` error."""
    keep: Kept = {"commits": set(), "snapshots": set(), "objects": set()}
    named = set(_named(repository)) if strict else set()
    starts = set()

    def found(look: Callable[[str], Record | None], object_id: str) -> Record | None:
        try:
            return look(object_id)
        except ProtocolError:
            if strict:
                raise
        return None

    def needed(look: Callable[[str], Record | None], object_id: str) -> Record:
        record = found(look, object_id)
        if record is None and strict:
            why = f"{object_id} is reachable and missing: nothing was removed"
            raise ProtocolError("integrity", why)
        return record or {}

    for root in set(roots):
        if root in named or found(repository.find_commit, root):
            starts.add(root)
        elif found(repository.find_snapshot, root):
            keep["snapshots"].add(root)
        elif repository.has_blob(root):
            keep["objects"].add(root)

    def parents_of(object_id: str) -> list[str]:
        if commit := needed(repository.find_commit, object_id):
            keep["snapshots"].add(commit["snapshot_id"])
        return parents(commit)

    keep["commits"].update(reachable(parents_of, sorted(starts)))
    waiting = list(keep["snapshots"])
    while waiting:
        record = needed(repository.find_snapshot, waiting.pop())
        keep["objects"].update(record.get("delta_upsert", {}).values())
        base = record.get("parent_snapshot_id")
        if base is not None and base not in keep["snapshots"]:
            keep["snapshots"].add(base)
            waiting.append(base)
    return keep


def _verify(repository: Repository, keep: Kept) -> None:
    """Everything that must stay reads back: a store in doubt is mended, not collected."""
    snapshots, objects = keep["snapshots"], keep["objects"]
    packed = [oid for pack in repository.packs() for oid in pack.blob_ids if oid in objects]
    try:
        for object_id in dict.fromkeys([*packed, *sorted(objects)]):  # packs frame by frame
            repository.blob(object_id)
    except ProtocolError as problem:
        raise ProtocolError("integrity", f"{problem.detail}: nothing was removed") from None
    for found in fsck.snapshot_problems(repository, snapshots, objects):
        raise ProtocolError("integrity", f"{found}: nothing was removed")


def _pack(repository: Repository, keep: dict[str, set[str]]) -> None:
    """One pack of everything reachable that is loose; the loose copies go once it is durable."""
    from reference.core.closure import closure  # for the few collections that pack

    from .packing import build_framed
    from .packs import OURS

    tips = [commit for commit in keep["commits"] if repository.find_commit(commit)]
    wanted = closure(repository.lookups(), sorted(tips))
    lying = {kind: set(loose.iter_ids(repository.dot, kind)) & keep[kind] for kind in loose.KINDS}
    if sum(map(len, lying.values())) <= PACK_BEYOND:
        return
    wanted.commits[:] = [c for c in wanted.commits if c["commit_id"] in lying["commits"]]
    wanted.snapshots[:] = [s for s in wanted.snapshots if s["snapshot_id"] in lying["snapshots"]]
    wanted.objects[:] = [oid for oid in wanted.objects if oid in lying["objects"]]
    with repository.intake(OURS) as intake:
        build_framed(repository, wanted, intake.write)
        intake.install()
