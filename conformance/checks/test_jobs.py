"""Jobs: what a push enqueues, and that running them again changes nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from conformance import oracle, packs
from conformance.expectations import check_refusal, exclusive, fail, refused, requirement
from conformance.histories import chain, commit
from conformance.inspection import Inspection
from conformance.lifecycle import until
from conformance.outcomes import CouldNotRun
from conformance.repository import Repository
from conformance.world import World


def jobs_of(inspect: Inspection, repo: Repository, kind: str) -> list[dict[str, Any]]:
    """The payloads of a repository's jobs of one type, oldest first."""
    found = [payload for name, payload in inspect.jobs() if name == kind]
    return [payload for payload in found if payload.get("repo_id") == repo.id]


@requirement("JOB-001", "MIE5", "FMC_18")
def test_a_push_enqueues_the_index(repo: Repository, inspect: Inspection) -> None:
    """`mpack.index` with the pack's key in its payload."""
    tip = commit("a")
    raw = repo.pack(tip)
    repo.push(tip)
    keys = [payload.get("mpack_key") for name, payload in inspect.jobs() if name == "mpack.index"]
    assert oracle.digest(raw) in keys


@requirement("JOB-002", "FMC_15", "FMC_16", "FMC_18")
def test_a_push_enqueues_the_clone_packs_of_all_tips(repo: Repository, inspect: Inspection) -> None:
    """`fetch.mpack.prebuild` with the repository and the heads of all its branches."""
    one, two = commit("one"), commit("two")
    repo.push(one)
    repo.push(two, branch="feat/x")
    payloads = jobs_of(inspect, repo, "fetch.mpack.prebuild")
    tips = [sorted(payload.get("tip_commit_ids", ())) for payload in payloads]
    assert tips == [[one.id], sorted([one.id, two.id])]


@requirement("JOB-002", "FMC_17")
def test_both_jobs_have_one_priority(repo: Repository, inspect: Inspection) -> None:
    """The clone packs do not wait behind the index, nor the index behind them."""
    repo.given(commit("a"))
    rows = inspect.tables(
        "SELECT DISTINCT type, priority FROM jobs WHERE payload->>'repo_id' = $1"
        " AND type IN ('mpack.index', 'fetch.mpack.prebuild')",
        repo.id,
    )
    assert sorted(kind for kind, _ in rows) == ["fetch.mpack.prebuild", "mpack.index"]
    assert len({priority for _, priority in rows}) == 1


@requirement("JOB-003", "HTTP-013")
@pytest.mark.parametrize("why", ["blob_mismatch", "snapshot_mismatch", "unknown_head"])
def test_a_refused_push_enqueues_nothing(repo: Repository, inspect: Inspection, why: str) -> None:
    """No job names the refused pack, nor the repository."""
    tip = commit("a")
    value = packs.plain(tip)
    if why == "blob_mismatch":
        value["blobs"][0]["content"] = b"another"
    elif why == "snapshot_mismatch":
        value["snapshots"][0]["delta_upsert"]["b"] = value["blobs"][0]["object_id"]
    raw = packs.encode(value)
    with refused(422, why):
        repo.unpack(repo.upload(raw), oracle.ABSENT if why == "unknown_head" else tip.id)
    named = [
        p for _, p in inspect.jobs() if repo.id in p.values() or oracle.digest(raw) in p.values()
    ]
    assert named == []
    repo.push(tip)
    assert jobs_of(inspect, repo, "fetch.mpack.prebuild")


def settled(repo: Repository) -> None:
    """Waits until every tip has its clone pack: this repository's jobs are done then."""
    tips = set(repo.heads().values())

    def cached() -> bool:
        answers = [repo.ask("POST", "fetch/presign", {"want": [tip]}) for tip in tips]
        return all(answer.status == 200 for answer in answers)

    if not until(cached, 30.0, 0.05):
        raise CouldNotRun("the jobs of a push were not done within 30 s")


ENQUEUE = (
    "INSERT INTO jobs (type, payload, priority, state, attempts, run_after, created_at)"
    " SELECT $1::text, $2::text::json, max(priority) + 1, 'waiting', 0, now(), now()"
    " FROM jobs RETURNING job_id"  # before whatever else may be waiting
)


def again(world: World, kind: str, payload: dict[str, Any]) -> None:
    """Enqueues a job with what jobs.md has in its payload, and waits for it."""
    rows = world.inspect.tables(ENQUEUE, kind, json.dumps(payload))
    query = "SELECT finished_at IS NOT NULL, attempts, error FROM jobs WHERE job_id = $1"

    def told(column: int) -> Any:
        return world.inspect.tables(query, rows[0][0])[0][column]

    if not until(lambda: told(0) or told(1), 30.0, 0.1):
        raise CouldNotRun("no worker took a job within 30 s")
    if not until(lambda: bool(told(0)), 10.0, 0.1):
        fail("the job is done within 10 s", f"attempts {told(1)}, error {told(2)}")


@exclusive
@requirement("JOB-004")
@pytest.mark.parametrize("kind", ["mpack.index", "fetch.mpack.prebuild"])
def test_a_job_may_run_again(repo: Repository, world: World, kind: str) -> None:
    """Running it once more changes nothing further."""
    tip = commit("a")
    raw = repo.pack(tip)
    repo.push(tip)
    world.jobs_idle()
    payload = {"repo_id": repo.id, "mpack_key": oracle.digest(raw), "tip_commit_ids": [tip.id]}
    tables = ("mpack_index", "object_refs", "fetch_mpack_cache", "mpacks")
    mine = {
        "mpack_index": "blob_id IN (SELECT blob_id FROM object_refs WHERE repo_id = {0})",
        "object_refs": "repo_id = {0}",
        "fetch_mpack_cache": "repo_id = {0}",
        "mpacks": "mpack_id IN (SELECT mpack_id FROM mpack_refs WHERE repo_id = {0})",
    }
    raw_id = "decode(substr($1, 8), 'hex')"

    def counts() -> list[Any]:
        return [
            world.inspect.tables(
                f"SELECT count(*) FROM {table} WHERE {mine[table].format(raw_id)}", repo.id
            )[0][0]
            for table in tables
        ]

    before = counts()
    again(world, kind, payload)
    assert counts() == before
    repo.holds(tip)


@exclusive
@requirement("JOB-005", "STORAGE-008")
def test_the_index_is_repaired(repo: Repository, world: World) -> None:
    """Index rows that are missing are there after `mpack.index` ran."""
    tip = commit("a", files={"a": b"one " + repo.slug.encode(), "b": b"two " + repo.slug.encode()})
    raw = repo.pack(tip)
    repo.push(tip)
    settled(repo)
    lost = oracle.blob_id(tip.files["a"])
    world.inspect.tables(
        "DELETE FROM mpack_index WHERE blob_id = decode(substr($1, 8), 'hex') RETURNING 1", lost
    )
    again(world, "mpack.index", {"repo_id": repo.id, "mpack_key": oracle.digest(raw)})
    repo.holds(tip)


@exclusive
@requirement("JOB-006", "FMC_16")
def test_old_tips_are_not_built(repo: Repository, world: World) -> None:
    """A commit that is no head any more, or never was, is passed over; the others are built."""
    _, old, tip = chain(3)
    repo.given(tip)
    settled(repo)
    world.command("expire_cache")
    tips = [oracle.ABSENT, old.id, tip.id]
    again(world, "fetch.mpack.prebuild", {"repo_id": repo.id, "tip_commit_ids": tips})
    check_refusal(repo.ask("POST", "fetch/presign", {"want": [old.id]}), 404, "not_cached")
    assert repo.fetch(tip).answer["cache"] == "hit"


@exclusive
@requirement("JOB-007")
def test_a_prebuild_leaves_a_line(repo: Repository, world: World) -> None:
    """One line with the number of tips, hits and misses, and the time."""
    repo.given(commit("a"))
    settled(repo)
    wanted = [re.compile(rf"\b{word}\W{{1,4}}\d") for word in ("tips", "hits", "misses")]

    def told() -> bool:
        lines = world.log_text().splitlines()
        return any(all(p.search(line) for p in wanted) and "ms" in line for line in lines)

    if not until(told, 5.0):
        fail("a line with tips, hits, misses and the time", "none")


@exclusive
@requirement("JOB-009")
def test_a_failing_job_stops_no_other(repo: Repository, world: World) -> None:
    """A job that cannot succeed is tried, kept with its error, and others run meanwhile."""
    repo.given(commit("first"))
    settled(repo)
    rows = world.inspect.tables(
        "INSERT INTO jobs (type, payload, priority, state, attempts, run_after, created_at)"
        " SELECT 'no.such.type', '{}', priority + 1000, 'waiting', 0, now(), now() FROM jobs"
        " ORDER BY job_id LIMIT 1 RETURNING job_id"
    )
    tip = commit("second")
    repo.push(tip, branch="second")
    query = "SELECT attempts, error FROM jobs WHERE job_id = $1"

    def tried() -> bool:
        return bool(world.inspect.tables(query, rows[0][0])[0][1])

    def built() -> bool:
        return repo.ask("POST", "fetch/presign", {"want": [tip.id]}).status == 200

    if not until(built, 10.0):
        fail("the next push's packs are built all the same", "they are not")
    if not until(tried, 10.0):
        fail(
            "the failing job was tried and has its error",
            str(world.inspect.tables(query, rows[0][0])),
        )
