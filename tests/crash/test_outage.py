"""A server killed in the middle of a push: each flawed one is found, the reference is sound."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from conformance import embedded
from conformance.crash import __main__ as command
from conformance.crash.steps import Step
from conformance.ledger import Ledger
from conformance.lifecycle import Process, wait_for
from conformance.outage.blackout import cut_everywhere
from conformance.outage.deaths import Broken, choose, kill_everywhere, spread
from conformance.outage.places import Place, places
from conformance.world import World, introduce

from .server_mutants import FLAWED, Flawed

SECONDS = 60.0
CASES = [
    pytest.param(flawed, id=flawed.name, marks=() if flawed.always else pytest.mark.nightly)
    for flawed in FLAWED
]


@contextmanager
def stopped(*flaw: str) -> Iterator[tuple[World, Process, list[Place]]]:
    """The reference, or a flawed one, which has run and was stopped in good order."""
    folder = Path(tempfile.mkdtemp(prefix="musekit-outage-"))
    folder.chmod(0o711)  # an embedded PostgreSQL may run as somebody else
    subject = embedded.reference(folder / "data")
    if flaw:
        subject.commands["start"][1:3] = ["-m", "tests.crash.subjects.server", *flaw]
    process = Process(subject.commands["start"], folder / "log")
    try:
        process.start(SECONDS)
        assert wait_for(subject.url + subject.ready, SECONDS) is None
        world = World(subject, secrets.token_hex(3), 1, Ledger(folder / "ledger"), process=process)
        world.begin("outage")
        assert introduce(world) == ""
        shown = places(world.inspect)
        process.stop()
        yield world, process, shown
        world.connection.http.close()
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def broken(by: str, most: int, *flaw: str) -> Sequence[Broken]:
    """What an examination finds, up to the first broken promise."""
    with stopped(*flaw) as (world, process, shown):
        examine = kill_everywhere if by == "kill" else cut_everywhere
        return examine(world, process.command, process.log, shown, most, enough=1).broken


@pytest.mark.parametrize("flawed", CASES)
def test_a_flawed_server_is_found(flawed: Flawed) -> None:
    """By the examination that can show it."""
    assert broken(flawed.by, flawed.most, flawed.name)


@pytest.mark.parametrize("flawed", FLAWED, ids=lambda flawed: flawed.name)
def test_the_flaw_fits_the_reference_as_it_is(flawed: Flawed) -> None:
    """Its text occurs once, and what comes of it can be compiled."""
    found = find_spec(flawed.patch.module)
    assert found is not None
    source = Path(str(found.origin)).read_text(encoding="utf-8")
    compile(flawed.patch.apply(source), flawed.patch.module, "exec")


@pytest.mark.nightly
@pytest.mark.parametrize("by", ["kill", "power cut"])
def test_the_reference_is_sound(by: str) -> None:
    """Nothing that it answered is lost, nothing else is there in part."""
    assert broken(by, 8) == []


@pytest.mark.nightly
@pytest.mark.parametrize("flawed", [case for case in FLAWED if case.by == "power cut"])
def test_a_missing_sync_is_not_seen_by_killing(flawed: Flawed) -> None:
    """The kernel lives on: this is what the power cut is for."""
    assert broken("kill", 6, flawed.name) == []


def test_a_server_is_examined_by_its_subject_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without [process] start there is nothing to kill: exit 2, and the line to add."""
    subject = tmp_path / "subject.toml"
    subject.write_text(
        '[subject]\nurl = "http://127.0.0.1:9"\nprofiles = ["crash-server"]\n', encoding="utf-8"
    )
    assert command.main(["--server", str(subject)]) == 2
    assert "needs [process] start" in capsys.readouterr().err


def test_a_server_that_does_not_start_could_not_be_examined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3, as for every subject that cannot be looked at, and nothing is left running."""
    from conformance.outage import command as examination

    monkeypatch.setattr(examination, "RESTART_SECONDS", 0.3)
    subject = tmp_path / "subject.toml"
    subject.write_text(
        '[subject]\nurl = "http://127.0.0.1:9"\nprofiles = ["crash-server"]\n'
        f'[process]\nstart = ["{sys.executable}", "-c", "pass"]\n',
        encoding="utf-8",
    )
    assert command.main(["--server", str(subject)]) == 3
    assert "nothing listens" in capsys.readouterr().out


def test_the_first_deaths_are_around_the_answer() -> None:
    """The last names and syncs before it, and the first step after it."""
    calls = ["write", "write", "fsync", "rename", "fsync", "rename", "fsync", "unlink", "fdatasync"]
    steps = [Step(call, "f", "") for call in calls]
    assert choose(steps, 7, 5, seed=0) == [4, 5, 6, 7, 8]
    assert choose(steps, 7, 10, seed=0) == [*range(1, 11)]
    assert 2 not in choose(steps, 7, 9, seed=0)  # the second write to the same file


def test_few_deaths_are_spread_over_all_steps() -> None:
    """Each third has one, wherever the seed begins."""
    for seed in range(20):
        assert [number // 10 for number in spread(30, 3, seed)] == [0, 1, 2]
    assert spread(3, 5, 0) == [0, 1, 2]
