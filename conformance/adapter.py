"""Talks to a local store through its adapter: `CMD init DIR`, `CMD batch DIR`, JSON lines."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import interruption, transcript
from .outcomes import CouldNotRun, Fields, Unmet

SECONDS = 30.0
ERRORS = ("invalid", "not_found", "integrity", "conflict", "io")


def text_of(data: bytes) -> str:
    """Bytes as `data` travels."""
    return b64encode(data).decode("ascii")


@dataclass(slots=True)
class Batch:
    """One running `CMD batch DIR`."""

    child: subprocess.Popen[bytes]
    buffer: bytes = b""

    def line(self, line: bytes) -> dict[str, Any]:
        """Sends one line and waits for its answer."""
        self.write(line)
        return self.answer(line)

    def write(self, line: bytes) -> None:
        """Sends one line."""
        interruption.heed()
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(line + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Unmet("a running batch", f"it exited {self.child.poll()}") from None

    def answer(self, line: bytes = b"") -> dict[str, Any]:
        """The next answer line."""
        raw = self._read_line()
        shown = line[:200].decode("utf-8", "replace")
        transcript.note(f"{shown} → {raw[:200].decode('utf-8', 'replace')}")
        try:
            value = json.loads(raw, object_hook=Fields)
        except ValueError:
            raise Unmet("one JSON object a line", repr(raw[:200])) from None
        if not isinstance(value, dict) or not isinstance(value.get("ok"), bool):
            raise Unmet('an object with "ok"', repr(raw[:200]))
        if not value["ok"] and value.get("error") not in ERRORS:
            raise Unmet(f"error is one of {', '.join(ERRORS)}", repr(raw[:200]))
        return value

    def _read_line(self) -> bytes:
        assert self.child.stdout is not None
        deadline = time.monotonic() + SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.stdout, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                if not selector.select(deadline - time.monotonic()):
                    raise Unmet(f"an answer within {SECONDS:.0f} s", "none")
                if not (piece := os.read(self.child.stdout.fileno(), 1 << 16)):
                    raise Unmet("an answer", f"end of output, exit {self.child.wait(5)}")
                self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """One operation, whatever is answered."""
        return self.line(json.dumps({"op": op, **fields}).encode())

    def kill(self) -> None:
        """SIGKILL, at once."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(10)

    def end(self) -> int:
        """Ends the input; the exit code."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass  # it has exited already
        try:
            code = self.child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(10)
            raise Unmet("exit at the end of input", "still running") from None
        self.child.stdout.close()
        return code


@dataclass(slots=True)
class Store:
    """A store in a folder of its own, with one batch that most questions go to."""

    command: Sequence[str]
    folder: Path
    batches: list[Batch] = field(default_factory=list)

    @property
    def inside(self) -> Path:
        """The folder that holds the store."""
        return self.folder / ".muse"

    def init(self) -> int:
        """Runs `CMD init`; its exit code."""
        return self.run("init").returncode

    def run(self, form: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Runs one form of the command to its end."""
        arguments = [*self.command, form, str(self.folder)]
        try:
            return subprocess.run(
                arguments, input=given, capture_output=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unmet(f"{form} ends within {SECONDS:.0f} s", "it does not") from None
        except OSError as problem:
            raise CouldNotRun(f"[store] command does not run: {problem}") from None

    def start(self, environment: Mapping[str, str] | None = None) -> Batch:
        """Another batch on the same store."""
        try:
            child = subprocess.Popen(
                [*self.command, "batch", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            )
        except OSError as problem:
            raise CouldNotRun(f"[store] command does not run: {problem}") from None
        self.batches.append(Batch(child))
        return self.batches[-1]

    @property
    def batch(self) -> Batch:
        """The batch that most questions go to, started when first needed."""
        for batch in self.batches:
            if batch.child.poll() is None:
                return batch
        return self.start()

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """One operation, whatever is answered."""
        return self.batch.ask(op, **fields)

    def do(self, op: str, **fields: Any) -> dict[str, Any]:
        """One operation that must succeed."""
        answer = self.ask(op, **fields)
        if not answer["ok"]:
            raise Unmet(f"{op} succeeds", f"{answer['error']}: {answer.get('detail')}")
        return answer

    def refuses(self, error: str, op: str, **fields: Any) -> dict[str, Any]:
        """One operation that must be refused with this word."""
        answer = self.ask(op, **fields)
        if answer["ok"] or answer["error"] != error:
            raise Unmet(f"{op} is refused as {error}", json.dumps(answer)[:300])
        return answer

    def put(self, data: bytes) -> str:
        """Puts a blob; its id."""
        return str(self.do("put_blob", data=text_of(data))["id"])

    def get(self, id: str) -> bytes:
        """A blob's content."""
        return b64decode(self.do("get_blob", id=id)["data"], validate=True)

    def commit(self, branch: str = "main", **how: Any) -> tuple[str, str]:
        """Commits; the ids of commit and snapshot."""
        files = {p: text_of(c) for p, c in how.pop("files", {"a.txt": b"a\n"}).items()}
        value = {
            "message": "one",
            "author": "conformance",
            "committed_at": "2026-01-01T00:00:00Z",
            **how,
        }
        answer = self.do("commit", branch=branch, files=files, **value)
        return str(answer["commit_id"]), str(answer["snapshot_id"])

    def problems(self) -> list[str]:
        """What fsck reports."""
        return list(self.do("fsck")["problems"])

    def sound(self) -> None:
        """Fails unless fsck finds nothing."""
        if problems := self.problems():
            raise Unmet("fsck finds nothing", "; ".join(map(str, problems))[:300])

    def tree(self) -> dict[str, bytes]:
        """Every file of the store with its bytes, and its folders."""
        found: dict[str, bytes] = {}
        for path in sorted(self.inside.rglob("*")):
            name = path.relative_to(self.inside).as_posix()
            found[name + "/" if path.is_dir() else name] = (
                b"" if path.is_dir() else path.read_bytes()
            )
        return found

    def loose(self, id: str) -> Path:
        """The file of a loose object."""
        digits = id.removeprefix("sha256:")
        return self.inside / "objects" / "sha256" / digits[:2] / digits[2:]

    def record(self, kind: str, id: str) -> Path:
        """The file of a commit's or snapshot's record."""
        digits = id.removeprefix("sha256:")
        return self.inside / kind / digits[:2] / f"{digits[2:]}.json"

    def copy(self) -> Store:
        """The same store in a new folder beside it: stores have no place of their own."""
        folder = tempfile.mkdtemp(prefix="musekit-store-", dir=self.folder.parent)
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Store(self.command, Path(folder))

    def close(self) -> None:
        """Ends every batch."""
        for batch in self.batches:
            if batch.child.poll() is None:
                batch.kill()
            for pipe in (batch.child.stdin, batch.child.stdout):
                if pipe is not None and not pipe.closed:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass  # what was not sent is not wanted any more
        self.batches.clear()


def fresh(command: Sequence[str], parent: Path | None = None) -> Store:
    """An empty store in a new folder; `close` and remove the folder when done."""
    store = Store(command, Path(tempfile.mkdtemp(prefix="musekit-store-", dir=parent)))
    if code := store.init():
        raise Unmet("init exits 0", f"exit {code}")
    return store
