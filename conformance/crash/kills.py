"""Kills the subject for real: at chosen calls of a run, and at times of a stream.

The first kind checks the model (the disk must be the recorded prefix) and then lets a new process
repeat the operation: what that one acknowledges must be durable, although it found things on disk
whose syncing it cannot know of.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import advice, ids
from .checks import Symptom
from .explore import Explorer
from .findings import Finding
from .oracle import Oracle
from .promises import Owed, owed
from .ptrace import Entered
from .recorded import STORE
from .requests import Request, put_blob
from .sandbox import Sandbox
from .session import Session, in_turn
from .states import State, Timeline
from .trace import Recording
from .tree import scan

_QUIET = ("start", "send", "ack", "end")
_MILLISECONDS = (10, 20, 30, 40, 50)


def choose(recording: Recording, most: int) -> list[int]:
    """Calls to die at, counted from 1: the first of its kind in each operation, then more."""
    seen: dict[tuple[str, str, str], int] = {}
    rest, operation, count, last = [], "", 0, ""
    for op in recording.ops:
        if op.kind == "send":
            operation, last = recording.requests[op.request].op, ""
        if op.kind in _QUIET or op.call.startswith("  ("):
            continue
        count, verb = count + 1, op.call.split("(")[0]
        if seen.setdefault((operation, last, verb), count) != count:
            rest.append(count)
        last = verb
    chosen = [*seen.values()]
    step = max(len(rest) // max(most - len(chosen), 1), 1)
    return sorted([*chosen, *rest[::step]][:most])


@dataclass(slots=True)
class Killer:
    """Runs with one death each."""

    command: Sequence[str]
    box: Sandbox
    oracle: Oracle
    requests: Sequence[Request]
    runs: int = 0
    strayed: list[str] = field(default_factory=list)  # where disk and model differed

    def at_call(self, number: int) -> list[Finding]:
        """Dies before the call, repeats in a new process, then loses everything unsynced."""
        session = Session(self.command, self.box)
        left = [number]

        def count(call: str, path: str, entered: Entered, size: int) -> None:
            left[0] -= 1
            entered.kill = left[0] == 0

        session.recorder.choose = count
        with session:
            whole = session.init() and session.batch(in_turn(self.requests))
            self.runs += 1
            session.recorder.choose = None
            recording = session.recording
            if whole:
                return []  # the run ended before that call
            if scan(session.folder)[0].digest() != recording.live.digest():
                self.strayed.append(f"after a kill at call {number}")
                return []
            point = len(recording.ops)
            before = owed(recording, point)
            retry = Explorer(recording, self.oracle).retry(point)
            recording.problems.clear()
            if not before.initialised and not session.init():
                return [self._finding(recording, number, "init", "init", "retry")]
            if retry is not None and retry.op != "init":
                session.batch(in_turn([retry]))
        return self._healed(recording, number, retry)

    def _healed(self, recording: Recording, number: int, retry: Request | None) -> list[Finding]:
        timeline, end = Timeline(recording), len(recording.ops)
        lost = tuple(timeline.pending(end))
        symptoms = self._judge(timeline, State("strict", end, lost), retry)
        if not symptoms:
            return []
        late = State("journal", end, tuple(n for n in lost if _late(timeline, n)))
        model = "journal" if self._judge(timeline, late, retry) else "strict"
        name = retry.name if retry is not None else "init"
        what = "; ".join(symptom.what for symptom in symptoms[:2])
        found = self._finding(recording, number, name, what, symptoms[0].kind)
        found.model = model
        found.calls = advice.calls(timeline, State("strict", end, lost))
        return [found]

    def _judge(self, timeline: Timeline, state: State, retry: Request | None) -> list[Symptom]:
        due = owed(timeline.recording, state.point)
        return self.oracle.judge(timeline.tree(state), due, None)

    def _finding(
        self, recording: Recording, number: int, name: str, what: str, symptom: str
    ) -> Finding:
        return Finding(
            "kill",
            name,
            symptom,
            what,
            "a retry after a kill relies on what it finds: sync it again, or write it anew",
            f"killed at call {number}",
            reproduce=f"--kill {number}",
            part="killed",
        )

    def at_times(self) -> list[Finding]:
        """Twenty acknowledged blobs, then a stream that is killed after 10 to 50 ms."""
        found = []
        begun = self._initialised()
        for delay in _MILLISECONDS:
            symptoms = self._stream(begun, delay / 1000)
            self.runs += 1
            if symptoms:
                what = "; ".join(symptom.what for symptom in symptoms[:2])
                found.append(
                    Finding("kill", "put_blob", symptoms[0].kind, what,
                            "a stream of writes does not survive SIGKILL", f"after {delay} ms",
                            reproduce="--only killed", part="killed")
                )  # fmt: skip
        return found

    def _initialised(self) -> Path:
        """A folder with an empty store in it, for copies."""
        place = self.box.place("begun")
        subprocess.run(
            [*self.command, "init", str(place / STORE)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.box.environment(),
            timeout=30,
        )
        return place

    def _stream(self, begun: Path, seconds: float) -> list[Symptom]:
        place = self.box.place("stream")
        shutil.copytree(begun, place, symlinks=True, dirs_exist_ok=True)
        process = subprocess.Popen(
            [*self.command, "batch", str(place / STORE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.box.bare_environment(),
            start_new_session=True,
        )
        due = Owed(initialised=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for number in range(20):
                self._put(process, number, due)
            end = time.monotonic() + seconds
            lines = [put_blob(b"stream %d\n" % number).line(place) for number in range(2000)]
            os.set_blocking(process.stdin.fileno(), False)
            os.write(process.stdin.fileno(), b"".join(lines)[:60_000])
            time.sleep(max(end - time.monotonic(), 0))  # the moment of death is the case
            os.killpg(process.pid, signal.SIGKILL)
            answered = process.stdout.read().count(b'"ok": true')
        finally:
            process.kill()
            process.communicate()
        for number in range(answered):
            data = b"stream %d\n" % number
            due.blobs[ids.blob_id(data)] = (data, True)
        return self.oracle.judge(scan(place)[0], due, None)

    def _put(self, process: subprocess.Popen[bytes], number: int, due: Owed) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        data = b"prior %d\n" % number
        process.stdin.write(put_blob(data).line(self.box.root))
        process.stdin.flush()
        process.stdout.readline()
        due.blobs[ids.blob_id(data)] = (data, True)


def _late(timeline: Timeline, number: int) -> bool:
    """Lost in the journal model too: data, or metadata after the last sync of anything."""
    unit = timeline.units[number]
    return unit.is_data or unit.at > max(timeline.carried, default=-1)
