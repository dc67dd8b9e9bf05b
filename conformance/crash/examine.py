"""One examination of a subject: what is run, in which order, and how much of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import kills, workload
from .explore import Explorer, select
from .faults import Faults
from .findings import Finding, levels, merge
from .kills import Killer
from .lints import Lint, lint
from .oracle import Oracle
from .probe import probe
from .ptrace import Unsupported
from .races import Race
from .requests import Request
from .sandbox import Sandbox, sandbox
from .session import Session, in_turn
from .states import MODELS
from .strace import StraceSession
from .tiers import CI, Tier
from .trace import Recording
from .tree import scan

PTRACE, STRACE = RECORDERS = ("ptrace", "strace")
PARTS = (*MODELS, "killed", "fault", "race")
_WRITERS = "put_ commit set_ restore receive_pack gc".split()


@dataclass(slots=True)
class Part:
    """One check of the report: what it did, and how long it took."""

    name: str
    done: str = ""
    seconds: float = 0.0
    stopped: str = ""  # why it could not run


@dataclass(slots=True)
class Outcome:
    """Everything an examination found."""

    command: Sequence[str]
    seed: int
    calls: int = 0
    parts: list[Part] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    lints: list[Lint] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    levels: dict[str, str] = field(default_factory=dict)
    unsupported: list[str] = field(default_factory=list)

    @property
    def inconclusive(self) -> bool:
        return bool(self.doubts) or any(part.stopped for part in self.parts)

    @property
    def exit_code(self) -> int:
        return 1 if self.findings else 3 if self.inconclusive else 0


def examine(
    command: Sequence[str],
    tier: Tier = CI,
    seed: int = 0,
    parts: Iterable[str] = PARTS,
    seconds: float = 60.0,
    say: Callable[[str], None] = lambda line: None,
    recorder: str = "",
) -> Outcome:
    """Records one run of the subject and does to it what the tier says."""
    outcome = Outcome(command, seed)
    with sandbox() as box:
        try:
            _Examination(outcome, box, tier, seed, say, recorder or best()).run(set(parts), seconds)
        except Unsupported as reason:
            outcome.doubts.append(str(reason))
    outcome.findings = merge(outcome.findings)
    return outcome


@dataclass(slots=True)
class _Examination:
    outcome: Outcome
    box: Sandbox
    tier: Tier
    seed: int
    say: Callable[[str], None]
    recorder: str

    def run(self, parts: set[str], seconds: float) -> None:
        command, outcome = self.outcome.command, self.outcome
        recording = record(command, self.box, seconds, self.recorder)
        outcome.calls = sum(op.kind not in ("send", "ack", "start", "end") for op in recording.ops)
        outcome.doubts += recording.doubts
        outcome.notes += recording.notes
        if recording.problems:
            outcome.doubts += recording.problems
            return
        oracle = Oracle(command, self.box, supported(recording))
        asked = list(dict.fromkeys(request.name for request in recording.requests))
        outcome.unsupported = [n for n in asked if n.split()[0] not in oracle.supported]
        done = [n for n in asked if n not in outcome.unsupported and n.startswith(tuple(_WRITERS))]
        if not done:
            outcome.doubts.append("supports no operation that writes")
            return
        explorer = Explorer(recording, oracle, self.seed)
        outcome.lints = lint(explorer.timeline)
        for model in MODELS:
            if model in parts:
                with self._part(model) as part:
                    outcome.findings += explorer.explore(
                        model, self.tier.states[model], self.tier.bound, self.tier.enough
                    )
                    part.done = _told(explorer, model)
        if self.recorder == STRACE:
            for name in ("killed", "fault", "race"):
                if name in parts:
                    self._skip(name)
            parts = parts & set(MODELS)
        writers = workload.writers(self.box.place("files"), oracle.supported)
        if "killed" in parts:
            self._kill(recording, oracle, writers)
        if "fault" in parts:
            self._fault(recording, oracle, writers)
        if "race" in parts:
            self._race(oracle)
        outcome.levels = levels(["init", *done], outcome.findings, explorer.harmed)

    def _skip(self, name: str) -> None:
        why = "could not run: strace neither ends nor changes a call"
        self.outcome.parts.append(Part(name, why, stopped=why))
        self.outcome.notes.append(f"{name}: {why}")
        self.say(f"{name:9}    -     {why}")

    def _kill(self, recording: Recording, oracle: Oracle, writers: list[Request]) -> None:
        with self._part("killed") as part:
            killer = Killer(self.outcome.command, self.box, oracle, writers)
            only = self.tier.kill_at
            chosen = [only] if only else kills.choose(recording, self.tier.kills)
            self._spread(killer.at_call, [(number,) for number in chosen])
            if "put_blob" in oracle.supported and not only:
                self.outcome.findings += killer.at_times()
            part.done = f"{killer.runs} runs killed, {len(killer.strayed)} not as the model says"
            if killer.strayed:
                self.outcome.doubts.append(f"disk and model differ {killer.strayed[0]}")

    def _fault(self, recording: Recording, oracle: Oracle, writers: list[Request]) -> None:
        with self._part("fault") as part:
            moved = (op.path for op in recording.ops if op.kind == "bind")
            usual = frozenset([*recording.live.listing(), *moved])
            faults = Faults(self.outcome.command, self.box, oracle, writers, usual)
            self._spread(faults.run, self.tier.faults)
            part.done = f"{faults.injected} faults in {faults.runs} runs"

    def _race(self, oracle: Oracle) -> None:
        with self._part("race") as part:
            judged = 0
            for number in range(self.tier.races):
                race = Race(self.outcome.command, self.box, oracle, self.seed + number)
                self.outcome.findings += race.run(self.tier.points)
                judged += race.judged
            part.done = f"{judged} states in the middle of races"

    def _spread(self, run: Callable[..., list[Finding]], cases: Iterable[Sequence[int]]) -> None:
        with ThreadPoolExecutor(2) as pool:
            for found in pool.map(lambda case: run(*case), cases):
                self.outcome.findings += found

    @contextmanager
    def _part(self, name: str) -> Iterator[Part]:
        part = Part(name)
        start = time.monotonic()
        yield part
        part.seconds = time.monotonic() - start
        self.outcome.parts.append(part)
        self.say(f"{name:9} {part.seconds:6.1f} s  {part.done}")


def best() -> str:
    """How calls are recorded here: by the tracer of our own, where the system lets it."""
    try:
        probe()
    except Unsupported:
        if shutil.which("strace") is None:
            raise
        return STRACE
    return PTRACE


def record(
    command: Sequence[str], box: Sandbox, seconds: float = 60.0, recorder: str = PTRACE
) -> Recording:
    """The standard run, checked: replayed, it must be what is on disk."""
    recording = _record(command, box, seconds, workload.standard, recorder)
    if not recording.problems and "commit" not in supported(recording):
        recording = _record(command, box, seconds, workload.plain, recorder)
    return recording


def _record(
    command: Sequence[str],
    box: Sandbox,
    seconds: float,
    choose: Callable[[Path], list[Request]],
    recorder: str,
) -> Recording:
    made = (Session if recorder == PTRACE else StraceSession)(command, box, seconds)
    with made as session:
        if session.init():
            requests = choose(box.place("files"))
            if isinstance(session, Session):
                session.batch(in_turn(requests))
            else:
                session.batch(requests)
        recording = session.recording
        if scan(session.folder)[0].digest() != recording.live.digest():
            recording.doubt("replaying the recorded calls does not give the tree on disk")
    return recording


def replay(
    command: Sequence[str], selector: str, recorder: str = ""
) -> tuple[list[str], list[str]]:
    """One state again: its tree, and the symptoms it shows."""
    with sandbox() as box:
        recording = record(command, box, recorder=recorder or best())
        explorer = Explorer(recording, Oracle(command, box, supported(recording)))
        state = select(selector)
        listing = explorer.timeline.tree(state).listing()
        symptoms = explorer.judge(state)
    return (
        [f"{path}  {what[:40]}" for path, what in sorted(listing.items())],
        [f"{symptom.kind}: {symptom.what}" for symptom in symptoms],
    )


def supported(recording: Recording) -> frozenset[str]:
    """The operations that were not answered with invalid."""
    return frozenset(
        request.op
        for number, request in enumerate(recording.requests)
        if number in recording.answers and recording.answers[number].value.get("error") != "invalid"
    )


def _told(explorer: Explorer, model: str) -> str:
    built, judged = explorer.built.get(model, 0), explorer.judged.get(model, 0)
    left, bad = explorer.left.get(model, 0), explorer.bad.get(model, 0)
    rest = f", {left} left out" if left else ""
    return f"{built} states, {judged} judged{rest}, {bad} bad"
