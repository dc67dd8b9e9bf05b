"""Bodies: JSON and msgpack, both ways, and what is no body."""

from __future__ import annotations

import json
import re
from typing import Any

import msgpack
import pytest

from conformance import oracle
from conformance.client import JSON, MSGPACK, Client
from conformance.expectations import check_refusal, fail, requirement
from conformance.histories import commit
from conformance.repository import Repository

FORMS = [JSON, MSGPACK]


def named(body: bytes) -> str:
    """The start of a body, as a check's name can hold it."""
    return re.sub(r"[^!-~]|\\", ".", body[:24].decode("latin-1"))


@requirement("HTTP-001")
@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (MSGPACK, MSGPACK),
        (f"{MSGPACK}; charset=binary", MSGPACK),
        (MSGPACK.upper(), MSGPACK),
        (JSON, JSON),
        ("text/plain", JSON),
        ("application/octet-stream", JSON),
        (None, JSON),
    ],
)
def test_content_type_describes_the_request(repo: Repository, kind: str | None, form: str) -> None:
    """Only application/x-msgpack makes a body msgpack; any other type, or none, is JSON."""
    value = {"want": [oracle.ABSENT], "have": []}
    body = msgpack.packb(value) if form == MSGPACK else json.dumps(value).encode()
    headers = {"content-type": kind} if kind else {}
    answer = repo.client.send("POST", f"{repo.path}/negotiate", body, headers)
    assert (answer.status, answer.fields["ack"]) == (200, [])


@requirement("HTTP-001", "HTTP-004")
def test_the_wrong_kind_of_body_does_not_parse(repo: Repository) -> None:
    """JSON called msgpack, and msgpack called JSON, are malformed."""
    value = {"want": [oracle.ABSENT]}
    wrong = [(MSGPACK, json.dumps(value).encode()), (JSON, msgpack.packb(value))]
    for kind, body in wrong:
        answer = repo.client.send("POST", f"{repo.path}/negotiate", body, {"content-type": kind})
        check_refusal(answer, 422, "malformed")


@requirement("HTTP-002")
@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (MSGPACK, MSGPACK),
        (f"text/html, {MSGPACK};q=0.5", MSGPACK),
        (f"{MSGPACK};q=0, */*", JSON),
        (f"{JSON}, {MSGPACK};q=0", JSON),
        ("*/*", JSON),
        ("text/html", JSON),
        (JSON, JSON),
        ("", JSON),
    ],
)
@pytest.mark.parametrize("sent", FORMS)
def test_accept_alone_chooses_the_answer(
    repo: Repository, accept: str, form: str, sent: str
) -> None:
    """An answer is msgpack when Accept names it, JSON otherwise, whatever the request was."""
    answer = repo.ask("POST", "negotiate", {"want": []}, form=sent, accept=accept)
    kind = answer.headers.get("content-type", "").split(";")[0]
    assert (answer.status, kind) == (200, form)
    assert answer.fields["ack"] == []


@requirement("HTTP-002", "HTTP-009")
@pytest.mark.parametrize("accept", FORMS)
def test_errors_follow_accept_too(repo: Repository, accept: str) -> None:
    """A refusal is in the form that was asked for."""
    answer = repo.ask("GET", f"commits/{oracle.ABSENT}", accept=accept)
    check_refusal(answer, 404, "unknown_commit")
    assert answer.headers["content-type"].split(";")[0] == accept


@requirement("HTTP-003")
def test_both_forms_give_the_same_values(repo: Repository) -> None:
    """Refs, records and negotiation say the same in JSON and in msgpack."""
    tip = repo.given(commit("a", unheard_of={"a": [1, 1.5, None, "\U0001f600"]}))
    calls: list[tuple[str, str, Any]] = [
        ("GET", "refs", None),
        ("GET", f"commits/{tip.id}", None),
        ("GET", f"snapshots/{tip.snapshot}", None),
        ("POST", "negotiate", {"want": [tip.id], "have": [tip.id]}),
    ]
    for method, route, value in calls:
        one = repo.ask(method, route, value, form=JSON, accept=JSON).fields
        two = repo.ask(method, route, value, form=MSGPACK, accept=MSGPACK).fields
        assert one == two


@requirement("HTTP-004", "HTTP-014")
@pytest.mark.parametrize("route", ["negotiate", "fetch/mpack", "push/mpack-presign", "merge"])
@pytest.mark.parametrize(
    ("form", "body"),
    [
        (JSON, b""),
        (JSON, b"{"),
        (JSON, b"nonsense"),
        (JSON, b"[]"),
        (JSON, b"7"),
        (JSON, b"null"),
        (JSON, b'{"want": [], "want": []}'),
        (JSON, b'{"want": "\xff\xfe"}'),
        (JSON, b'\xff\xfe{\0"\0'),
        (JSON, b"[" * 100_000),
        (JSON, b'{"a":' * 50_000),
        (JSON, b'{"want": []} {}'),
        (JSON, b'{"want": [], "x": NaN}'),
        (JSON, b'{"want": [], "x": [-Infinity]}'),
        (JSON, b'{"want": [], "x": {"a": 1, "a": 2}}'),
        (JSON, '{"want": []}'.encode("utf-8-sig")),
        (JSON, '{"want": []}'.encode("utf-16")),
        (MSGPACK, b""),
        (MSGPACK, b"\xc1"),
        (MSGPACK, b"\x90"),
        (MSGPACK, b"\xc0"),
        (MSGPACK, b"\x82\xa4want\x90\xa4want\x90"),
        (MSGPACK, b"\x81\xa4want\x90\0"),
        (MSGPACK, b"\x81\xa1\xff\x90"),
        (MSGPACK, b"\x82\xa4want\x90\xa1x\x81\x01\x02"),
        (MSGPACK, b"\x91" * 100_000),
        (MSGPACK, b"\xdf\xff\xff\xff\xff"),
        (MSGPACK, b"\xdd\xff\xff\xff\xff"),
        (MSGPACK, b"\xc6\xff\xff\xff\xff"),
    ],
    ids=lambda value: named(value) if isinstance(value, bytes) else "",
)
def test_a_body_that_does_not_parse_is_malformed(
    repo: Repository, route: str, form: str, body: bytes
) -> None:
    """Empty, cut, doubled, deep, not UTF-8, or no map: 422, and never 400, 415 or 500."""
    answer = repo.client.send("POST", f"{repo.path}/{route}", body, {"content-type": form})
    check_refusal(answer, 422, "malformed")


REQUIRED: dict[str, dict[str, Any]] = {
    "negotiate": {"want": []},
    "push/mpack-presign": {"mpack_key": oracle.ABSENT},
    "push/unpack-mpack": {"mpack_key": oracle.ABSENT, "branch": "main", "head": oracle.ABSENT},
    "fetch/mpack": {"want": [oracle.ABSENT]},
    "fetch/presign": {"want": [oracle.ABSENT]},
    "merge": {"source": "a", "target": "b"},
}


@requirement("HTTP-005", "BP7")
@pytest.mark.parametrize("route", list(REQUIRED))
@pytest.mark.parametrize("how", ["absent", "null"])
def test_missing_fields_are_named(repo: Repository, route: str, how: str) -> None:
    """A required field that is absent or null is refused, and all that are missing are listed."""
    fields = REQUIRED[route]
    groups = [[name] for name in fields] + [list(fields)]
    for group in groups:
        value = {name: given for name, given in fields.items() if name not in group}
        value |= dict.fromkeys(group) if how == "null" else {}
        error = check_refusal(repo.ask("POST", route, value), 422, "missing_field")
        if sorted(error.get("fields", ())) != sorted(group):
            fail(f"error.fields {sorted(group)}", repr(error.get("fields")))


@requirement("HTTP-005")
@pytest.mark.parametrize("missing", ["owner", "name"])
def test_missing_fields_of_a_new_repository_are_named(owner: Client, missing: str) -> None:
    """The same holds where no repository is named."""
    assert owner.identity is not None
    value = {"owner": owner.identity.handle, "name": "x"}
    del value[missing]
    error = check_refusal(owner.ask("POST", "/api/repos", value), 422, "missing_field")
    assert list(error.get("fields", ())) == [missing]


@requirement("HTTP-006")
@pytest.mark.parametrize("route", list(REQUIRED))
def test_fields_have_their_types(repo: Repository, route: str) -> None:
    """A wrong type is malformed, a wrong id invalid_id, a wrong branch invalid_branch."""
    for name, sound in REQUIRED[route].items():
        wrong: list[Any] = [7, 1.5, True, {"a": 1}]
        wrong += ["text", [7], [None]] if isinstance(sound, list) else [[sound]]
        for value in wrong:
            answer = repo.ask("POST", route, {**REQUIRED[route], name: value})
            check_refusal(answer, 422, "malformed", "invalid_id", "invalid_branch")


@requirement("HTTP-006")
def test_optional_fields_may_be_null_and_unknown_ones_are_ignored(repo: Repository) -> None:
    """Null counts as absent where a field is optional; what nobody knows does no harm."""
    tip = commit("a")
    raw = repo.pack(tip)
    key = {"mpack_key": oracle.digest(raw), "size_bytes": None, "unheard_of": {"a": [1]}}
    url = repo.call("POST", "push/mpack-presign", key)["upload_url"]
    repo.put(url, raw)
    value = {"mpack_key": key["mpack_key"], "branch": "main", "head": tip.id}
    repo.call("POST", "push/unpack-mpack", {**value, "force": None, "unheard_of": 1})
    assert repo.call("POST", "negotiate", {"want": [], "have": None, "x": 1})["ack"] == []
    fetch = {"want": [tip.id], "have": None, "capabilities": None, "unheard_of": 1}
    assert repo.call("POST", "fetch/mpack", fetch)["commit_count"] == 1


@requirement("HTTP-006")
@pytest.mark.parametrize(
    ("route", "field"),
    [
        ("negotiate", "have"),
        ("fetch/mpack", "have"),
        ("fetch/mpack", "capabilities"),
        ("push/mpack-presign", "size_bytes"),
        ("push/unpack-mpack", "force"),
    ],
)
def test_optional_fields_have_their_types(repo: Repository, route: str, field: str) -> None:
    """An optional field of a wrong type is malformed."""
    wrong: list[Any] = ["text", {"a": 1}, [{}]] + ([] if field == "size_bytes" else [7])
    for value in wrong:
        answer = repo.ask("POST", route, {**REQUIRED[route], field: value})
        check_refusal(answer, 422, "malformed", "invalid_id")


@requirement("HTTP-008")
def test_large_bodies_are_accepted(repo: Repository) -> None:
    """A body just below 8 MiB is no reason to refuse a call."""
    tip = repo.given(commit("a"))
    have = [oracle.digest(str(number).encode()) for number in range(100_000)]
    value = {"want": [tip.id], "have": [*have, tip.id], "unheard_of": "x" * 500_000}
    body = json.dumps(value, separators=(",", ":")).encode()
    body += b" " * ((8 << 20) - len(body))
    answer = repo.client.send("POST", f"{repo.path}/negotiate", body, {"content-type": JSON})
    assert (answer.status, answer.fields["ack"]) == (200, [tip.id])
