"""Background jobs: rows that workers take one at a time, each inside its own transaction.

A worker holds its job's row locked while it runs, so a worker that dies gives it back at once;
the attempt was counted and committed before, so a job that kills workers ends as dead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg

from reference.wire.errors import ProtocolError
from reference.wire.ids import to_raw

from . import fetch, writing
from .collection import collect
from .intake import read_pack
from .objects import pack_key
from .operations import log
from .service import Repo, Service

if TYPE_CHECKING:
    from .database import Connection

MAX_ATTEMPTS = 8
POLL_SECONDS = 1.0
PAUSE_SECONDS = 1.0
STUCK_SECONDS = 600.0
COLLECT_SECONDS = 3600.0
Payload = dict[str, Any]


async def oldest_waiting(db: Connection) -> float:
    """For how many seconds the oldest job that could run has been waiting."""
    found: float = await db.fetchval(
        "SELECT coalesce(extract(epoch FROM now() - min(run_after)), 0)::float8 FROM jobs"
        " WHERE state = 'waiting' AND run_after <= now()"
    )
    return found


async def depth(db: Connection) -> dict[str, float]:
    """How many jobs wait, and how many were given up."""
    counted = await db.fetch(
        "SELECT state, count(*) AS n FROM jobs WHERE state <> 'done' GROUP BY state"
    )
    found = {row["state"]: row["n"] for row in counted}
    return {f"jobs_{state}": float(found.get(state, 0)) for state in ("waiting", "dead")}


async def unfinished(db: Connection) -> list[dict[str, Any]]:
    """The jobs that wait or run, and those that were given up, with what went wrong."""
    rows = await db.fetch(
        "SELECT job_id, type, state, attempts, run_after::text, error FROM jobs"
        " WHERE state <> 'done' ORDER BY job_id"
    )
    return [dict(row) for row in rows]


async def index(service: Service, payload: Payload) -> None:
    """Makes sure that each blob of a pack has its index row and its reference.  [JOB-005]"""
    key, repo = payload["mpack_key"], await _repo(service, payload)
    if repo is None:
        return
    async with service.database.session() as db:
        here = await db.fetchval(
            "SELECT count(*) FROM mpack_index i JOIN object_refs o USING (blob_id)"
            " JOIN mpack_refs m ON m.repo_id = o.repo_id AND m.mpack_id = i.mpack_id"
            " WHERE i.mpack_id = $1 AND o.repo_id = $2",
            to_raw(key),
            repo.raw,
        )
    if here == payload.get("blobs"):
        return
    chunks = _chunks(service, pack_key(key))
    try:
        intake = await asyncio.to_thread(lambda: read_pack(chunks, service.limits, key))
    except FileNotFoundError:
        return  # nothing needed it, so it was collected
    async with service.database.transaction() as db:
        await writing.begin(db, repo)
        await writing.copy(db, writing.PackTables(repo, key, intake.pack).blobs())
        await writing.add_pack(db, repo, key, intake.pack.size, intake.form)
    log("index repaired", mpack=key, repo=repo.id)


def _chunks(service: Service, key: str, size: int = 1 << 20) -> Any:
    start = 0
    while chunk := service.objects.read(key, start, size):
        yield chunk
        start += len(chunk)


async def prebuild(service: Service, payload: Payload) -> None:
    """Builds the clone pack of each tip that has none that is fresh.  [JOB-006]"""
    repo, started = await _repo(service, payload), perf_counter()
    if repo is None:
        return
    hits = misses = 0
    for tip in payload["tip_commit_ids"]:
        for form in ("framed", "plain"):
            async with service.database.session() as db:
                is_tip = await db.fetchval(
                    "SELECT 1 FROM branches WHERE repo_id = $1 AND head_commit_id = $2",
                    repo.raw,
                    to_raw(tip),
                )
                fresh = await fetch.cached(db, repo, tip, form)
            if fresh is not None or not is_tip:
                hits += fresh is not None
                continue
            if hits and not misses:  # a clone often follows a push: it goes first
                await asyncio.sleep(PAUSE_SECONDS)
            await fetch.build(service, repo, [tip], [], form)
            misses += 1
    ms = round((perf_counter() - started) * 1000, 1)
    log("prebuild", tips=len(payload["tip_commit_ids"]), hits=hits, misses=misses, elapsed_ms=ms)


async def gc(service: Service, payload: Payload) -> None:
    """One collection."""
    log("collected", **await collect(service))


HANDLERS: dict[str, Callable[[Service, Payload], Awaitable[None]]] = {
    "mpack.index": index,
    "fetch.mpack.prebuild": prebuild,
    "gc": gc,
}


async def _repo(service: Service, payload: Payload) -> Repo | None:
    async with service.database.session() as db:
        row = await db.fetchrow(
            "SELECT * FROM repos WHERE repo_id = $1", to_raw(payload["repo_id"])
        )
    return Repo.of(row) if row else None


async def run_one(service: Service) -> bool:
    """Takes one job that is due and runs it; whether there was one."""
    async with service.database.transaction() as db:
        job_id = await db.fetchval(
            "UPDATE jobs SET attempts = attempts + 1 WHERE job_id = (SELECT job_id FROM jobs"
            " WHERE state = 'waiting' AND run_after <= now()"
            " ORDER BY priority DESC, job_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING job_id"
        )
    if job_id is None:
        return False
    async with service.database.transaction() as db:
        job = await db.fetchrow(
            "SELECT * FROM jobs WHERE job_id = $1 AND state = 'waiting' FOR UPDATE SKIP LOCKED",
            job_id,
        )
        if job is None:  # another worker was quicker
            return True
        problem = await _run(service, job)
        if problem is None:
            state = "done"
        else:
            state = "dead" if job["attempts"] >= MAX_ATTEMPTS else "waiting"
            log("job failed", job=job_id, type=job["type"], state=state, error=problem)
        await db.execute(
            "UPDATE jobs SET state = $2, error = $3,"
            " finished_at = CASE WHEN $2 = 'waiting' THEN NULL ELSE now() END,"
            " run_after = now() + interval '1 second' * power(2, attempts) WHERE job_id = $1",
            job_id,
            state,
            problem,
        )
    service.metrics.count("jobs", type=job["type"], state=state)
    return True


async def _run(service: Service, job: asyncpg.Record) -> str | None:
    """What went wrong, if anything did."""
    handler = HANDLERS.get(job["type"])
    if handler is None:
        return f"no such job: {job['type']}"
    try:
        await handler(service, json.loads(job["payload"]))
    except (ProtocolError, asyncpg.PostgresError, OSError, LookupError, ValueError) as problem:
        return f"{type(problem).__name__}: {problem}"[:2000]
    return None


async def run_until_idle(service: Service) -> None:
    """Runs every job that is due."""
    while await run_one(service):
        continue


async def work(service: Service) -> None:
    """Runs jobs as they come, woken by the push that enqueues them, until it is cancelled."""
    woken = asyncio.Event()
    listener: asyncpg.Connection[asyncpg.Record] | None = None
    try:
        while True:
            try:
                if listener is None or listener.is_closed():
                    listener = await asyncpg.connect(service.database.dsn, timeout=10)
                    await listener.add_listener(writing.JOB_CHANNEL, lambda *_: woken.set())
                await _schedule_collection(service)
                await run_until_idle(service)
            except (ProtocolError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as down:
                log("worker waits", cause=repr(down))
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), POLL_SECONDS)
            woken.clear()
    finally:
        if listener is not None:
            listener.terminate()


async def _schedule_collection(service: Service) -> None:
    async with service.database.session() as db:
        await db.execute(
            "INSERT INTO jobs (type, payload) SELECT 'gc', '{}' WHERE NOT EXISTS (SELECT FROM jobs"
            " WHERE type = 'gc' AND (state = 'waiting' OR created_at > now()"
            f" - interval '{COLLECT_SECONDS} seconds'))"
        )
