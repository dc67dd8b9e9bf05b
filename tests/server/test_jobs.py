"""Background jobs: at least once, one at a time, retried, given up, never in the way."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from reference.server import jobs, objects, writing
from reference.server.collection import collect, purge_stale_index
from reference.server.objects import pack_key, upload_key
from reference.server.service import Service
from reference.wire.errors import ProtocolError
from reference.wire.ids import mpack_key

from .forge import Forge
from .peer import Peer, code
from .state import dump, packs


async def rows(service: Service, query: str, *arguments: object) -> list[Any]:
    """What a query finds."""
    async with service.database.session() as db:
        return [tuple(row) for row in await db.fetch(query, *arguments)]


@pytest.mark.requirement("JOB-001", "JOB-002", "MIE5", "FMC_15", "FMC_16", "FMC_17", "FMC_18")
async def test_a_push_wants_two_jobs(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """The index of its pack and the packs of all tips, at one priority."""
    first, second = forge.line(2)
    await alice.push(repo, forge.pack([first]), first, branch="old")
    pack = forge.pack([second])
    await alice.push(repo, pack, second)
    repo_id = (await alice.get(f"{repo}/refs")).json()["repo_id"]
    found = await rows(
        service, "SELECT type, payload, priority FROM jobs ORDER BY job_id DESC LIMIT 2"
    )
    (prebuild, tips, high), (index, of, same) = found
    assert (prebuild, index, high) == ("fetch.mpack.prebuild", "mpack.index", same)
    assert json.loads(of)["mpack_key"] == mpack_key(pack)
    assert json.loads(tips)["repo_id"] == repo_id
    assert set(json.loads(tips)["tip_commit_ids"]) == {first, second}


@pytest.mark.requirement("JOB-003", "JOB-004", "JOB-005")
async def test_the_index_is_repaired(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Rows and references that went come back, the others stay; again it changes nothing."""
    head = forge.line(4)[-1]
    pack = forge.pack()
    await alice.push(repo, pack, head)
    await jobs.run_until_idle(service)
    before = await dump(service)
    async with service.database.transaction() as db:
        await db.execute(
            "DELETE FROM mpack_index WHERE blob_id IN (SELECT max(blob_id) FROM mpack_index)"
        )
        await db.execute("DELETE FROM mpack_refs")
    for _ in range(2):
        async with service.database.session() as db:
            await db.execute("UPDATE jobs SET state = 'waiting' WHERE type = 'mpack.index'")
            await db.execute("UPDATE jobs SET run_after = now()")
        await jobs.run_until_idle(service)
        after = await dump(service)
        before.pop("jobs", None), after.pop("jobs")
        assert after == before


@pytest.mark.requirement("JOB-009")
async def test_a_job_that_fails_is_given_up_in_the_end(service: Service) -> None:
    """Growing pauses, then dead with its error; another job is not held up."""
    async with service.database.session() as db:
        await db.execute("INSERT INTO jobs (type, payload, priority) VALUES ('nonsense', '{}', 99)")
        await db.execute("INSERT INTO jobs (type, payload) VALUES ('gc', '{}')")
    await jobs.run_until_idle(service)
    [(state, attempts, pause)] = await rows(
        service,
        "SELECT state, attempts, extract(epoch FROM run_after - now())::float8"
        " FROM jobs WHERE type = 'nonsense'",
    )
    assert (state, attempts) == ("waiting", 1)
    assert 0 < pause <= 2
    assert await rows(service, "SELECT state FROM jobs WHERE type = 'gc'") == [("done",)]
    for _ in range(jobs.MAX_ATTEMPTS - 1):
        async with service.database.session() as db:
            await db.execute("UPDATE jobs SET run_after = now()")
        assert await jobs.run_one(service)
    assert await rows(service, "SELECT state, error FROM jobs WHERE type = 'nonsense'") == [
        ("dead", "no such job: nonsense")
    ]
    assert not await jobs.run_one(service)


@pytest.mark.requirement("JOB-008")
async def test_workers_share_jobs(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five workers, twenty jobs: each runs once, and several at a time."""
    ran: list[int] = []
    running = most = 0

    async def job(_: Service, payload: dict[str, Any]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        ran.append(payload["n"])

    monkeypatch.setitem(jobs.HANDLERS, "counted", job)
    async with service.database.session() as db:
        await db.execute(
            "INSERT INTO jobs (type, payload) SELECT 'counted', json_build_object('n', n)"
            " FROM generate_series(1, 20) n"
        )
    await asyncio.gather(*(jobs.run_until_idle(service) for _ in range(4)))
    assert sorted(ran) == list(range(1, 21))
    assert most > 1


@pytest.mark.requirement("JOB-010", "CG2")
async def test_the_worker_is_woken(
    service: Service, alice: Peer, repo: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push's tips are cached because of the push, not because somebody looks now and then."""
    monkeypatch.setattr(jobs, "POLL_SECONDS", 3600)
    worker = asyncio.create_task(jobs.work(service))
    listening = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
    try:
        async with asyncio.timeout(20):
            while not await rows(service, listening):
                await asyncio.sleep(0.02)
            head = forge.line(3)[-1]
            await alice.push(repo, forge.pack(), head)
            body = {"want": [head]}
            while not (await alice.post(f"{repo}/fetch/presign", body)).is_success:
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.wait([worker])


@pytest.mark.requirement("JOB-004", "JOB-006", "CG2")
async def test_many_pushes_build_as_much_as_one(
    service: Service, alice: Peer, repo: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiting job leaves its tips to a later one; what most clients ask for is built first."""
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 3600)
    line = forge.line(21)
    await alice.push(repo, forge.pack(line[:1]), line[0], branch="old")
    for commit in line[1:]:
        await alice.push(repo, forge.pack([commit]), commit)
    before = len(packs(service))
    await jobs.run_until_idle(service)
    assert len(packs(service)) == before + 1
    for tip, form, status in (
        (line[0], ["framed"], 200),
        (line[-1], ["framed"], 200),
        (line[-1], [], 404),
        (line[-2], ["framed"], 404),
    ):
        body = {"want": [tip], "capabilities": form}
        assert (await alice.post(f"{repo}/fetch/presign", body)).status_code == status
    async with service.database.session() as db:
        await db.execute("UPDATE jobs SET run_after = now() WHERE state = 'waiting'")
    await jobs.run_until_idle(service)
    assert len(packs(service)) == before + 3
    assert (await alice.post(f"{repo}/fetch/presign", {"want": [line[-1]]})).is_success
    assert await jobs.run_one(service) is False


@pytest.mark.requirement("JOB-005")
async def test_an_index_is_believed_only_where_it_was_counted(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """What a job's payload says about the pack beside its key counts for nothing."""
    head = forge.line(4)[-1]
    key = mpack_key(forge.pack())
    await alice.push(repo, forge.pack(), head)
    await jobs.run_until_idle(service)
    repo_id = (await alice.get(f"{repo}/refs")).json()["repo_id"]
    async with service.database.session() as db:
        await db.execute(
            "DELETE FROM mpack_index WHERE blob_id = (SELECT max(blob_id) FROM mpack_index)"
        )
        payload = {"mpack_key": key, "repo_id": repo_id, "blobs": 3}
        await db.execute(
            "INSERT INTO jobs (type, payload) VALUES ('mpack.index', $1)", json.dumps(payload)
        )
    await jobs.run_until_idle(service)
    assert await rows(service, "SELECT count(*) FROM mpack_index") == [(4,)]


@pytest.mark.requirement("STORAGE-015")
async def test_collection_makes_nobody_stand_in_line(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """While it waits for a long write to end, other pushes go on."""
    first, second = forge.line(2)
    await alice.push(repo, forge.pack([first]), first)
    async with service.database.transaction() as db:
        await writing.begin_adding(db)
        collecting = asyncio.create_task(collect(service))
        waiting = "SELECT FROM pg_stat_activity WHERE query LIKE '%try_advisory%'"
        async with asyncio.timeout(20):
            while not await rows(service, waiting):
                await asyncio.sleep(0.01)
            assert (await alice.push(repo, forge.pack([second]), second)).is_success
        assert not collecting.done()
    assert (await collecting)["packs"] == 0


@pytest.mark.requirement("STORAGE-012", "STORAGE-013", "FMC_19", "FMC_20", "SC2")
async def test_collection_removes_what_expired_and_no_more(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Rows and packs to which no link lives go; what the index needs stays, as do fresh rows."""
    line = forge.line(3)
    pack = forge.pack(line[:2])
    await alice.push(repo, pack, line[1])
    plain = (await alice.fetch(repo, line[1]))["mpack_id"]
    await alice.push(repo, forge.pack(line[2:]), line[2])
    fresh = (await alice.fetch(repo, line[2]))["mpack_id"]
    before = await dump(service)
    assert (await collect(service))["packs"] == 0
    assert await dump(service) == before
    async with service.database.session() as db:
        await db.execute(
            "UPDATE fetch_mpack_cache SET expires_at = now() - make_interval(secs => $2)"
            " WHERE tip_commit_id = $1",
            *(bytes.fromhex(line[1][7:]), objects.LINK_SECONDS),
        )
    counts = await collect(service)
    assert (counts["cache_rows"], counts["packs"], counts["stale_index_rows"]) == (2, 1, 0)
    assert plain[7:] not in packs(service)
    assert {fresh[7:], mpack_key(pack)[7:]} < set(packs(service))
    for object_id, content in forge.blobs.items():
        assert (await alice.get(f"{repo}/o/{object_id}")).content == content
    assert (await alice.fetch(repo, line[2]))["cache"] == "hit"


@pytest.mark.requirement("SC1", "SC3", "STORAGE-012")
async def test_index_rows_of_a_lost_pack_go(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """They are counted, the others stay, and a push can bring the blobs back."""
    first, second = forge.line(2)
    lost = forge.pack([first])
    await alice.push(repo, lost, first)
    await alice.push(repo, forge.pack([second]), second)
    service.objects.delete(pack_key(mpack_key(lost)))
    assert await purge_stale_index(service) == {"lost_packs": 1, "stale_index_rows": 1}
    assert await purge_stale_index(service) == {"lost_packs": 0, "stale_index_rows": 0}
    here = [(await alice.get(f"{repo}/o/{object_id}")).status_code for object_id in forge.blobs]
    assert sorted(here) == [200, 404]
    assert (await alice.push(repo, lost, second)).json()["blobs_written"] == 1
    for object_id, content in forge.blobs.items():
        assert (await alice.get(f"{repo}/o/{object_id}")).content == content


@pytest.mark.requirement("STORAGE-014")
async def test_an_outage_is_not_a_loss(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """While the object store does not answer, collection removes nothing."""
    import os

    head = forge.line(2)[-1]
    await alice.push(repo, forge.pack(), head)
    before = await dump(service)
    root = service.objects.root  # type: ignore[attr-defined]  # the store of files
    os.rename(root, f"{root}-away")
    for attempt in (collect, purge_stale_index):
        with pytest.raises(ProtocolError, match="storage_down"):
            await attempt(service)
    os.rename(f"{root}-away", root)
    assert await dump(service) == before


@pytest.mark.requirement("STORAGE-012")
async def test_orphans_are_collected_once_they_are_old(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Uploads that nobody unpacked, and packs whose transaction never committed."""
    import os

    key = await alice.upload(repo, forge.pack())
    repo_id = (await alice.get(f"{repo}/refs")).json()["repo_id"]
    orphan = service.objects.outgoing()
    orphan.write(b"x")
    orphan.keep("packs/" + "0" * 64)
    orphan.close()
    assert (await collect(service))["uploads"] == 0
    for name in (upload_key(repo_id, key), "packs/" + "0" * 64):
        os.utime(service.objects.path(name), (1, 1))  # type: ignore[attr-defined]
    counts = await collect(service)
    assert (counts["uploads"], counts["packs"]) == (1, 1)
    assert packs(service) == []


@pytest.mark.requirement("HTTP-022", "HTTP-023")
async def test_deleting_frees_what_only_one_repository_used(
    service: Service, alice: Peer, mallory: Peer, forge: Forge
) -> None:
    """What others share stays, snapshots they stand on too; the name can be used again."""
    second = forge.line(2)[-1]
    await alice.create("demo")
    mine, pack = "/alice/demo", forge.pack()
    await alice.push(mine, pack, second)
    theirs = await mallory.create("theirs")
    await mallory.push(theirs, forge.pack(framed=False), second)
    await mallory.push(theirs, pack, second, branch="same")
    repo_id = (await alice.get(f"{mine}/refs")).json()["repo_id"]
    assert (await alice.request("DELETE", f"/api/repos/{repo_id}")).status_code == 204
    assert code(await alice.request("DELETE", f"/api/repos/{repo_id}")) == (404, "unknown_repo")
    assert code(await alice.get(f"{mine}/refs")) == (404, "unknown_repo")
    blob = next(iter(forge.blobs))
    assert code(await alice.get(f"/o/{blob}?repo_id={repo_id}")) == (404, "unknown_repo")
    await jobs.run_until_idle(service)
    for object_id, content in forge.blobs.items():
        assert (await mallory.get(f"{theirs}/o/{object_id}")).content == content
    assert (await mallory.fetch(theirs, second))["blob_count"] == 2
    await alice.create("demo")
    refs = (await alice.get(f"{mine}/refs")).json()
    assert refs["branch_heads"] == {}
    assert refs["repo_id"] != repo_id
    assert code(await alice.get(f"{mine}/o/{blob}")) == (404, "unknown_blob")
    other = (await mallory.get(f"{theirs}/refs")).json()["repo_id"]
    await mallory.request("DELETE", f"/api/repos/{other}")
    await jobs.run_until_idle(service)
    kept = await dump(service)
    empty = (
        "branches commits snapshots snapshot_refs mpacks mpack_refs mpack_index object_refs packs"
    )
    assert {name: kept[name] for name in empty.split()} == {name: [] for name in empty.split()}


async def test_a_command_makes_the_clone_cache_expire(
    service: Service, alice: Peer, repo: str, forge: Forge, dsn: str, tmp_path: Path
) -> None:
    """`musekit work --expire-cache`, which a subject file names, leaves no row that is fresh."""
    [head] = forge.line(1)
    await alice.push(repo, forge.pack(), head)
    fresh = "SELECT count(*) FILTER (WHERE expires_at > now()), count(*) FROM fetch_mpack_cache"
    assert await rows(service, fresh) == [(1, 1)]
    where = ("--data", str(tmp_path), "--postgres", dsn, "--objects", f"file://{tmp_path}/objects")
    command = (sys.executable, "-m", "reference", "work", *where, "--expire-cache")
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    assert await rows(service, fresh) == [(0, 1)]
