"""What is made of each answer of a state: nothing, or symptoms."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import ids
from .requests import Commit, Register, Request, spoken

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is wrong in a state: lost, torn, wrong, fsck, retry or unusable."""

    kind: str
    what: str
    about: str = ""  # the id, register or file it concerns


Check = Callable[[Answer], list[Symptom]]


@dataclass(frozen=True, slots=True)
class BlobCheck:
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
class RecordCheck:
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
class SnapshotCheck:
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
class RegisterCheck:
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
class RetryCheck:
    request: Request

    def __call__(self, answer: Answer) -> list[Symptom]:
        fine = answer["ok"]
        fine = fine or (answer.get("error") == "conflict" and "expect" in self.request.fields)
        fine = fine or (answer.get("error") == "not_found" and self.request.value is None)
        said = answer.get("error")
        return [] if fine else [Symptom("retry", f"{self.request.name} again says {said}")]


def is_sound(answer: Answer) -> list[Symptom]:
    problems = answer.get("problems") if answer["ok"] else [answer.get("error")]
    return [Symptom("fsck", f"fsck: {problem}") for problem in (problems or [])[:3]]


def _missing(kind: str, name: str, answer: Answer, must: bool, when: str = "") -> list[Symptom]:
    what, said = f"{kind} {short(name)}", answer.get("error")
    if said != "not_found":
        return [Symptom(when or "torn", f"{what} says {said}", name)]
    return [Symptom(when or "lost", f"{what} is gone", name)] if must else []


def _value(register: Register, answer: Answer) -> Any:
    if register[0] == "ref":
        return answer.get("id")
    if register[0] == "head":
        return {name: answer[name] for name in ("branch", "commit") if answer.get(name)}
    return answer.get("value")


def short(name: str) -> str:
    return name.removeprefix("sha256:")[:10]


def _shown(value: Any) -> str:
    told = "absent" if value is None else json.dumps(value, sort_keys=True)
    return told if len(told) < 60 else told[:57] + "…"
