"""What lies where: packs in the object store, everything else in rows, no secret in sight."""

from __future__ import annotations

import asyncio
import logging

import msgpack
import pytest

from reference.server import jobs
from reference.server.service import Service
from reference.wire.ids import mpack_key

from .forge import Forge
from .peer import Peer, code
from .state import dump, packs


@pytest.mark.requirement(
    "STORAGE-001", "STORAGE-002", "STORAGE-003", "STORAGE-004", "STORAGE-008", "BOS1", "BOS2",
    "BOS3", "BOS8",
)  # fmt: skip
async def test_only_packs_are_objects(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Commits and snapshots have no place outside; each blob's is its pack."""
    head = forge.line(7)[-1]
    pack = forge.pack()
    await alice.push(repo, pack, head)
    assert packs(service) == [mpack_key(pack)[7:]]
    async with service.database.session() as db:
        for table in ("commits", "snapshots"):
            assert await db.fetchval(f"SELECT count(*) FROM {table}") == 7
            assert await db.fetchval(f"SELECT count(storage_uri) FROM {table}") == 0
        rows = await db.fetch(
            "SELECT encode(blob_id, 'hex'), 'mpack://' || encode(mpack_id, 'hex') FROM mpack_index"
        )
    assert {row[0] for row in rows} == {object_id[7:] for object_id in forge.blobs}
    assert {row[1] for row in rows} == {f"mpack://{mpack_key(pack)[7:]}"}


@pytest.mark.requirement("STORAGE-007", "DP8", "DP3")
async def test_snapshots_are_deltas(service: Service, alice: Peer, repo: str, forge: Forge) -> None:
    """A row holds what was pushed: the first all files, each other one what it changed."""
    line = forge.line(7)
    await alice.push(repo, forge.pack(), line[-1])
    async with service.database.session() as db:
        rows = await db.fetch("SELECT delta, parent_snapshot_id FROM snapshots")
    assert sorted(len(msgpack.unpackb(row["delta"])[0]) for row in rows) == [1] * 7
    assert sum(row["parent_snapshot_id"] is None for row in rows) == 1


@pytest.mark.requirement("PUSH-001", "PUSH-010", "PUSH-020", "FETCH-004")
async def test_the_request_says_which_branch(alice: Peer, repo: str, forge: Forge) -> None:
    """What the pack says about branches does not count; force skips one check and no other."""
    first, second = forge.line(2)
    pack = forge.pack(branch_heads={"elsewhere": first})
    assert (await alice.push(repo, pack, second)).is_success
    assert (await alice.get(f"{repo}/refs")).json()["branch_heads"] == {"main": second}
    back = await alice.unpack(repo, mpack_key(pack), first)
    assert code(back) == (409, "not_fast_forward")
    assert (await alice.unpack(repo, mpack_key(pack), first, force=True)).is_success
    bad = forge.pack([second])[:-1]
    assert code(await alice.push(repo, bad, second, force=True)) == (422, "malformed")
    answers = [
        (await alice.post(f"{repo}/{c}", {"want": [first]})) for c in ("fetch", "fetch/mpack")
    ]
    assert answers[0].json()["mpack_id"] == answers[1].json()["mpack_id"]


@pytest.mark.requirement("HTTP-041")
async def test_merges_that_race_lose_no_head(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Several branches merged into one at once, beside a push: all of them are in its history."""
    base = forge.commit({"a": b"1"})
    heads = [forge.commit({"a": b"1", f"f{n}": b"1"}, base) for n in range(4)]
    pushed = forge.commit({"a": b"1", "pushed": b"1"}, base)
    await alice.push(repo, forge.pack(), base)
    for n, head in enumerate(heads):
        await alice.push(repo, forge.pack([]), head, branch=f"b{n}")
    key = mpack_key(forge.pack())
    answers = await asyncio.gather(
        *(alice.post(f"{repo}/merge", {"source": f"b{n}", "target": "main"}) for n in range(4)),
        alice.unpack(repo, key, pushed),
    )
    won = [
        head for head, answer in zip([*heads, pushed], answers, strict=True) if answer.is_success
    ]
    assert all(answer.status_code in (200, 409) for answer in answers)
    assert len(won) >= 4
    head = (await alice.get(f"{repo}/refs")).json()["branch_heads"]["main"]
    found = await alice.post(f"{repo}/negotiate", {"want": [head], "have": won})
    line = await alice.fetch(repo, head)
    assert found.json()["ack"] == won
    assert line["commit_count"] >= 1 + 2 * len(won) - 1


@pytest.mark.requirement("HTTP-044", "HTTP-043")
async def test_no_secret_is_told(
    service: Service,
    alice: Peer,
    repo: str,
    forge: Forge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Signatures and links stand in no log line, metric, row or refusal."""
    caplog.set_level(logging.DEBUG)
    head = forge.line(2)[-1]
    key = await alice.upload(repo, forge.pack())
    put = (await alice.post(f"{repo}/push/mpack-presign", {"mpack_key": key})).json()["upload_url"]
    await alice.unpack(repo, key, head)
    get = (await alice.fetch(repo, head))["mpack_url"]
    signed = (await alice.get(f"{repo}/refs")).request.headers["authorization"]
    refused = await alice.http.put(put.replace("signature=", "signature=0"), content=b"x")
    await jobs.run_until_idle(service)
    told = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    told += [(await alice.get("/metrics")).text, refused.text, str(await dump(service))]
    secrets = [put.rpartition("=")[2], get.rpartition("=")[2], signed.split('sig="')[1][:86]]
    assert len(told) > 5
    assert [secret for secret in secrets if any(secret in text for text in told)] == []
