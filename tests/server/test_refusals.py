"""Each refusal has its status and code, changes nothing, and the request made right passes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fixtures.vectors import __main__ as vectors
from reference.server.service import Service
from reference.wire.ids import blob_id, mpack_key
from reference.wire.pack import Limits

from .forge import Forge
from .peer import Peer, code
from .state import dump

KEY = b"\7" * 32
NOWHERE = "sha256:" + "0" * 64
HOSTILE = vectors.FOLDER / "hostile"


@asynccontextmanager
async def unchanged(service: Service) -> AsyncIterator[None]:
    """Every row and every pack is the same at the end."""
    before = await dump(service)
    yield
    assert await dump(service) == before


def with_commit(forge: Forge, head: str, **fields: Any) -> bytes:
    """A pack whose head says something else than its id stands for."""
    return forge.pack(commits=[*list(forge.commits.values())[:-1], forge.commits[head] | fields])


def other_blob(forge: Forge, head: str) -> bytes:
    """A pack in which one blob has other bytes than its snapshot names."""
    blobs = [(oid, b"other") for oid in list(forge.blobs)[:1]] + list(forge.blobs.items())[1:]
    return forge.pack(blobs=blobs)


def without(name: str) -> Any:
    """A pack that lacks the first record of a kind."""

    def pack(forge: Forge, head: str) -> bytes:
        kept: dict[str, Any] = {
            "commits": list(forge.commits.values())[1:],
            "snapshots": list(forge.snapshots.values())[1:],
            "blobs": list(forge.blobs.items())[1:],
        }
        return (
            forge.pack(**{name: kept[name]})
            if name != "blobs"
            else forge.pack(framed=False, blobs=kept["blobs"])
        )

    return pack


def unsigned_key(forge: Forge, head: str) -> bytes:
    """A commit with a signature and no key."""
    return with_commit(forge, head, signature="A" * 86)


WRONG: dict[str, tuple[Any, int, str]] = {
    "not msgpack": (lambda forge, head: b"\xc1nonsense", 422, "malformed"),
    "empty": (lambda forge, head: b"", 422, "malformed"),
    "cut short": (lambda forge, head: forge.pack()[:-10], 422, "malformed"),
    "bytes after the end": (lambda forge, head: forge.pack() + b"\0", 422, "malformed"),
    "commit of another message": (
        lambda forge, head: with_commit(forge, head, message="x"),
        422,
        "commit_mismatch",
    ),
    "signature without key": (unsigned_key, 422, "signature_without_key"),
    "blob with other bytes": (other_blob, 422, "snapshot_mismatch"),
    "no first commit": (without("commits"), 422, "missing_parent"),
    "no first snapshot": (without("snapshots"), 422, "missing_snapshot"),
    "no first blob": (without("blobs"), 422, "missing_object"),
}


@pytest.mark.requirement("PUSH-007", "HTTP-013", "MPACK-028")
@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_pack_is_refused(
    service: Service, alice: Peer, repo: str, forge: Forge, name: str
) -> None:
    """By upload and by body: refused by its code, and the right pack passes afterwards."""
    make, status, expected = WRONG[name]
    head = forge.line(3)[-1]
    wrong = make(forge, head)
    async with unchanged(service):
        assert code(await alice.push(repo, wrong, head)) == (status, expected)
        target = f"{repo}/push/unpack?branch=main&head={head}"
        assert code(await alice.post(target, raw=wrong)) == (status, expected)
    assert (await alice.push(repo, forge.pack(), head)).status_code == 200


@pytest.mark.requirement("PUSH-007", "BP2")
async def test_a_bad_signature_is_refused(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """A signature that does not verify refuses the whole push; the true one is accepted."""
    head = forge.commit({"a": b"1"}, seed=KEY)
    true = forge.pack()
    forge.commits[head]["agent_id"] = "somebody else"
    async with unchanged(service):
        assert code(await alice.push(repo, forge.pack(), head)) == (422, "bad_signature")
    assert (await alice.push(repo, true, head)).status_code == 200


@pytest.mark.requirement("PUSH-004", "BP6")
async def test_a_key_never_uploaded_is_named(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Unpacking what was not uploaded names the key; another repository's upload is no help."""
    head = forge.line(1)[-1]
    pack = forge.pack()
    other = await alice.create("other")
    await alice.push(other, pack, head)
    async with unchanged(service):
        found = await alice.unpack(repo, mpack_key(pack), head)
        assert code(found) == (404, "upload_missing")
        assert found.json()["error"]["mpack_key"] == mpack_key(pack)
    assert (await alice.push(repo, pack, head)).json()["blobs_written"] == 1


@pytest.mark.requirement("PUSH-005", "BP1")
async def test_other_bytes_than_the_key_says_are_refused(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Wrong bytes are a digest mismatch, whatever else is wrong with them; both keys are named."""
    head = forge.line(1)[-1]
    pack = forge.pack()
    key = mpack_key(pack)
    found = await alice.post(f"{repo}/push/mpack-presign", {"mpack_key": key})
    url = found.json()["upload_url"]
    for other in (b"junk", forge.pack(framed=False)):
        assert (await alice.http.put(url, content=other)).status_code == 200
        async with unchanged(service):
            refused = await alice.unpack(repo, key, head)
            assert code(refused) == (422, "digest_mismatch")
            error = refused.json()["error"]
            assert (error["expected"], error["actual"]) == (key, mpack_key(other))
    assert (await alice.http.put(url, content=pack)).status_code == 200
    assert (await alice.unpack(repo, key, head)).status_code == 200


@pytest.mark.requirement("PUSH-006")
async def test_swapping_an_accepted_upload_changes_nothing(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """The link still takes a PUT, and nobody ever sees what it brought."""
    head = forge.line(1)[-1]
    pack = forge.pack()
    key = mpack_key(pack)
    found = await alice.post(f"{repo}/push/mpack-presign", {"mpack_key": key})
    url = found.json()["upload_url"]
    await alice.http.put(url, content=pack)
    await alice.unpack(repo, key, head)
    async with unchanged(service):
        await alice.http.put(url, content=b"swapped")
        assert (await alice.unpack(repo, key, head)).status_code == 200
    for object_id, content in forge.blobs.items():
        assert (await alice.get(f"{repo}/o/{object_id}")).content == content
    link = await alice.fetch(repo, head, capabilities=["framed"])
    assert (await alice.http.get(link["mpack_url"])).content == pack


@pytest.mark.requirement("PUSH-008")
async def test_an_unknown_head_is_refused(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """A head that is neither in the pack nor here moves nothing, forced or not."""
    head = forge.line(1)[-1]
    for force in (False, True):
        async with unchanged(service):
            refused = await alice.push(repo, forge.pack(), NOWHERE, force=force)
            assert code(refused) == (422, "unknown_head")
    assert (await alice.push(repo, forge.pack(), head)).status_code == 200


@pytest.mark.requirement("AUTH-013", "PUSH-007", "PUSH-018")
async def test_a_pack_leans_only_on_its_own_repository(
    service: Service, alice: Peer, mallory: Peer, repo: str, forge: Forge
) -> None:
    """Knowing ids of another repository gives neither its blobs, snapshots nor commits."""
    first, second = forge.line(2)
    await alice.push(repo, forge.pack([first]), first)
    mine = await mallory.create("mine")
    thin = forge.pack([second])
    root = forge.snapshots[forge.commits[first]["snapshot_id"]]
    claims = forge.pack(snapshots=[root], commits=[forge.commits[first]], blobs=[])
    async with unchanged(service):
        assert code(await mallory.push(mine, thin, second)) == (422, "missing_parent")
        assert code(await mallory.push(mine, claims, first)) == (422, "missing_object")
        assert code(await mallory.push(mine, forge.pack([]), first)) == (422, "unknown_head")
    assert (await alice.push(repo, thin, second)).status_code == 200
    assert (await mallory.push(mine, forge.pack(), second)).status_code == 200


@pytest.mark.requirement("PUSH-017", "PUSH-018")
async def test_a_commit_record_belongs_to_its_repository(
    service: Service, alice: Peer, mallory: Peer, repo: str, forge: Forge
) -> None:
    """What another repository says about the same commit id is not served here; the first stays."""
    head = forge.line(1)[-1]
    forge.commits[head]["metadata"] = {"note": "mallory was first"}
    theirs = await mallory.create("theirs")
    await mallory.push(theirs, forge.pack(), head)
    forge.commits[head]["metadata"] = {"note": "alice's own"}
    await alice.push(repo, forge.pack(), head)
    forge.commits[head]["metadata"] = {"note": "alice again"}
    assert (await alice.push(repo, forge.pack(), head)).status_code == 200
    notes = [
        (await alice.get(f"{path}/commits/{head}")).json()["metadata"]["note"]
        for path in (repo, theirs)
    ]
    assert notes == ["alice's own", "mallory was first"]


@pytest.mark.requirement("PUSH-021", "PUSH-019", "BP10")
async def test_a_small_push_by_body(alice: Peer, repo: str, forge: Forge) -> None:
    """The branch comes from the query, or is the pack's only one; several are none."""
    first, second = forge.line(2)
    one = forge.pack([first], branch_heads={"main": first})
    assert (await alice.post(f"{repo}/push/unpack", raw=one)).json()["commits_written"] == 1
    two = forge.pack([second], branch_heads={"main": second, "dev": second})
    found = await alice.post(f"{repo}/push/unpack", raw=two)
    assert code(found) == (422, "missing_field")
    target = f"{repo}/push/unpack?branch=main&head={second}&force=maybe"
    assert code(await alice.post(target, raw=two)) == (422, "malformed")
    target = f"{repo}/push/unpack?branch=main&head={second}&force=0"
    assert (await alice.post(target, raw=two)).status_code == 200
    empty = forge.pack([])
    assert (await alice.push(repo, empty, first, branch="old")).status_code == 200
    heads = (await alice.get(f"{repo}/refs")).json()["branch_heads"]
    assert heads == {"main": second, "old": first}


@pytest.mark.requirement("MPACK-026", "MPACK-027")
async def test_what_is_given_twice_counts_once(alice: Peer, repo: str, forge: Forge) -> None:
    """Doubled commits, snapshots and blobs, and a blob nobody names, are accepted."""
    head = forge.line(2)[-1]
    stray = b"nobody names me"
    commits, snapshots = list(forge.commits.values()), list(forge.snapshots.values())
    blobs = [*forge.blobs.items(), *forge.blobs.items(), (blob_id(stray), stray)]
    pack = forge.pack(commits=commits * 2, snapshots=snapshots + snapshots[-1:], blobs=blobs)
    found = await alice.push(repo, pack, head)
    assert found.json() == {
        "ok": True,
        "commits_written": 2,
        "snapshots_written": 2,
        "blobs_written": 3,
    }
    for form in ([], ["framed"]):
        fetched = await alice.fetch(repo, head, capabilities=form)
        assert (fetched["commit_count"], fetched["blob_count"]) == (2, 2)


@pytest.mark.requirement("PUSH-002", "PUSH-022")
async def test_too_large_is_said_early(alice: Peer, repo: str, forge: Forge) -> None:
    """A size hint beyond the limit is refused at presigning, a body while it comes."""
    key = {"mpack_key": NOWHERE, "size_bytes": 1 << 40}
    assert code(await alice.post(f"{repo}/push/mpack-presign", key)) == (413, "too_large")
    assert (await alice.post(f"{repo}/push/mpack-presign", key | {"size_bytes": 1})).is_success


@pytest.mark.requirement("HTTP-014", "PUSH-007", "MPACK-039")
async def test_hostile_packs_are_refused_by_their_codes(
    service: Service, alice: Peer, repo: str
) -> None:
    """Each golden attack, pushed: its own code, or that the head is in no such pack; no trace."""
    rows = json.loads((HOSTILE / "table.json").read_text())
    surprises = []
    async with unchanged(service):
        for row in rows:
            service.limits = Limits(**row.get("limits", {}))
            raw = (HOSTILE / row["file"]).read_bytes()
            target = f"{repo}/push/unpack?branch=main&head={row.get('head', NOWHERE)}"
            found = await alice.post(target, raw=raw)
            refused = found.json().get("error", {})
            if refused.get("code") not in {row["code"], *row.get("also", ()), "unknown_head"}:
                surprises.append((row["file"], row["code"], refused))
    assert surprises == []
