"""Runs a subject under the recorder, sending a request when the last one is answered.

The tracer sees the answer being written, so it knows which calls came before it; and since it is
also the one who sends requests, one thread does it all.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import sandbox
from .ptrace import Tracer, deadline
from .recorded import Recorded, answer
from .requests import Request
from .trace import Answer, Op

Next = Callable[["dict[str, Any] | None"], "Request | None"]
_PIPE = 1 << 20
_F_SETPIPE_SZ = 1031
WAIT = Request("wait")  # an ask that answers this holds its process back for the others
_turns = itertools.count()


@dataclass(slots=True)
class Script:
    """One process of the subject: its arguments, and what it is asked, given its last answer."""

    arguments: Sequence[str]
    ask: Next | None = None
    stdin: int = -1
    output: int = -1
    process: int = 0
    request: int = -1
    buffer: bytes = b""
    held: bool = False


def in_turn(requests: Sequence[Request]) -> Next:
    """Asks a list, whatever is answered."""
    left = iter(requests)
    return lambda _: next(left, None)


@dataclass(slots=True)
class Session(Recorded):
    """One folder, and the runs of a subject in it, all in one recording."""

    killed: bool = False  # by a signal, ours or another
    scripts: Sequence[Script] = ()
    on_request: Callable[[int, Request], None] | None = None
    on_answer: Callable[[Answer], None] | None = None

    def init(self) -> bool:
        """`CMD init DIR`: its exit with 0 is the acknowledgement."""
        return self.run([Script(["init", str(self.store)])])

    def batch(self, ask: Next) -> bool:
        return self.run([Script(["batch", str(self.store)], ask)])

    def run(self, scripts: Sequence[Script], shuffle: random.Random | None = None) -> bool:
        """Runs the processes to their end; False when one had to be stopped or died.

        In a thread of its own: the kernel ties tracing to a thread, and so other children of this
        process are not waited for.
        """
        tracer = Tracer(self.recorder, shuffle=shuffle)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(self._run, tracer, scripts)
            try:
                return done.result()
            except BaseException:
                tracer.kill()
                raise

    def _run(self, tracer: Tracer, scripts: Sequence[Script]) -> bool:
        problems, self.killed = len(self.recording.problems), False
        self.scripts = scripts
        with _one_processor(next(_turns)):
            for script in scripts:
                self._start(tracer, script)
            expired = deadline(tracer, self.seconds)
            try:
                tracer.run()
            finally:
                late = expired()
                for script in scripts:
                    self._finish(script)
        self.recording.trapped += tracer.trapped
        if tracer.overflow:
            self.recording.problems.append("started more processes than any store needs")
        elif late:
            self.recording.problems.append(f"did not end within {self.seconds:.0f} s")
        return len(self.recording.problems) == problems and not self.killed

    def _start(self, tracer: Tracer, script: Script) -> None:
        reader, script.stdin = os.pipe()
        fcntl.fcntl(script.stdin, _F_SETPIPE_SZ, _PIPE)
        os.set_blocking(script.stdin, False)
        script.output = os.memfd_create("answers")
        quiet = os.open(self.box.root / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        argv = [*self.command, *script.arguments]
        environment = self.box.bare_environment()

        def enter() -> None:
            os.setsid()
            for source, target in ((reader, 0), (script.output, 1), (quiet, 2)):
                os.dup2(source, target)
            sandbox.limit()
            try:
                os.execvpe(argv[0], argv, environment)
            except OSError as error:
                os.write(2, f"{argv[0]}: {error.strerror}\n".encode())

        script.process = tracer.spawn(enter)
        os.close(reader)
        os.close(quiet)
        found = os.fstat(script.output)
        self.recorder.outputs[found.st_dev, found.st_ino] = lambda data: self._said(script, data)
        self.recorder.ended[script.process] = lambda status: self._ended(script, status)
        self.recorder.add(Op("start", f"-- {' '.join(script.arguments[:1])} --", script.process))
        if script.ask is None:
            self._send(script, Request("init"))
        else:
            self._ask(script, None)

    def _finish(self, script: Script) -> None:
        for descriptor in (script.stdin, script.output):
            if descriptor >= 0:
                if descriptor == script.output:
                    found = os.fstat(descriptor)
                    self.recorder.outputs.pop((found.st_dev, found.st_ino), None)
                os.close(descriptor)
        script.stdin = script.output = -1

    def _ask(self, script: Script, last: dict[str, Any] | None) -> None:
        assert script.ask is not None
        request = script.ask(last)
        script.held = request is WAIT
        if request is WAIT:
            self._release(last)
            return
        if request is None:
            os.close(script.stdin)
            script.stdin = -1
            return
        self._send(script, request)
        line = request.line(self.folder)
        if os.write(script.stdin, line) != len(line):
            self.recording.problems.append("does not read its requests")

    def _release(self, last: dict[str, Any] | None) -> None:
        """Once every process waits, or has ended, all of them go on at once."""
        running = [script for script in self.scripts if script.stdin >= 0]
        if all(script.held for script in running):
            for script in running:
                self._ask(script, last)

    def _send(self, script: Script, request: Request) -> None:
        script.request = len(self.recording.requests)
        self.recording.requests.append(request)
        self.recorder.add(Op("send", f"> {request.op}", script.process, request=script.request))
        if self.on_request is not None:
            self.on_request(script.request, request)

    def _said(self, script: Script, data: bytes) -> None:
        *lines, script.buffer = (script.buffer + data).split(b"\n")
        for line in lines:
            value = answer(self.recording, line)
            if value is None:
                os.kill(script.process, signal.SIGKILL)
                return
            self._answered(script, value)
            if script.ask is None or script.stdin < 0:
                self.recording.problems.append("answered more than it was asked")
                return
            self._ask(script, value)

    def _answered(self, script: Script, value: dict[str, Any]) -> None:
        answer = Answer(script.request, len(self.recording.ops), value)
        self.recording.answers[script.request] = answer
        word = "ok" if value["ok"] else str(value.get("error"))
        self.recorder.add(Op("ack", f"< {word}", script.process, request=script.request))
        if self.on_answer is not None:
            self.on_answer(answer)

    def _ended(self, script: Script, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        if script.stdin >= 0:
            os.close(script.stdin)
            script.stdin = -1
            self._release(None)
        if script.ask is None and code == 0:
            self._answered(script, {"ok": True})
        elif code > 0:
            self.recording.problems.append(f"{script.arguments[0]} exited with {code}")
        elif code < 0:
            self.killed = True
        self.recorder.add(Op("end", f"-- exit {code} --", script.process))


@contextmanager
def _one_processor(turn: int) -> Iterator[None]:
    """Tracer and subject on one processor: a stop then costs a switch, not a wake-up elsewhere."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[turn % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
