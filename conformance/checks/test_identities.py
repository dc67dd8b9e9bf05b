"""Registering keys, where a server lets one, and presigned URLs."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest

from conformance import oracle
from conformance.client import Client, Identity, succeeded
from conformance.expectations import check_refusal, fail, refused, requirement
from conformance.histories import commit
from conformance.lifecycle import until
from conformance.outcomes import NotApplicable, prepared
from conformance.repository import Repository
from conformance.world import World
from reference.wire.provenance import public_key


@pytest.fixture
def register(world: World) -> Any:
    """POST /api/identities, where the subject file says that it may be called."""
    world.require_writes()
    if not world.subject.register:
        raise NotApplicable("[auth] register = false: keys are registered in another way")
    return lambda handle, key: world.anyone.ask(
        "POST", "/api/identities", {"handle": handle, "public_key": key}
    )


@pytest.fixture
def handle(world: World) -> str:
    """A handle that nobody has."""
    return f"h-{world.namespace}"


KEY = public_key(b"k" * 32)


@requirement("AUTH-015")
@pytest.mark.parametrize("prefix", [True, False], ids=["with prefix", "without"])
def test_a_key_can_be_registered(register: Any, handle: str, owner: Client, prefix: bool) -> None:
    """The key, with or without `ed25519:`, signs from then on."""
    seed = secrets.token_bytes(32)
    key = public_key(seed).removeprefix("" if prefix else "ed25519:")
    answer = succeeded(register(handle, key))
    assert (answer.status, answer.fields["handle"]) == (201, handle)
    assert isinstance(answer.fields["identity_id"], str)
    mine = Client(owner.connection, Identity(handle, seed))
    check_refusal(mine.ask("DELETE", "/api/repos/none"), 404, "unknown_repo")


@requirement("AUTH-015")
@pytest.mark.parametrize(
    "bad", ["", "-a", ".a", "a b", "a/b", "é", "a\n", "a\0", "a" * 65, "_a", "a:b"]
)
def test_a_bad_handle_is_malformed(register: Any, bad: str) -> None:
    """A handle begins with a letter or digit and has 64 plain characters at most."""
    check_refusal(register(bad, KEY), 422, "malformed", "missing_field")


@requirement("AUTH-015")
@pytest.mark.parametrize(
    "bad",
    ["", "ed25519:", KEY[:-1], KEY + "A", KEY + "=", KEY + "\n", "rsa:" + KEY[8:], KEY[:-1] + "h"],
)
def test_a_bad_key_is_malformed(register: Any, handle: str, bad: str) -> None:
    """A key is 43 characters of canonical base64url."""
    check_refusal(register(handle, bad), 422, "malformed", "missing_field")
    assert succeeded(register(handle, KEY)).status == 201


@requirement("AUTH-016")
def test_a_handle_has_one_key(register: Any, handle: str) -> None:
    """The same key again is 201, another is taken; handles differ by their bytes."""
    other = public_key(b"o" * 32)
    first = succeeded(register(handle, KEY))
    again = succeeded(register(handle, KEY.removeprefix("ed25519:")))
    assert (again.status, again.fields) == (201, first.fields)
    check_refusal(register(handle, other), 409, "handle_taken")
    assert succeeded(register(handle.upper(), other)).status == 201


@pytest.fixture
def links(repo: Repository) -> dict[str, tuple[str, str, bytes]]:
    """A presigned PUT and a presigned GET, with the bytes they are about."""
    with prepared("a push and a fetch"):
        tip = repo.given(commit("a"))
        raw = repo.pack(commit("b"))
        fetched = repo.fetch(tip)
    return {
        "upload": ("PUT", repo.presign(raw), raw),
        "download": ("GET", str(fetched.answer["mpack_url"]), b""),
    }


@requirement("AUTH-014", "PUSH-001", "FETCH-005")
@pytest.mark.parametrize("kind", ["upload", "download"])
def test_a_presigned_url_is_its_own_permission(
    repo: Repository, links: dict[str, tuple[str, str, bytes]], kind: str
) -> None:
    """No Authorization is needed; the one method works, others are refused."""
    method, url, body = links[kind]
    for wrong in ("PUT", "GET", "DELETE", "POST"):
        if wrong != method and not (method == "GET" and wrong == "HEAD"):
            answer = repo.client.send(wrong, url, body or b"x", signed=False)
            if answer.status not in (405, *refusals(repo, url)):
                fail(f"{wrong} on a URL for {method} is 403", str(answer))
    answer = succeeded(repo.client.send(method, url, body, signed=False))
    assert answer.status in (200, 204)


@requirement("AUTH-014")
@pytest.mark.parametrize("kind", ["upload", "download"])
def test_an_altered_url_is_refused(
    repo: Repository, links: dict[str, tuple[str, str, bytes]], kind: str
) -> None:
    """Another key, another signature, a later expiry, no query: 403."""
    method, url, body = links[kind]
    digits = re.findall(r"[0-9a-f]{64}", url.partition("?")[0])
    if not digits or "?" not in url:
        raise NotApplicable("the URL does not show its key and permission")
    target, query = url.split("?", 1)
    pairs = query.split("&")
    changed = [pair.partition("=")[0] + "=" + bumped(pair.partition("=")[2]) for pair in pairs]
    altered = [
        f"{target}?{'&'.join([*pairs[:n], changed[n], *pairs[n + 1 :]])}" for n in range(len(pairs))
    ]
    altered += [target, url.replace(digits[-1], oracle.ABSENT[7:])]
    for bad in altered:
        answer = repo.client.send(method, bad, body, signed=False)
        if answer.status not in refusals(repo, url):
            fail("an altered URL is 403", f"{answer.status}")
    assert succeeded(repo.client.send(method, url, body, signed=False)).status in (200, 204)


def refusals(repo: Repository, url: str) -> tuple[int, ...]:
    """What refuses a URL: 403 of the server's own; S3 also finds an altered query malformed."""
    own = url.startswith(f"{repo.client.connection.url}/")
    return (403,) if own else (403, 400)


def bumped(value: str) -> str:
    """Another value of the same form."""
    if value.isdigit():
        return str(int(value) + 1000)
    return ("B" if value[:1] == "A" else "A") + value[1:]


@requirement("AUTH-014", "PUSH-001")
def test_an_upload_url_is_for_one_key(repo: Repository) -> None:
    """What is put to a URL is that key's upload and no other's."""
    one, two = commit("one"), commit("two")
    url = repo.presign(repo.pack(one))
    repo.put(url, repo.pack(two))
    with refused(404, "upload_missing"):
        repo.unpack(oracle.digest(repo.pack(two)), two.id)


@requirement("HTTP-044")
def test_no_secret_is_in_an_error(repo: Repository, owner: Client) -> None:
    """Signatures do not come back in what a refusal says."""
    header = owner.sign("POST", f"{owner.connection.url}{repo.path}/merge", b"{}")
    signature = header.split('sig="')[1][:86]
    answer = owner.send("POST", f"{repo.path}/merge?x=1", b"{}", {"authorization": header})
    check_refusal(answer, 401, "unauthenticated")
    assert signature.encode() not in answer.body


@requirement("HTTP-044")
def test_no_secret_is_in_metrics(
    repo: Repository, links: dict[str, tuple[str, str, bytes]], anyone: Client
) -> None:
    """Neither signatures nor presigned permissions appear in /metrics."""
    answer = anyone.send("GET", "/metrics")
    secrets_of = [url.partition("?")[2] for _, url, _ in links.values()]
    found = [text for text in secrets_of if text and text.encode() in answer.body]
    assert (found, b"sig=" in answer.body) == ([], False)


@requirement("HTTP-044")
def test_no_secret_is_in_the_log(
    repo: Repository, links: dict[str, tuple[str, str, bytes]], world: World, owner: Client
) -> None:
    """Neither signatures nor presigned permissions are in what the server writes."""
    header = owner.sign("GET", f"{owner.connection.url}{repo.path}/refs")
    signature = header.split('sig="')[1][:86]
    owner.send("GET", f"{repo.path}/refs", headers={"authorization": header})
    for method, url, body in links.values():
        owner.send(method, url, body, signed=False)
    later = repo.given(commit("later"), branch="later")
    repo.fetch(later)
    until(lambda: later.id in world.log_text(), 3.0)  # a clone's line: those before it are there
    log = world.log_text()
    permissions = [
        pair.partition("=")[2]
        for _, url, _ in links.values()
        for pair in url.partition("?")[2].split("&")
    ]
    shown = [text for text in [signature, *permissions] if len(text) > 20 and text in log]
    if shown:
        fail("no secret in the log", f"{len(shown)} of them")
