"""Several processes of the subject at once on one store, and crashes in the middle of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .checks import short
from .explore import Explorer
from .findings import Finding
from .oracle import Oracle
from .requests import Request, commit, put_blob, set_head, set_ref, set_state
from .sandbox import Sandbox
from .session import WAIT, Script, Session, in_turn
from .states import State
from .trace import Recording

PROCESSES = 4
_BRANCH = "race"
_SWAPS = 3


@dataclass(slots=True)
class Racer:
    """One process: writes what the others write too, then fights for a branch."""

    number: int
    targets: list[str]  # ids it may set the branch to, all its own
    plain: list[Request] = field(init=False)
    seen: str | None = None
    asked_last: str = ""

    def __post_init__(self) -> None:
        mine = self.number
        together = [
            put_blob(b"everybody writes this\n" * 200),
            set_head(branch=f"head-{mine}"),
            set_state("config", {"user": {"name": f"process {mine}" * 20}}),
            set_state("merge", {"by": mine}),
        ]
        self.plain = [put_blob(b"only %d writes this\n" % mine)]
        for request in together:
            self.plain += [WAIT, request]
        self.plain += [set_state("reservation", {"by": mine}, f"r-{mine}"), WAIT]

    def ask(self, last: dict[str, Any] | None) -> Request | None:
        """The plain requests, then read the branch and swap it, until the targets are used up."""
        if self.plain:
            return self.plain.pop(0)
        if self.asked_last == "get_ref" and last is not None:
            self.seen = last.get("id") if last["ok"] else None
            self.asked_last = "set_ref"
            return set_ref(_BRANCH, self.targets[-1], expect=self.seen)
        if self.asked_last == "set_ref" and last is not None:
            self.targets.pop()
        if not self.targets:
            return None
        self.asked_last = "get_ref"
        return Request("get_ref", {"branch": _BRANCH})


@dataclass(slots=True)
class Race:
    """The processes, one recording of all of them, and its states."""

    command: Sequence[str]
    box: Sandbox
    oracle: Oracle
    seed: int = 0
    judged: int = 0

    def run(self, most: int) -> list[Finding]:
        """The findings: refused requests, a broken chain of swaps, bad states on the way."""
        with Session(self.command, self.box) as session:
            session.init()
            targets = self._targets(session)
            racers = [
                Racer(number, [*targets[number * _SWAPS : (number + 1) * _SWAPS]])
                for number in range(PROCESSES)
            ]
            store = str(session.store)
            scripts = [Script(["batch", store], racer.ask) for racer in racers]
            session.run(scripts, random.Random(self.seed))
            recording = session.recording
        found = [_finding("start", "unusable", problem) for problem in recording.problems]
        found += self._refused(recording)
        found += self._chain(recording)
        return found + self._states(recording, most)

    def _targets(self, session: Session) -> list[str]:
        """Commits made beforehand, for the branch to be set to; none where there are no commits."""
        if not {"commit", "set_ref", "get_ref"} <= self.oracle.supported:
            return []
        count = PROCESSES * _SWAPS
        requests = [commit("made", {"n": b"%d\n" % n}, f"target {n}") for n in range(count)]
        first = len(session.recording.requests)
        session.batch(in_turn(requests))
        answers = session.recording.answers
        numbers = range(first, first + count)
        return [str(answers[n].value.get("commit_id")) for n in numbers if n in answers]

    def _refused(self, recording: Recording) -> list[Finding]:
        found = {}
        for number, answer in recording.answers.items():
            request, error = recording.requests[number], answer.value.get("error")
            fine = answer.value["ok"] or request.op not in self.oracle.supported
            fine = fine or (error == "conflict" and "expect" in request.fields)
            fine = fine or (error == "not_found" and request.op == "get_ref")
            if not fine:
                detail = f"{error}: {answer.value.get('detail', '')}"[:120]
                found[request.name] = _finding(
                    request.name, "retry", detail, "fails when another process does the same"
                )
        return list(found.values())

    def _chain(self, recording: Recording) -> list[Finding]:
        """Swaps that succeeded must form one chain: each from what the one before it set."""
        swaps = [
            (request.fields["expect"], request.fields["id"])
            for number, request in enumerate(recording.requests)
            if request.op == "set_ref" and number in recording.answers
            if recording.answers[number].value["ok"]
        ]
        successor: dict[str | None, str] = {}
        for expected, target in swaps:
            if expected in successor:
                what = f"two swaps from {short(expected or 'absent')} both succeeded"
                return [_finding("set_ref", "wrong", what, "compare-and-swap is not atomic")]
            successor[expected] = target
        value, length = None, 0
        while value in successor:
            value, length = successor[value], length + 1
        if length != len(swaps):
            what = f"{len(swaps)} swaps succeeded, {length} of them in one chain"
            return [_finding("set_ref", "wrong", what, "compare-and-swap is not atomic")]
        return []

    def _states(self, recording: Recording, most: int) -> list[Finding]:
        """Crashes in the middle: everything lost that may be, at points spread over the race."""
        explorer = Explorer(recording, self.oracle, self.seed, retries=False)
        timeline = explorer.timeline
        points = timeline.points()
        chosen = [*points[:: max(len(points) // most, 1)], len(recording.ops)]
        found = []
        for point in chosen:
            for state in (
                State("kill", point),
                State("strict", point, tuple(timeline.pending(point))),
            ):
                self.judged += 1
                for symptom in explorer.judge(state)[:1]:
                    finding = explorer.finding("race", state, symptom)
                    finding.reproduce = "--only race"
                    found.append(finding)
        return found


def _finding(operation: str, symptom: str, what: str, flaw: str = "") -> Finding:
    told = flaw or "does not survive several processes at once"
    return Finding("race", operation, symptom, what, told, reproduce="--only race")
