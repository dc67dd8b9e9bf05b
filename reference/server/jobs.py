"""Background jobs: rows that workers take one at a time, each inside its own transaction.

A worker holds its job's row locked while it runs, so a worker that dies gives it back at once;
the attempt was counted and committed before, so a job that kills each worker is dead when it is
taken once more than it may be tried.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg

from reference.wire.errors import ProtocolError
from reference.wire.ids import from_raw, to_raw

from . import fetch, history, writing
from .collection import collect
from .intake import read_pack
from .objects import pack_key
from .operations import log
from .service import Repo, Service

if TYPE_CHECKING:
    from .database import Connection

MAX_ATTEMPTS = 8
POLL_SECONDS = 0.5
PAUSE_SECONDS = 0.25
STUCK_SECONDS = 600.0
COLLECT_SECONDS = 3600.0
SCHEDULE_SECONDS = 60.0
"""How often a worker looks whether a collection is due."""
Payload = dict[str, Any]
_TIPS = """
    SELECT DISTINCT head_commit_id AS tip, form, EXISTS (
        SELECT FROM fetch_mpack_cache c WHERE c.repo_id = $1 AND c.form = f.form
        AND c.tip_commit_id = head_commit_id AND expires_at > now()) AS fresh, NOT EXISTS (
        SELECT FROM jobs WHERE state = 'waiting' AND job_id > $3
        AND type = 'fetch.mpack.prebuild' AND payload ->> 'repo_id' = $4) AS is_last, repos.*
    FROM branches CROSS JOIN unnest(ARRAY['framed', 'plain']) AS f (form)
    JOIN repos USING (repo_id)
    WHERE repo_id = $1 AND head_commit_id = ANY($2)
"""


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
    key = payload["mpack_key"]
    async with service.database.session() as db:
        whole = await db.fetchval(
            "SELECT cardinality(p.blob_ids) = (SELECT count(*) FROM mpack_index i"
            " WHERE i.mpack_id = p.mpack_id AND i.blob_id = ANY(p.blob_ids))"
            " FROM mpacks p JOIN mpack_refs m USING (mpack_id)"
            " WHERE p.mpack_id = $1 AND m.repo_id = $2",
            to_raw(key),
            to_raw(payload["repo_id"]),
        )
    if whole:  # as many as were counted when the pack was verified
        return
    repo = await _repo(service, payload)
    if repo is None:
        return
    chunks = _chunks(service, pack_key(key))
    try:
        intake = await asyncio.to_thread(lambda: read_pack(chunks, service.limits, key))
        await asyncio.to_thread(intake.commits.result)
    except FileNotFoundError:
        return  # nothing needed it, so it was collected
    async with service.database.transaction() as db:
        await writing.begin(db, repo)
        tables = writing.PackTables(repo, key, intake.pack)
        await writing.copy(db, writing.making([tables.index]))
        await writing.add_pack(db, tables, intake.form)
    log("index repaired", mpack=key, repo=repo.id)


def _chunks(service: Service, key: str, size: int = 1 << 20) -> Any:
    start = 0
    while chunk := service.objects.read(key, start, size):
        yield chunk
        start += len(chunk)


async def prebuild(service: Service, payload: Payload) -> float | None:
    """Builds the clone pack of each tip that has none that is fresh.  [JOB-006]

    Framed ones at once; plain ones a little later, for a clone often follows a push, and goes
    first.  A job that a later one of its repository waits behind leaves everything to that one.
    """
    started, repo_id, tips = perf_counter(), payload["repo_id"], payload["tip_commit_ids"]
    hits, misses = -1, 0
    asked = (to_raw(repo_id), history.raws(set(tips)), payload["job_id"], repo_id)
    forms = ("framed",) if payload["attempt"] == 1 else ("framed", "plain")
    while True:
        async with service.database.session() as db:
            found = await db.fetch(_TIPS, *asked)
        is_last = all(row["is_last"] for row in found)
        missing = [(row["form"], row["tip"]) for row in found if not row["fresh"]]
        hits = len(found) - len(missing) if hits < 0 else hits
        due = [(form, tip) for form, tip in missing if form in forms]
        if not due or not is_last:
            break
        form, tip = min(due)
        await fetch.build(service, Repo.of(found[0]), [from_raw(tip)], [], form)
        misses += 1
        missing.remove((form, tip))
        if len(due) == 1:
            break
    ms = round((perf_counter() - started) * 1000, 1)
    log("prebuild", tips=len(tips), hits=hits, misses=misses, elapsed_ms=ms)
    return PAUSE_SECONDS if missing and is_last else None


async def gc(service: Service, payload: Payload) -> None:
    """One collection."""
    log("collected", **await collect(service))


HANDLERS: dict[str, Callable[[Service, Payload], Awaitable[float | None]]] = {
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
    """Takes one job that is due and runs it; whether there was one.

    An attempt is counted once: until the job's row is locked, a moment later, no other worker
    finds it due.
    """
    async with service.database.session() as db:  # one statement is a transaction of its own
        job_id = await db.fetchval(
            "UPDATE jobs SET attempts = attempts + 1, run_after = now() + interval '1 second'"
            " WHERE job_id = (SELECT job_id FROM jobs"
            " WHERE state = 'waiting' AND run_after <= now()"
            " ORDER BY priority DESC, job_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING job_id"
        )
    if job_id is None:
        return False
    async with service.database.transaction() as db:
        job = await db.fetchrow(
            "SELECT * FROM jobs WHERE job_id = $1 AND state = 'waiting' FOR UPDATE", job_id
        )  # whoever looks for one that is due may hold its row for a moment, and skips it then
        if job is None:  # a second went by, and another worker has done it
            return True
        problem, pause = await _run(service, job)
        if problem is None:
            state = "done" if pause is None else "waiting"
        else:
            state = "dead" if job["attempts"] >= MAX_ATTEMPTS else "waiting"
            log("job failed", job=job_id, type=job["type"], state=state, error=problem)
        await db.execute(
            "UPDATE jobs SET state = $2, error = $3,"
            " finished_at = CASE WHEN $2 = 'waiting' THEN NULL ELSE now() END,"
            " run_after = now() + interval '1 second' * coalesce($4, power(2, attempts))"
            " WHERE job_id = $1",
            *(job_id, state, problem, pause),
        )
    service.metrics.count("jobs", type=job["type"], state=state)
    return True


async def _run(service: Service, job: asyncpg.Record) -> tuple[str | None, float | None]:
    """What went wrong, if anything did, and when to run it again, if it is not done."""
    if job["attempts"] > MAX_ATTEMPTS:
        return "each worker that took it died", None
    handler = HANDLERS.get(job["type"])
    if handler is None:
        return f"no such job: {job['type']}", None
    known = {"job_id": job["job_id"], "attempt": job["attempts"]}
    try:
        return None, await handler(service, {**json.loads(job["payload"]), **known})
    except Exception as problem:  # noqa: BLE001  # a job must not take its worker along
        return f"{type(problem).__name__}: {problem}"[:2000], None


async def run_until_idle(service: Service) -> None:
    """Runs every job that is due."""
    while await run_one(service):
        continue


async def work(service: Service) -> None:
    """Runs jobs as they come, woken by the push that enqueues them, until it is cancelled."""
    woken, looks = asyncio.Event(), 0.0
    listener: asyncpg.Connection[asyncpg.Record] | None = None
    try:
        while True:
            try:
                if listener is None or listener.is_closed():
                    listener = await asyncpg.connect(service.database.dsn, timeout=10)
                    await listener.add_listener(writing.JOB_CHANNEL, lambda *_: woken.set())
                if monotonic() >= looks:
                    await _schedule_collection(service)
                    looks = monotonic() + SCHEDULE_SECONDS
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
