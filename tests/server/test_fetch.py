"""Fetch: the right closure in both forms, from the cache where it can be."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

import pytest

from fixtures import packing, shapes
from reference.core import verification
from reference.core.verification import Known
from reference.server import jobs
from reference.server.objects import pack_key
from reference.server.service import Service
from reference.wire import ids, reader, snapshots
from reference.wire.pack import Pack
from reference.wire.records import parents

from .forge import Forge
from .peer import Peer, code

FORMS = pytest.mark.parametrize("form", [[], ["framed"]], ids=["plain", "framed"])


async def got(alice: Peer, repo: str, want: str, have: Iterable[str], form: list[str]) -> Pack:
    """The pack that a fetch leads to, read and with its counts and digest checked."""
    found = await alice.fetch(repo, want, have=tuple(have), capabilities=form)
    raw = (await alice.http.get(found["mpack_url"])).content
    assert ids.mpack_key(raw) == found["mpack_id"]
    pack = reader.read([raw])
    assert pack.framed == bool(form)
    assert (found["commit_count"], found["blob_count"]) == (len(pack.commits), len(pack.blob_ids))
    return pack


def whole(pack: Pack) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Every snapshot's tree, once the pack is verified to stand alone."""
    verification.check_commits(pack.commits)
    verification.check_pack(pack, Known())
    trees: dict[str, tuple[dict[str, str], list[str]]] = {}
    for record in pack.snapshots:
        base, listed = trees.get(record["parent_snapshot_id"], ({}, []))
        now = snapshots.apply(base, record), sorted(snapshots.directories_of(record, listed))
        trees[record["snapshot_id"]] = now
    return trees


@FORMS
@pytest.mark.requirement("FETCH-003", "FETCH-005", "FETCH-006", "FETCH-009", "CG4")
@pytest.mark.parametrize("pushed_framed", [False, True], ids=["pushed-plain", "pushed-framed"])
async def test_a_clone_of_an_awkward_history(
    service: Service, alice: Peer, repo: str, form: list[str], pushed_framed: bool
) -> None:
    """Merges, removals, directories, awkward paths and blobs come back as they were."""
    history = shapes.build("dag")
    raw = packing.to_bytes(history, framed=pushed_framed)
    pushed = await alice.push(repo, raw, history.head)
    assert pushed.status_code == 200, pushed.text
    async with service.database.session() as db:
        await db.execute("DELETE FROM fetch_mpack_cache")
    pack = await got(alice, repo, history.head, [], form)
    sent = reader.read([raw])
    records = {record["commit_id"]: record for record in sent.commits}
    line, waiting = set[str](), [history.head]
    while waiting:
        commit_id = waiting.pop()
        if commit_id not in line:
            line.add(commit_id)
            waiting += parents(records[commit_id])
    assert {c["commit_id"]: c for c in pack.commits} == {c: records[c] for c in line}
    trees = whole(pack)
    expected = whole(sent)
    needed = {records[commit_id]["snapshot_id"] for commit_id in line}
    assert trees == {snapshot_id: expected[snapshot_id] for snapshot_id in needed}
    named = {object_id for manifest, _ in trees.values() for object_id in manifest.values()}
    assert set(pack.blob_ids) == named
    assert len(pack.blob_ids) == len(named)


@FORMS
@pytest.mark.requirement("FETCH-002", "FETCH-007", "FETCH-008", "FETCH-010", "FETCH-011", "CG4")
async def test_what_is_had_is_left_out(
    alice: Peer, repo: str, forge: Forge, form: list[str]
) -> None:
    """All that is reachable from what is had, blobs and snapshots too; nothing more is missing."""
    line = forge.line(6)
    files = forge.files(line[-1])
    back = forge.commit({**files, "file-0.txt": b"changed"}, line[-1])
    again = forge.commit(files, back)  # a snapshot that the other side has
    await alice.push(repo, forge.pack(), again)
    pack = await got(alice, repo, again, [line[-1], "sha256:" + "9" * 64], form)
    assert [c["commit_id"] for c in pack.commits] == [back, again]
    assert pack.blob_ids == [ids.blob_id(b"changed")]
    assert [s["snapshot_id"] for s in pack.snapshots] == [forge.commits[back]["snapshot_id"]]
    had = {forge.commits[commit_id]["snapshot_id"] for commit_id in line}
    needs = verification.outside(pack)
    assert needs.bases <= had
    assert needs.snapshots <= had
    nothing = await got(alice, repo, line[0], [again], form)
    assert (nothing.commits, nothing.snapshots, nothing.blob_ids) == ([], [], [])


@pytest.mark.requirement("FETCH-006")
async def test_frames_are_reused_where_all_of_them_is_wanted(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Two pushes, one clone: both packs' frames lie in it byte for byte."""
    first = forge.commit({f"a{n}": f"{n}".encode() * 999 for n in range(9)})
    second = forge.commit({**forge.files(first), "b": b"new" * 999}, first)
    one, two = forge.pack([first]), forge.pack([second])
    await alice.push(repo, one, first)
    await alice.push(repo, two, second)
    found = await alice.fetch(repo, second, capabilities=["framed"])
    assert found["cache"] == "miss"
    raw = (await alice.http.get(found["mpack_url"])).content
    for pack in (one, two):
        frame = reader.read([pack]).frames[0]
        assert pack[frame.offset : frame.offset + frame.length] in raw


@pytest.mark.requirement("FETCH-001", "FETCH-016", "FMC_21")
async def test_fetches_that_cannot_be(alice: Peer, repo: str, forge: Forge) -> None:
    """Nothing wanted, something unknown wanted; presign builds nothing and wants exactly one."""
    first, second = forge.line(2)
    await alice.push(repo, forge.pack([first]), first)
    await alice.push(repo, forge.pack([second]), second)
    unknown = {"want": [second, "sha256:" + "9" * 64]}
    for call in ("fetch", "fetch/mpack"):
        assert code(await alice.post(f"{repo}/{call}", {"want": []})) == (422, "malformed")
        assert code(await alice.post(f"{repo}/{call}", {})) == (422, "missing_field")
        assert code(await alice.post(f"{repo}/{call}", unknown)) == (404, "unknown_commit")
    presign = f"{repo}/fetch/presign"
    assert code(await alice.post(presign, {"want": []})) == (422, "malformed")
    assert code(await alice.post(presign, {"want": [first, second]})) == (422, "malformed")
    assert code(await alice.post(presign, {"want": [second]})) == (404, "not_cached")
    assert code(await alice.post(presign, {"want": [second]})) == (404, "not_cached")
    await alice.fetch(repo, second)
    found = await alice.post(presign, {"want": [second]})
    assert found.json()["cache"] == "hit"
    had = await alice.post(presign, {"want": [second], "have": [first]})
    assert code(had) == (404, "not_cached")


@pytest.mark.requirement(
    "FETCH-012",
    "FETCH-013",
    "FETCH-015",
    "FETCH-019",
    "FMC_09",
    "FMC_10",
    "FMC_11",
    "FMC_12",
    "FMC_13",
    "FMC_14",
    "CG5",
)
async def test_a_miss_makes_the_next_a_hit(
    service: Service,
    alice: Peer,
    repo: str,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One row, one link, no object read; the row lasts seven days, the log says which it was."""
    first, second = forge.line(2)
    await alice.push(repo, forge.pack([first]), first)
    await alice.push(repo, forge.pack([second]), second)
    caplog.set_level(logging.INFO, "musekit.server")
    miss = await alice.fetch(repo, second)
    with monkeypatch.context() as patch:
        patch.setattr(service.objects, "read", lambda *_: pytest.fail("a hit reads nothing"))
        patch.setattr(service.objects, "check", lambda: pytest.fail("a hit asks nothing"))
        hit = await alice.fetch(repo, second)
    assert (miss["cache"], hit["cache"]) == ("miss", "hit")
    assert hit["mpack_id"] == miss["mpack_id"]
    assert hit["blob_count"] == 2
    events = [json.loads(record.message) for record in caplog.records]
    lines = [event for event in events if event["event"] == "fetch"]
    assert [(e["line"], e["tip"]) for e in lines] == [("cache=MISS", second), ("cache=HIT", second)]
    assert all(event["ms"] > 0 for event in lines)
    async with service.database.session() as db:
        days = await db.fetchval("SELECT expires_at - created_at FROM fetch_mpack_cache")
        assert days.total_seconds() == 7 * 86400
        await db.execute("UPDATE fetch_mpack_cache SET expires_at = now()")
    expired = await alice.fetch(repo, second)
    assert (expired["cache"], expired["mpack_id"]) == ("miss", miss["mpack_id"])
    assert (await alice.fetch(repo, second))["cache"] == "hit"


@pytest.mark.requirement("FETCH-014", "FETCH-018")
async def test_cache_rows_answer_for_their_own(
    alice: Peer, mallory: Peer, repo: str, forge: Forge
) -> None:
    """Another repository, tip or form has its own pack; a whole pushed pack is reused as it is."""
    first, second = forge.line(2)
    pack = forge.pack()
    await alice.push(repo, pack, second)
    found = await alice.fetch(repo, second, capabilities=["framed", "unheard-of"])
    assert (found["cache"], found["mpack_id"]) == ("hit", ids.mpack_key(pack))
    assert (await alice.fetch(repo, first, capabilities=["framed"]))["cache"] == "miss"
    assert (await alice.fetch(repo, second))["cache"] == "miss"
    theirs = await mallory.create()
    await mallory.push(theirs, forge.pack([first]), first)
    await mallory.push(theirs, forge.pack([second]), second)
    found = await mallory.fetch(theirs, second, capabilities=["framed"])
    assert found["cache"] == "miss"


@pytest.mark.requirement(
    "FETCH-017", "JOB-006", "JOB-007", "FMC_04", "FMC_05", "FMC_06", "FMC_07", "FMC_08", "CG2"
)
async def test_after_the_jobs_every_tip_is_cached(
    service: Service, alice: Peer, repo: str, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    """Each branch's tip, in both forms; what is fresh is skipped, and the line counts."""
    first, second = forge.line(2)
    await alice.push(repo, forge.pack([first]), first)
    await alice.push(repo, forge.pack([second]), second)
    await alice.push(repo, forge.pack([]), first, branch="old")
    caplog.set_level(logging.INFO, "musekit.server")
    await jobs.run_until_idle(service)
    for tip in (first, second):
        for form in ([], ["framed"]):
            body = {"want": [tip], "capabilities": form}
            assert (await alice.post(f"{repo}/fetch/presign", body)).json()["cache"] == "hit"
    events = [json.loads(record.message) for record in caplog.records]
    lines = [event for event in events if event["event"] == "prebuild"]
    counts = [(event["tips"], event["hits"], event["misses"]) for event in lines]
    # the last push's job does it all: first what is framed, once more for what is plain
    assert counts == [(1, 1, 0), (1, 0, 0), (2, 1, 1), (2, 2, 2)]


@pytest.mark.requirement("HTTP-016", "STORAGE-005", "FETCH-012", "BOS4")
async def test_answers_while_the_object_store_is_away(
    service: Service, alice: Peer, repo: str, forge: Forge, tmp_path: object
) -> None:
    """Rows answer, blobs and pushes say so, and all is well once it is back."""
    import os

    first, second = forge.line(2)
    await alice.push(repo, forge.pack([first]), first)
    pack = forge.pack([second])
    root = service.objects.root  # type: ignore[attr-defined]  # the store of files
    os.rename(root, f"{root}-away")
    snapshot = forge.commits[first]["snapshot_id"]
    for target in ("refs", f"commits/{first}", f"snapshots/{snapshot}"):
        assert (await alice.get(f"{repo}/{target}")).is_success
    assert (await alice.post(f"{repo}/negotiate", {"want": [first]})).is_success
    assert (await alice.fetch(repo, first, capabilities=["framed"]))["cache"] == "hit"
    down = [
        await alice.get(f"{repo}/o/{next(iter(forge.blobs))}"),
        await alice.post(f"{repo}/fetch", {"want": [first]}),
        await alice.unpack(repo, ids.mpack_key(pack), second),
        await alice.post(f"{repo}/push/unpack?branch=main&head={second}", raw=pack),
        await alice.get((await alice.fetch(repo, first, capabilities=["framed"]))["mpack_url"]),
    ]
    assert {code(response) for response in down} == {(503, "storage_down")}
    health = await alice.get("/healthz")
    assert health.status_code == 503
    assert health.json()["reasons"][0].startswith("objects")
    os.rename(f"{root}-away", root)
    assert (await alice.push(repo, pack, second)).status_code == 200
    assert (await alice.get("/healthz")).json()["ready"]


@pytest.mark.requirement("HTTP-017", "HTTP-033", "HTTP-034", "HTTP-035", "HTTP-036")
async def test_blobs_are_exact(service: Service, alice: Peer, repo: str, forge: Forge) -> None:
    """ETag, ranges, HEAD, caching; and bytes that went bad are never sent."""
    content = bytes(range(256)) * 40
    head = forge.commit({"a": content, "empty": b"", "b": b"beside"})
    pack = forge.pack()
    await alice.push(repo, pack, head)
    object_id = ids.blob_id(content)
    target = f"{repo}/o/{object_id}"
    found = await alice.get(target)
    assert (found.content, found.headers["etag"]) == (content, f'"{object_id}"')
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await alice.get(f"{repo}/o/{ids.blob_id(b'')}")).content == b""
    for asked, expected in (
        ("0-9", content[:10]),
        ("10200-", content[10200:]),
        ("-3", content[-3:]),
    ):
        part = await alice.get(target, range=f"bytes={asked}")
        assert (part.status_code, part.content) == (206, expected)
    last = await alice.get(target, range="bytes=-3")
    assert last.headers["content-range"] == "bytes 10237-10239/10240"
    assert (await alice.get(target, range="bytes=10240-")).status_code == 416
    assert (await alice.get(target, range="bytes=-0")).status_code == 416
    for asked in ("bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-"):
        assert (await alice.get(target, range=asked)).status_code == 200
    assert (
        await alice.get(target, **{"if-none-match": f'W/"x", "{object_id}"'})
    ).status_code == 304
    headers = (await alice.request("HEAD", target)).headers
    assert (headers["etag"], headers["content-length"]) == (found.headers["etag"], "10240")
    path = service.objects.path(pack_key(ids.mpack_key(pack)))  # type: ignore[attr-defined]
    with open(path, "rb") as file:
        raw = bytearray(file.read())
    frame = reader.read([bytes(raw)]).frames[0]
    raw[frame.offset + frame.length // 2] ^= 0xFF
    import os

    os.chmod(path, 0o644)
    with open(path, "wb") as file:
        file.write(raw)
    assert code(await alice.get(target)) == (503, "storage_down")
