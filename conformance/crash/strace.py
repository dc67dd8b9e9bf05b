"""The recorder's fallback: strace writes the calls down, and they are followed afterwards.

It only watches.  Whatever has to end or change a call needs the tracer of our own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .calls import Call
from .follow import Follower
from .ptrace import Unsupported
from .recorded import Recorded, answer
from .recorder import Recorder
from .requests import Request
from .sandbox import limit
from .trace import Answer, Op

_CALLS = """open openat openat2 creat close dup dup2 dup3 fcntl read readv lseek chdir mmap
write writev pwrite64 pwritev pwritev2 sendfile splice copy_file_range truncate ftruncate fallocate
mkdir mkdirat symlink symlinkat rename renameat renameat2 link linkat unlink unlinkat rmdir
chmod fchmod fchmodat fsync fdatasync sync syncfs clone clone3 fork vfork io_uring_setup"""
_LONGEST = 1 << 22
_LINE = re.compile(r"(\d+) +(.*)")
_WHOLE = re.compile(
    r"(\w+)\((.*)\) += (\?|-?\d+|0x[0-9a-f]+)(?:<.*>)?(?:\(deleted\))?(?: ([A-Z]\w+))?.*"
)
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_UNFINISHED = " <unfinished ...>"


@dataclass
class StraceSession(Recorded):
    """One folder, and the runs of a subject in it, each watched by strace."""

    def __post_init__(self) -> None:
        if shutil.which("strace") is None:
            raise Unsupported("strace is not installed")
        super().__post_init__()

    def init(self) -> bool:
        """`CMD init DIR`: its exit with 0 is the acknowledgement."""
        return self._run("init", [Request("init")])

    def batch(self, requests: Sequence[Request]) -> bool:
        """`CMD batch DIR`, each request sent when the one before is answered."""
        return self._run("batch", requests)

    def _run(self, form: str, requests: Sequence[Request]) -> bool:
        problems = len(self.recording.problems)
        log = self.folder.with_name(f"{self.folder.name}-{form}.strace")
        wanted = ",".join(f"?{name}" for name in _CALLS.split())
        options = ["-f", "-y", "-xx", "-s", str(_LONGEST), "-e", f"trace={wanted}"]
        options += ["-e", "signal=none", "-o", str(log), "--"]
        with (self.box.root / "stderr").open("ab") as errors:
            child = subprocess.Popen(
                ["strace", *options, *self.command, form, str(self.store)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self.box.bare_environment(),
                start_new_session=True,
                preexec_fn=limit,
            )
        assert child.stdout is not None
        pipe = f"pipe:[{os.fstat(child.stdout.fileno()).st_ino}]"
        stop = threading.Timer(self.seconds, self._expire, [child])
        stop.start()
        try:
            code = self._talk(child, form, requests)
        finally:
            stop.cancel()
        if not log.exists() or not log.stat().st_size:
            raise Unsupported(f"strace cannot trace here (exit {code})")
        _Reading(self.recorder, form, requests, pipe).read(log)
        log.unlink()
        if code:
            self.recording.problems.append(f"{form} exited with {code}")
        return len(self.recording.problems) == problems

    def _expire(self, child: subprocess.Popen[bytes]) -> None:
        self.recording.problems.append(f"did not end within {self.seconds:.0f} s")
        os.killpg(child.pid, signal.SIGKILL)

    def _talk(self, child: subprocess.Popen[bytes], form: str, requests: Sequence[Request]) -> int:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            for request in requests if form == "batch" else ():
                child.stdin.write(request.line(self.folder))
                child.stdin.flush()
                if not child.stdout.readline():
                    break
            child.stdin.close()
        except BrokenPipeError:
            pass  # it has ended; its exit code says how
        child.stdout.read()
        child.stdout.close()
        return child.wait()


@dataclass(slots=True)
class _Reading:
    """One run's lines as ops, with the requests and answers where they belong."""

    recorder: Recorder
    form: str
    requests: Sequence[Request]
    pipe: str
    process: int = 0
    sent: int = 0
    buffer: bytes = b""
    halves: dict[int, str] = field(default_factory=dict)

    def read(self, log: Path) -> None:
        follower = Follower(self.recorder, self.pipe, self._said)
        with log.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                self._line(follower, line.rstrip("\n"))

    def _line(self, follower: Follower, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            return
        process, rest = int(found[1]), found[2]
        if not self.process:
            self.process = process
            self._mark("start", f"-- {self.form} --")
            self._send()
        if rest.startswith("+++ exited with ") and process == self.process:
            code = int(rest.split()[3])
            if self.form == "init" and code == 0:
                self._answered({"ok": True})
            self._mark("end", f"-- exit {code} --")
        elif rest.endswith(_UNFINISHED):
            self.halves[process] = rest.removesuffix(_UNFINISHED)
        else:
            if resumed := _RESUMED.fullmatch(rest):
                rest = self.halves.pop(process, "") + resumed[1]
            if whole := _WHOLE.fullmatch(rest):
                name, arguments, result, error = whole.groups()
                value = -1 if result == "?" else int(result, 0)
                failed = (error or "") if value < 0 else ""
                follower.call(Call(process, name, [*_split(arguments)], value, failed))

    def _said(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            value = answer(self.recorder.recording, line)
            if value is None:
                return
            self._answered(value)
            self._send()

    def _send(self) -> None:
        if self.sent < len(self.requests):
            request = self.requests[self.sent]
            self.sent += 1
            self.recorder.recording.requests.append(request)
            self._mark("send", f"> {request.op}")

    def _answered(self, value: dict[str, object]) -> None:
        recording = self.recorder.recording
        request = len(recording.requests) - 1
        recording.answers[request] = Answer(request, len(recording.ops), value)
        self._mark("ack", "< ok" if value["ok"] else f"< {value.get('error')}")

    def _mark(self, kind: str, text: str) -> None:
        request = len(self.recorder.recording.requests) - 1 if kind in ("send", "ack") else -1
        self.recorder.add(Op(kind, text, self.process, request=request))


def _split(arguments: str) -> Iterator[str]:
    """The arguments of a call: texts are in hexadecimal, so every bracket and comma is strace's."""
    depth, start = 0, 0
    for at, letter in enumerate(arguments):
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and not depth:
            yield arguments[start:at].strip()
            start = at + 1
    yield arguments[start:].strip()
