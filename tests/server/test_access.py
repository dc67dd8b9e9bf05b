"""Who may do what: signatures, visibility, ownership, links."""

from __future__ import annotations

from time import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from reference.server.service import Service

from .forge import Forge
from .peer import Peer, code

NOWHERE = "sha256:" + "0" * 64
CallTable = tuple[tuple[str, str, Any], ...]
READS: CallTable = (
    ("GET", "/refs", None),
    ("POST", "/negotiate", {"want": []}),
    ("POST", "/fetch/presign", {"want": ["HEAD"], "capabilities": ["framed"]}),
    ("POST", "/fetch/mpack", {"want": ["HEAD"]}),
    ("POST", "/fetch", {"want": ["HEAD"]}),
    ("GET", "/commits/HEAD", None),
    ("GET", "/snapshots/SNAPSHOT", None),
    ("GET", "/o/BLOB", None),
)
WRITES: CallTable = (
    ("POST", "/push/mpack-presign", {"mpack_key": NOWHERE}),
    ("POST", "/push/unpack-mpack", {"mpack_key": NOWHERE, "branch": "main", "head": NOWHERE}),
    ("POST", "/push/unpack", None),
    ("POST", "/merge", {"source": "main", "target": "main"}),
    ("POST", "/push/bundle/presign", {"bundle_id": NOWHERE}),
    ("POST", "/push/bundle-presign", {"bundle_id": NOWHERE}),
    ("POST", "/push/bundle/confirm", {"bundle_id": NOWHERE, "branch": "m", "head": NOWHERE}),
    ("POST", "/push/unpack-bundle", {"bundle_id": NOWHERE, "branch": "m", "head": NOWHERE}),
)


async def pushed(alice: Peer, forge: Forge, visibility: str) -> tuple[str, dict[str, str]]:
    """A repository with one commit, and what stands for its ids in a path."""
    path = await alice.create("secret", visibility=visibility)
    head = forge.line(1)[-1]
    assert (await alice.push(path, forge.pack(), head)).status_code == 200
    names = {"HEAD": head, "SNAPSHOT": forge.commits[head]["snapshot_id"]}
    return path, names | {"BLOB": next(iter(forge.blobs))}


def filled(target: str, body: Any, names: dict[str, str]) -> tuple[str, Any]:
    """A call with the ids in their places."""
    for name, value in names.items():
        target = target.replace(name, value)
        if isinstance(body, dict):
            body = {k: [value] if v == [name] else v for k, v in body.items()}
    return target, body


@pytest.mark.requirement("AUTH-011", "AUTH-013", "HTTP-012")
async def test_a_private_repository_is_not_there_for_strangers(
    alice: Peer, mallory: Peer, http: httpx.AsyncClient, forge: Forge
) -> None:
    """On every route, by every id: 404, the same as where nothing is; the owner gets it."""
    path, names = await pushed(alice, forge, "private")
    repo_id = (await alice.get(f"{path}/refs")).json()["repo_id"]
    for method, target, body in READS:
        target, body = filled(target, body, names)
        refused = [
            await mallory.request(method, path + target, body),
            await http.request(method, path + target, json=body),
            await mallory.request(method, "/alice/nothing" + target, body),
        ]
        assert {code(response) for response in refused} == {(404, "unknown_repo")}, target
        assert len({response.text for response in refused}) == 1
        assert (await alice.request(method, path + target, body)).is_success, target
    for method, target, body in WRITES:
        for where in (path, "/alice/nothing"):
            anonymous = await http.request(method, where + target, json=body)
            assert code(anonymous) == (401, "unauthenticated"), target
            stranger = await mallory.request(method, where + target, body)
            assert code(stranger) == (404, "unknown_repo"), target
    by_id = f"/o/{names['BLOB']}?repo_id={repo_id}"
    assert code(await mallory.get(by_id)) == (404, "unknown_repo")
    assert code(await http.get(by_id)) == (404, "unknown_repo")
    mine = await alice.get(by_id)
    assert mine.is_success
    assert mine.headers["cache-control"].startswith("private")
    assert code(await alice.get(f"/o/{names['BLOB']}")) == (404, "unknown_blob")
    assert code(await mallory.request("DELETE", f"/api/repos/{repo_id}")) == (404, "unknown_repo")


@pytest.mark.requirement("AUTH-008", "AUTH-010", "AUTH-012")
async def test_only_the_owner_writes(
    alice: Peer, mallory: Peer, http: httpx.AsyncClient, forge: Forge
) -> None:
    """A stranger's write to a public repository is forbidden, an anonymous one unauthenticated."""
    path, names = await pushed(alice, forge, "public")
    for method, target, body in WRITES:
        assert code(await mallory.request(method, path + target, body)) == (403, "forbidden")
        anonymous = await http.request(method, path + target, json=body)
        assert code(anonymous) == (401, "unauthenticated")
        assert anonymous.headers["www-authenticate"] == 'MSign realm="musehub"'
    for method, target, body in READS:
        target, body = filled(target, body, names)
        assert (await http.request(method, path + target, json=body)).is_success, target
    repo_id = (await http.get(f"{path}/refs")).json()["repo_id"]
    assert code(await http.delete(f"/api/repos/{repo_id}")) == (401, "unauthenticated")
    forbidden = await mallory.request("DELETE", f"/api/repos/{repo_id}")
    assert code(forbidden) == (403, "forbidden")
    made = await mallory.post("/api/repos", {"owner": "alice", "name": "x"})
    assert code(made) == (403, "forbidden")


@pytest.mark.requirement(
    "AUTH-001", "AUTH-003", "AUTH-004", "AUTH-005", "AUTH-006", "AUTH-007", "AUTH-009"
)
async def test_a_signature_binds_the_whole_request(
    alice: Peer, repo: str, http: httpx.AsyncClient
) -> None:
    """Another method, host, path, query, body or time than was signed is nobody's request."""
    target = f"{repo}/refs?x=1"
    good = (await alice.get(target)).request
    assert (await http.send(good)).is_success
    signed = {"authorization": good.headers["authorization"], "host": good.headers["host"]}
    host = {**signed, "host": "elsewhere"}
    changed = [
        await http.request("HEAD", target, headers=signed),
        await http.request("GET", target, headers=host),
        await http.request("GET", f"{repo}/refs?x=2", headers=signed),
        await http.request("GET", f"{repo}/refs", headers=signed),
        await http.request("GET", target, headers=signed, content=b"x"),
        await alice.get(target, ts=int(time()) - 32),
        await alice.get(target, ts=int(time()) + 33),
        await Peer(http, "alice", b"\1" * 32).get(target),
        await Peer(http, "nobody").get(target),
        await Peer(http, "nobody").get(target, ts=int(time()) - 32),
        await http.get(target, headers={"authorization": "Bearer x"}),
        await http.get(target, headers=[("authorization", signed["authorization"])] * 2),
    ]
    assert [response.status_code for response in changed] == [401] * len(changed)
    assert (await alice.get(target, ts=int(time()) - 28)).is_success


@pytest.mark.requirement("AUTH-009")
async def test_what_is_about_the_server_asks_nobody(http: httpx.AsyncClient) -> None:
    """Whoever watches a server may send credentials of another kind."""
    for target in ("/healthz", "/metrics", "/openapi.json"):
        assert (await http.get(target, headers={"authorization": "Bearer x"})).is_success


@pytest.mark.requirement("AUTH-014")
async def test_a_link_is_for_one_key_one_method_and_a_while(
    service: Service, alice: Peer, repo: str, http: httpx.AsyncClient, forge: Forge
) -> None:
    """Altered, expired or used for something else it is refused; for its use it is enough."""
    head = forge.line(1)[-1]
    key = await alice.upload(repo, forge.pack())
    found = await alice.post(f"{repo}/push/mpack-presign", {"mpack_key": key})
    put = found.json()["upload_url"]
    await alice.unpack(repo, key, head)
    get = (await alice.fetch(repo, head, capabilities=["framed"]))["mpack_url"]
    parts = urlsplit(put)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    later = urlencode(query | {"expires": str(int(query["expires"]) + 9)})
    old = service.objects.link("http://musekit.test", f"packs/{key[7:]}", -5)
    refused = [
        await http.get(put),
        await http.put(get, content=b"x"),
        await http.put(put.replace("uploads/", "packs/"), content=b"x"),
        await http.put(put.replace(parts.query, later), content=b"x"),
        await http.put(put.replace("signature=", "signature=%C3%A4"), content=b"x"),
        await http.put(put.partition("?")[0], content=b"x"),
        await http.get(get.replace(key[7:], "0" * 64)),
        await http.get(old),
    ]
    assert {code(response) for response in refused} == {(403, "bad_url")}
    assert (await http.get(get)).content == forge.pack()
    assert (await http.get(get, headers={"range": "bytes=5-9"})).content == forge.pack()[5:10]


@pytest.mark.requirement("AUTH-015", "AUTH-016")
async def test_registering(http: httpx.AsyncClient, alice: Peer) -> None:
    """The same key again changes nothing, another one is too late, and nonsense is malformed."""
    await alice.register()
    key = Peer(http, "bob").seed.hex()[:43]
    taken = await http.post("/api/identities", json={"handle": "alice", "public_key": key})
    assert taken.status_code in (409, 422)
    other = await http.post("/api/identities", json={"handle": "alice", "public_key": "A" * 43})
    assert code(other) == (409, "handle_taken")
    for handle, text in (("-a", "A" * 43), ("a" * 65, "A" * 43), ("b", "A" * 42), ("b", "é" * 43)):
        found = await http.post("/api/identities", json={"handle": handle, "public_key": text})
        assert code(found) == (422, "malformed"), handle


@pytest.mark.requirement("AUTH-007")
@pytest.mark.parametrize("late", [0, 100])
async def test_no_answer_tells_which_handles_are_known(
    alice: Peer, repo: str, http: httpx.AsyncClient, late: int
) -> None:
    """A wrong key and an unknown handle get the same words, in time or not."""
    target, when = f"{repo}/refs", int(time()) - late
    told = [
        (await Peer(http, handle, b"\1" * 32).get(target, ts=when)).json()
        for handle in ("alice", "nobody")
    ]
    assert told[0] == told[1]
