"""A relay on loopback that counts what passes: bytes, PostgreSQL's messages, HTTP requests."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Address = tuple[str, int] | str
"""A host and port, or the path of a Unix socket."""
Observer = Callable[[bytes], None]
CHUNK = 1 << 18


class Relay:
    """Passes connections on to `upstream`; `counts` has `up` and `down` bytes and more."""

    def __init__(
        self, upstream: Address, observe: Callable[[Counter[str]], Observer] | None = None
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._upstream = upstream
        self._observe = observe
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._is_open = True
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def take(self) -> Counter[str]:
        """The counts so far; counting starts again."""
        with self._lock:
            taken = Counter(self.counts)
            self.counts.clear()
        return taken

    def finish(self) -> None:
        """Returns once all connections have ended."""
        while self._threads:
            self._threads.pop().join()

    def close(self) -> None:
        """Accepts nothing more.

        The listener is closed once nobody waits on it: its number may be the next relay's, and who
        still waited would take that one's connections.
        """
        self._is_open = False
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._accepting.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if not self._is_open:
                near.close()
                return
            thread = threading.Thread(target=self._serve, args=(near,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, near: socket.socket) -> None:
        """One connection, until both sides have said all they had to say."""
        with near:
            try:
                far = _connect(self._upstream)
            except OSError:
                return  # nobody there: the client sees its connection closed
            with far:
                with self._lock:
                    self.counts["connections"] += 1
                seen = self._observe(self.counts) if self._observe else None
                back = threading.Thread(target=self._pass, args=(far, near, "down", None))
                back.start()
                self._pass(near, far, "up", seen)
                back.join()

    def _pass(
        self, source: socket.socket, target: socket.socket, name: str, seen: Observer | None
    ) -> None:
        try:
            while data := source.recv(CHUNK):
                with self._lock:
                    self.counts[name] += len(data)
                    if seen is not None:
                        seen(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                _hang_up(end)


def _hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already


def _connect(address: Address) -> socket.socket:
    if isinstance(address, str):
        made = socket.socket(socket.AF_UNIX)
        made.connect(address)
    else:
        made = socket.create_connection(address)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


@contextmanager
def relaying(
    upstream: Address, observe: Callable[[Counter[str]], Observer] | None = None
) -> Iterator[Relay]:
    """A relay, closed afterwards."""
    made = Relay(upstream, observe)
    try:
        yield made
    finally:
        made.close()


def postgres_messages(counts: Counter[str]) -> Observer:
    """Counts what a PostgreSQL client sends: statements run, and the times it waits for answers."""
    pending = bytearray()
    started = False

    def see(data: bytes) -> None:
        nonlocal started
        pending.extend(data)
        while len(pending) >= 5:
            at = 1 if started else 0
            length = int.from_bytes(pending[at : at + 4], "big") + at
            if len(pending) < length:
                return
            kind = chr(pending[0]) if started else "startup"
            started = True
            del pending[:length]
            counts[f"message {kind}"] += 1
            counts["statements"] += kind in ("Q", "E")
            counts["round trips"] += kind in ("Q", "S", "H")

    return see


def http_requests(counts: Counter[str]) -> Observer:
    """Counts the requests of an HTTP/1.1 client by method; a PUT that copies is a COPY."""
    pending = bytearray()
    body = 0

    def see(data: bytes) -> None:
        nonlocal body
        pending.extend(data)
        while pending:
            skipped = min(body, len(pending))
            del pending[:skipped]
            body -= skipped
            end = pending.find(b"\r\n\r\n")
            if body or end < 0:
                return
            head = pending[:end].decode("latin-1").split("\r\n")
            del pending[: end + 4]
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            body = int(fields.get("content-length", 0))
            method = head[0].partition(" ")[0]
            counts["COPY" if "x-amz-copy-source" in fields else method] += 1
            counts["requests"] += 1

    return see
