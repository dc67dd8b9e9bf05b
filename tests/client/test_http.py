"""What an answer may look like on the wire, and what none does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from reference.client.http import Answer, Connection

Answered = Callable[..., tuple[Connection, Answer]]
LINE = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def answered() -> Iterator[Callable[..., tuple[Connection, Answer]]]:
    """A connection on which a server says something and closes, and what the client makes of it."""
    with ExitStack() as stack:

        def connect(*pieces: bytes) -> tuple[Connection, Answer]:
            ours, theirs = socket.socketpair()
            ours.settimeout(10)
            connection = stack.enter_context(closing(Connection(ours)))
            connection.request("GET", "/", {"Host": "h"})
            theirs.recv(1000)
            theirs.sendall(b"".join(pieces))
            theirs.close()
            return connection, connection.answer()

        yield connect


@pytest.mark.parametrize(
    ("raw", "body", "free"),
    [
        (LINE + b"Content-Length: 3\r\n\r\nabcGARBAGE", b"abc", True),
        (LINE + b"content-LENGTH:3\nConnection: close\n\nabc", b"abc", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (
            b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + LINE + b"Content-Length: 1\r\n\r\na",
            b"a",
            True,
        ),
        (LINE + b"\r\nall until it closes", b"all until it closes", False),
        (
            LINE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n"
            b"0\r\nTrailer: x\r\n\r\n",
            b"abc0123456789",
            True,
        ),
        (LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n", b"", True),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1 << 16])
def test_a_body_ends_where_it_says(
    answered: Answered, raw: bytes, body: bytes, free: bool, size: int
) -> None:
    """By its length, by its last chunk, or with the connection; then another request may follow."""
    connection, answer = answered(raw)
    found = b""
    while piece := answer.read(size):
        found += piece
    assert (found, answer.status // 100, connection.is_free) == (body, 2, free)
    assert not answer.rest


def test_a_body_that_is_cut_short_is_told(answered: Answered) -> None:
    """What is missing is known, so nobody takes a part for the whole."""
    _, answer = answered(LINE + b"Content-Length: 10\r\n\r\nabc")
    assert (answer.read(100), answer.rest) == (b"abc", 7)
    for raw in (b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\n"):
        _, answer = answered(LINE + b"Transfer-Encoding: chunked\r\n\r\n", raw)
        with pytest.raises(ConnectionError):
            answer.read(100)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 O",
        b"SSH-2.0-x\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        LINE,
        LINE + b"a: b",
        LINE + b"a: b\r\n" * 500,
        LINE + b"a: " + b"b" * 70_000 + b"\r\n\r\n",
        LINE + b"Content-Length: -1\r\n\r\n",
        LINE + b"Content-Length: 1_0\r\n\r\n0123456789",
    ],
)
def test_what_is_no_answer_is_a_lost_connection(answered: Answered, raw: bytes) -> None:
    """Whatever came: the caller gets one kind of error."""
    with pytest.raises(ConnectionError):
        answered(raw)


@pytest.mark.parametrize("size", [b"", b"x", b"-1", b"0x3", b"1" * 20])
def test_a_chunk_has_a_size(answered: Answered, size: bytes) -> None:
    """A number in hexadecimal digits, and nothing else."""
    _, answer = answered(LINE + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabc")
    with pytest.raises(ConnectionError):
        answer.read(100)


def test_a_request_is_one_request() -> None:
    """No target and no header can begin another."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    for target, headers in (("/a b", {}), ("/a\r\n", {}), ("/", {"X": "y\r\nZ: w"})):
        with pytest.raises(ValueError, match=r"target|header"):
            connection.request("GET", target, headers)
    connection.request("GET", "/a?b", {"X": "y"})
    assert theirs.recv(1000) == b"GET /a?b HTTP/1.1\r\nX: y\r\n\r\n"
    for end in (connection, theirs):
        end.close()
