"""A program that keeps the client library open: what a push costs without a process start.

The program is text, run by the interpreter that runs `musekit`: the gates themselves import
nothing of what they measure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..commands import SOURCES, WrongResult

PROGRAM = """
import json, os, sys, time
from datetime import datetime

from reference import keys
from reference.client.fetch import fetch
from reference.client.progress import Steps
from reference.client.push import push
from reference.client.remote import Remote
from reference.store import refs, working
from reference.store.repository import Repository

url, insecure = sys.argv[1], sys.argv[2] == "insecure"
remote = Remote(url, keys.load, insecure)
opened = {}


def call(folder, kind):
    repository = opened.get(folder) or opened.setdefault(folder, Repository(folder))
    head = refs.read(repository.dot, "main")
    if kind == "push":
        return push(repository, remote, "main", head, False, Steps()).head
    fetched = fetch(repository, remote, "perf", Steps())
    if kind == "pull":
        when = datetime.now().astimezone().isoformat(timespec="seconds")
        fields = {"message": "merge", "author": "perf", "committed_at": when}
        return working.merge(repository, "perf/main", fields).commit_id
    return fetched.heads["main"]


for line in sys.stdin:
    folder, kind = json.loads(line)
    os.chdir(folder)
    started = time.perf_counter()
    head = call(folder, kind)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "head": head}), flush=True)
"""


class Library:
    """The program at the other end of a pipe."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def call(self, folder: Path, kind: str, head: str | None = None) -> tuple[float, str]:
        """Seconds of one push, pull or fetch in a repository, and the head that it came to."""
        self._stdin.write(json.dumps([str(folder), kind]).encode() + b"\n")
        self._stdin.flush()
        line = self._stdout.readline()
        if not line:
            raise WrongResult(f"the library's {kind} failed: what it said is above")
        answer: dict[str, Any] = json.loads(line)
        if head is not None and answer["head"] != head:
            raise WrongResult(f"the library's {kind} came to {answer['head']}, not to {head}")
        return float(answer["seconds"]), str(answer["head"])


@contextmanager
def opened(url: str, home: Path, insecure: bool) -> Iterator[Library | None]:
    """A program that keeps a remote repository open; none beside a command other than the kit's."""
    if os.environ.get("MUSEKIT_COMMAND"):
        yield None
        return
    words = [sys.executable, "-c", PROGRAM, url, "insecure" if insecure else "secure"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "MUSEKIT_HOME": str(home)}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Library(process.stdin, process.stdout)
        finally:
            process.stdin.close()
