"""Bodies in both forms, and what is no body at all."""

from __future__ import annotations

import json

import httpx
import msgpack
import pytest

from .forge import Forge
from .peer import Peer, code

MSGPACK = "application/x-msgpack"
NONSENSE = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"want": "\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "twice": b'{"want": [], "want": []}',
    "NaN": b'{"want": NaN}',
    "deep": b"[" * 100_000,
    "deep map": b'{"want":' * 50_000,
    "long number": b'{"want": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.requirement("HTTP-004", "HTTP-014")
@pytest.mark.parametrize("kind", NONSENSE)
async def test_nonsense_is_malformed(alice: Peer, repo: str, kind: str) -> None:
    """Whatever does not parse is 422 malformed, as JSON and as msgpack."""
    for content_type in ("application/json", MSGPACK, "text/plain", ""):
        headers = {"content-type": content_type} if content_type else {}
        found = await alice.post(f"{repo}/negotiate", raw=NONSENSE[kind], **headers)
        assert code(found) == (422, "malformed"), (content_type, found.text)


@pytest.mark.requirement("HTTP-004")
@pytest.mark.parametrize(
    "raw",
    [b"\x81", b"\xc1", b"\x82\xa1a\x01\xa1a\x02", b"\x80\x80", b"\x91" * 5000, b"\x81\x90\x01"],
)
async def test_broken_msgpack_is_malformed(alice: Peer, repo: str, raw: bytes) -> None:
    """Cut short, unknown bytes, doubled keys, more than one value, deep, keys that are no text."""
    found = await alice.post(f"{repo}/negotiate", raw=raw, **{"content-type": MSGPACK})
    assert code(found) == (422, "malformed")


@pytest.mark.requirement("HTTP-001", "HTTP-002", "HTTP-003")
async def test_the_reply_follows_accept_alone(alice: Peer, repo: str, forge: Forge) -> None:
    """The same values in both forms, whichever form the request had."""
    head = forge.commit({"a": b"1"}, metadata={"n": [1, 2.5, None, {"x": "ü"}]}, extra="kept")
    await alice.push(repo, forge.pack(), head)
    target = f"{repo}/commits/{head}"
    plain = await alice.get(target)
    assert plain.headers["content-type"] == "application/json"
    for accept in ("*/*", "text/html", f"{MSGPACK};q=0", f"{MSGPACK}; q=0.0"):
        assert (await alice.get(target, accept=accept)).json() == plain.json()
    for accept in (MSGPACK, f"text/html, {MSGPACK};q=0.5"):
        packed = await alice.get(target, accept=accept)
        assert packed.headers["content-type"] == MSGPACK
        assert msgpack.unpackb(packed.content) == plain.json() == forge.commits[head]
    body = msgpack.packb({"want": [head], "have": [head]})
    kind = {"content-type": f"{MSGPACK}; charset=x"}
    found = await alice.post(f"{repo}/negotiate", raw=body, **kind)
    assert found.json() == {"ack": [head], "common_base": head, "ready": True}
    refused = await alice.post(f"{repo}/negotiate", {"want": 1}, accept=MSGPACK)
    assert msgpack.unpackb(refused.content)["error"]["code"] == "malformed"


@pytest.mark.requirement("HTTP-005", "BP7")
async def test_missing_fields_are_named(alice: Peer, repo: str) -> None:
    """All of them at once; null counts as missing."""
    found = await alice.post(f"{repo}/push/unpack-mpack", {"branch": None})
    assert code(found) == (422, "missing_field")
    assert found.json()["error"]["fields"] == ["mpack_key", "branch", "head"]


@pytest.mark.requirement("HTTP-006", "HTTP-007")
async def test_wrong_fields_are_refused_by_kind(alice: Peer, repo: str) -> None:
    """Types, ids, branch names; an id in the path too."""
    good = {"mpack_key": "sha256:" + "1" * 64, "branch": "main", "head": "sha256:" + "2" * 64}
    for change, expected in (
        ({"mpack_key": "sha256:" + "A" * 64}, "invalid_id"),
        ({"head": good["head"] + "\n"}, "invalid_id"),
        ({"head": 5}, "invalid_id"),
        ({"branch": "a..b"}, "invalid_branch"),
        ({"branch": "\ud800"}, "invalid_branch"),
        ({"branch": 5}, "malformed"),
        ({"force": "yes"}, "malformed"),
    ):
        found = await alice.post(f"{repo}/push/unpack-mpack", good | change)
        assert code(found) == (422, expected), change
    for target in ("commits/x", "snapshots/x", "o/x"):
        assert code(await alice.get(f"{repo}/{target}")) == (422, "invalid_id")
    gone = await alice.request("DELETE", "/api/repos/whatever")
    assert code(gone) == (404, "unknown_repo")
    for body in ({"owner": "alice", "name": "\ud800"}, {"owner": "alice", "name": "a\0"}):
        assert code(await alice.post("/api/repos", body)) == (422, "malformed")


@pytest.mark.requirement("HTTP-008", "HTTP-012")
async def test_bodies_have_a_limit(alice: Peer, repo: str, http: httpx.AsyncClient) -> None:
    """Eight mebibytes pass, more is too large; without a signature that comes first."""
    filler = json.dumps({"want": [], "x": "y" * (8 * 1024 * 1024 - 30)}).encode()
    assert (await alice.post(f"{repo}/negotiate", raw=filler)).is_success
    assert code(await alice.post(f"{repo}/negotiate", raw=filler * 2)) == (413, "too_large")
    for headers in ({}, {"authorization": "MSign nonsense"}):
        merge = await http.post(f"{repo}/merge", content=filler * 2, headers=headers)
        assert code(merge) == (401, "unauthenticated")
    unknown = await Peer(http, "nobody").post(f"{repo}/merge", raw=filler * 2)
    assert code(unknown) == (413, "too_large")  # its signature would be over all of it


@pytest.mark.requirement("HTTP-009", "HTTP-011", "HTTP-015")
async def test_routes_that_are_not_there(http: httpx.AsyncClient, repo: str) -> None:
    """Another method is 405 with those that exist, another path 404; both say so in the body."""
    found = await http.put(f"{repo}/refs")
    assert code(found) == (405, "method_not_allowed")
    assert "GET" in found.headers["allow"]
    for target in ("/", "/nothing", f"{repo}/refs/", f"{repo}/nothing", "/api/repos/"):
        assert code(await http.get(target)) == (404, "not_found"), target
    assert code(await http.request("BREW", "/healthz")) == (405, "method_not_allowed")


@pytest.mark.requirement("HTTP-014", "AUTH-011")
@pytest.mark.parametrize("owner", ["a%00b", "%ff%fe", "..", "%2e%2e", "%F0%9F%98%80", "a" * 5000])
async def test_a_path_may_hold_anything(http: httpx.AsyncClient, owner: str) -> None:
    """Names that nobody can have are names of nothing."""
    for target in (f"/{owner}/x/refs", f"/x/{owner}/refs"):
        assert (await http.get(target)).status_code == 404


@pytest.mark.requirement("HTTP-042", "HTTP-043")
async def test_what_operators_see(http: httpx.AsyncClient) -> None:
    """Ready, counted, described."""
    assert (await http.get("/healthz")).json() == {"ready": True, "reasons": []}
    metrics = (await http.get("/metrics")).text
    assert 'musekit_request_seconds_count{method="GET",route="/healthz",status="200"} 1' in metrics
    assert "musekit_jobs_waiting 0" in metrics
    assert (await http.get("/openapi.json")).json()["openapi"].startswith("3.")
