"""Uploads: presigned, hashed, and of no consequence once they were verified."""

from __future__ import annotations

import select
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from conformance import oracle
from conformance.checks.conftest import NewRepository
from conformance.expectations import check_refusal, fail, refused, requirement, unchanged
from conformance.histories import commit
from conformance.outcomes import CouldNotRun, NotApplicable
from conformance.repository import OCTETS, Repository
from conformance.world import World

PATIENCE = 10.0
ROOM = 64 << 20
SMALL = "needs [limits] pack_bytes of 64 MiB at most, to send more than it"


@requirement("PUSH-001", "ID-005", "DP5")
def test_presign_put_unpack(repo: Repository) -> None:
    """An absolute URL takes the bytes without Authorization, and unpack finds them."""
    tip = commit("a")
    raw = repo.pack(tip)
    value: dict[str, Any] = {"mpack_key": oracle.digest(raw), "size_bytes": len(raw)}
    answer = repo.call("POST", "push/mpack-presign", value)
    assert answer["mpack_key"] == oracle.digest(raw)
    if not str(answer["upload_url"]).startswith(("http://", "https://")):
        fail("an absolute URL", str(answer["upload_url"])[:40])
    repo.put(answer["upload_url"], raw)
    done = repo.unpack(value["mpack_key"], tip.id)
    assert (done["ok"], repo.heads()) == (True, {"main": tip.id})


@requirement("PUSH-002")
def test_a_size_beyond_the_limit_is_refused_at_once(repo: Repository) -> None:
    """Above pack_bytes presign is 413; at the limit, and without a size, it passes."""
    limit = repo.limit("pack_bytes")
    value = {"mpack_key": oracle.ABSENT}
    answer = repo.ask("POST", "push/mpack-presign", value | {"size_bytes": limit + 1})
    check_refusal(answer, 413, "too_large")
    for size in ({"size_bytes": limit}, {"size_bytes": 0}, {}):
        repo.call("POST", "push/mpack-presign", value | size)


@requirement("PUSH-002")
def test_a_wrong_size_is_only_a_hint(repo: Repository) -> None:
    """The digest decides, whatever size was named."""
    tip = commit("a")
    raw = repo.pack(tip)
    value: dict[str, Any] = {"mpack_key": oracle.digest(raw), "size_bytes": len(raw) + 99}
    repo.put(repo.call("POST", "push/mpack-presign", value)["upload_url"], raw)
    repo.unpack(value["mpack_key"], tip.id)


@requirement("PUSH-004", "BP6")
@pytest.mark.parametrize("presigned", [False, True], ids=["never asked", "presigned only"])
def test_a_key_that_was_not_uploaded_is_named(repo: Repository, presigned: bool) -> None:
    """Unpacking it is 404, with the key in the error."""
    tip = commit("a")
    key = oracle.digest(repo.pack(tip))
    if presigned:
        repo.presign(repo.pack(tip))
    with unchanged(repo), refused(404, "upload_missing") as errors:
        repo.unpack(key, tip.id)
    assert errors[0].get("mpack_key") == key
    repo.push(tip)


@requirement("PUSH-004", "AUTH-013")
def test_another_repositorys_pack_is_not_found_by_its_key(new_repo: NewRepository) -> None:
    """A key gives nobody the pack that somebody else pushed."""
    elsewhere, here = new_repo(visibility="private"), new_repo()
    tip = commit("a")
    raw = elsewhere.pack(tip)
    elsewhere.push(tip)
    with unchanged(here, tip), refused(404, "upload_missing"):
        here.unpack(oracle.digest(raw), tip.id)
    here.push(tip)


@requirement("PUSH-005", "ID-005", "BP1")
@pytest.mark.parametrize("how", ["other bytes", "cut", "longer", "empty"])
def test_bytes_that_are_not_the_key_are_refused(repo: Repository, how: str) -> None:
    """The upload is hashed; a mismatch names both keys."""
    tip = commit("a")
    raw = repo.pack(tip)
    wrong = {
        "other bytes": repo.pack(commit("b")),
        "cut": raw[:-1],
        "longer": raw + b"\0",
        "empty": b"",
    }[how]
    repo.put(repo.presign(raw), wrong)
    with unchanged(repo, tip), refused(422, "digest_mismatch") as errors:
        repo.unpack(oracle.digest(raw), tip.id)
    named = {name: errors[0].get(name) for name in ("expected", "actual")}
    assert named == {"expected": oracle.digest(raw), "actual": oracle.digest(wrong)}
    repo.push(tip)


@requirement("PUSH-006", "ID-015")
def test_what_is_put_after_acceptance_changes_nothing(repo: Repository) -> None:
    """An upload URL stays good for a while; what it takes then is never served."""
    tip = commit("a")
    raw = repo.pack(tip)
    url = repo.presign(raw)
    repo.put(url, raw)
    repo.unpack(oracle.digest(raw), tip.id)
    evil = raw.replace(next(iter(tip.blobs.values())), b"!" * len(next(iter(tip.blobs.values()))))
    assert evil != raw
    again = repo.client.send("PUT", url, evil, {"content-type": OCTETS}, signed=False)
    if again.status >= 500:
        fail("an answer below 500", str(again))
    repo.holds(tip)
    fetched = repo.fetch(tip)
    assert fetched.pack.blobs == tip.blobs
    repo.unpack(oracle.digest(raw), tip.id)
    repo.holds(tip)


def too_long_a_push(repo: Repository, length: int) -> bytes | None:
    """The first line of the answer to so long a body, empty where the server hangs up.

    None where it says nothing, to all of the body if it is one of `ROOM` at most.
    """
    parts = urlsplit(repo.client.connection.url)
    if parts.scheme != "http":
        raise CouldNotRun("needs a subject that is spoken to over plain http")
    target = f"{repo.path}/push/unpack?branch=main&head={oracle.ABSENT}"
    body = bytes(length if length <= ROOM + 1 else 4 << 20)
    header = repo.client.sign("POST", repo.client.connection.url + target, body)
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: {header}",
        f"Content-Length: {length}",
        "Connection: close",
        "\r\n",
    ]
    address = (parts.hostname or "", parts.port or 80)
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall("\r\n".join(lines).encode())
        try:
            for start in range(0, len(body), 1 << 16):
                if select.select([connection], [], [], 0)[0]:
                    break  # it has answered
                connection.sendall(body[start : start + (1 << 16)])
        except OSError:
            pass  # a server may hang up on what it will not read, or just not read it
        try:
            return connection.recv(4096).partition(b"\r\n")[0]
        except TimeoutError:
            return None
        except OSError:
            return b""


@requirement("PUSH-022", "MPACK-042")
def test_a_body_beyond_the_limit_is_refused(repo: Repository) -> None:
    """A pack that announces more than pack_bytes is refused, and the server stays usable."""
    limit = repo.limit("pack_bytes")
    first = too_long_a_push(repo, limit + 1)
    if first is None and limit > ROOM:  # it may count what comes, rather than trust a header
        raise CouldNotRun(SMALL)
    if first is None or (first and b" 413 " not in first):
        fail("413, or the connection closed", "nothing" if first is None else str(first))
    repo.push(commit("a"))


@requirement("MPACK-042", "MPACK-037", "PUSH-022")
def test_a_pack_beyond_the_limit_is_too_large(repo: Repository, world: World) -> None:
    """A whole sound pack of one byte too many is 413, where the limit is small enough to try."""
    limit = world.subject.limits.get("pack_bytes") or repo.limit("pack_bytes")
    if repo.limit("raw_bytes") < limit:
        raise NotApplicable("raw_bytes is below pack_bytes: no pack of that size could be sound")
    if limit > ROOM:
        raise CouldNotRun(SMALL)
    least = 1 << 16  # from here on a length takes as many bytes as that of the limit
    over = len(repo.pack(commit("a", files={"a": bytes(least)}))) - least
    tip = commit("a", files={"a": world.dice.randbytes(limit - over + 1)})
    with unchanged(repo, tip), refused(413, "too_large"):
        repo.push_body(repo.pack(tip), tip.id)
    tip = commit("a", files={"a": world.dice.randbytes(limit - over)})
    assert len(repo.pack(tip)) == limit
    repo.push_body(repo.pack(tip), tip.id)
