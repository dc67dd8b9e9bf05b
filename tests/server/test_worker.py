"""A worker outlives its jobs, whatever they do, and a job does not outlive all its workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from reference.server import jobs
from reference.server.service import Service

from .test_jobs import rows

ADD = "INSERT INTO jobs (type, payload) VALUES ('odd', '{}')"
DUE = "UPDATE jobs SET run_after = now()"
STATE = "SELECT state, attempts, error FROM jobs WHERE type = 'odd'"


@pytest.mark.requirement("JOB-009")
async def test_a_job_that_kills_each_worker_is_dead_in_the_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody lived to say that it failed, so it is told by how often it was taken."""

    async def deadly(*_: object) -> None:
        raise asyncio.CancelledError  # as good as a kill: nothing after it runs

    monkeypatch.setitem(jobs.HANDLERS, "odd", deadly)
    await rows(service, ADD)
    for _ in range(jobs.MAX_ATTEMPTS):
        with pytest.raises(asyncio.CancelledError):
            await jobs.run_one(service)
        await rows(service, DUE)
    [(state, attempts, _)] = await rows(service, STATE)
    assert (state, attempts) == ("waiting", jobs.MAX_ATTEMPTS)
    assert await jobs.run_one(service)
    [(state, _, error)] = await rows(service, STATE)
    assert (state, error) == ("dead", "each worker that took it died")


@pytest.mark.requirement("JOB-009")
@pytest.mark.parametrize("problem", [RuntimeError, TypeError, MemoryError, AssertionError])
async def test_an_unforeseen_error_is_the_jobs_and_not_the_workers(
    service: Service, problem: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept with the job, which is tried again, and the next job runs."""

    async def odd(*_: object) -> None:
        raise problem("nobody thought of it")

    monkeypatch.setitem(jobs.HANDLERS, "odd", odd)
    await rows(service, ADD)
    await rows(service, "INSERT INTO jobs (type, payload) VALUES ('gc', '{}')")
    await jobs.run_until_idle(service)
    [(state, _, error)] = await rows(service, STATE)
    assert (state, error) == ("waiting", f"{problem.__name__}: nobody thought of it")
    assert await rows(service, "SELECT state FROM jobs WHERE type = 'gc'") == [("done",)]


@pytest.mark.requirement("JOB-008", "JOB-009")
async def test_a_crowd_of_workers_is_one_attempt(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many come by between the moment when it is counted and the moment when it is locked."""
    real = service.database.transaction

    @asynccontextmanager
    async def late() -> AsyncIterator[Any]:
        await asyncio.sleep(0.1)  # before the first, and again before the second
        async with real() as db:
            yield db

    async def comes_by(after: float) -> None:
        await asyncio.sleep(after)
        await jobs.run_one(service)

    async def odd(*_: object) -> None:
        return None

    monkeypatch.setitem(jobs.HANDLERS, "odd", odd)
    monkeypatch.setattr(service.database, "transaction", late)
    await rows(service, ADD)
    await asyncio.gather(*(comes_by(n / 100) for n in range(9)))
    assert await rows(service, STATE) == [("done", 1, None)]
