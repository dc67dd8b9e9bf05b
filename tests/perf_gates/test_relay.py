"""The relay passes bytes on as they are and counts them."""

import socket
import threading
from collections import Counter

import pytest

from perf_gates.relay import http_requests, postgres_messages, relaying


def test_bytes_are_counted_each_way() -> None:
    """What comes out is what went in."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            far, _ = server.accept()
            with far:
                received = b""
                while data := far.recv(100):
                    received += data
                far.sendall(received[::-1] * 2)

        thread = threading.Thread(target=answer)
        thread.start()
        with relaying(server.getsockname()) as relay:
            with socket.create_connection(("127.0.0.1", relay.port), 10) as near:
                near.sendall(b"x" * 999 + b"y")
                near.shutdown(socket.SHUT_WR)
                received = b""
                while data := near.recv(4096):
                    received += data
            thread.join()
            relay.finish()
            assert received == (b"y" + b"x" * 999) * 2
            counts = relay.take()
            assert (counts["up"], counts["down"], counts["connections"]) == (1000, 2000, 1)
            assert not relay.take()


def test_a_closed_relay_waits_for_nobody() -> None:
    """A thread that went on accepting would take the connections of the next relay."""
    before = threading.active_count()
    with relaying(("127.0.0.1", 1)) as relay:
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", relay.port), 10)


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One message of PostgreSQL's protocol."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_statements_are_counted_however_they_are_cut(size: int) -> None:
    """A simple query and an executed one are statements; the wait after each is a round trip."""
    start = message(b"", b"\0\3\0\0user\0me\0\0")
    query = message(b"Q", b"COPY commits FROM STDIN\0")
    execute = message(b"B", b"Q" * 50) + message(b"E", b"\0\0\0\0\0") + message(b"S")
    sent = start + query + message(b"d", b"EEEQQQ") + message(b"c") + execute * 2
    counts: Counter[str] = Counter()
    see = postgres_messages(counts)
    for at in range(0, len(sent), size):
        see(sent[at : at + size])
    assert (counts["statements"], counts["round trips"]) == (3, 3)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_requests_are_counted_by_method(size: int) -> None:
    """Bodies are skipped, even those that look like requests; a copying PUT is a COPY."""
    body = b"GET / HTTP/1.1\r\n\r\n"
    put = b"PUT /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    copy = b"PUT /b HTTP/1.1\r\nX-Amz-Copy-Source: /a\r\nContent-Length: 0\r\n\r\n"
    sent = put + copy + b"GET /b HTTP/1.1\r\nRange: bytes=0-1\r\n\r\n" * 2
    counts: Counter[str] = Counter()
    see = http_requests(counts)
    for at in range(0, len(sent), size):
        see(sent[at : at + size])
    assert counts == {"PUT": 1, "COPY": 1, "GET": 2, "requests": 4}
