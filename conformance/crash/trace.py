"""What a recording consists of: calls that changed or synced something, and the answers between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .requests import Request
from .tree import Node, Tree

TOLERATED = frozenset({"EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"})


@dataclass(slots=True)  # not frozen: that alone would be a tenth of a trapped call
class Op:
    """One call as an effect on nodes; never changed once it is made.

    `kind` is one of create, unnamed, write, truncate, bind (names set or removed, in order), mode,
    sync, sync-data, sync-all, start, send, ack, end.
    """

    kind: str
    call: str  # as it would be written by a person, for reports
    process: int
    node: int = -1
    offset: int = 0
    data: bytes = b""
    size: int = 0
    mode: int = 0
    binds: tuple[tuple[int, str, int | None], ...] = ()
    error: str = ""  # the errno's name when the call failed
    request: int = -1  # for send and ack: which request
    path: str = ""
    exclusive: bool = False  # created with O_EXCL, so a fixed name is a lock and not an accident


@dataclass(slots=True)
class Answer:
    """What the subject said to one request, and where in the trace it said so."""

    request: int
    at: int
    value: dict[str, Any]


@dataclass(slots=True)
class Recording:
    """The trace of one or more processes over one folder."""

    base: Tree  # before the first call: all of it durable
    live: Tree  # after the last one
    nodes: dict[int, Node] = field(default_factory=dict)  # those made on the way, when new
    ops: list[Op] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)  # why the trace may not be the whole story
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # the subject hung, answered garbage…
    trapped: int = 0

    def doubt(self, why: str) -> None:
        if why not in self.doubts:
            self.doubts.append(why)

    def note(self, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)
