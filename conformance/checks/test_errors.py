"""Errors: their form, their order, and that a refusal changes nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from conformance import oracle, packs
from conformance.client import JSON, Client
from conformance.expectations import check_refusal, exactly, refused, requirement, unchanged
from conformance.histories import child_of, commit
from conformance.repository import Repository
from conformance.world import World


@requirement("HTTP-042")
def test_health_says_why(anyone: Client) -> None:
    """A ready server answers 200, `ready` true and no reasons."""
    answer = anyone.ask("GET", "/healthz")
    value = answer.fields
    assert (answer.status, value["ready"], value["reasons"]) == (200, True, [])


@requirement("HTTP-009", "HTTP-011")
@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/nobody-here/nothing/refs", 404, "unknown_repo"),
        ("GET", "/no/such/route/at/all", 404, "not_found"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("POST", "/api/repos", 401, "unauthenticated"),
        ("GET", f"/o/{oracle.ABSENT}", 404, "unknown_blob"),
    ],
)
def test_a_refusal_tells_its_code(
    anyone: Client, method: str, target: str, status: int, code: str
) -> None:
    """Every refusal carries code and detail, and the code's status."""
    value: dict[str, str] | None = {} if method == "POST" else None
    error = check_refusal(anyone.ask(method, target, value), status, code)
    assert error["detail"].strip()


@requirement("HTTP-009")
def test_a_refused_head_has_no_body(repo: Repository) -> None:
    """HEAD is refused by its status alone."""
    answer = repo.client.send("HEAD", f"{repo.path}/o/{oracle.ABSENT}")
    assert (answer.status, answer.body) == (404, b"")


@requirement("HTTP-011", "HTTP-031", "HTTP-032")
@pytest.mark.parametrize(
    ("route", "code"),
    [("commits", "unknown_commit"), ("snapshots", "unknown_snapshot"), ("o", "unknown_blob")],
)
def test_what_is_not_there_is_404(repo: Repository, route: str, code: str) -> None:
    """Each kind of thing that is not there has its code."""
    check_refusal(repo.ask("GET", f"{route}/{oracle.ABSENT}"), 404, code)


@requirement("HTTP-007", "HTTP-022")
@pytest.mark.parametrize("id", [oracle.ABSENT, "x", "7", "sha256:", "ä", "a" * 3000])
def test_a_repository_id_is_opaque(owner: Client, id: str) -> None:
    """A repository id that is not known is 404, whatever it looks like."""
    answer = owner.ask("DELETE", f"/api/repos/{quote(id, safe='')}")
    check_refusal(answer, 404, "unknown_repo")


@requirement("HTTP-012")
def test_the_signature_comes_first(repo: Repository, private_repo: Repository) -> None:
    """A bad signature is 401 even where nothing else would be right either."""
    for path in (repo.path, private_repo.path, "/nobody/nothing"):
        headers = {"authorization": "MSign nonsense"}
        answer = repo.client.send("POST", f"{path}/merge", b"{", headers)
        check_refusal(answer, 401, "unauthenticated")


@requirement("HTTP-012")
def test_visibility_comes_before_ownership(
    repo: Repository, private_repo: Repository, other: Client
) -> None:
    """A stranger's bad write is 404 where the repository is hidden, 403 where it is not."""
    check_refusal(other.ask("POST", f"{private_repo.path}/merge", {"a": 1}), 404, "unknown_repo")
    check_refusal(other.ask("POST", f"{repo.path}/merge", {"a": 1}), 403, "forbidden")


@requirement("HTTP-012")
def test_ownership_comes_before_the_body(repo: Repository, other: Client) -> None:
    """A stranger does not learn whether the body would have been right."""
    for body in (b"{", b"", b'{"mpack_key": 7}'):
        answer = other.send("POST", f"{repo.path}/push/mpack-presign", body)
        check_refusal(answer, 403, "forbidden")


@requirement("HTTP-013", "REC-022", "PUSH-007")
@pytest.mark.parametrize("way", ["unpack-mpack", "unpack"])
def test_a_refused_push_leaves_nothing(repo: Repository, way: str) -> None:
    """Of a large pack with one flaw at its end, nothing stays: no commit, snapshot, blob, ref."""
    root = repo.given(commit("root"))
    links = [child_of(root, "good")]
    for number in range(20):
        links.append(child_of(links[-1], f"good{number}"))
    value = packs.plain(links[-1], known=[root])
    value["snapshots"][-1]["delta_upsert"]["extra"] = root.manifest["root.txt"]
    raw = packs.encode(value)
    with unchanged(repo, *links), refused(422, "snapshot_mismatch"):
        if way == "unpack":
            repo.push_body(raw, links[-1].id)
        else:
            repo.unpack(repo.upload(raw), links[-1].id)
    repo.push(*links)
    exactly(repo.fetch(links[-1]), [links[-1]])


@requirement("HTTP-015")
@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("POST", "refs"),
        ("DELETE", "refs"),
        ("GET", "negotiate"),
        ("PUT", "push/unpack-mpack"),
        ("GET", "fetch/mpack"),
        ("GET", "merge"),
        ("POST", f"commits/{oracle.ABSENT}"),
    ],
)
def test_another_method_is_405(repo: Repository, method: str, route: str) -> None:
    """A route with a method it does not have is 405 and names those it has."""
    answer = repo.ask(method, route)
    check_refusal(answer, 405, "method_not_allowed")
    assert answer.headers.get("allow", "")


@requirement("HTTP-015")
@pytest.mark.parametrize("target", ["/x", "/api", "/api/nothing", "/a/b/nothing", "/a/b/c/d"])
def test_another_route_is_404(anyone: Client, target: str) -> None:
    """A route that does not exist is 404."""
    check_refusal(anyone.ask("GET", target), 404, "not_found", "unknown_repo")


@requirement("HTTP-014")
@pytest.mark.parametrize(
    "target",
    [
        "/%00/%00/refs",
        "/%ff%fe/x/refs",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/refs",
        "//refs",
        "/a/b/o/%00",
        "/a/b/commits/" + "a" * 8000,
        "/o/sha256%3A?repo_id=%ff",
        "/a/b/refs?%ff=%00",
        "/" + "a" * 16_000,
    ],
    ids=lambda target: target[:24],
)
def test_no_path_is_a_fault(repo: Repository, anyone: Client, target: str) -> None:
    """Whatever stands in a path, the answer is a refusal and never a 500."""
    answer = anyone.send("GET", target)
    assert 400 <= answer.status < 500
    assert repo.heads() == {}


@requirement("HTTP-014")
@pytest.mark.parametrize(
    "text",
    ["\0", "a\0b", "\ud800", "\udfff\ud800", "\U0010ffff", "\u202e", "'; --", "a" * 1_000_000],
    ids=lambda text: ascii(text)[1:13].replace("\\", "."),
)
def test_no_text_is_a_fault(world: World, repo: Repository, text: str) -> None:
    """Whatever a field's text holds, a NUL or half a character included, is no 500."""
    tip, name = repo.given(commit("a")), f"{world.name()} {text}"
    world.ledger.creating(repo.owner, name)  # for some of these are good names
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/api/identities", {"handle": text, "public_key": text}),
        ("/api/repos", {"owner": text, "name": text}),
        ("/api/repos", {"owner": repo.owner, "name": name}),
        ("/api/repos", {"owner": repo.owner, "name": "---", "visibility": text}),
        (f"{repo.path}/merge", {"source": text, "target": "main"}),
        (f"{repo.path}/negotiate", {"want": [text], "have": [text]}),
        (f"{repo.path}/fetch/mpack", {"want": [tip.id], "capabilities": [text], text: text}),
        (f"{repo.path}/push/mpack-presign", {"mpack_key": text}),
    ]
    for target, value in calls:
        body = json.dumps(value).encode()  # in escapes, which any JSON may have
        answer = repo.client.send("POST", target, body, {"content-type": JSON})
        assert (target, answer.status >= 500) == (target, False)
    assert repo.heads() == {"main": tip.id}


@requirement("HTTP-014")
@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "\xff"},
        {"content-type": "application/x-msgpack;;;="},
        {"accept": ";;q=x, */;q=9"},
        {"accept": "application/x-msgpack;q=nan"},
        {"accept": "application/x-msgpack;q=high"},
        {"range": "bytes=x-"},
        {"if-none-match": '"'},
        {"authorization": ""},
        {"content-encoding": "gzip"},
    ],
    ids=lambda headers: ascii(headers).replace("\\", ".")[:40],
)
def test_no_header_is_a_fault(repo: Repository, headers: dict[str, Any]) -> None:
    """Odd headers end in an answer and never in a 500."""
    raw: Any = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = repo.client.send("POST", f"{repo.path}/negotiate", b'{"want": []}', raw)
    assert answer.status < 500
