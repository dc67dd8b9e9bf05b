"""Starting, waiting for, killing and disturbing the subject's processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from .client import certificates
from .outcomes import CouldNotRun

STOP_SECONDS = 15.0
COMMAND_SECONDS = 60.0
STARTING = 0.1
"""Seconds between two looks at a server that comes up: everything waits for it."""


def until(
    true: Callable[[], bool], seconds: float, pause: float = 0.05, longest: float = 0.5
) -> bool:
    """Whether something became true in time, asked after ever longer pauses."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)  # what is waited for is a subject's, which tells nobody
        pause = min(pause * 1.5, longest)
    return True


def wait_for(url: str, seconds: float, over: Callable[[], bool] = lambda: False) -> str | None:
    """None once the address answers HTTP and does not say 503; else what it did, in words.

    It is waited for no longer once `over` says that nobody is going to answer.
    """
    deadline = time.monotonic() + seconds
    last: str | None = None

    def settled() -> bool:
        nonlocal last
        last = silence(url, min(5.0, max(0.2, deadline - time.monotonic())))
        return last is None or over()

    until(settled, seconds, longest=STARTING)
    return last


def silence(url: str, seconds: float) -> str | None:
    """What an address does, in words, unless it answers HTTP and does not say 503."""
    try:
        response = httpx.get(url, timeout=seconds, trust_env=False, verify=certificates())
    except httpx.ConnectError as problem:
        return f"nothing listens at {url} ({problem})"
    except httpx.TimeoutException:
        return f"{url} accepts the connection and does not answer"
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        return f"{url} closes the connection or does not speak HTTP ({problem})"
    return f"{url} answers 503" if response.status_code == 503 else None


@dataclass(slots=True)
class Process:
    """A subject that the suite starts itself, and may therefore kill."""

    command: Sequence[str]
    log: Path
    address: str = ""
    child: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def start(self, seconds: float = 0.0) -> dict[str, str]:
        """Starts it and gives the JSON of its first line of output, {} when none comes in time."""
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        first: list[bytes] = []
        ready = threading.Event()
        threading.Thread(target=self._drain, args=(self.child, first, ready), daemon=True).start()
        if not until(lambda: ready.is_set() or self.exited(), seconds, longest=STARTING):
            return {}
        ready.wait(1.0)
        try:
            told = json.loads(first[0]) if first else {}
        except ValueError:
            told = {}
        self.told = told if isinstance(told, dict) else {}
        return self.told

    def _drain(
        self, child: subprocess.Popen[bytes], first: list[bytes], ready: threading.Event
    ) -> None:
        assert child.stdout is not None
        with child.stdout as output, self.log.open("ab") as log:
            for line in output:
                if not first:
                    first.append(line)
                    ready.set()
                log.write(line)
                log.flush()
        ready.set()

    def exited(self) -> bool:
        """Whether it is not running."""
        return self.child is None or self.child.poll() is not None

    def kill(self) -> None:
        """SIGKILL for it and everything in its session."""
        self._signal(signal.SIGKILL)
        if self.child is not None:
            self.child.wait(STOP_SECONDS)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for whatever does not listen."""
        if self.child is None:
            return
        if not self.exited():
            self._signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass  # killed below
        self._signal(signal.SIGKILL)
        self.child.wait(STOP_SECONDS)
        self.child = None

    def _signal(self, number: int) -> None:
        if self.child is not None:
            try:
                os.killpg(self.child.pid, number)
            except ProcessLookupError:
                pass  # it has ended

    def last_words(self) -> str:
        """The end of what it wrote, for whoever wonders why it does not run."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return " | ".join(text.strip().splitlines()[-3:])[-400:]

    def end(self) -> str:
        """How it ended, and with which words."""
        words = self.last_words()
        code = self.child.poll() if self.child is not None else None
        return f"with exit code {code}" + (f": {words}" if words else " and wrote nothing")


def run_command(command: Sequence[str], what: str) -> subprocess.CompletedProcess[str]:
    """Runs one of the subject's own commands; a failing one leaves the check without ground."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            start_new_session=True,  # the terminal's Ctrl-C leaves nothing half done
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise CouldNotRun(f"[process] {what} failed: {problem}") from None
    if done.returncode:
        raise CouldNotRun(
            f"[process] {what} exited {done.returncode}: {done.stderr.strip()[-300:]}"
        )
    return done
