"""Makes calls fail, one in each operation, and looks at the answer, the litter and the retry."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import advice
from .checks import Symptom
from .findings import Finding
from .oracle import Oracle
from .promises import owed
from .ptrace import Entered
from .requests import Request
from .sandbox import Sandbox
from .session import Session
from .states import State, Timeline
from .trace import TOLERATED, Answer, Recording

SHORT = "short"
_WRITES = ("EIO", SHORT, "ENOSPC", "EDQUOT", "EINTR")
_SYNCS = ("EIO", "EINVAL", "ENOSPC", "EDQUOT", "EINTR")
_NAMES = ("EIO", "ENOSPC", "EDQUOT")
# which errors a call is made to give, the most telling first
MENU: dict[str, Sequence[str]] = {
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "pwritev2"), _WRITES),
    **dict.fromkeys(("copy_file_range", "sendfile", "splice"), ("EIO", "ENOSPC")),
    **dict.fromkeys(("fsync", "fdatasync", "sync_file_range", "syncfs"), _SYNCS),
    **dict.fromkeys(("rename", "renameat", "renameat2", "link", "linkat"), _NAMES),
    **dict.fromkeys(("open", "openat", "openat2", "creat"), ("ENOSPC", "EIO", "EDQUOT", "EINTR")),
    **dict.fromkeys(("mkdir", "mkdirat"), _NAMES),
    **dict.fromkeys(("ftruncate", "truncate", "fallocate"), ("EIO", "ENOSPC")),
}
ATC = "a sync failed, and a later one that succeeds proves nothing: write anew"
_SUSPECTS = 12  # faults that are tried for the blame
_KNOWN_NAME = re.compile(r"[0-9a-f]{38,}")


@dataclass(slots=True)
class Injected:
    """One fault and what came of it."""

    request: int
    call: str
    path: str
    error: str
    answer: int = -1  # op number
    value: dict[str, Any] = field(default_factory=dict)
    again: int = -1  # the request that repeated it
    left: set[str] = field(default_factory=set)  # files that were not there before


@dataclass(slots=True)
class Faults:
    """Runs of a subject in which the n-th call of every operation fails."""

    command: Sequence[str]
    box: Sandbox
    oracle: Oracle
    requests: Sequence[Request]
    usual: frozenset[str]  # the paths that a run without faults leaves
    injected: int = 0
    runs: int = 0

    def run(self, nth: int, variant: int) -> list[Finding]:
        """One run: in each operation its n-th call gives the variant-th error of its menu."""
        session = Session(self.command, self.box)
        run = _Run(nth, variant, self.requests, session.recording)
        session.recorder.choose = run.choose
        session.on_request, session.on_answer = run.asked, run.answered
        with session:
            whole = session.init()
            if not whole and run.injected:  # its exit code was an honest answer: once more
                session.recording.problems.clear()
                run.again()
                whole = session.init()
            whole = whole and session.batch(run.ask)
        self.runs += 1
        self.injected += len(run.injected)
        option = f"--fault {nth}:{variant}"
        found: list[Finding] = []
        if not whole and run.injected:
            last, why = run.injected[-1], session.recording.problems[-1]
            flaw = "an error must be answered, not died of"
            found.append(_finding(last, session, "unusable", why, flaw))
        found += self._examine(session, run)
        for finding in found:
            finding.reproduce = option
        return found

    def _examine(self, session: Session, run: _Run) -> Iterator[Finding]:
        recording = session.recording
        timeline = Timeline(recording)
        lasting = list(self._lasting(session, timeline, run)) if run.injected else []
        swallowed = False
        for fault in run.injected:
            if fault.answer < 0:
                continue
            if fault.value["ok"]:
                if not lasting:
                    continue  # the end of the run has shown that it was true
                for finding in self._honest(session, timeline, fault, swallowed):
                    swallowed = True
                    yield finding
            elif fault.error in TOLERATED and "sync" in fault.call:
                flaw = "a sync that the file system does not support must be tolerated"
                yield _finding(fault, session, "dishonest", _said(fault), flaw)
            elif fault.value.get("error") != "io":
                flaw = "a failing call must be answered with io"
                yield _finding(fault, session, "dishonest", _said(fault), flaw)
            again = recording.answers.get(fault.again)
            if again is not None and not again.value["ok"] and not _settled(session, again):
                flaw = "a retry after an error must succeed"
                what = f"again: {again.value.get('error')}"
                yield _finding(fault, session, "retry", what, flaw)
        yield from self._litter(session, run)
        if not swallowed:
            yield from lasting

    def _honest(
        self, session: Session, timeline: Timeline, fault: Injected, swallowed: bool
    ) -> Iterator[Finding]:
        """It said ok all the same: then everything has to be there after a power cut.

        Once one fault of a run was swallowed, only what is about the request itself counts.
        """
        point = fault.answer + 1
        state = State("strict", point, tuple(timeline.pending(point)))
        due = owed(session.recording, point)
        own = session.recording.requests[fault.request].promises
        symptoms = [
            symptom
            for symptom in self.oracle.judge(timeline.tree(state), due, None)
            if symptom.about in own or not (swallowed or symptom.about)
        ]
        if symptoms:
            what = f"said ok, but {symptoms[0].what}"
            flaw = f"{_kind(fault)} is swallowed: answer io, or do it again"
            if _resynced(timeline, state):
                flaw = ATC
            yield _finding(fault, session, "dishonest", what, flaw)

    def _litter(self, session: Session, run: _Run) -> Iterator[Finding]:
        for fault in run.injected:
            for path in fault.left - self.usual:
                if not _KNOWN_NAME.search(path.replace("/", "")):
                    flaw = "a failed write leaves its temp file behind"
                    yield _finding(fault, session, "litter", advice.shape(path), flaw)

    def _lasting(self, session: Session, timeline: Timeline, run: _Run) -> Iterator[Finding]:
        """After all faults and retries: what was acknowledged survives a power cut."""
        end = len(session.recording.ops)
        state = State("strict", end, tuple(timeline.pending(end)))
        due = owed(session.recording, end)
        symptoms = self.oracle.judge(timeline.tree(state), due, None)
        for symptom in symptoms[:3]:
            flaw = "after an error, the retry does not make it durable"
            if _resynced(timeline, state):
                flaw = ATC
            blamed = self._blamed(timeline, state, symptom, run)
            yield _finding(blamed, session, symptom.kind, symptom.what, flaw)

    def _blamed(self, timeline: Timeline, state: State, symptom: Symptom, run: _Run) -> Injected:
        """The fault in whose request, or its repetition, that was written which is now missing.

        Seen by losing the unsynced writes of one request at a time, the likeliest first.
        """
        recording = timeline.recording
        due = owed(recording, state.point)

        def promised(fault: Injected) -> bool:
            return symptom.about in recording.requests[fault.request].promises

        latest = run.injected[::-1]
        likely = [*filter(promised, latest), *(fault for fault in latest if not promised(fault))]
        writers = {
            number: _writer(recording, timeline.units[number].at) for number in state.dropped
        }
        for fault in likely[:_SUSPECTS]:
            own = {fault.request, fault.again}
            lost = tuple(number for number, writer in writers.items() if writer in own)
            alone = State("strict", state.point, lost)
            seen = self.oracle.judge(timeline.tree(alone), due, None) if lost else []
            if any((one.kind, one.about) == (symptom.kind, symptom.about) for one in seen):
                return fault
        return likely[0]


@dataclass(slots=True)
class _Run:
    """Chooses the call to fail in each request, and asks again where one did."""

    nth: int
    variant: int
    requests: Sequence[Request]
    recording: Recording
    injected: list[Injected] = field(default_factory=list)
    _before: set[str] = field(default_factory=set)
    _request: int = -1
    _calls: int = 0
    _position: int = 0
    _again: bool = False

    def ask(self, last: dict[str, Any] | None) -> Request | None:
        if last is not None and not last["ok"] and self._hit() and not self._again:
            self._again = True
            return self.requests[self._position - 1]
        self._again = False
        if self._position == len(self.requests):
            return None
        self._position += 1
        return self.requests[self._position - 1]

    def asked(self, number: int, request: Request) -> None:
        if self._again and self.injected:
            self.injected[-1].again = number
        self._request, self._calls = number, 0
        self._before = {path for path, _ in self.recording.live.walk()}

    def again(self) -> None:
        """What comes now is a repetition: nothing fails."""
        self._again = True

    def answered(self, answer: Answer) -> None:
        if self._hit():
            fault, live = self.injected[-1], self.recording.live
            fault.answer, fault.value = answer.at, answer.value
            if not answer.value["ok"]:
                files = {path for path, node in live.walk() if live.nodes[node].kind == "file"}
                fault.left = files - self._before

    def choose(self, call: str, path: str, entered: Entered, size: int) -> None:
        self._calls += 1
        menu = MENU.get(call, ())
        if self._again or self._calls != self.nth or self._hit() or self.variant >= len(menu):
            return
        error = menu[self.variant]
        if error != SHORT:
            entered.errno = getattr(errno, error)
        elif size > 1:
            entered.count = size // 2
        else:
            return
        self.injected.append(Injected(self._request, call, path, error))

    def _hit(self) -> bool:
        return bool(self.injected) and self.injected[-1].request == self._request


def _resynced(timeline: Timeline, state: State) -> bool:
    """Something lost had a sync that failed, and then one that succeeded."""
    ops = timeline.recording.ops[: state.point]
    doomed = {timeline.units[n].home for n in state.dropped if timeline.units[n].doomed}
    return any(op.node in doomed and "sync" in op.kind and not op.error for op in ops)


def _writer(recording: Recording, at: int) -> int:
    """The request that was being answered at an op."""
    sends = (op.request for op in reversed(recording.ops[: at + 1]) if op.kind == "send")
    return next(sends, -1)


def _settled(session: Session, again: Answer) -> bool:
    """A repeated compare-and-swap whose first try took effect may say conflict."""
    request = session.recording.requests[again.request]
    error = again.value.get("error")
    return (error == "conflict" and "expect" in request.fields) or (
        error == "not_found" and request.value is None and request.op == "set_state"
    )


def _kind(fault: Injected) -> str:
    return "a short write" if fault.error == SHORT else f"{fault.error} from {fault.call}"


def _said(fault: Injected) -> str:
    return f"{_kind(fault)}: said {fault.value.get('error')}"


def _finding(fault: Injected, session: Session, symptom: str, what: str, flaw: str) -> Finding:
    request = session.recording.requests[fault.request]
    where = f"{fault.call}({advice.shape(os.path.relpath(fault.path))}) = {fault.error}"
    return Finding("fault", request.name, symptom, what, flaw, where)
