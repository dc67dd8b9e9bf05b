"""One run from start to end: the subject up, the checks out to processes, everything tidied."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import embedded, interruption
from .catalogue import Check
from .ledger import Ledger, clean_up
from .lifecycle import Process, silence, wait_for
from .options import Options
from .plugin import Suite
from .pool import Pool
from .redaction import redact
from .subject import STORE_PROFILES, Subject
from .verdicts import Result, Verdict
from .world import World, introduce

Emit = Callable[[Result], None]


class Run:
    """The subject and the checks that were chosen, until all of them have a result."""

    def __init__(self, options: Options, subject: Subject | None, emit: Emit) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="musekit-conformance-"))
        self.folder.chmod(0o711)  # an embedded PostgreSQL may run as somebody else
        self.is_embedded = subject is None
        self.subject = subject or embedded.reference(self.folder / "data")
        self.left: list[str] = []
        self._emit = emit
        self._done: set[str] = set()
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._pool = Pool(options.jobs, self._finish, options.shuffle)

    def run(self, checks: Sequence[Check]) -> None:
        """Gives every check a result, whatever happens to the subject."""
        try:
            with self._quietly_interrupted():
                self._run(checks)
        finally:
            if self._process is not None:
                self._process.stop()
            shutil.rmtree(self.folder, ignore_errors=True)
        stopped = interruption.requested()
        verdict = Verdict.COULD_NOT_RUN if stopped else Verdict.SUITE_ERROR
        why = "the run was interrupted" if stopped else "its process ended before it"
        for check in checks:
            if check.id not in self._done:
                self._finish(without(check, verdict, why))

    def _run(self, checks: Sequence[Check]) -> None:
        claimed = [check for check in checks if check.profile in self.subject.profiles]
        for check in checks:
            if check.profile not in self.subject.profiles:
                why = f"the subject does not claim the profile {check.profile}"
                self._finish(without(check, Verdict.NOT_APPLICABLE, why))
        remote = [check for check in claimed if check.profile not in STORE_PROFILES]
        local = [check for check in claimed if check.profile in STORE_PROFILES]
        if local and (problem := self._unrunnable()):
            for check in local:
                self._finish(without(check, Verdict.COULD_NOT_RUN, problem))
            local = []
        try:
            if spare := self.options.jobs - bool(remote):
                self._pool.add(self._world(), local, spare)
                local = []
            if remote and (problem := self._bring_up()):
                for check in remote:
                    self._finish(without(check, Verdict.COULD_NOT_RUN, problem))
                remote = []
            world = self._world()
            if remote:
                world.unready = introduce(world)
            try:
                self._check(world, remote, local)
            finally:
                interruption.tidy()
                if remote and not self.is_embedded:  # whose data are about to go as a whole
                    world.connection.renew()
                    self.left = clean_up(world.ledger, world.owner, world.other)
        finally:
            self._pool.join()

    def _check(self, world: World, remote: Sequence[Check], local: Sequence[Check]) -> None:
        """Those that disturb the server go first, and alone but for those of the local store.

        Later the server is still busy with the jobs of everybody's pushes.
        """
        alone = {check.id for check in remote if check.exclusive}
        together = [check for check in remote if not check.exclusive]
        try:
            if alone:
                world.process = self._process
                Suite(world, alone, self._finish, shuffle=self.options.shuffle).run()
                world.process = None
            if not interruption.requested():
                self._pool.add(world, [*together, *local], self.options.jobs)
        finally:
            self._pool.join()

    def _world(self) -> World:
        return World(
            subject=self.subject,
            token=secrets.token_hex(3),
            seed=self.options.seed,
            ledger=Ledger(self.folder / "ledger.jsonl"),
            read_only=self.options.read_only,
            log=self._process.log if self._process else None,
        )

    def _unrunnable(self) -> str | None:
        """Why the store's command cannot even be started, told once and not by every check."""
        command = self.subject.store
        if not command or shutil.which(command[0]):
            return None
        return f"[store] command does not run: there is no program {command[0]!r}"

    def _bring_up(self) -> str | None:
        """Starts the subject if that is ours to do, and waits for it; why it is not there."""
        subject = self.subject
        seconds = max(self.options.wait, 30.0 if self.is_embedded else 0.0)
        if command := subject.commands.get("start"):
            if subject.url and not silence(subject.url + subject.ready, 1.0):
                return f"{subject.url} answers before [process] start is run: end what is there"
            self._process = Process(command, self.folder / "subject.log")
            try:
                told = self._process.start(0.0 if subject.url else seconds)
            except OSError as problem:
                return f"[process] start does not run: {problem}"
            subject.url = subject.url or str(told.get("url", "")).rstrip("/")
        silent: str | None = "no address: [subject] url is missing, [process] start printed none"
        if subject.url:
            silent = wait_for(subject.url + subject.ready, seconds, self._ended)
        if self._process and self._ended():
            return redact(f"the subject ended at once {self._process.end()}")
        return f"{silent}, for {seconds:g} s" if silent else None

    def _ended(self) -> bool:
        return self._process is not None and self._process.exited()

    def _finish(self, result: Result) -> None:
        with self._lock:
            if result.id in self._done:
                return
            self._done.add(result.id)
            if result.verdict in (Verdict.FAIL, Verdict.SUITE_ERROR, Verdict.COULD_NOT_RUN):
                result.reproduce = self.options.reproduce(result.id)
            self._emit(result)

    @contextmanager
    def _quietly_interrupted(self) -> Iterator[None]:
        """Ctrl-C ends the checks, not the tidying up."""

        def interrupt(number: int, frame: object) -> None:
            again = interruption.requested()
            interruption.request()
            self._pool.stop(signal.SIGKILL if again else signal.SIGINT)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {name: signal.signal(name, interrupt) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


def without(check: Check, verdict: Verdict, why: str) -> Result:
    """The result of a check that was not run."""
    result = Result(check.id, check.requirements, check.profile, verdict, check.title)
    result.detail = why
    return result
