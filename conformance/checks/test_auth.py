"""Signed requests: the header, what it covers, and its time."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode

import pytest

from conformance import vectors
from conformance.client import Client, Identity
from conformance.expectations import check_refusal, requirement
from conformance.histories import commit
from conformance.repository import Repository
from reference.wire import msign

BODY = b'{"want": []}'


def negotiate(repo: Repository, header: str, body: bytes = BODY) -> int:
    """The status of a harmless call with this Authorization."""
    answer = repo.client.send("POST", f"{repo.path}/negotiate", body, {"authorization": header})
    if answer.status != 200:
        check_refusal(answer, 401, "unauthenticated")
    return answer.status


def signature(repo: Repository, **how: int | str) -> str:
    """A right header for that call, save for what is said."""
    url = f"{repo.client.connection.url}{repo.path}/negotiate"
    return repo.client.sign("POST", url, BODY, **how)  # type: ignore[arg-type]


@requirement("AUTH-001", "AUTH-002")
def test_a_signed_request_is_accepted(owner: Client) -> None:
    """The form of the specification, signed over the six lines, is right."""
    answer = owner.ask("DELETE", "/api/repos/none")  # needs no repository, so fails by itself
    check_refusal(answer, 404, "unknown_repo")


@requirement("AUTH-001")
def test_any_other_form_is_refused(repo: Repository) -> None:
    """Other schemes, orders, quotes, spaces, numbers and alphabets are no MSign."""
    sound, table = msign.parse(signature(repo)), vectors.table("msign/headers")
    theirs = msign.parse(table["accepted"]["good"])
    for name, example in table["refused"].items():
        header = example.replace(str(theirs.timestamp), str(sound.timestamp))
        header = header.replace(f'"{theirs.handle}"', f'"{sound.handle}"')
        header = header.replace(theirs.signature, sound.signature)
        if header.isprintable() and header == header.strip():  # HTTP itself forbids the others
            assert (name, negotiate(repo, header)) == (name, 401)


@requirement("AUTH-001")
@pytest.mark.parametrize(
    "bend",
    [
        lambda h: h.lower(),
        lambda h: h.replace(" alg", "  alg"),
        lambda h: h.replace('"ed25519"', '"Ed25519"'),
        lambda h: h.replace('"', "'"),
        lambda h: h + ' extra="1"',
        lambda h: h.replace('sig="', 'sig="=='),
        lambda h: h[:-1] + '=="',
        lambda h: h.replace("MSign ", "Bearer "),
        lambda h: "MSign",
        lambda h: "x" * 9000,
    ],
    ids=(
        "lower case,two spaces,algorithm,single quotes,one more field,padded in front,padded,"
        "bearer,no fields,9 kB"
    ).split(","),
)
def test_a_bent_header_is_refused(repo: Repository, bend: object) -> None:
    """A right signature in a header of another form does not count."""
    assert callable(bend)
    assert negotiate(repo, bend(signature(repo))) == 401


@requirement("AUTH-002")
def test_a_signature_has_one_text(repo: Repository) -> None:
    """The spare bits of the last character are zero."""
    header = signature(repo)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = header[-2]
    other = header[:-2] + letters[letters.index(last) | 1] + '"'
    text, same = msign.parse(header).signature, msign.parse(other).signature
    assert urlsafe_b64decode(text + "==") == urlsafe_b64decode(same + "==")
    assert negotiate(repo, other) == 401


@requirement("AUTH-003", "AUTH-005")
@pytest.mark.parametrize("what", ["method", "host", "path", "query", "body", "no body", "time"])
def test_what_is_signed_cannot_be_changed(repo: Repository, what: str) -> None:
    """Method, host, path, query, body and time are all covered."""
    url = f"{repo.client.connection.url}{repo.path}/negotiate"
    now = int(time.time())
    header = {
        "method": repo.client.sign("PUT", url, BODY),
        "host": repo.client.sign("POST", url, BODY, host="other.example"),
        "path": repo.client.sign("POST", url.replace("negotiate", "merge"), BODY),
        "query": repo.client.sign("POST", url + "?a=1", BODY),
        "body": repo.client.sign("POST", url, BODY + b" "),
        "no body": repo.client.sign("POST", url),
        "time": repo.client.sign("POST", url, BODY, at=now).replace(f"ts={now}", f"ts={now - 1}"),
    }[what]
    assert negotiate(repo, header) == 401
    assert negotiate(repo, signature(repo)) == 200


@requirement("AUTH-003", "AUTH-005")
@pytest.mark.parametrize("what", ["host", "path", "query", "body"])
def test_a_signed_request_cannot_be_altered(repo: Repository, what: str) -> None:
    """A right signature does not hold for a request that was changed on its way."""
    header, target, body = {"authorization": signature(repo)}, f"{repo.path}/negotiate", BODY
    if what == "host":  # which a proxy may refuse in its own way
        answer = repo.client.send("POST", target, body, {**header, "host": "other.example"})
        assert 400 <= answer.status < 500
        return
    target += "?a=1" if what == "query" else ""
    body += b" " if what == "body" else b""
    if what == "path":  # the same route in another spelling, or another route, which comes first
        target = target.replace("negotiate", "%6Eegotiate")
    answer = repo.client.send("POST", target, body, header)
    if (what, answer.status) != ("path", 404):
        check_refusal(answer, 401, "unauthenticated")


@requirement("AUTH-003")
def test_the_port_belongs_to_the_host(repo: Repository) -> None:
    """The host is signed as it was sent, port included."""
    name = repo.client.connection.url.split("://")[1]
    if ":" in name:
        assert negotiate(repo, signature(repo, host=name.rpartition(":")[0])) == 401
    assert negotiate(repo, signature(repo, host=name)) == 200


@requirement("AUTH-003")
@pytest.mark.parametrize("query", ["?branch=feat%2Fx&head={}", "?head={}&branch=a%20b+c"])
def test_the_target_is_signed_as_sent(repo: Repository, query: str) -> None:
    """The target is neither decoded nor put in order: what was sent is what is signed."""
    tip = commit("a")
    target = f"{repo.path}/push/unpack{query.format(tip.id)}"
    answer = repo.client.send("POST", target, repo.pack(tip))
    assert answer.status == 200
    repo.holds(tip)


@requirement("AUTH-004")
def test_no_body_is_an_empty_body(repo: Repository) -> None:
    """A request without a body signs the digest of no bytes."""
    answer = repo.client.send("GET", f"{repo.path}/refs")
    assert answer.status == 200
    url = f"{repo.client.connection.url}{repo.path}/refs"
    header = {"authorization": repo.client.sign("GET", url, b"{}")}
    answer = repo.client.send("GET", f"{repo.path}/refs", headers=header)
    check_refusal(answer, 401, "unauthenticated")


@requirement("AUTH-006")
@pytest.mark.parametrize("seconds", [-3600, -33, 33, 3600, -(10**9), 10**11])
def test_another_time_is_refused(repo: Repository, seconds: int) -> None:
    """A request from outside the window is refused."""
    assert negotiate(repo, signature(repo, at=int(time.time()) + seconds)) == 401


@requirement("AUTH-006")
@pytest.mark.parametrize("seconds", [-28, -5, 5, 28])
def test_a_clock_may_be_a_little_off(repo: Repository, seconds: int) -> None:
    """Inside the window it is accepted, early or late."""
    assert negotiate(repo, signature(repo, at=int(time.time()) + seconds)) == 200


@requirement("AUTH-006")
def test_a_replay_within_the_window_is_accepted(repo: Repository) -> None:
    """The same request twice is right twice."""
    header = signature(repo)
    assert [negotiate(repo, header), negotiate(repo, header)] == [200, 200]


@requirement("AUTH-007")
def test_reasons_are_not_told_apart(repo: Repository, other: Client, owner: Client) -> None:
    """Unknown handle, another's key and a bad signature have one answer."""
    assert owner.identity is not None
    assert other.identity is not None
    target = f"{repo.path}/negotiate"
    seeds = {
        "unknown handle": Identity("nobody-at-all", owner.identity.seed),
        "another key": Identity(owner.identity.handle, other.identity.seed),
    }
    bodies = set()
    for identity in seeds.values():
        answer = Client(owner.connection, identity).send("POST", target, BODY)
        bodies.add(str(check_refusal(answer, 401, "unauthenticated")))
    spoilt = owner.sign("POST", owner.connection.url + target, BODY + b" ")
    answer = owner.send("POST", target, BODY, {"authorization": spoilt})
    bodies.add(str(check_refusal(answer, 401, "unauthenticated")))
    assert len(bodies) == 1


@requirement("AUTH-008")
@pytest.mark.parametrize("how", ["anonymous", "bad"])
def test_a_401_says_what_is_wanted(repo: Repository, anyone: Client, how: str) -> None:
    """Every 401 carries the challenge."""
    headers = {"authorization": "Basic eDp5"} if how == "bad" else {}
    answer = anyone.send("POST", f"{repo.path}/merge", b"{}", headers)
    check_refusal(answer, 401, "unauthenticated")
    assert answer.headers.get("www-authenticate") == 'MSign realm="musehub"'


@requirement("AUTH-009")
@pytest.mark.parametrize("header", ["Basic eDp5", "MSign", "Bearer x", "", 'MSign handle="a"'])
def test_a_bad_authorization_is_never_ignored(
    repo: Repository, anyone: Client, header: str
) -> None:
    """It is 401 also where nobody need sign: refs, records, blobs, negotiation."""
    tip = repo.given(commit("a"))
    ids = [f"commits/{tip.id}", f"snapshots/{tip.snapshot}", f"o/{next(iter(tip.blobs))}"]
    for route in ["refs", *ids]:
        answer = anyone.send("GET", f"{repo.path}/{route}", headers={"authorization": header})
        check_refusal(answer, 401, "unauthenticated")
        assert anyone.send("GET", f"{repo.path}/{route}").status == 200


@requirement("AUTH-002")
def test_leading_zeros_of_the_time_are_not_signed(repo: Repository) -> None:
    """The header may have them; the fifth line is the number."""
    header = signature(repo)
    assert negotiate(repo, header.replace(" ts=", " ts=0")) == 200
