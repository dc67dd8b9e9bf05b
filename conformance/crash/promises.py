"""What a store owes at a point of its trace: what it acknowledged, and no torn rest of anything."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .requests import Commit, Register, Request
from .trace import Recording

ABSENT = None
_ID = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(slots=True)
class Owed:
    """What must be there, what may be, and what each register may say."""

    initialised: bool = False
    blobs: dict[str, tuple[bytes, bool]] = field(default_factory=dict)  # contents, must it be there
    commits: dict[str, tuple[Commit, bool]] = field(default_factory=dict)
    registers: dict[Register, list[Any]] = field(default_factory=dict)
    files: dict[str, list[bytes | None]] = field(default_factory=dict)
    unanswered: list[int] = field(default_factory=list)
    last: int = -1  # the last request that was answered with ok

    def take(self, request: Request, answer: dict[str, Any] | None) -> None:
        """The effect of one request: its answer, None while there is none."""
        sure = answer is not None and bool(answer["ok"])
        if answer is not None and not sure and answer.get("error") in ("invalid", "not_found"):
            return  # refused, so it left nothing
        if request.op == "gc":
            self._collect()
        for name, data in request.blobs.items():
            self.blobs[name] = (data, sure or self.blobs.get(name, (b"", False))[1])
        for name, made in request.commits.items():
            self.commits[name] = (made, sure or self.commits.get(name, (made, False))[1])
        if request.restored is not None:
            path, data = request.restored
            before = self.files.get(path, [ABSENT])
            self.files[path] = [data] if sure else [*before, data]
        if request.register is not None:
            self._write(request, answer, sure)

    def _write(self, request: Request, answer: dict[str, Any] | None, sure: bool) -> None:
        assert request.register is not None
        before = self.registers.get(request.register, [ABSENT])
        values = [request.value]
        if request.commit is not None:
            children = dict(request.commit.under(parent) for parent in before)
            said = answer.get("commit_id") if sure and answer is not None else None
            if said is not None:  # what was said is held against what it should have been
                children = {name: child for name, child in children.items() if name == said} or {
                    str(said): request.commit
                }
            for name, child in children.items():
                self.commits[name] = (child, sure)
            values = list(children)
        elif answer is not None and answer.get("error") == "conflict":
            return
        self.registers[request.register] = values if sure else [*before, *values]

    def _collect(self) -> None:
        """gc may take whatever nothing reaches."""
        pending = [name for values in self.registers.values() for name in _ID.findall(str(values))]
        reached: set[str] = set()
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                made = self.commits.get(name)
                if made is not None:
                    pending += [*made[0].manifest.values(), made[0].parent or name]
        for name, (data, must) in self.blobs.items():
            self.blobs[name] = (data, must and name in reached)
        for name, (made_, must) in self.commits.items():
            self.commits[name] = (made_, must and name in reached)


def owed(recording: Recording, point: int) -> Owed:
    """What holds after a crash before op number `point`."""
    result = Owed()
    sent: dict[int, bool] = {}
    for op in recording.ops[:point]:
        if op.kind == "send":
            sent[op.request] = False
        elif op.kind == "ack":
            sent[op.request] = True
    for number, answered in sent.items():
        request = recording.requests[number]
        answer = recording.answers[number].value if answered else None
        if request.op == "init":
            result.initialised = result.initialised or (answer is not None and answer["ok"])
        else:
            result.take(request, answer)
        if answer is None:
            result.unanswered.append(number)
        elif answer["ok"]:
            result.last = number
    return result
