"""What may be sent where, and what an answer that is none comes to."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from reference import keys
from reference.client import transport
from reference.client.address import Origin, split, split_repository
from reference.client.remote import Remote
from reference.keys import Identity
from reference.wire.errors import ProtocolError

from .meddler import Forward, Meddler, Reply, Seen, answer
from .workspace import Workspace


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every host is on the network, and none may be connected to."""

    def refuse(*_: object) -> None:
        raise AssertionError("nothing may be sent there")

    monkeypatch.setattr(Origin, "addresses", lambda self: ["192.0.2.1"])
    monkeypatch.setattr(socket, "socket", refuse)


@pytest.mark.requirement("AUTH-019")
def test_no_signature_over_plain_http(elsewhere: None, alice: Identity) -> None:
    """A write to another machine over http is refused before a connection is made."""
    remote = Remote("http://hub.example/alice/demo", keys.load)
    with pytest.raises(ProtocolError) as refused:
        remote.write("push/mpack-presign", {})
    assert refused.value.requirement == "AUTH-019"
    assert "--insecure" in refused.value.detail


@pytest.mark.requirement("AUTH-019")
@pytest.mark.parametrize("url", ["https://hub.example/alice/demo", "http://hub.example/alice/demo"])
def test_signature_goes_out_over_https_or_when_told(
    elsewhere: None, alice: Identity, url: str
) -> None:
    """The same write over https, or with --insecure, gets as far as connecting."""
    remote = Remote(url, keys.load, insecure=url.startswith("http:"))
    with pytest.raises(AssertionError, match="nothing may be sent"):
        remote.write("push/mpack-presign", {})


@pytest.mark.requirement("AUTH-019")
@pytest.mark.usefixtures("by_upload")
def test_link_is_not_followed_into_the_open(remote: Remote, hub: Meddler, work: Workspace) -> None:
    """A signed request's upload link to plain http on another machine is not used."""
    work.commit(a="1")

    def elsewhere(seen: Seen, forward: Forward) -> Reply:
        status, headers, body = forward()
        host = hub.url.partition("//")[2].encode()
        return status, headers, body.replace(b"http://" + host, b"http://storage.example")

    hub.first("mpack-presign", elsewhere)
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert refused.value.requirement == "AUTH-019"
    assert "PUT" not in hub.steps()


@pytest.mark.requirement("AUTH-018")
@pytest.mark.usefixtures("by_upload")
@pytest.mark.parametrize(
    ("step", "status"),
    [
        *(("refs", status) for status in (301, 302, 303, 307, 308)),
        *((step, 307) for step in ("mpack-presign", "PUT", "unpack-mpack")),
    ],
)
def test_redirect_is_not_followed(
    remote: Remote, hub: Meddler, work: Workspace, step: str, status: int
) -> None:
    """Whatever the status, nothing is sent to where a redirect leads."""
    work.commit(a="1")
    hub.first(step, answer(status, b"", Location=f"{hub.url}/trap"))
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert "redirect" in refused.value.detail
    assert hub.steps().count(step) == 1
    assert "trap" not in hub.steps()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 500, 507])
def test_refusal_is_not_repeated(remote: Remote, hub: Meddler, status: int) -> None:
    """Only 502, 503 and 504 are worth another attempt."""
    hub.every("negotiate", answer(status, b"plain words"))
    with pytest.raises(ProtocolError) as refused:
        remote.write("negotiate", {"want": []})
    assert len(hub.seen) == 1
    assert refused.value.extra == {"remote": True, "status": status}
    assert "plain words" in refused.value.detail


@pytest.mark.parametrize("status", [502, 503, 504])
def test_busy_server_is_asked_again(remote: Remote, hub: Meddler, status: int) -> None:
    """A gateway's trouble passes."""
    hub.first("refs", answer(status, b""))
    assert remote.refs().heads == {}
    assert hub.steps() == ["refs", "refs"]


@pytest.mark.requirement("HTTP-009", "HTTP-010")
def test_error_keeps_its_code_and_requirement(remote: Remote, hub: Meddler) -> None:
    """What the server says comes out as the same error, here one of the server's own."""
    with pytest.raises(ProtocolError) as refused:
        remote.read("fetch/mpack", {"want": []})
    assert (refused.value.code, refused.value.extra["status"]) == ("malformed", 422)
    hub.first("negotiate", answer(409, b'{"error": {"code": "ref_moved", "detail": "x"}}'))
    with pytest.raises(ProtocolError) as moved:
        remote.read("negotiate", {})
    assert moved.value.code == "ref_moved"


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b'{"error": 1}',
        b'{"error": {"code": [], "detail": {}}}',
        b"[" * 100_000,
        b'{"error": {"code": "x", "detail": "a\\u001b[31m\\nb"}}',
    ],
    ids=["bytes", "number", "wrong types", "deep", "escapes"],
)
def test_strange_refusals_are_one_clean_line(remote: Remote, hub: Meddler, body: bytes) -> None:
    """No answer, however odd, breaks the client or a person's terminal."""
    hub.first("negotiate", answer(422, body))
    with pytest.raises(ProtocolError) as refused:
        remote.read("negotiate", {})
    assert refused.value.detail.isprintable()
    assert len(refused.value.detail) < 300


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens, the error says so after a few attempts and names no path."""
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        with pytest.raises(ProtocolError) as refused:
            Remote(f"http://127.0.0.1:{port}/secret/demo").refs()
    assert refused.value.extra == {"remote": True}
    assert "cannot be reached: Connection refused" in refused.value.detail
    assert "secret" not in refused.value.detail
    assert len(pauses) == transport.ATTEMPTS - 1
    assert pauses[-1] > pauses[0]


def test_private_repository_is_asked_for_again_with_a_signature(
    connect: Callable[..., Remote], hub: Meddler, alice: Identity
) -> None:
    """A 404 that a signature may lift is asked about once more, signed; then all are."""
    owner = connect("hidden")
    owner.create()
    fields = {"owner": alice.handle, "name": "secret", "visibility": "private"}
    owner.call("POST", "/api/repos", fields)
    private = connect("secret")
    hub.seen.clear()
    assert private.refs().heads == {}
    assert private.refs().heads == {}
    assert ["Authorization" in seen.headers for seen in hub.seen] == [False, True, True]
    with closing(Remote(private.url)) as stranger, pytest.raises(ProtocolError) as refused:
        stranger.refs()
    assert refused.value.code == "unknown_repo"


def test_create_is_idempotent(remote: Remote, hub: Meddler) -> None:
    """A repository that is there, and a key that is known, are no errors."""
    remote.create()
    hub.first("identities", answer(405, b""))
    remote.create()
    assert remote.refs().heads == {}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/a/b",
        "http://h",
        "http://h/a",
        "http://h/a/b/c",
        "http://h/a/b?c",
        "http://u:p@h/a/b",
        "http://h:x/a/b",
        "http:///a/b",
        "a/b",
        "http://h/a/b c",
        "http://h/a/é",
        "http://[h/a/b",
    ],
)
def test_bad_urls(url: str) -> None:
    """What is no http(s)://host/owner/slug is `invalid`."""
    with pytest.raises(ProtocolError) as refused:
        split_repository(url)
    assert refused.value.code == "invalid"


def test_authority_is_the_host_header() -> None:
    """Default ports are left out, addresses of version 6 are bracketed."""
    assert split("http://Hub.example:80/a?b=c")[0].authority == "hub.example"
    assert split("http://Hub.example:80/a?b=c")[1] == "/a?b=c"
    assert split("https://[::1]:8443/")[0].authority == "[::1]:8443"
    assert split_repository("http://h:1/a/b/") == (Origin("http", "h", 1), "a", "b")


@pytest.mark.requirement("AUTH-019")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_loopback(host: str) -> None:
    """What stays on this machine."""
    assert split(f"http://{host}:80/")[0].stays_here


@pytest.mark.requirement("AUTH-019")
@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "12.7.0.0", "[::2]", "0.0.0.0", "127.0.0.1.example", "localhost.example", "a"],
)
def test_not_loopback(host: str) -> None:
    """What may leave it, whatever its name resolves to just now."""
    assert not split(f"http://{host}/")[0].stays_here


def test_untrusted_certificate_is_refused_at_once(
    alice: Identity, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose certificate nobody vouches for gets no request, and no second chance."""

    certificate = f"{tmp_path}/cert.pem"
    _self_signed(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    accepted: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            accepted.append(connection)
            with connection, pytest.raises((ssl.SSLError, OSError)):
                context.wrap_socket(connection, server_side=True).recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        with pytest.raises(ProtocolError) as refused:
            Remote(f"https://127.0.0.1:{port}/a/b", keys.load).refs()
        thread.join(10)
    assert "CERTIFICATE_VERIFY_FAILED" in refused.value.detail
    assert len(accepted) == 1


def _self_signed(path: str) -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, None)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(private + made.public_bytes(serialization.Encoding.PEM))
