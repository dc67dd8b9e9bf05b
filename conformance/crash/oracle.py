"""Opens a state with the subject itself and holds its answers against what it owes.

One process per state: it reads back everything, repeats the operation that the crash interrupted,
reads that back too and ends with fsck.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import ids, sandbox
from .checks import (
    Answer,
    BlobCheck,
    Check,
    RecordCheck,
    RegisterCheck,
    RetryCheck,
    SnapshotCheck,
    Symptom,
    is_sound,
)
from .promises import Owed
from .recorded import STORE
from .requests import Register, Request
from .sandbox import Sandbox
from .tree import Tree


@dataclass(slots=True)
class Oracle:
    """A subject, and which operations it has."""

    command: Sequence[str]
    box: Sandbox
    supported: frozenset[str]
    seconds: float = 20.0
    evaluated: int = 0

    def judge(self, tree: Tree, owed: Owed, retry: Request | None) -> list[Symptom]:
        """The symptoms of one state; none is what a durable store shows."""
        place = self.box.place("state")
        try:
            target = place / "base"
            target.mkdir()
            tree.materialise(target)
            self.evaluated += 1
            return self._judge(target, owed, retry)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _judge(self, base: Path, owed: Owed, retry: Request | None) -> list[Symptom]:
        found = [
            Symptom("lost" if not seen else "torn", f"restored file {path}", path)
            for path, allowed in owed.files.items()
            if (seen := _content(base / path)) not in allowed
        ]
        if not owed.initialised:
            code, _ = self._run("init", base, [])
            if code != 0:
                return [*found, Symptom("retry", f"init again exits with {code}")]
        plan = _Plan(self.supported)
        plan.read(owed)
        plan.ask(Request("fsck"), is_sound)
        if retry is not None and retry.op != "init":
            plan.retry(retry, owed)
            plan.ask(Request("fsck"), is_sound)
        code, answers = self._run("batch", base, plan.requests)
        if code != 0 or len(answers) != len(plan.requests):
            said = f"{len(answers)} of {len(plan.requests)} requests answered, exit {code}"
            return [*found, Symptom("unusable", said)]
        for check, answer in zip(plan.checks, answers, strict=True):
            found += check(answer)
        told = (replace(symptom, what=_told(symptom.what, base)) for symptom in found)
        return list(dict.fromkeys(told))

    def _run(self, verb: str, base: Path, requests: list[Request]) -> tuple[int, list[Answer]]:
        lines = b"".join(request.line(base) for request in requests)
        argv = [*self.command, verb, str(base / STORE)]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.box.environment(),
            start_new_session=True,
        )
        try:
            sandbox.limit(process.pid)
            output, _ = process.communicate(lines, timeout=self.seconds)
        except subprocess.TimeoutExpired:
            output = b""
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return process.returncode, _parse(output)


@dataclass(slots=True)
class _Plan:
    """Requests for one batch, and what is made of each answer."""

    supported: frozenset[str]
    requests: list[Request] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def ask(self, request: Request, check: Check) -> None:
        if request.op in self.supported:
            self.requests.append(request)
            self.checks.append(check)

    def read(self, owed: Owed) -> None:
        for name, (data, must) in owed.blobs.items():
            self.ask(Request("get_blob", {"id": name}), BlobCheck(name, data, must))
        for name, (made, must) in owed.commits.items():
            snapshot = ids.snapshot_id(made.manifest, made.directories)
            self.ask(Request("get_commit", {"id": name}), RecordCheck(name, made, must))
            self.ask(Request("get_snapshot", {"id": snapshot}), SnapshotCheck(snapshot, made, must))
        for register, allowed in owed.registers.items():
            self.ask(_reading(register), RegisterCheck(register, allowed))

    def retry(self, request: Request, owed: Owed) -> None:
        self.ask(request, RetryCheck(request))
        for name, data in request.blobs.items():
            self.ask(Request("get_blob", {"id": name}), BlobCheck(name, data, True, "retry"))
        if request.register is not None and request.commit is None:
            allowed = [request.value]
            if "expect" in request.fields:
                allowed = [*owed.registers.get(request.register, [None]), request.value]
            self.ask(_reading(request.register), RegisterCheck(request.register, allowed, "retry"))


def _reading(register: Register) -> Request:
    if register[0] == "ref":
        return Request("get_ref", {"branch": register[1]})
    if register[0] == "head":
        return Request("get_head")
    named = {"name": register[2]} if register[2] else {}
    return Request("get_state", {"kind": register[1], **named})


def _told(what: str, base: Path) -> str:
    """One line that does not name the place where this state happened to be judged."""
    return " ".join(what.replace(f"{base}/", "").split())


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _parse(output: bytes) -> list[Answer]:
    answers = []
    for line in output.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            break
        if not isinstance(value, dict) or not isinstance(value.get("ok"), bool):
            break
        answers.append(value)
    return answers
