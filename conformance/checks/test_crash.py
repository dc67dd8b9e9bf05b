"""The server killed: what was answered is there, what was not is whole or absent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conformance.crash.ptrace import Unsupported
from conformance.expectations import exclusive, fail, requirement
from conformance.histories import chain, child_of
from conformance.lifecycle import until
from conformance.outage.blackout import cut_everywhere
from conformance.outage.deaths import UNHURT, kill_everywhere
from conformance.outage.places import Place, places
from conformance.outcomes import CouldNotRun
from conformance.plugin import WORLD
from conformance.repository import Repository
from conformance.world import World

DEATHS, CUTS = 4, 1
MORE = "All of it: python -m conformance.crash --nightly --server SUBJECT.toml"


@pytest.fixture(scope="module")
def kept(request: pytest.FixtureRequest) -> list[Place]:
    """Where the subject keeps what it promised, asked while it runs."""
    return places(request.config.stash[WORLD].inspect)


@pytest.fixture(scope="module")
def mortal(request: pytest.FixtureRequest, kept: list[Place]) -> Iterator[World]:
    """The subject, running or not; after the last of these checks it does, whatever happened."""
    world = request.config.stash[WORLD]
    world.owned()
    yield world
    if world.owned().exited():
        world.restart()


@pytest.fixture
def alive(mortal: World) -> World:
    """The subject, running."""
    if mortal.owned().exited():
        mortal.restart()
    return mortal


@contextmanager
def traceable() -> Iterator[None]:
    """Where processes cannot be traced, nothing is shown."""
    try:
        yield
    except Unsupported as reason:
        raise CouldNotRun(str(reason)) from None


@exclusive
@requirement("DUR-030", "DUR-031", "DUR-032", "BP5", "K1")
def test_what_was_answered_survives_a_kill(alive: World, repo: Repository) -> None:
    """kill -9 right after the answer: refs, records and blobs are there after the restart."""
    links = chain(6)
    repo.push(*links)
    alive.owned().kill()
    alive.restart()
    assert repo.heads() == {"main": links[-1].id}
    repo.holds(links[-1])
    assert len(repo.fetch(links[-1]).pack.commits) == len(links)
    repo.push(child_of(links[-1]))


@exclusive
@requirement("PUSH-011", "DUR-030", "DUR-031", "DUR-032", "BP5")
def test_a_push_that_was_killed_is_whole_or_absent(mortal: World, kept: list[Place]) -> None:
    """Killed at a durable step of a push, the server has all of it or none; a retry ends it."""
    process = mortal.owned()
    process.stop()
    with traceable():
        killed = kill_everywhere(
            *(mortal, process.command, process.log, kept), DEATHS, enough=1, with_client=False
        )
    if not killed.killed and not killed.broken:
        raise CouldNotRun(UNHURT)
    for broken in killed.broken:
        fail(broken.expected, broken.actual, f"{broken.moment}. {MORE}")


@exclusive
@requirement("DUR-031", "DUR-030", "DUR-032")
def test_what_was_answered_survives_a_power_cut(mortal: World, kept: list[Place]) -> None:
    """What no sync carried when a push was answered is lost, and nothing of the push is missing."""
    process = mortal.owned()
    process.stop()
    with traceable():
        cut = cut_everywhere(
            *(mortal, process.command, process.log, kept), CUTS, enough=1, with_client=False
        )
    for broken in cut.broken:
        fail(broken.expected, broken.actual, f"{broken.moment}. {MORE}")


@exclusive
@requirement("JOB-008", "DUR-032", "JOB-010")
@pytest.mark.parametrize("seconds", [0.0, 0.3], ids=["waiting", "running"])
def test_background_work_resumes(alive: World, repo: Repository, seconds: float) -> None:
    """A job that was waiting or running when the server died is done after the restart."""
    links = chain(20)
    repo.push(*links[:-1])
    tip = links[-1]
    repo.push(tip)  # not the whole history: no pack of it is a clone's until a job builds one
    time.sleep(seconds)  # the moment of death is the case
    alive.owned().kill()
    alive.restart()

    def cached() -> bool:
        return repo.ask("POST", "fetch/presign", {"want": [tip.id]}).status == 200

    if not until(cached, 20.0, 0.1):
        fail("the clone pack is built after the restart", "not within 20 s")
