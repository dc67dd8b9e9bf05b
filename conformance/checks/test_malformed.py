"""A generated corpus: each field of each request wrong in every way; never a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from conformance import oracle
from conformance.client import JSON, MSGPACK, Client, NoAnswer
from conformance.expectations import check_refusal, error_of, fail, requirement, unchanged
from conformance.histories import commit
from conformance.repository import Repository
from conformance.world import World

ID = oracle.ABSENT
CALLS: dict[str, dict[str, Any]] = {
    "negotiate": {"want": [ID], "have": [ID]},
    "push/mpack-presign": {"mpack_key": ID, "size_bytes": 7},
    "push/unpack-mpack": {"mpack_key": ID, "branch": "main", "head": ID, "force": False},
    "fetch/presign": {"want": [ID], "have": [], "capabilities": []},
    "fetch/mpack": {"want": [ID], "have": [ID], "capabilities": ["framed"]},
    "merge": {"source": "main", "target": "other"},
    "push/bundle/presign": {"bundle_id": ID, "size_bytes": 7},
    "push/unpack-bundle": {"bundle_id": ID, "branch": "main", "head": ID},
}
TOP: dict[str, dict[str, Any]] = {
    "/api/identities": {"handle": "x", "public_key": "ed25519:" + "A" * 43},
    "/api/repos": {"owner": "x", "name": "x", "visibility": "public", "initialize": False},
}


def nested(levels: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "large": 2**63 - 1,
    "float": 1.5,
    "huge float": 1e308,
    "empty text": "",
    "long text": "x" * 200_000,
    "NUL": "a\0b",
    "newline": ID + "\n",
    "traversal": "../../etc/passwd",
    "emoji": "\U0001f600" * 300,
    "empty list": [],
    "list": [ID, 7, None],
    "long list": [ID] * 3000,
    "list of lists": [[ID]],
    "deep": nested(200),
    "map": {"a": {"b": [1]}},
    "empty map": {},
}
ONLY_MSGPACK: dict[str, Any] = {
    "bytes": b"\xff\0",
    "extension": msgpack.ExtType(5, b"x"),
    "time": msgpack.Timestamp(0),
    "big": 2**64 - 1,
    "map of odd keys": {7: 1, None: 2},
}
RAW_JSON = {
    "surrogate": '"\\ud800"',
    "surrogate in a list": '["\\udfff"]',
    "not UTF-8": '"\udcff"',
    "huge number": "9" * 400,
    "NaN": "NaN",
    "infinity": "-Infinity",
    "exponent": "1e999",
}


def bodies(fields: dict[str, Any], text: str) -> Iterator[tuple[str, str, bytes]]:
    """Every wrong body of one call: what is wrong, its form, its bytes."""
    for name in fields:
        rest = {other: value for other, value in fields.items() if other != name}
        yield f"{name} absent", JSON, json.dumps(rest).encode()
        for what, value in {**WRONG, "text": text}.items():
            bent = {**rest, name: value}
            yield f"{name} {what}", JSON, json.dumps(bent).encode()
            yield f"{name} {what}", MSGPACK, msgpack.packb(bent)
        for what, value in ONLY_MSGPACK.items():
            yield f"{name} {what}", MSGPACK, msgpack.packb({**rest, name: value})
        yield (
            f"{name} not UTF-8",
            MSGPACK,
            msgpack.packb({**rest, name: "X" * 9}).replace(b"X" * 9, b"\xff" * 9),
        )
        for what, text in RAW_JSON.items():
            head = json.dumps(rest)[:-1] + (", " if rest else "")
            body = f"{head}{json.dumps(name)}: {text}}}"
            yield f"{name} {what}", JSON, body.encode("utf-8", "surrogateescape")


def provoke(client: Client, target: str, fields: dict[str, Any], text: str = "text") -> None:
    """Sends the corpus; fails when an answer is a 500, no answer, or an unheard-of refusal."""
    wrong: list[str] = []
    count = 0
    for what, form, body in bodies(fields, text):
        count += 1
        try:
            answer = client.send("POST", target, body, {"content-type": form})
            if answer.status >= 500:
                wrong.append(f"{what} as {form}: {answer}")
            elif answer.status >= 400:
                error_of(answer)
        except NoAnswer as problem:
            wrong.append(f"{what} as {form}: {problem.actual}")
        except AssertionError as problem:
            wrong.append(f"{what} as {form}: {problem}")
    if wrong:
        fail(f"{count} requests answered properly", f"{len(wrong)} not", "; ".join(wrong[:3]))


@requirement("HTTP-014")
@pytest.mark.parametrize("route", list(CALLS))
def test_no_field_is_a_fault(repo: Repository, route: str) -> None:
    """Each field missing, of a wrong type, huge, deep or not UTF-8 ends in a proper answer."""
    repo.given(commit("a"))
    with unchanged(repo):
        provoke(repo.client, f"{repo.path}/{route}", CALLS[route])


@requirement("HTTP-014")
def test_no_field_of_a_registration_is_a_fault(owner: Client, world: World) -> None:
    """The same for POST /api/identities, of which the one legal handle is registered for good."""
    check_refusal(owner.ask("POST", "/api/identities", {}), 422, "missing_field")
    fields, handle = TOP["/api/identities"], f"h-{world.namespace}"
    provoke(Client(owner.connection), "/api/identities", fields, handle)


@requirement("HTTP-014")
def test_no_field_of_a_new_repository_is_a_fault(owner: Client, world: World) -> None:
    """The same for POST /api/repos, as somebody who owns none of them."""
    check_refusal(owner.ask("POST", "/api/repos", {}), 422, "missing_field")
    provoke(owner, "/api/repos", {**TOP["/api/repos"], "owner": f"nobody-{world.token}"})


@requirement("HTTP-014")
@pytest.mark.parametrize("count", [40])
def test_no_noise_is_a_fault(repo: Repository, world: World, count: int) -> None:
    """Random bytes, called JSON, msgpack or a pack, end in proper answers."""
    dice = world.dice
    tip = repo.given(commit("a"))
    sound = repo.pack(commit("b"))
    wrong: list[str] = []
    for _ in range(count):
        noise = bytearray(sound if dice.random() < 0.5 else dice.randbytes(dice.randrange(300)))
        for _ in range(dice.randrange(4)):
            if noise:
                noise[dice.randrange(len(noise))] = dice.randrange(256)
        route = dice.choice([f"push/unpack?branch=x&head={tip.id}", "negotiate", "merge"])
        headers = {"content-type": dice.choice([JSON, MSGPACK])}
        answer = repo.client.send("POST", f"{repo.path}/{route}", bytes(noise), headers)
        if answer.status >= 500:
            wrong.append(f"{bytes(noise)[:80].hex()} to {route[:12]}: {answer}")
    if wrong:
        fail("no 500", f"{len(wrong)} of {count}", wrong[0])
