"""Ancestry: questions about a graph that the caller can look up, commit by commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Parents = Callable[[str], Sequence[str]]
"""Looks up a commit's parents; a commit that is not there has none."""
Id = TypeVar("Id", bound=Hashable)
_OURS, _THEIRS, _BELOW = 1, 2, 4


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


def parents_first(above: Mapping[str, Sequence[str]]) -> list[str]:
    """The keys, each after those of its parents that are keys too; mostly they come so."""
    seen: set[str] = set()
    for commit, parents in above.items():
        for parent in parents:
            if parent not in seen and parent in above:
                return reachable(lambda key: above.get(key, ()), above)
        seen.add(commit)
    return list(above)


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


def instant(committed_at: str) -> tuple[int, str]:
    """The moment that a commit's time names: whole seconds, and any number of digits beyond."""
    whole, fraction, offset = re.fullmatch(
        r"([^.Z+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", committed_at
    ).groups()  # type: ignore[union-attr]  # its form was checked when it came in
    moment = datetime.fromisoformat(whole + ("+00:00" if offset == "Z" else offset))
    return int(moment.timestamp()), (fraction or "").rstrip("0")


class Sweep(Generic[Id]):
    """What two sides reach, learnt from commits that come one by one, children before parents.

    What is known of a commit is complete when it comes, so nothing below the place where the
    sides have met is ever asked for.  `met` counts as theirs where ours comes across it.
    """

    def __init__(
        self, ours: Iterable[Id], theirs: Iterable[Id] = (), met: Set[Id] = frozenset()
    ) -> None:
        self.only: dict[Id, Sequence[Id]] = {}
        self.bases: list[Id] = []
        self._met = met
        self._waiting: dict[Id, int] = {}
        self._open = 0
        for side, starts in ((_THEIRS, theirs), (_OURS, ours)):
            for start in starts:
                self._mark(start, side)

    @property
    def done(self) -> bool:
        """Whether all that ours reach alone has come, and every best common ancestor."""
        return not self._open

    def take(self, commit: Id, parents: Sequence[Id]) -> None:
        """The next commit: into `only` if ours alone reach it, into `bases` if they meet there."""
        marks = self._waiting.pop(commit, 0)
        if not marks:
            return
        if marks & _OURS and not marks & _BELOW:
            self._open -= 1
            if marks & _THEIRS or commit in self._met:
                self.bases.append(commit)
                marks |= _THEIRS | _BELOW
            else:
                self.only[commit] = parents
        for parent in parents:
            self._mark(parent, marks)

    def _mark(self, commit: Id, marks: int) -> None:
        before = self._waiting.get(commit, 0)
        after = self._waiting[commit] = before | marks
        self._open += _is_open(after) - _is_open(before)


def _is_open(marks: int) -> bool:
    return marks & (_OURS | _BELOW) == _OURS
