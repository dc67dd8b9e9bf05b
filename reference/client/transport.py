"""Requests that arrive: kept connections, retries with pauses, answers turned back into errors.

A request is repeated after a lost connection and after 502, 503 or 504; every call of the
protocol may be.  A redirect is never followed: neither a signature nor a pack goes to a place
that nobody named.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from reference.wire.errors import STATUS, ProtocolError

from .address import Origin, unreachable
from .http import Answer, Connection

T = TypeVar("T")
Write = Callable[[bytes], object]
Body = tuple[int, Callable[[Write], object]]
"""How many bytes, and who writes them; called again for every attempt."""

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 300.0
"""How long nothing at all may come: a server may have a large pack to verify."""
ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
ANSWER_BYTES = 64 * 1024 * 1024
QUOTED_CHARACTERS = 200
LOST = (ConnectionError, TimeoutError)
"""What comes of the network, as against the disk that a pack is read from or written to."""
_BUSY = frozenset({502, 503, 504})
_CODE_OF = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}
_CODE_OF |= {409: "conflict", 413: "too_large", 422: "malformed", 503: "storage_down"}
"""What a refusal without a code of the protocol comes down to."""


class Again(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, problem: ProtocolError, after: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.after = after


def retrying(attempt: Callable[[], T]) -> T:
    """The result of `attempt`, repeated with growing random pauses while it says so."""
    for number in range(ATTEMPTS):
        try:
            return attempt()
        except Again as again:
            if number == ATTEMPTS - 1:
                raise again.problem from None
            pause = FIRST_PAUSE * 2**number * (1 + os.urandom(1)[0] / 255)
            asked = pause if again.after is None else again.after
            time.sleep(min(asked, LONGEST_PAUSE))  # not at once, nor all clients together
    raise AssertionError("the last attempt returns or raises")


class Connections:
    """One kept connection for each origin."""

    def __init__(self) -> None:
        self._open: dict[Origin, Connection] = {}

    def close(self) -> None:
        """Closes them all."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def exchange(
        self, origin: Origin, method: str, target: str, headers: Mapping[str, str], body: Body
    ) -> Answer:
        """One request and the head of its answer; raises `Again` where none came."""
        kept = origin in self._open
        try:
            return self._exchange(origin, method, target, headers, body)
        except LOST as problem:
            self.drop(origin)
            if kept:  # the server may have closed what was idle: that is not yet a failure
                return self.exchange(origin, method, target, headers, body)
            raise Again(unreachable(origin, problem)) from None

    def _exchange(
        self, origin: Origin, method: str, target: str, headers: Mapping[str, str], body: Body
    ) -> Answer:
        connection = self._open.get(origin)
        if connection is None or not connection.is_free:
            self.drop(origin)
            connection = self._connect(origin)
        length, send = body
        sized = {} if method == "GET" else {"Content-Length": str(length)}
        plain = {"Host": origin.authority, "Accept-Encoding": "identity"}
        connection.request(method, target, {**plain, **sized, **headers})
        try:
            send(connection.send)
        except LOST:  # a server that refuses early answers, then stops reading
            try:
                return connection.answer()
            except LOST:
                raise ConnectionError("the connection was lost while sending") from None
        return connection.answer()

    def _connect(self, origin: Origin) -> Connection:
        problem: OSError | None = None
        for address in origin.addresses():
            # socket.create_connection would look the name up again, and import those tables
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            try:
                sock.settimeout(CONNECT_SECONDS)
                sock.connect((address, origin.port))
            except OSError as failed:
                sock.close()
                problem = failed
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                sock = _secured(origin, sock)
            sock.settimeout(ANSWER_SECONDS)
            connection = self._open[origin] = Connection(sock)
            return connection
        raise ConnectionError(problem.strerror if problem else "it has no address")

    def drop(self, origin: Origin) -> None:
        """Closes a connection whose state is not known."""
        connection = self._open.pop(origin, None)
        if connection is not None:
            connection.close()

    def read(self, origin: Origin, response: Answer, limit: int) -> bytes:
        """An answer's body, or its first `limit` bytes."""
        try:
            raw = response.read(limit)
            if response.rest:
                if len(raw) < limit:
                    raise ConnectionError("the answer was cut short")
                self.drop(origin)
            return raw
        except LOST as problem:
            self.drop(origin)
            raise Again(unreachable(origin, problem)) from None


def _secured(origin: Origin, sock: socket.socket) -> socket.socket:
    import ssl  # whose import costs what three requests do

    try:
        return ssl.create_default_context().wrap_socket(sock, server_hostname=origin.host)
    except ssl.SSLCertVerificationError as problem:  # nor will it on the next attempt
        raise unreachable(origin, problem) from None
    except ssl.SSLError as problem:
        raise ConnectionError(str(problem)) from None


def check_status(origin: Origin, response: Answer, raw: bytes, secrets: list[str]) -> None:
    """Raises what the server refused with, unless it did not."""
    status = response.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        why = f"{origin} answered with a redirect ({status}), which is not followed: use its target"
        raise ProtocolError("io", why, remote=True)
    problem = refusal(origin, status, raw, secrets)
    if status in _BUSY:
        after = response.headers.get("retry-after", "")
        raise Again(problem, float(after) if after.isdecimal() else None)
    raise problem


def refusal(origin: Origin, status: int, raw: bytes, secrets: list[str]) -> ProtocolError:
    """A refusal as the error it was, or with the first characters of whatever came."""
    try:
        error: Any = json.loads(raw)["error"]
        code, detail, requirement = error["code"], error["detail"], error.get("requirement")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        code, detail, requirement = None, None, None
    if not isinstance(detail, str):
        detail = raw.decode("utf-8", "replace")
    for secret in secrets:
        detail = detail.replace(secret, "…") if secret else detail
    quoted = "".join(c if c.isprintable() else " " for c in detail[:QUOTED_CHARACTERS]).strip()
    if not isinstance(code, str) or code not in STATUS:
        code = _CODE_OF.get(status, "io")
        quoted = f"{origin} answered {status}: {quoted}"
    if not isinstance(requirement, str) or len(requirement) > 20 or not requirement.isprintable():
        requirement = None
    return ProtocolError(code, quoted, requirement, remote=True, status=status)
