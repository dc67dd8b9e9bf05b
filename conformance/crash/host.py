"""A server under the tracer: its whole process tree, from the start until it is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .ptrace import Listener, Tracer
from .sandbox import become_subreaper

_MOST_TASKS, _MOST_BIRTHS = 2000, 100_000
_STOP_SECONDS, _LEFT_SECONDS, _GONE_SECONDS, _LOOK_SECONDS = 20.0, 1.0, 5.0, 0.02


@dataclass(slots=True)
class Host:
    """One life of a server; the listener is asked about each call of each of its processes."""

    command: Sequence[str]
    listener: Listener
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: int = 0
    _tracer: Tracer | None = None
    _thread: threading.Thread | None = None
    _started: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _failure: BaseException | None = None

    def start(self) -> None:
        """Starts it; raises `Unsupported` where processes cannot be traced."""
        self._thread = threading.Thread(target=self._trace, name="tracer", daemon=True)
        self._thread.start()  # the kernel ties tracing to a thread
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def over(self, seconds: float = 0.0) -> bool:
        """Whether all of it has ended, after waiting for so long at most."""
        return self._over.wait(seconds)

    def kill(self) -> None:
        """SIGKILL for every process, however it is related to the first; waits for the end."""
        if self._tracer is not None:
            self._tracer.kill()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """SIGTERM for the first process; once it has ended, SIGKILL for whatever is left."""
        if not self.over():
            os.kill(self.process, signal.SIGTERM)
            until = time.monotonic() + _STOP_SECONDS
            while os.path.exists(f"/proc/{self.process}") and time.monotonic() < until:
                self.over(_LOOK_SECONDS)
            self.over(_LEFT_SECONDS)
        self.kill()

    def _trace(self) -> None:
        become_subreaper()
        try:
            self._tracer = Tracer(self.listener)
            self._tracer.most_tasks, self._tracer.most_births = _MOST_TASKS, _MOST_BIRTHS
            self.process = self._tracer.spawn(self._enter)
        except BaseException as failure:  # noqa: BLE001 - raised again by start
            self._failure = failure
            return
        finally:
            self._started.set()
        try:
            self._tracer.run()
            # a database that finds the process id of its dead self taken does not start
            self._tracer.gone(_GONE_SECONDS)
        finally:
            become_subreaper(really=False)
            self._over.set()

    def _enter(self) -> None:
        os.setsid()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        try:
            os.execvpe(self.command[0], list(self.command), {**os.environ, **self.environment})
        except OSError as error:
            os.write(2, f"{self.command[0]}: {error.strerror}\n".encode())
