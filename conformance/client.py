"""Raw requests, signed or not, in JSON or msgpack: what a check says to a server, and hears."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, ClassVar

import httpx
import msgpack
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reference.wire import msign, provenance

from . import interruption, transcript
from .oracle import digest
from .outcomes import Fields, Unmet
from .redaction import shown_url

JSON = "application/json"
MSGPACK = "application/x-msgpack"
AGENT = "musekit-conformance"
TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A handle and the seed of the key it signs with."""

    handle: str
    seed: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered, as bytes and, where it says so, as a value."""

    method: str
    target: str
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def value(self) -> Any:
        """The body decoded by its Content-Type; fails where it is something else."""
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        try:
            if kind == MSGPACK:
                return msgpack.unpackb(self.body, strict_map_key=False, object_hook=Fields)
            if kind == JSON:
                return json.loads(self.body, object_hook=Fields)
        except (ValueError, msgpack.UnpackException) as problem:
            raise Unmet(f"a body that is {kind}", f"{self}: {problem}") from None
        raise Unmet("an answer in JSON or msgpack", f"{self.status} with Content-Type {kind!r}")

    @property
    def fields(self) -> Fields:
        """The body, which must be a map."""
        value = self.value
        if not isinstance(value, Fields):
            raise Unmet("a map", f"{self.status} with {type(value).__name__}")
        return value

    def __str__(self) -> str:
        text = transcript.shown(self.body, 200)
        if self.headers.get("content-type", "").startswith("text/html"):
            text = "and a page of HTML"
        return f"{self.status} {text}".strip()


class Refused(Unmet):
    """A call that was expected to succeed was refused; `refused` turns it into what is wanted."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("success", str(answer), f"{answer.method} {shown_url(answer.target)}")
        self.answer = answer


class NoAnswer(Unmet):
    """The connection failed, was closed without an answer, or nothing came in time."""


@dataclass(slots=True)
class Connection:
    """One pool of connections to one address; several clients share it.

    A transport and no `httpx.Client`: cookies, redirects, defaults and merged addresses are nothing
    that a check wants, and cost as much as the request.
    """

    writes: ClassVar[int] = 0  # requests of this process, to anybody, that may change something
    url: str
    timeout: float = TIMEOUT
    http: httpx.BaseTransport = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")
        self.http = self._new()

    def renew(self) -> None:
        """Forgets every open connection, after the subject was restarted."""
        self.http.close()
        self.http = self._new()

    def request(
        self, method: str, target: str, headers: Mapping[str, str | bytes], body: bytes = b""
    ) -> httpx.Request:
        """A request as it will be sent; `target` is a path or a whole URL."""
        sent: dict[str, str | bytes] = {"accept": JSON, "user-agent": AGENT, **headers}
        raw = [(n.encode(), v.encode() if isinstance(v, str) else v) for n, v in sent.items()]
        url = target if "://" in target else self.url + target
        seconds = dict.fromkeys(("connect", "read", "write", "pool"), self.timeout)
        how = {"timeout": seconds}
        return httpx.Request(method, url, headers=raw, content=body, extensions=how)

    def _new(self) -> httpx.BaseTransport:
        # Servers close idle connections after a few seconds: whoever reuses one then loses a race.
        limits = httpx.Limits(max_connections=64, keepalive_expiry=1.0)
        return httpx.HTTPTransport(verify=certificates(), limits=limits, trust_env=False)


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks for one identity, or for nobody."""

    connection: Connection
    identity: Identity | None = None

    def sign(
        self, method: str, url: str, body: bytes = b"", *, at: int | None = None, host: str = ""
    ) -> str:
        """The Authorization header for a request as it will be sent."""
        request = self.connection.request(method, url, {})
        return self._sign(request, body, int(time.time()) if at is None else at, host)

    def _sign(self, request: httpx.Request, body: bytes, at: int, host: str = "") -> str:
        if self.identity is None:
            raise ValueError("nobody has no key")
        target = request.url.raw_path.decode("ascii")
        host = host or request.headers["host"]
        text = msign.string_to_sign(request.method, host, target, at, digest(body))
        signature = provenance.to_base64url(_private_key(self.identity.seed).sign(text))
        return f'MSign handle="{self.identity.handle}" alg="ed25519" ts={at} sig="{signature}"'

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str | bytes] | None = None,
        *,
        signed: bool = True,
    ) -> Answer:
        """Sends bytes and gives whatever is answered; `target` is a path or a whole URL."""
        interruption.heed()
        sent = headers or {}
        request = self.connection.request(method, target, sent, body)
        if signed and self.identity is not None and "authorization" not in sent:
            request.headers["authorization"] = self._sign(request, body, int(time.time()))
        Connection.writes += method not in ("GET", "HEAD")
        try:
            response = self.connection.http.handle_request(request)
            response.read()
        except httpx.HTTPError as problem:
            transcript.note(f"{method} {shown_url(target)} → {type(problem).__name__}")
            what = f"{type(problem).__name__} at {method} {shown_url(target)}"
            raise NoAnswer("an answer", what) from None
        answer = Answer(method, target, response.status_code, response.headers, response.content)
        about, told = transcript.shown(body, 160), transcript.shown(answer.body, 200)
        transcript.note(f"{method} {shown_url(target)} {about} → {answer.status} {told}")
        return answer

    def ask(
        self,
        method: str,
        target: str,
        value: Any = None,
        *,
        form: str = JSON,
        accept: str = JSON,
        headers: Mapping[str, str | bytes] | None = None,
        signed: bool = True,
    ) -> Answer:
        """Sends a value, if any, and gives whatever is answered."""
        body = b"" if value is None else encoded(value, form)
        sent: dict[str, str | bytes] = {"accept": accept, **(headers or {})}
        if value is not None:
            sent["content-type"] = form
        return self.send(method, target, body, sent, signed=signed)

    def call(self, method: str, target: str, value: Any = None, **how: Any) -> Fields:
        """The map in an answer that must be a success; `Refused` otherwise."""
        return succeeded(self.ask(method, target, value, **how)).fields


@cache
def certificates() -> ssl.SSLContext:
    """Who is trusted; read once, for it takes longer than many checks."""
    return httpx.create_ssl_context(trust_env=False)


@lru_cache(maxsize=64)
def _private_key(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


def succeeded(answer: Answer) -> Answer:
    """The answer, if it is a success; `Refused` otherwise."""
    if answer.status >= 400:
        raise Refused(answer)
    if answer.status >= 300:
        raise Unmet("success", str(answer))
    return answer


def encoded(value: Any, form: str = JSON) -> bytes:
    """A value as the bytes of a body."""
    if form == MSGPACK:
        return bytes(msgpack.packb(value))
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
