"""What a collection takes away, in an order of which a crash may keep any part.  [DUR-011]"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from reference.core.verification import outside
from reference.wire.errors import ProtocolError
from reference.wire.records import parents

from . import durable, loose
from .repository import Repository

if TYPE_CHECKING:
    from .packs import PackFile

Kept = dict[str, set[str]]
"""Ids that stay, by kind."""


class _Part:
    """What goes at once: a loose file, or a pack and its index."""

    def __init__(self, paths: Sequence[str], holds: Set[str], stands_on: Set[str]) -> None:
        self.paths = paths
        self.holds = holds
        self.stands_on = stands_on


def remove_all_but(repository: Repository, keep: Kept) -> int:
    """Removes everything else; returns how many things.  Whoever calls holds the store's lock."""
    _remove_doubled(repository, keep)
    going = [*_loose_parts(repository, keep), *_pack_parts(repository, keep)]
    for wave in _waves(going):
        durable.remove(*(path for part in wave for path in part.paths))
    return sum(len(part.holds) for part in going)


def contents(pack: PackFile) -> Kept:
    """The ids in a pack, by kind."""
    return {kind: set(ids_of(pack)) for kind, ids_of in loose.PACKED_IDS.items()}


def _remove_doubled(repository: Repository, keep: Kept) -> None:
    """What stays in a pack that is durable need not lie loose as well, unless packs disagree."""
    lying = {kind: keep[kind].intersection(loose.iter_ids(repository.dot, kind)) for kind in keep}
    for pack in repository.packs():
        lying["commits"] -= {
            record["commit_id"]
            for record in pack.pack.commits
            if record["commit_id"] in lying["commits"]
            and record != repository.commit(record["commit_id"])
        }
    for pack in repository.packs():
        held = contents(pack)
        doubled = {kind: lying[kind] & held[kind] for kind in loose.KINDS}
        if any(doubled.values()) and _is_sound(pack):
            for kind, ids in doubled.items():
                durable.remove(*(loose.path_of(repository.dot, kind, oid) for oid in ids))
                lying[kind] -= ids


def _is_sound(pack: PackFile) -> bool:
    """Whether a pack is durable and reads back: nothing else may hold what is in it."""
    try:
        return durable.settle(pack.path) and bool(pack.verified())
    except ProtocolError:
        return False


def _loose_parts(repository: Repository, keep: Kept) -> Iterator[_Part]:
    for kind in loose.KINDS:
        for object_id in set(loose.iter_ids(repository.dot, kind)) - keep[kind]:
            path = loose.path_of(repository.dot, kind, object_id)
            yield _Part([path], {object_id}, _bases(repository, kind, object_id))


def _bases(repository: Repository, kind: str, object_id: str) -> set[str]:
    try:
        if kind == "commits":
            commit = repository.commit(object_id)
            return {*parents(commit), commit["snapshot_id"]}
        if kind == "snapshots":
            record = repository.snapshot(object_id)
            return {*record["delta_upsert"].values(), record["parent_snapshot_id"]}
    except ProtocolError:
        pass  # damaged: nothing can be read off it, and it goes
    return set()


def _pack_parts(repository: Repository, keep: Kept) -> Iterator[_Part]:
    for pack in repository.packs(again=True):
        held = contents(pack)
        if all(held[kind].isdisjoint(keep[kind]) for kind in held):
            needs = outside(pack.pack)
            leans_on = needs.commits | needs.snapshots | needs.bases | needs.objects
            yield _Part([pack.path, pack.index_path], set().union(*held.values()), leans_on)


def _waves(going: Sequence[_Part]) -> Iterator[Sequence[_Part]]:
    """Groups to remove one after the other: first what nothing stands on.  [DUR-011]

    What stands on itself by way of a pack, or damaged, goes at the end, all at once.
    """
    holders: dict[str, list[_Part]] = defaultdict(list)
    for part in going:
        for object_id in part.holds:
            holders[object_id].append(part)
    order: TopologicalSorter[_Part] = TopologicalSorter(dict.fromkeys(going, ()))
    for part in going:
        for object_id in part.stands_on:
            for base in holders.get(object_id, ()):
                order.add(base, part)
    with contextlib.suppress(CycleError):
        order.prepare()
    left = set(going)
    while wave := order.get_ready():
        yield wave
        order.done(*wave)
        left.difference_update(wave)
    if left:
        yield list(left)
