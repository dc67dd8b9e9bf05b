"""What a store owes at a point of its trace: what it acknowledged, and no torn rest of anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .requests import Commit, Register, Request
from .trace import Recording

_ID = re.compile(r"sha256:[0-9a-f]{64}")
_LATER = 1 << 60


@dataclass(frozen=True, slots=True)
class _Written:
    """One write to a register: when it was asked for, when it was answered, and what it may say."""

    asked: int
    answered: int
    values: list[Any]
    sure: bool


@dataclass(slots=True)
class Owed:
    """What must be there, what may be, and what each register may say."""

    initialised: bool = False
    blobs: dict[str, tuple[bytes, bool]] = field(default_factory=dict)  # contents, must it be there
    commits: dict[str, tuple[Commit, bool]] = field(default_factory=dict)
    files: dict[str, list[bytes | None]] = field(default_factory=dict)
    unanswered: list[int] = field(default_factory=list)
    last: int = -1  # the last request that was answered with ok
    _registers: dict[Register, list[_Written]] = field(default_factory=dict)

    @property
    def registers(self) -> Mapping[Register, list[Any]]:
        return {register: self.allowed(register) for register in self._registers}

    def allowed(self, register: Register) -> list[Any]:
        """The values that no later write, itself answered, is known to have replaced."""
        writes = self._registers.get(register, [])
        values: list[Any] = [] if any(write.sure for write in writes) else [None]
        if values and register[:2] == ("state", "config"):
            values.append({})  # a configuration that was never set may be an empty one
        for write in writes:
            if not any(later.sure and later.asked > write.answered for later in writes):
                values += [value for value in write.values if value not in values]
        return values

    def take(self, request: Request, answer: dict[str, Any] | None, asked: int, at: int) -> None:
        """The effect of one request: its answer, None while there is none."""
        sure = answer is not None and bool(answer["ok"])
        if answer is not None and answer.get("error") in ("invalid", "not_found", "conflict"):
            return  # refused, so it changed nothing
        if request.op == "gc":
            self._collect()
        for name, data in request.blobs.items():
            self.blobs[name] = (data, sure or self.blobs.get(name, (b"", False))[1])
        for name, made in request.commits.items():
            self.commits[name] = (made, sure or self.commits.get(name, (made, False))[1])
        if request.restored is not None:
            path, restored = request.restored
            self.files[path] = [restored] if sure else [*self.files.get(path, [None]), restored]
        if request.register is not None:
            values = [request.value]
            if request.commit is not None:
                values = self._commit(request.commit, request.register, answer if sure else None)
            written = _Written(asked, at, values, sure)
            self._registers.setdefault(request.register, []).append(written)

    def _commit(self, made: Commit, branch: Register, answer: dict[str, Any] | None) -> list[Any]:
        """The commits this may have made, one for each head the branch may have had."""
        children = dict(made.under(parent) for parent in self.allowed(branch))
        if answer is not None:  # what was said is held against what it should have been
            said = str(answer.get("commit_id"))
            children = {said: children.get(said, made)}
        for name, child in children.items():
            self.commits[name] = (child, answer is not None)
        return list(children)

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
        for name, (child, must) in self.commits.items():
            self.commits[name] = (child, must and name in reached)


def owed(recording: Recording, point: int) -> Owed:
    """What holds after a crash before op number `point`."""
    result = Owed()
    sent: dict[int, tuple[int, int]] = {}
    for at, op in enumerate(recording.ops[:point]):
        if op.kind == "send":
            sent[op.request] = (at, _LATER)
        elif op.kind == "ack":
            sent[op.request] = (sent[op.request][0], at)
    for number, (asked, answered) in sent.items():
        request = recording.requests[number]
        answer = recording.answers[number].value if answered < _LATER else None
        if request.op == "init":
            result.initialised = result.initialised or (answer is not None and answer["ok"])
        else:
            result.take(request, answer, asked, answered)
        if answer is None:
            result.unanswered.append(number)
        elif answer["ok"]:
            result.last = number
    return result
