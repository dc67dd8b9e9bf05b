"""Durable writes of 4 KiB through the store adapter: the answer line is the promise."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from reference.wire.ids import blob_id

from ..budgets import requirement
from ..commands import MUSEKIT, SOURCES, WrongResult, musekit
from ..contests import OURS, Bench, Contest
from ..subject import timed
from . import bare_writes

COVERS = requirement("FS13")

SIZE = 4096
ROUNDS = 20
"""Writes in a run; a run's figure is their mean."""
SHARD = len("sha256:00")
"""How much of an id names the folder of its blob."""
WHO = {"author": "perf", "committed_at": "2026-01-01T00:00:00+00:00"}


class Adapter:
    """A store behind a pipe."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def ask(self, **fields: object) -> dict[str, Any]:
        """One operation and its answer, which has to be a success."""
        self._stdin.write(json.dumps(fields).encode() + b"\n")
        self._stdin.flush()
        answer: dict[str, Any] = json.loads(self._stdout.readline() or b'{"ok": false}')
        if not answer["ok"]:
            raise WrongResult(f"{fields['op']}: {answer}")
        return answer

    def put(self, data: bytes) -> float:
        """Seconds of one blob's durable write."""
        encoded = base64.b64encode(data).decode()
        seconds, answer = timed(self.ask, op="put_blob", data=encoded)
        if answer["id"] != blob_id(data):
            raise WrongResult("the store gave another id")
        return seconds


@contextmanager
def _adapter(command: Sequence[str]) -> Iterator[Adapter]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Adapter(process.stdin, process.stdout)
        finally:
            process.stdin.close()
    if process.returncode:
        raise WrongResult(f"the adapter exited with {process.returncode}")


def _content(start: str) -> bytes:
    """Random bytes whose id starts like that."""
    while not blob_id(content := os.urandom(SIZE)).startswith(start):
        continue
    return content


@contextmanager
def writes(bench: Bench) -> Iterator[Contest]:
    """A blob, a commit and a state file of 4 KiB each; beside them the bare calls, as far away.

    The adapter's commit also writes its snapshot and moves a branch: three durable writes.  A blob
    goes into a folder that is there: a store makes each of its 256 but once, and the fewer the
    blobs of a measurement, the more of it would be these.
    """
    folder, bare = bench.work / "durable", bench.work / "bare"
    musekit("store", "init", folder)
    bare.mkdir()
    ours = _adapter([*MUSEKIT, "store", "batch", str(folder)])
    with ours as store, _adapter([sys.executable, bare_writes.__file__, str(bare)]) as calls:
        first = os.urandom(SIZE)
        store.put(first)
        folder_of_all = blob_id(first)[:SHARD]

        def trial() -> Mapping[str, float]:
            sums = {"object": 0.0, "commit": 0.0, "text": 0.0}
            for _ in range(ROUNDS):
                data = _content(folder_of_all)
                text = data.hex()[:SIZE]
                sums["object"] += store.put(data)
                commit = {"op": "commit", "branch": "main", "files": {}, "message": text, **WHO}
                sums["commit"] += timed(store.ask, **commit)[0]
                state = {"op": "set_state", "kind": "reservation", "name": text[:16]}
                sums["text"] += timed(store.ask, **state, value={"text": text})[0]
            return {name: total / ROUNDS for name, total in sums.items()}

        def plain() -> Mapping[str, float]:
            return {"object": sum(calls.put(os.urandom(SIZE)) for _ in range(ROUNDS)) / ROUNDS}

        yield Contest({OURS: trial, "bare calls": plain})
