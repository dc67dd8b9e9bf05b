"""A proxy that passes requests on, notes them, and spoils those that a test chooses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Reply = tuple[int, dict[str, str], bytes]
Forward = Callable[[], Reply]


class Lost(Exception):
    """The connection goes, with or without a part of the answer."""

    def __init__(self, reply: Reply | None = None, sent: int = 0) -> None:
        super().__init__("lost")
        self.reply = reply
        self.sent = sent


@dataclass
class Seen:
    """One request that came through."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def step(self) -> str:
        """The request in the words of the tests."""
        if self.path.startswith("/_objects/"):
            return self.method
        return self.path.partition("?")[0].rpartition("/")[2]


Spoil = Callable[[Seen, Forward], Reply]


@dataclass
class Meddler:
    """What the proxy was asked, and what it does about it."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    spoil: Spoil = lambda seen, forward: forward()

    def steps(self) -> list[str]:
        """The requests so far, by their step."""
        return [seen.step for seen in self.seen]

    def first(self, step: str, spoil: Spoil) -> None:
        """Spoils the first request of a step and no other."""
        left = [step]

        def once(seen: Seen, forward: Forward) -> Reply:
            if seen.step in left:
                left.clear()
                return spoil(seen, forward)
            return forward()

        self.spoil = once

    def every(self, step: str, spoil: Spoil) -> None:
        """Spoils each request of a step."""
        self.spoil = lambda seen, forward: spoil(seen, forward) if seen.step == step else forward()


def drop(seen: Seen, forward: Forward) -> Reply:
    """The request never arrives."""
    raise Lost


def lose(seen: Seen, forward: Forward) -> Reply:
    """The request is carried out; its answer is lost."""
    forward()
    raise Lost


def busy(seen: Seen, forward: Forward) -> Reply:
    """The server asks to come again."""
    return 503, {"Retry-After": "0"}, b"busy"


def answer(status: int, body: bytes, **headers: str) -> Spoil:
    """An answer of the test's own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda seen, forward: (status, named, body)


def edited(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """The server's answer with something in it changed."""

    def spoil(seen: Seen, forward: Forward) -> Reply:
        status, headers, body = forward()
        value = json.loads(body)
        change(value)
        return status, headers, json.dumps(value).encode()

    return spoil


def cut(share: float) -> Spoil:
    """The connection is lost in the middle of the answer."""

    def spoil(seen: Seen, forward: Forward) -> Reply:
        reply = forward()
        raise Lost(reply, int(len(reply[2]) * share))

    return spoil


@contextmanager
def meddling(server: str) -> Iterator[Meddler]:
    """A proxy in front of `server`."""
    meddler = Meddler()
    target = urlsplit(server).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            seen = Seen(self.command, self.path, dict(self.headers), self.rfile.read(length))
            meddler.seen.append(seen)
            try:
                self._reply(meddler.spoil(seen, lambda: self._forward(seen)))
            except Lost as lost:
                if lost.reply:
                    self._reply(lost.reply, lost.sent)
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def _forward(self, seen: Seen) -> Reply:
            connection = HTTPConnection(target, timeout=60)
            try:
                connection.request(seen.method, seen.path, seen.body, seen.headers)
                response = connection.getresponse()
                kept = ("Content-Type", "Content-Range")
                headers = {name: response.headers[name] for name in kept if response.headers[name]}
                return response.status, headers, response.read()
            finally:
                connection.close()

        def _reply(self, reply: Reply, sent: int | None = None) -> None:
            status, headers, body = reply
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:sent])

        def log_message(self, *_: object) -> None:
            pass

    server_ = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server_.daemon_threads = True
    thread = threading.Thread(target=server_.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    meddler.url = f"http://127.0.0.1:{server_.server_address[1]}"
    try:
        yield meddler
    finally:
        server_.shutdown()
        thread.join()
        server_.server_close()
