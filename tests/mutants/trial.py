"""One subject, flawed or not, from its start to the verdicts of the checks chosen for it."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance import embedded, interruption
from conformance.catalogue import Check
from conformance.ledger import Ledger
from conformance.lifecycle import Process, wait_for
from conformance.plugin import CHECKS, Suite, check_of
from conformance.subject import STORE_PROFILES, Subject
from conformance.verdicts import Result, Verdict
from conformance.world import World, introduce

from .ground import Ground
from .subject import UNPATCHED

START_SECONDS = 30.0
SEED = 1
Emit = Callable[[Result], None]
_CHECKOUT = str(Path(__file__).parents[2])


class NoSubject(Exception):
    """The broken subject does not even start: it proves nothing."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What to run against which subject."""

    number: int
    key: str
    module: str
    checks: tuple[Check, ...]
    seconds: int
    thorough: bool = False

    @property
    def needs_server(self) -> bool:
        """Whether a check talks to a server; the others start a local store themselves."""
        return any(check.profile not in STORE_PROFILES for check in self.checks)

    @property
    def needs_database(self) -> bool:
        """Whether the server must have a PostgreSQL that dies when it does."""
        return any(check.profile == "crash-server" for check in self.checks)


class _Hasty(Suite):
    """Leaves out the further cases of a function that has failed: one is enough."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # handed on as they came
        self.failed: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        return True if function_of(check_of(item)) in self.failed else None

    def pytest_runtest_logfinish(self) -> None:
        if self._result is not None and self._result.verdict is Verdict.FAIL:
            self.failed.add(function_of(self._result))
        super().pytest_runtest_logfinish()


def function_of(check: Check | Result) -> str:
    """`test_file.py::test_name` of a check's id, its parameters left out."""
    module, _, name = check.id.partition("/")
    return f"test_{module}.py::test_{name.partition('[')[0]}"


def run(ground: Ground, trial: Trial, emit: Emit) -> None:
    """Runs the trial in this process, which has nothing else to do."""
    os.environ["PYTHONPATH"] = _CHECKOUT
    signal.signal(signal.SIGALRM, _expired)
    signal.alarm(trial.seconds)
    if not trial.needs_server:
        with ground.folder_for(trial.number) as folder:
            _examine(_world(_subject(folder, "", trial.key), folder), trial, emit)
    elif trial.needs_database:
        with ground.folder_for(trial.number) as folder:
            _with_server(folder, "", trial, emit)
    else:
        fresh = trial.module == "reference.server.schema"
        with (
            ground.folder_for(trial.number) as folder,
            ground.database_for(trial.number, migrated=not fresh) as dsn,
        ):
            _with_server(folder, dsn, trial, emit)


def _with_server(folder: Path, dsn: str, trial: Trial, emit: Emit) -> None:
    subject = _subject(folder, dsn, trial.key)
    process = Process(subject.commands["start"], folder / "subject.log")
    try:
        process.start(START_SECONDS)
        if process.exited():
            raise NoSubject(process.last_words())
        if silence := wait_for(subject.url + subject.ready, START_SECONDS):
            raise NoSubject(f"{silence}: {process.last_words()}")
        world = _world(subject, folder)
        world.process, world.log = process, process.log
        world.unready = introduce(world)
        _examine(world, trial, emit)
    finally:
        signal.alarm(0)
        process.stop()


def _expired(number: int, frame: object) -> None:
    interruption.request()
    raise KeyboardInterrupt


def _subject(folder: Path, dsn: str, key: str) -> Subject:
    """The embedded reference with other commands: patched, and on the database given, if any."""
    subject = embedded.reference(folder)
    plain = [sys.executable, "-m", "reference"]
    patched = [sys.executable, "-m", "tests.mutants.subject", key]
    own = subject.postgres
    ours = ["--postgres", dsn, "--objects", subject.objects] if dsn else []

    def command(words: list[str]) -> list[str]:
        words = [dsn if dsn and word == own else word for word in words]
        if words[:3] != plain:
            return words
        return [*patched, *words[3:], *([] if "--postgres" in words else ours)]

    subject.commands = {name: command(words) for name, words in subject.commands.items()}
    subject.postgres = dsn or own
    subject.store = [*patched, "store"]
    subject.name = f"the reference, {key}"
    return subject


def _world(subject: Subject, folder: Path) -> World:
    ledger = Ledger(folder / "ledger.jsonl")
    return World(subject=subject, token=secrets.token_hex(3), seed=SEED, ledger=ledger)


def _examine(world: World, trial: Trial, emit: Emit) -> None:
    chosen = {check.id for check in trial.checks}
    kind = Suite if trial.thorough or trial.key == UNPATCHED else _Hasty
    try:
        for file in _files(trial.checks):
            kind(world, chosen, emit, file).run()
    finally:
        world.end()


def _files(checks: Collection[Check]) -> list[Path]:
    """The files the checks are in: collecting all of them would take a second each time."""
    modules = dict.fromkeys(check.id.partition("/")[0] for check in checks)
    return [CHECKS / f"test_{module}.py" for module in modules]
