"""The server killed: what was answered is there, what was not is whole or absent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from conformance import oracle
from conformance.expectations import exclusive, fail, requirement
from conformance.histories import Commit, chain, child_of, commit
from conformance.lifecycle import until
from conformance.outcomes import Unmet
from conformance.repository import Repository
from conformance.world import World


@pytest.fixture
def alive(world: World) -> Iterator[World]:
    """The subject, which runs again after the check whatever happened in it."""
    world.owned()
    yield world
    if world.owned().exited():
        world.restart()


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


def settled(repo: Repository, old: Commit, new: Commit) -> bool:
    """Whether the push of `new` happened; fails when it happened in part."""
    head = repo.heads()["main"]
    if head == new.id:
        repo.holds(new)
        return True
    if head != old.id:
        fail("the old head or the new", head)
    there = [
        answer.target for answer in (read() for read in repo.reads(new)) if answer.status == 200
    ]
    inherited = {f"{repo.path}/o/{blob}" for blob in old.blobs}
    if more := [target for target in there if target not in inherited]:
        fail("all of the push or none of it", f"the old head, and yet {more[0]} is there")
    return False


@exclusive
@requirement("PUSH-011", "DUR-030", "DUR-031", "DUR-032", "BP5")
@pytest.mark.parametrize("milliseconds", [2, 12, 40])
def test_a_push_that_was_killed_is_whole_or_absent(
    alive: World, repo: Repository, milliseconds: int
) -> None:
    """Killed while it takes a push in, the server has all of it or none, and a retry ends it."""
    old = repo.given(commit("old"))
    links = chain(60, on=old)
    new = links[-1]
    key = repo.upload(repo.pack(new))
    answered: list[bool] = []

    def unpack() -> None:
        try:
            answered.append(bool(repo.unpack(key, new.id)["ok"]))
        except Unmet:
            pass  # killed before it answered

    pushing = threading.Thread(target=unpack)
    pushing.start()
    time.sleep(milliseconds / 1000)
    alive.owned().kill()
    pushing.join()
    alive.restart()
    happened = settled(repo, old, new)
    if answered and not happened:
        fail("a push that was answered is there", "it is not")
    repo.push(*links)
    repo.holds(new)


@exclusive
@requirement("JOB-008", "DUR-032", "JOB-010")
def test_background_work_resumes(alive: World, repo: Repository) -> None:
    """A job that was waiting or running when the server died is done after the restart."""
    tip = chain(20)[-1]
    repo.push(tip)
    alive.owned().kill()
    alive.restart()

    def cached() -> bool:
        return repo.ask("POST", "fetch/presign", {"want": [tip.id]}).status == 200

    if not until(cached, 30.0, 0.1):
        fail("the clone pack is built after the restart", "not within 30 s")
    assert oracle.commit_id(tip.record) == tip.id
