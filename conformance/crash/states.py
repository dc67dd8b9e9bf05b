"""The states a crash can leave, under four models of what a file system promises.

A trace is cut into units: a write to one file, or a change of the entries of one folder.  A crash
at a point of the trace loses some of the units before it; which ones it may lose is the model.

- kill: none.  The kernel lives on, so every prefix of the trace is a state.
- journal: metadata is lost from the end only, and any sync carries all of it; data may be lost
  until its own file is synced.
- strict: each unit may be lost until its own file or folder is synced.
- paranoid: as strict, and a write may be torn at a sector or page, or leave zeros of its length.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from .trace import TOLERATED, Op, Recording
from .tree import Tree

MODELS = ("kill", "journal", "strict", "paranoid")
NEVER = 1 << 60
_SYNCS = ("sync", "sync-data", "sync-all")
_SECTOR, _PAGE = 512, 4096

Torn = tuple[tuple[int, int, int], ...]  # (unit, keep from, keep up to); the rest reads as zeros


@dataclass(slots=True)
class Unit:
    """One thing that reaches the disk whole or not at all."""

    at: int  # index of its op
    op: Op
    home: int  # the file whose data, or the folder whose entries
    binds: tuple[tuple[int, str, int | None], ...] = ()
    durable: int = NEVER  # index of the sync that carries it
    doomed: bool = False  # a sync of it failed: later ones prove nothing

    @property
    def is_data(self) -> bool:
        return not self.binds


@dataclass(frozen=True, slots=True)
class State:
    """A crash before op number `point`, that lost the units `dropped` (and tore some)."""

    model: str
    point: int
    dropped: tuple[int, ...] = ()
    torn: Torn = ()
    rank: int = 0  # the likelier to show something, the lower


@dataclass(slots=True)
class Timeline:
    """A recording in units, and the trees its states are."""

    recording: Recording
    units: list[Unit] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)  # indexes of syncs that succeeded
    _at: int = 0  # a prefix of the trace, kept because states are asked for in order
    _prefix: Tree | None = None
    _named: dict[int, int] = field(default_factory=dict)  # when a file got its second name

    def __post_init__(self) -> None:
        pending: dict[int, list[Unit]] = {}
        doomed: list[Unit] = []
        ops = self.recording.ops
        for at, op in enumerate(ops):
            if op.kind == "bind" and op.node >= 0:
                self._named.setdefault(op.node, at)
        for at, op in enumerate(self.recording.ops):
            if op.kind == "start":  # another process cannot know that a sync failed before
                for unit in doomed:
                    pending.setdefault(unit.home, []).append(unit)
                doomed.clear()
            elif op.kind in _SYNCS and op.error == "EINTR":
                continue  # nothing was tried: it is repeated
            elif op.kind in _SYNCS and op.error and op.error not in TOLERATED:
                for unit in pending.get(op.node, []):
                    unit.doomed = self._rewritable(unit)
                doomed += [unit for unit in pending.get(op.node, []) if unit.doomed]
                pending[op.node] = [u for u in pending.get(op.node, []) if not u.doomed]
            elif op.kind in _SYNCS:
                self.carried.append(at)
                homes = list(pending) if op.kind == "sync-all" else [op.node]
                for home in homes:
                    for unit in pending.pop(home, []):
                        unit.durable = at
            elif not op.error:
                for unit in _units(at, op):
                    self.units.append(unit)
                    pending.setdefault(unit.home, []).append(unit)

    def _rewritable(self, unit: Unit) -> bool:
        """A folder made, or a name removed, cannot be written anew: a second sync has to do."""
        nodes = [node for _, _, node in unit.binds if node is not None]
        made = [self.recording.nodes.get(node) for node in nodes]
        return unit.is_data or (bool(nodes) and all(n is None or n.kind == "file" for n in made))

    def pending(self, point: int) -> list[int]:
        """Units before the point that no sync before it carried."""
        return [
            number
            for number, unit in enumerate(self.units)
            if unit.at < point and unit.durable >= point
        ]

    def tree(self, state: State) -> Tree:
        """What the crash left."""
        dropped, torn = set(state.dropped), {number: span for number, *span in state.torn}
        first = min([*dropped, *torn], default=len(self.units))
        while 0 < first < len(self.units) and self.units[first - 1].at == self.units[first].at:
            first -= 1  # the other half of the same call
        start = self.units[first].at if first < len(self.units) else state.point
        tree = self._up_to(min(start, state.point)).copy()
        for op in self.recording.ops[start : state.point]:
            if op.kind == "mode" and not op.error:
                tree.nodes[op.node].mode = op.mode
        for number in range(first, len(self.units)):
            unit = self.units[number]
            if unit.at >= state.point:
                break
            if number in torn:
                _tear(tree, unit.op, *torn[number])
            elif number not in dropped:
                _apply(tree, unit)
        return tree

    def _up_to(self, at: int) -> Tree:
        if self._prefix is None or at < self._at:
            self._prefix, self._at = self.recording.base.copy(), 0
            for number, node in self.recording.nodes.items():
                fresh = node.copy()
                fresh.data = node.data if node.kind == "link" else b""
                self._prefix.nodes[number] = fresh
        tree = self._prefix
        for op in self.recording.ops[self._at : at]:
            if op.error:
                continue
            if op.kind == "mode":
                tree.nodes[op.node].mode = op.mode
            elif op.kind == "write":
                tree.write(op.node, op.offset, op.data)
            elif op.kind == "truncate":
                tree.truncate(op.node, op.size)
            for bind in op.binds:
                tree.bind(*bind)
        self._at = at
        return tree

    def points(self) -> list[int]:
        """Where a crash can lose the most: before each sync, and around each answer."""
        ops, found = self.recording.ops, {len(self.recording.ops)}
        for at, op in enumerate(ops):
            if op.kind in _SYNCS or op.kind == "ack":
                found.add(at)
            if op.kind == "ack":
                found.add(at + 1)
        return sorted(found)

    def states(self, model: str, bound: int = 4, seed: int = 0) -> Iterator[State]:
        """Every state of a model while few units are pending; a seeded choice beyond `bound`."""
        if model == "kill":
            for at, op in enumerate(self.recording.ops, 1):
                if op.kind not in ("start", "send", *_SYNCS):
                    yield State("kill", at, rank=0 if self._visible(at - 1) else 1)
            return
        for point in self.points():
            if model == "journal":
                found = self._journal(point)
            elif model == "strict":
                found = self._strict(point, bound, seed)
            else:
                found = self._paranoid(point)
            yield from (state for state in found if state.dropped or state.torn)

    def _visible(self, at: int) -> bool:
        """An op that changes more than a file which is yet to get its real name."""
        op = self.recording.ops[at]
        if op.kind not in ("create", "write", "truncate", "mode", "unnamed"):
            return True
        return at > self._named.get(op.node, -1)

    def _journal(self, point: int) -> Iterator[State]:
        pending = self.pending(point)
        synced = self.carried[bisect_right(self.carried, point - 1) - 1] if self.carried else -1
        late = [n for n in pending if self.units[n].is_data and self.units[n].op.kind == "write"]
        meta = [n for n in pending if n not in set(late) and self.units[n].at > min(synced, point)]
        files = sorted({self.units[n].home for n in late})
        for cut in range(len(meta) + 1):
            gone = meta[len(meta) - cut :]
            whole = 0 if cut in (0, len(meta)) else 2
            yield State("journal", point, tuple(sorted([*gone, *late])), rank=whole)
            if len(files) > 1:
                for home in files:
                    one = [n for n in late if self.units[n].home == home]
                    yield State("journal", point, tuple(sorted([*gone, *one])), rank=whole + 1)
            if gone:
                yield State("journal", point, tuple(gone), rank=4)

    def _strict(self, point: int, bound: int, seed: int) -> Iterator[State]:
        pending = self.pending(point)
        yield State("strict", point, tuple(pending))
        if len(pending) <= bound:
            for size in range(1, len(pending)):
                for some in combinations(pending, size):
                    yield State("strict", point, some, rank=min(size, 2) + 1)
            return
        homes: dict[int, list[int]] = {}
        for number in pending:
            homes.setdefault(self.units[number].home, []).append(number)
        for group in homes.values():
            yield State("strict", point, tuple(group), rank=1)
            yield State("strict", point, tuple(n for n in pending if n not in group), rank=2)
        for number in pending:
            yield State("strict", point, (number,), rank=2)
            yield State("strict", point, tuple(n for n in pending if n != number), rank=3)
        for cut in range(1, len(pending)):
            yield State("strict", point, tuple(pending[cut:]), rank=4)
        choice = random.Random(f"{seed} {point}")
        for _ in range(4 * bound):
            some = tuple(n for n in pending if choice.random() < 0.5)
            yield State("strict", point, some, rank=5)

    def _paranoid(self, point: int) -> Iterator[State]:
        for number in self.pending(point):
            unit = self.units[number]
            size = len(unit.op.data)
            if not unit.is_data or not size:
                continue
            middle, last = size // 2 // _SECTOR * _SECTOR, (size - 1) // _PAGE * _PAGE
            cuts = sorted({_SECTOR, middle, _PAGE, last})
            spans = [(0, 0), *((0, cut) for cut in cuts if 0 < cut < size)]
            spans += [(cut, size) for cut in cuts if 0 < cut < size]
            hidden = 0 if self._visible(unit.at) else 3
            for rank, span in enumerate(spans):
                yield State("paranoid", point, torn=((number, *span),), rank=rank + hidden)


def _units(at: int, op: Op) -> list[Unit]:
    if op.kind in ("write", "truncate"):
        return [Unit(at, op, op.node)]
    folders = list(dict.fromkeys(folder for folder, _, _ in op.binds))
    return [
        Unit(at, op, folder, tuple(bind for bind in op.binds if bind[0] == folder))
        for folder in folders
    ]


def _apply(tree: Tree, unit: Unit) -> None:
    if unit.op.kind == "write":
        tree.write(unit.op.node, unit.op.offset, unit.op.data)
    elif unit.op.kind == "truncate":
        tree.truncate(unit.op.node, unit.op.size)
    for bind in unit.binds:
        tree.bind(*bind)


def _tear(tree: Tree, op: Op, start: int, end: int) -> None:
    """The file has its new length, but of the bytes written only those from start to end."""
    old = tree.nodes[op.node].data[op.offset :].ljust(len(op.data), b"\0")
    torn = old[:start] + op.data[start:end] + old[end : len(op.data)]
    tree.write(op.node, op.offset, torn)
