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
from .crash.sandbox import roomy
from .ledger import Ledger, clean_up
from .options import Options
from .plugin import Suite
from .pool import Pool, turns
from .service import Service
from .subject import STORE_PROFILES, Subject
from .verdicts import Result, Verdict
from .world import World, introduce

Emit = Callable[[Result], None]
KILLING = "crash-server"
"""The profile whose checks kill the server."""


class Run:
    """The subject and the checks that were chosen, until all of them have a result."""

    def __init__(self, suite: Suite, options: Options, subject: Subject | None, emit: Emit) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="musekit-conformance-", dir=roomy()))
        self.folder.chmod(0o711)  # an embedded PostgreSQL may run as somebody else
        self.is_embedded = subject is None
        self.subject = subject or embedded.reference(self.folder / "data")
        self.left: list[str] = []
        self._emit = emit
        self._done: set[str] = set()
        self._service = self._serving(self.subject, "subject")
        self._lock = threading.Lock()
        self._suite = suite
        self._pool: Pool  # while it runs

    def run(self, checks: Sequence[Check]) -> None:
        """Gives every check a result, whatever happens to the subject."""
        self._pool = Pool(self._suite, self.options.jobs, self._finish, self.options.shuffle)
        try:
            with self._quietly_interrupted():
                self._run(checks)
        finally:
            self._pool.close()
            self._service.stop()
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
            # Half of the processes, for as long as it takes: a server keeps no more of them busy.
            if jobs := self.options.jobs // 2 if remote else self.options.jobs:
                self._pool.add(self._world(self._service), local, jobs)
                local = []
            if remote and (problem := self._service.bring_up()):
                for check in remote:
                    self._finish(without(check, Verdict.COULD_NOT_RUN, problem))
                remote = []
            world = self._world(self._service)
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
        mortal = self._mortal(remote)
        alone = [check for check in remote if check.exclusive and check not in mortal]
        together = [check for check in remote if not check.exclusive]
        try:
            self._alone(self._service, world, alone)
            if not interruption.requested():
                self._pool.add(world, [*together, *local], self.options.jobs)
            if mortal and not interruption.requested():
                self._apart(mortal)
        finally:
            self._pool.join()

    def _mortal(self, remote: Sequence[Check]) -> list[Check]:
        """Those that kill a server, where it is the reference and another can be had for them.

        They wait more than they work: beside the others they take no time of their own.
        """
        found = [check for check in remote if check.exclusive and check.profile == KILLING]
        beside = self.is_embedded and self.options.jobs > 1 and len(found) < len(remote)
        return found if beside else []

    def _alone(self, service: Service, world: World, chosen: Sequence[Check]) -> None:
        """Runs checks in this process, which may end the subject's."""
        world.process = service.process
        self._suite.enter(world, self._finish)
        try:
            self._suite.examine(*turns(chosen, self.options.shuffle))
        except KeyboardInterrupt:
            pass  # as somebody wants; what has no result yet gets one
        finally:
            world.end()
        world.process = None

    def _apart(self, checks: Sequence[Check]) -> None:
        """Runs checks on a reference of their own."""
        service = self._serving(embedded.reference(self.folder / "mortal"), "mortal")
        try:
            if problem := service.bring_up():
                for check in checks:
                    self._finish(without(check, Verdict.COULD_NOT_RUN, problem))
                return
            world = self._world(service)
            world.unready = introduce(world)
            self._alone(service, world, checks)
        finally:
            service.stop()

    def _serving(self, subject: Subject, name: str) -> Service:
        seconds = max(self.options.wait, 30.0 if self.is_embedded else 0.0)
        return Service(subject, self.folder / f"{name}.log", seconds)

    def _world(self, service: Service) -> World:
        return World(
            subject=service.subject,
            token=secrets.token_hex(3),
            seed=self.options.seed,
            ledger=Ledger(self.folder / "ledger.jsonl"),
            read_only=self.options.read_only,
            log=service.process.log if service.process else None,
        )

    def _unrunnable(self) -> str | None:
        """Why the store's command cannot even be started, told once and not by every check."""
        command = self.subject.store
        if not command or shutil.which(command[0]):
            return None
        return f"[store] command does not run: there is no program {command[0]!r}"

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
