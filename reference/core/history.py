"""Ancestry: questions about a graph that the caller can look up, commit by commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from heapq import heapify, heappop, heappush

Parents = Callable[[str], Sequence[str]]
"""Looks up a commit's parents; a commit that is not there has none."""


def reachable(parents: Parents, starts: Iterable[str], stop: Set[str] = frozenset()) -> list[str]:
    """Every commit reachable from `starts`, parents first, not entering `stop`."""
    order: list[str] = []
    done = set(stop)
    for start in starts:
        waiting = [(start, False)]
        while waiting:
            commit, expanded = waiting.pop()
            if expanded:
                order.append(commit)
            elif commit not in done:
                done.add(commit)
                waiting.append((commit, True))
                waiting.extend((parent, False) for parent in reversed(parents(commit)))
    return order


def is_ancestor(parents: Parents, ancestor: str, descendant: str) -> bool:
    """Whether `ancestor` is `descendant` or among what it descends from."""
    waiting, seen = [descendant], {descendant}
    while waiting:
        commit = waiting.pop()
        if commit == ancestor:
            return True
        fresh = [parent for parent in parents(commit) if parent not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return False


def merge_base(parents: Parents, ours: str, theirs: str) -> str | None:
    """A best common ancestor; of several, the one with the smallest id [STORE-069]."""
    common = set(reachable(parents, [ours])) & set(reachable(parents, [theirs]))
    inner = {parent for commit in common for parent in parents(commit)}
    return min(common - inner, default=None)


def newest_first(
    parents: Parents, time_of: Callable[[str], float], starts: Iterable[str]
) -> Iterable[str]:
    """Commits reachable from `starts`, the latest `committed_at` first."""
    seen = set(starts)
    queue = [(-time_of(commit), commit) for commit in seen]
    heapify(queue)
    while queue:
        _, commit = heappop(queue)
        yield commit
        for parent in parents(commit):
            if parent not in seen:
                seen.add(parent)
                heappush(queue, (-time_of(parent), parent))
