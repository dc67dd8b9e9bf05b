"""Opens a state with the subject itself and holds its answers against what it owes.

One process per state: it reads back everything, repeats the operation that the crash interrupted,
reads that back too and ends with fsck.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import ids, sandbox
from .promises import Owed
from .requests import Commit, Register, Request, spoken
from .sandbox import Sandbox
from .session import STORE
from .tree import Tree

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is wrong in a state: lost, torn, wrong, fsck, retry or unusable."""

    kind: str
    what: str
    about: str = ""  # the id, register or file it concerns


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
        plan.ask(Request("fsck"), _sound)
        if retry is not None and retry.op != "init":
            plan.retry(retry, owed)
            plan.ask(Request("fsck"), _sound)
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
    checks: list[Any] = field(default_factory=list)

    def ask(self, request: Request, check: Any) -> None:
        if request.op in self.supported:
            self.requests.append(request)
            self.checks.append(check)

    def read(self, owed: Owed) -> None:
        for name, (data, must) in owed.blobs.items():
            self.ask(Request("get_blob", {"id": name}), _Blob(name, data, must))
        for name, (made, must) in owed.commits.items():
            snapshot = ids.snapshot_id(made.manifest, made.directories)
            self.ask(Request("get_commit", {"id": name}), _Record(name, made, must))
            self.ask(Request("get_snapshot", {"id": snapshot}), _Snapshot(snapshot, made, must))
        for register, allowed in owed.registers.items():
            self.ask(_reading(register), _Register(register, allowed))

    def retry(self, request: Request, owed: Owed) -> None:
        self.ask(request, _Again(request))
        for name, data in request.blobs.items():
            self.ask(Request("get_blob", {"id": name}), _Blob(name, data, True, "retry"))
        if request.register is not None and request.commit is None:
            allowed = [request.value]
            if "expect" in request.fields:
                allowed = [*owed.registers.get(request.register, [None]), request.value]
            self.ask(_reading(request.register), _Register(request.register, allowed, "retry"))


@dataclass(frozen=True, slots=True)
class _Blob:
    name: str
    data: bytes
    must: bool
    when: str = ""

    def __call__(self, answer: Answer) -> list[Symptom]:
        if not answer["ok"]:
            return _missing("blob", self.name, answer, self.must, self.when)
        try:
            same = base64.b64decode(answer["data"], validate=True) == self.data
        except (KeyError, TypeError, binascii.Error):
            same = False
        if not same:
            what = f"blob {short(self.name)} has other bytes"
            return [Symptom(self.when or "torn", what, self.name)]
        return []


@dataclass(frozen=True, slots=True)
class _Record:
    name: str
    made: Commit
    must: bool

    def __call__(self, answer: Answer) -> list[Symptom]:
        if not answer["ok"]:
            return _missing("commit", self.name, answer, self.must)
        record, wanted = answer.get("record"), self.made.record()
        try:
            true = isinstance(record, dict) and ids.commit_id(record) == self.name
        except (KeyError, AttributeError, TypeError):
            true = False
        if (
            not true
            or not isinstance(record, dict)
            or record["snapshot_id"] != wanted["snapshot_id"]
        ):
            what = f"commit {short(self.name)} is not what was made"
            return [Symptom("wrong", what, self.name)]
        return []


@dataclass(frozen=True, slots=True)
class _Snapshot:
    name: str
    made: Commit
    must: bool

    def __call__(self, answer: Answer) -> list[Symptom]:
        if not answer["ok"]:
            return _missing("snapshot", self.name, answer, self.must)
        record = answer.get("record")
        try:
            known = record if isinstance(record, dict) else {}
            name = ids.snapshot_id(known["delta_upsert"], known.get("directories") or ())
        except (KeyError, AttributeError, TypeError):
            name = ""
        if name == self.name:
            return []
        return [Symptom("wrong", f"snapshot {short(self.name)} is another", self.name)]


@dataclass(frozen=True, slots=True)
class _Register:
    register: Register
    allowed: list[Any]
    when: str = ""

    def __call__(self, answer: Answer) -> list[Symptom]:
        what = spoken(self.register)
        if not answer["ok"] and answer.get("error") not in ("not_found", "invalid"):
            return [Symptom("torn", f"{what} says {answer.get('error')}", what)]
        value = _value(self.register, answer) if answer["ok"] else None
        if value in self.allowed or (self.register == ("head",) and None in self.allowed):
            return []
        kind = self.when or ("lost" if value is None else "wrong")
        said = f"{what} is {_shown(value)}, not {_shown(self.allowed[-1])}"
        return [Symptom(kind, said, what)]


@dataclass(frozen=True, slots=True)
class _Again:
    request: Request

    def __call__(self, answer: Answer) -> list[Symptom]:
        fine = answer["ok"]
        fine = fine or (answer.get("error") == "conflict" and "expect" in self.request.fields)
        fine = fine or (answer.get("error") == "not_found" and self.request.value is None)
        said = answer.get("error")
        return [] if fine else [Symptom("retry", f"{self.request.name} again says {said}")]


def _sound(answer: Answer) -> list[Symptom]:
    problems = answer.get("problems") if answer["ok"] else [answer.get("error")]
    return [Symptom("fsck", f"fsck: {problem}") for problem in (problems or [])[:3]]


def _missing(kind: str, name: str, answer: Answer, must: bool, when: str = "") -> list[Symptom]:
    what, said = f"{kind} {short(name)}", answer.get("error")
    if said != "not_found":
        return [Symptom(when or "torn", f"{what} says {said}", name)]
    return [Symptom(when or "lost", f"{what} is gone", name)] if must else []


def _reading(register: Register) -> Request:
    if register[0] == "ref":
        return Request("get_ref", {"branch": register[1]})
    if register[0] == "head":
        return Request("get_head")
    named = {"name": register[2]} if register[2] else {}
    return Request("get_state", {"kind": register[1], **named})


def _value(register: Register, answer: Answer) -> Any:
    if register[0] == "ref":
        return answer.get("id")
    if register[0] == "head":
        return {name: answer[name] for name in ("branch", "commit") if answer.get(name)}
    return answer.get("value")


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


def short(name: str) -> str:
    return name.removeprefix("sha256:")[:10]


def _shown(value: Any) -> str:
    told = "absent" if value is None else json.dumps(value, sort_keys=True)
    return told if len(told) < 60 else told[:57] + "…"
