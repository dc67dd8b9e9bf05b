"""Rules that a trace can break without any state being bad: each is a flaw waiting for its day."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .advice import is_temp, operation_at, shape, verb
from .states import Timeline, Unit
from .trace import Op

_NAMED = re.compile(rb"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Lint:
    """One broken rule, and the operation that broke it."""

    rule: str
    operation: str
    where: str


def lint(timeline: Timeline) -> list[Lint]:
    """Every rule that the trace breaks, each once for an operation and a place."""
    found = [*_renames(timeline), *_answers(timeline), *_temp_names(timeline)]
    found += _referents(timeline)
    return list(dict.fromkeys(found))


def _renames(timeline: Timeline) -> Iterator[Lint]:
    for at, op in _moves(timeline):
        late = [u for u in _pending(timeline, at) if u.is_data and u.home == op.node]
        if late:
            yield Lint("fsync before rename", operation_at(timeline, at), shape(op.path))


def _answers(timeline: Timeline) -> Iterator[Lint]:
    """What is pending when an answer is given, as far as anything still depends on it."""
    ops = timeline.recording.ops
    for at, op in enumerate(ops):
        if op.kind != "ack" or not timeline.recording.answers[op.request].value["ok"]:
            continue
        for unit in _pending(timeline, at):
            operation = operation_at(timeline, unit.at)
            rule = _rule(timeline, unit, at)
            if rule and operation != "gc":
                yield Lint(rule, operation, shape(unit.op.path))


def _rule(timeline: Timeline, unit: Unit, at: int) -> str:
    if unit.is_data:
        named = _names_at(timeline, at).get(unit.home, 0)
        return "no answer before the last fsync" if named else ""
    for folder, name, node in unit.binds:
        standing = _bound_at(timeline, at).get((folder, name))
        if standing != node:
            continue  # a temp name, gone again
        if node is None:
            if is_temp(name) or not _was_durable(timeline, unit, folder, name):
                continue  # what may stay need not be removed durably
            return "fsync of the folder after unlink"
        made = timeline.recording.nodes.get(node)
        if made is not None and made.kind == "folder":
            return "fsync of the parent after mkdir"
        if unit.op.kind == "create" and not _written(timeline, node, at):
            continue  # an empty file: a lock
        return f"fsync of the folder after {unit.op.call.split('(')[0]}"
    return ""


def _temp_names(timeline: Timeline) -> Iterator[Lint]:
    """A temp name used twice without O_EXCL is a collision between two processes."""
    seen: dict[tuple[int, str], int] = {}
    ops = timeline.recording.ops
    created = {op.node: op for op in ops if op.kind == "create" and op.node >= 0}
    for at, op in _moves(timeline):
        made = created.get(op.node)
        if made is None or made.exclusive or not made.binds or len(op.binds) < 2:
            continue
        key = made.binds[0][:2]
        if seen.setdefault(key, op.node) != op.node:
            yield Lint("unique temp names", operation_at(timeline, at), shape(made.path))


def _referents(timeline: Timeline) -> Iterator[Lint]:
    """A file that names an id becomes visible while the file that has this id is not durable."""
    homes = _objects(timeline)
    contents: dict[int, bytes] = {}
    for at, op in enumerate(timeline.recording.ops):
        if op.kind == "write" and not op.error:
            contents[op.node] = contents.get(op.node, b"") + op.data
        if op.kind != "bind" or op.error or op.node not in contents:
            continue
        if is_temp(posixpath.basename(op.path)):
            continue
        if not _is_text(contents[op.node]):
            continue  # a pack names what it holds
        for name in set(_NAMED.findall(contents[op.node])):
            node, made = homes.get(name.decode(), (-1, 0))
            if node < 0 or node == op.node:
                continue
            late = any(
                unit.home == node or any(bound == node for _, _, bound in unit.binds)
                for unit in _pending(timeline, at)
            )
            if made > at or late:
                yield Lint("referent before reference", operation_at(timeline, at), verb(op))


def _objects(timeline: Timeline) -> dict[str, tuple[int, int]]:
    """Ids by the files that bear them in their path, with the op that put each there."""
    found: dict[str, tuple[int, int]] = {}
    for at, op in enumerate(timeline.recording.ops):
        if op.kind == "bind" and not op.error and op.node >= 0 and op.binds:
            match = re.search(r"([0-9a-f]{64})(\.\w+)?$", op.path.replace("/", ""))
            if match:
                found.setdefault(match[1], (op.node, at))
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _moves(timeline: Timeline) -> Iterator[tuple[int, Op]]:
    for at, op in enumerate(timeline.recording.ops):
        moved_aside = is_temp(posixpath.basename(op.path))  # to be removed
        if op.kind == "bind" and op.node >= 0 and not op.error and not moved_aside:
            yield at, op


def _pending(timeline: Timeline, at: int) -> list[Unit]:
    return [timeline.units[number] for number in timeline.pending(at)]


def _bound_at(timeline: Timeline, at: int) -> dict[tuple[int, str], int | None]:
    bound: dict[tuple[int, str], int | None] = {}
    for op in timeline.recording.ops[:at]:
        if not op.error:
            for folder, name, node in op.binds:
                bound[folder, name] = node
    return bound


def _names_at(timeline: Timeline, at: int) -> dict[int, int]:
    names: dict[int, int] = {}
    for node in _bound_at(timeline, at).values():
        if node is not None:
            names[node] = names.get(node, 0) + 1
    return names


def _was_durable(timeline: Timeline, unit: Unit, folder: int, name: str) -> bool:
    return any(
        earlier.at < unit.at and earlier.durable < unit.at
        for earlier in timeline.units
        for where, which, node in earlier.binds
        if (where, which) == (folder, name) and node is not None
    )


def _written(timeline: Timeline, node: int, at: int) -> bool:
    return any(op.kind == "write" and op.node == node for op in timeline.recording.ops[:at])
