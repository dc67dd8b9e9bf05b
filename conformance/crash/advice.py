"""Says in words what a counterexample shows: which call was missing, before which."""

from __future__ import annotations

import posixpath

from .oracle import Symptom
from .states import State, Timeline, Unit
from .trace import Op


def blame(timeline: Timeline, state: State) -> str:
    """The operation whose calls the crash cut or lost."""
    culprits = [*state.dropped, *(number for number, *_ in state.torn)]
    at = timeline.units[culprits[0]].at if culprits else state.point - 1
    return operation_at(timeline, at)


def operation_at(timeline: Timeline, at: int) -> str:
    """The request that was being worked on at an op: the last one sent by its process."""
    ops = timeline.recording.ops
    process = ops[at].process if 0 <= at < len(ops) else -1
    root = None
    for op in reversed(ops[: at + 1]):
        if op.kind == "send":
            root = root if root is not None else op
            if op.process == process:
                return timeline.recording.requests[op.request].name
    return timeline.recording.requests[root.request].name if root is not None else "start"


def explain(timeline: Timeline, state: State, symptom: Symptom) -> str:
    """One sentence that names the flaw."""
    if state.torn:
        unit = timeline.units[state.torn[0][0]]
        return f"{_shape(unit.op.path)}: {_late(timeline, unit, state.point)}"
    if state.dropped:
        told = [
            f"{_shape(timeline.units[n].op.path)}: {_late(timeline, timeline.units[n], state.point)}"
            for n in state.dropped
        ]
        return "; ".join(dict.fromkeys(told[:3]))
    return _cut(timeline, state, symptom)


def _late(timeline: Timeline, unit: Unit, point: int) -> str:
    """Why a unit could be lost at the point."""
    ops = timeline.recording.ops
    answered = any(op.kind == "ack" for op in ops[unit.at : point])
    when = "before the answer" if answered else "before it was relied on"
    if unit.doomed:
        return "its sync failed, and a later one proves nothing: write it anew"
    if unit.is_data:
        named = next(
            (op for op in ops[unit.at : point] if op.kind == "bind" and op.node == unit.home), None
        )
        if named is not None and unit.durable < len(ops):
            return f"fsync of the file came after {named.call.split('(')[0]}, not before it"
        if named is not None:
            return f"no fsync of the file before {named.call.split('(')[0]}"
        return f"no fsync of the file after its last write, {when}"
    folder = _shape(posixpath.dirname(unit.op.path) or ".")
    verb = unit.op.call.split("(")[0]
    if len({bind[0] for bind in unit.op.binds}) > 1:
        return f"a rename across folders needs both synced: no fsync of {folder} {when}"
    if verb.startswith("mkdir"):
        return f"no fsync of the parent folder {folder} after mkdir, {when}"
    return f"no fsync of the folder {folder} after {verb}, {when}"


def _cut(timeline: Timeline, state: State, symptom: Symptom) -> str:
    """A plain prefix is bad: something is visible before what it needs."""
    ops = timeline.recording.ops
    in_place = _written_in_place(timeline, state.point)
    if in_place:
        return f"{_shape(in_place)}: written in place; write a temp file, fsync it, rename it"
    last = next((op for op in reversed(ops[: state.point]) if op.kind in ("ack", "send")), None)
    later = next((op for op in ops[state.point :] if op.kind in ("create", "write", "bind")), None)
    if last is not None and later is not None and symptom.kind in ("lost", "wrong"):
        earlier = next((op for op in reversed(ops[: state.point]) if op.kind == "ack"), None)
        if earlier is not None:
            return f"answered before the work was done: {_verb(later)} comes after the answer"
    done = next((op for op in reversed(ops[: state.point]) if op.binds), None)
    if done is not None and later is not None:
        return (
            f"{_verb(done)} came before {_verb(later)}: write what is referred to, durably, "
            "before what refers to it"
        )
    return f"the state after {ops[state.point - 1].call} is not whole: {symptom.what}"


def _written_in_place(timeline: Timeline, point: int) -> str:
    """A file that had its final name, and contents, when the interrupted request wrote to it."""
    ops = timeline.recording.ops
    for at in range(point - 1, -1, -1):
        op = ops[at]
        if op.kind == "ack":
            return ""
        if op.kind not in ("write", "truncate", "create"):
            continue
        if op.kind == "create":
            # a new file that never gets another name is written under its final one
            moved = any(later.kind == "bind" and later.node == op.node for later in ops[at:])
            kept = op.node in timeline.recording.nodes and not moved and op.binds
            if kept and timeline.recording.nodes[op.node].kind == "file":
                return op.path
        elif not any(made.node == op.node and made.kind == "create" for made in ops[:at]) or any(
            made.node == op.node and made.kind in ("bind", "sync") for made in ops[:at]
        ):
            return op.path
    return ""


def _verb(op: Op) -> str:
    return f"{op.call.split('(')[0]} of {_shape(op.path)}"


def _shape(path: str) -> str:
    """A path without what differs from run to run: ids and temp names become their kind."""
    parts = []
    for part in path.removeprefix("store/").split("/"):
        hexes = sum(letter in "0123456789abcdef" for letter in part)
        is_id = len(part) >= 2 and hexes >= len(part.split(".")[0]) and not part.isalpha()
        is_temp = any(word in part.lower() for word in ("tmp", "temp")) and len(part) > 4
        parts.append("<temp>" if is_temp else "<id>" if is_id and len(part) > 1 else part)
    return "/".join(parts)


def calls(timeline: Timeline, state: State) -> list[str]:
    """The calls of the operations concerned, with what was lost and where the crash came."""
    ops, units = timeline.recording.ops, timeline.units
    dropped = {units[n].at for n in state.dropped}
    torn = {units[n].at: span for n, *span in state.torn}
    first = min([*dropped, *torn, max(state.point - 1, 0)])
    start = max((at for at in range(first + 1) if ops[at].kind == "send"), default=0)
    shown = []
    for at in range(start, min(state.point, len(ops))):
        op = ops[at]
        mark = "LOST" if at in dropped else "TORN" if at in torn else ""
        if not op.call.startswith("  ("):
            shown.append(f"{mark:5}{op.call}")
    if len(shown) > 40:
        shown = [*shown[:20], f"     … {len(shown) - 40} more", *shown[-20:]]
    return [*shown, "     -- crash --"]
