"""Says in words what a counterexample shows: which call was missing, before which."""

from __future__ import annotations

import posixpath
import re

from .checks import Symptom
from .states import State, Timeline, Unit
from .trace import Op

_ID = re.compile(r"[0-9a-f]{2}|.*[0-9a-f]{38,}.*")
_TEMP = re.compile(r".*(tmp|temp|lock).+|.+(tmp|temp).*", re.IGNORECASE)


def shape(path: str) -> str:
    """A path without what differs from run to run: ids and temp names become their kind."""
    parts = path.removeprefix("store/").split("/")
    return "/".join(
        "<temp>" if _TEMP.fullmatch(part) else "<id>" if _ID.fullmatch(part) else part
        for part in parts
    )


def is_temp(name: str) -> bool:
    """A name that says it may be removed at any time."""
    return bool(_TEMP.fullmatch(name))


def operation_at(timeline: Timeline, at: int) -> str:
    """The request being worked on at an op: the last one sent by its process, or by its parent."""
    ops = timeline.recording.ops
    process = ops[at].process if 0 <= at < len(ops) else -1
    sends = [op for op in ops[: at + 1] if op.kind == "send"]
    own = [op for op in sends if op.process == process] or sends
    return timeline.recording.requests[own[-1].request].name if own else "start"


def promised(timeline: Timeline, state: State, symptom: Symptom) -> int:
    """Where the thing that the symptom is about was last acknowledged; -1 if it was not."""
    recording = timeline.recording
    for at in range(min(state.point, len(recording.ops)) - 1, -1, -1):
        op = recording.ops[at]
        if op.kind == "ack" and recording.answers[op.request].value["ok"]:
            answer = recording.answers[op.request].value
            known = recording.requests[op.request].promises | {str(answer.get("commit_id"))}
            if symptom.about in known:
                return at
    return -1


def lost_unit(timeline: Timeline, unit: Unit, point: int) -> str:
    """Why a unit could be lost at the point."""
    ops = timeline.recording.ops
    answered = any(op.kind == "ack" for op in ops[unit.at : point])
    when = "before the answer" if answered else "before it was relied on"
    if unit.doomed:
        return "its sync failed: it has to be written anew"
    verb = unit.op.call.split("(")[0]
    if not unit.is_data:
        if verb.startswith("mkdir"):
            return f"no fsync of the parent folder after mkdir, {when}"
        if len({folder for folder, _, _ in unit.op.binds}) > 1:
            return f"no fsync of both folders after a {verb} across them, {when}"
        return f"no fsync of the folder after {verb}, {when}"
    moved = next(
        (op for op in ops[unit.at : point] if op.kind == "bind" and op.node == unit.home), None
    )
    if moved is None:
        return f"no fsync of the file after its last write, {when}"
    verb, settled = moved.call.split("(")[0], unit.durable < len(ops)
    soon = settled and not any(op.kind == "ack" for op in ops[unit.at : unit.durable])
    return f"fsync of the file after {verb}, not before it" if soon else (
        f"no fsync of the file before {verb}"
    )  # fmt: skip


def place(unit: Unit) -> str:
    """What the missing sync should have been of."""
    if unit.is_data:
        return shape(unit.op.path)
    folder = shape(posixpath.dirname(unit.op.path)) or "."
    return f"{folder} ({unit.op.call.split('(')[0]} of {shape(unit.op.path)})"


def torn_unit(timeline: Timeline, unit: Unit, point: int) -> str:
    in_place = written_in_place(timeline, point)
    return in_place[0] if in_place else lost_unit(timeline, unit, point)


def cut(timeline: Timeline, point: int) -> tuple[str, str]:
    """A plain prefix is bad: something is visible before what it needs."""
    in_place = written_in_place(timeline, point)
    if in_place:
        return in_place
    ops = timeline.recording.ops
    done = next((op for op in reversed(ops[:point]) if op.binds), None)
    later = next((op for op in ops[point:] if op.binds or op.kind == "write"), None)
    if done is None or later is None:
        return f"not whole after {verb(ops[point - 1])}", shape(ops[point - 1].path)
    if done.call.startswith("unlink") and done.path == later.path:
        return "unlink before rename: for a moment there is neither old nor new", shape(done.path)
    flaw = "the reference is written before what it refers to"
    if done.call.startswith("unlink"):
        flaw = "what is referred to is removed before what refers to it"
    return flaw, f"{verb(done)} comes before {verb(later)}"


def left_lock(timeline: Timeline, point: int) -> str:
    """A file named as a lock that was made and not yet removed."""
    bound: dict[str, str] = {}
    for op in timeline.recording.ops[:point]:
        for _, name, node in op.binds:
            if "lock" in name.lower() and op.exclusive and node is not None:
                bound[name] = op.path
            else:
                bound.pop(name, None)
    return next(iter(bound.values()), "")


def written_in_place(timeline: Timeline, point: int) -> tuple[str, str] | None:
    """The file that has its final name while the interrupted request still writes to it."""
    ops = timeline.recording.ops
    for at in range(min(point, len(ops)) - 1, -1, -1):
        op = ops[at]
        if op.kind == "send":
            return None
        if op.kind in ("create", "write", "truncate") and op.node >= 0 and _is_file(timeline, op):
            later = ops[at:]
            moved = any(other.kind == "bind" and other.node == op.node for other in later)
            moved = moved or is_temp(posixpath.basename(op.path))
            filled = any(other.kind == "write" and other.node == op.node for other in ops)
            if filled and not moved:
                return "written in place: write a temp file, fsync it, rename it", shape(op.path)
    return None


def _is_file(timeline: Timeline, op: Op) -> bool:
    node = timeline.recording.nodes.get(op.node)
    return node is None or node.kind == "file"


def verb(op: Op) -> str:
    return f"{op.call.split('(')[0]} of {shape(op.path)}"


def calls(timeline: Timeline, state: State) -> list[str]:
    """The calls of the operations concerned, with what was lost and where the crash came."""
    ops, units = timeline.recording.ops, timeline.units
    dropped = {units[n].at for n in state.dropped}
    torn = {units[n].at for n, *_ in state.torn}
    first = min([*dropped, *torn, max(state.point - 1, 0)])
    start = max((at for at in range(first + 1) if ops[at].kind == "send"), default=0)
    shown = []
    for at in range(start, min(state.point, len(ops))):
        mark = "LOST" if at in dropped else "TORN" if at in torn else ""
        shown.append(f"{mark:5}{ops[at].call}")
    if len(shown) > 40:
        shown = [*shown[:20], f"     … {len(shown) - 40} more", *shown[-20:]]
    return [*shown, "     -- crash --"]
