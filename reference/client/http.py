"""HTTP/1.1 on one socket, one exchange after another: as much of it as calls and packs need.

The standard library's client would take longer to import than all that a small push does.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

LINE_BYTES = 64 * 1024
HEADERS = 200
_BUFFER_BYTES = 1 << 16
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?\r?\n")


class Answer:
    """A status, headers by their names in lower case, and a body to be read to its end."""

    def __init__(
        self, connection: Connection, status: int, headers: Mapping[str, str], stays: bool
    ) -> None:
        self.status = status
        self.headers = headers
        self._stays = stays
        self._connection = connection
        self._chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
        size = headers.get("content-length")
        self.rest: int | None = None
        """How many bytes are still to come, where that is known."""
        if status in (204, 304):
            self._chunked, self.rest = False, 0
        elif self._chunked:
            self.rest = 0  # of the chunk before the first
        elif size is not None:
            if not (size.isascii() and size.isdigit()):
                raise ConnectionError("the answer has no length that is one")
            self.rest = int(size)
        self._ended = False
        if self.rest == 0 and not self._chunked:
            self._end()

    def read(self, count: int) -> bytes:
        """The next `count` bytes of the body; fewer only where it ends or is cut short."""
        found = bytearray()
        while len(found) < count and not self._ended:
            if self._chunked and not self.rest and not self._next_chunk():
                break
            wanted = count - len(found)
            piece = self._connection.take(wanted if self.rest is None else min(wanted, self.rest))
            if not piece:
                self._ended = True
                if self._chunked:
                    raise ConnectionError("the answer was cut short")
                break
            found += piece
            if self.rest is not None:
                self.rest -= len(piece)
                if not self.rest and not self._chunked:
                    self._end()
        return bytes(found)

    def _next_chunk(self) -> bool:
        size = self._connection.line().partition(b";")[0].strip()
        if not size:  # the line end behind the chunk before
            size = self._connection.line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}", size):
            raise ConnectionError("the answer is not what HTTP calls chunked")
        self.rest = int(size, 16)
        if not self.rest:
            while self._connection.line().strip():
                continue
            self._end()
        return self.rest > 0

    def _end(self) -> None:
        self._ended = True
        self._connection.is_free = self._stays


class Connection:
    """A socket and where it stands; what fails on it is ConnectionError or TimeoutError."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", _BUFFER_BYTES)
        self.is_free = True
        """Whether another request may follow: the last answer was read, and did not say close."""

    def close(self) -> None:
        """Closes the socket."""
        self._file.close()
        self._sock.close()

    def request(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Sends the head of a request."""
        if not (target.isascii() and target.isprintable()) or " " in target:
            raise ValueError("a request's target is printable")
        lines = [f"{method} {target} HTTP/1.1", *map(": ".join, headers.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header is one line")
        self.is_free = False
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send(self, data: bytes) -> None:
        """Sends a part of the body."""
        with _of_the_network():
            self._sock.sendall(data)

    def answer(self) -> Answer:
        """The answer's head, once it is there."""
        while True:
            found = _STATUS.fullmatch(self.line())
            if found is None:
                raise ConnectionError("what answers does not speak HTTP")
            headers = self._headers()
            status = int(found[2])
            if status >= 200:
                break
        says = headers.get("connection", "").lower()
        stays = says != "close" if found[1] == b"1" else says == "keep-alive"
        return Answer(self, status, headers, stays)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(HEADERS):
            line = self.line().decode("latin-1").rstrip("\r\n")
            if not line:
                return headers
            name, colon, value = line.partition(":")
            if colon:
                headers.setdefault(name.strip().lower(), value.strip())
        raise ConnectionError("the answer has more headers than anybody needs")

    def line(self) -> bytes:
        """A line with its end."""
        with _of_the_network():
            line = self._file.readline(LINE_BYTES)
        if not line.endswith(b"\n"):
            raise ConnectionError("the answer was cut short")
        return line

    def take(self, count: int) -> bytes:
        """Between one and `count` bytes of a body; none where the connection ends."""
        with _of_the_network():
            data: bytes = self._file.read(count)
        return data


@contextmanager
def _of_the_network() -> Iterator[None]:
    """As against errors of the disk that a pack is read from: TLS has some of its own."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as problem:
        raise ConnectionError(problem.strerror or str(problem)) from problem
