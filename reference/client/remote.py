"""A repository on a server: its calls, signed where they must be, and its packs, streamed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX, is_id

from . import transport
from .address import Origin, split, split_repository, unreachable
from .http import Answer
from .transport import ANSWER_BYTES, LOST, QUOTED_CHARACTERS, Again, Connections, Write

if TYPE_CHECKING:  # what signing needs is imported by who signs
    from reference.keys import Identity
    from reference.wire.pack import Limits

CHUNK_BYTES = 1 << 18
LIMITS = ("pack_bytes", "raw_bytes", "records", "manifest_bytes")
CEILING = 16
"""How many times the default limits a server may announce and be believed."""
_HIDDEN = frozenset({"unknown_repo", "unauthenticated", "not_found"})
"""What a server says to somebody who may just not have signed."""


Meanwhile = Callable[[], object]


def _nothing() -> None:
    return None


class Refs(NamedTuple):
    """What a repository's branches are at, and what its server takes."""

    heads: dict[str, str]
    default: str
    framed: bool
    announced: Mapping[str, int]
    own: Mapping[str, int]

    @property
    def limits(self) -> Limits:
        """What the server takes; limits it does not name are the default."""
        from reference.wire.pack import Limits  # of no use where there is nothing to send

        return Limits(**self.announced)

    @property
    def takes(self) -> Limits:
        """What the client takes in from it."""
        from reference.wire.pack import DEFAULT_LIMITS, Limits

        usual = {name: getattr(DEFAULT_LIMITS, name) for name in LIMITS}
        believed = {
            name: max(n, min(self.announced.get(name, n), CEILING * n)) for name, n in usual.items()
        }
        return Limits(**{**believed, **self.own})


class Remote:
    """A server's repository; reads are signed only when the server insists, writes always."""

    def __init__(
        self,
        url: str,
        identity: Callable[[], Identity] | None = None,
        insecure: bool = False,
        takes: Mapping[str, int] | None = None,
    ) -> None:
        self.origin, self.owner, self.slug = split_repository(url)
        self.url = f"{self.origin}/{self.owner}/{self.slug}"
        self._identity = identity
        self._insecure = insecure
        self._takes = takes or {}
        self._signs = False
        self._connections = Connections()

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    # Calls.

    def refs(self, meanwhile: Meanwhile = _nothing) -> Refs:
        """The branches and what the server takes."""
        found = self.call("GET", f"/{self.owner}/{self.slug}/refs", meanwhile=meanwhile)
        heads = found.get("branch_heads")
        if not isinstance(heads, dict) or not all(map(is_id, heads.values())):
            raise self.nonsense("no branch_heads, or one that is no id")
        said = found.get("limits")
        limits = said if isinstance(said, dict) else {}
        known = {name: limits[name] for name in LIMITS if type(limits.get(name)) is int}
        framed = "framed" in texts(found, "capabilities")
        return Refs(heads, str(found.get("default_branch")), framed, known, self._takes)

    def read(
        self, path: str, body: Mapping[str, Any] | bytes, meanwhile: Meanwhile = _nothing
    ) -> dict[str, Any]:
        """A call of this repository that changes nothing."""
        return self.call("POST", f"/{self.owner}/{self.slug}/{path}", body, meanwhile)

    def write(self, path: str, body: Mapping[str, Any] | bytes) -> dict[str, Any]:
        """A call of this repository that its owner must sign."""
        self._signs = True
        return self.read(path, body)

    def create(self) -> None:
        """Makes the repository, and registers the key where the server lets one."""
        identity = self._key()
        try:  # unsigned: nobody can check the signature of a key that is not known yet
            key = {"handle": identity.handle, "public_key": identity.public_key}
            self.call("POST", "/api/identities", key)
        except ProtocolError as problem:
            if problem.extra.get("status") not in (403, 404, 405):
                raise
        self._signs = True
        try:
            self.call("POST", "/api/repos", {"owner": self.owner, "name": self.slug})
        except ProtocolError as problem:
            if problem.code != "repo_exists":
                raise

    def call(
        self,
        method: str,
        target: str,
        value: Mapping[str, Any] | bytes | None = None,
        meanwhile: Meanwhile = _nothing,
    ) -> dict[str, Any]:
        """The answer to one call; a read that was hidden is asked for once more, signed.

        `meanwhile` is done while the server works on it: imports, above all.
        """
        kind = "application/octet-stream" if isinstance(value, bytes) else "application/json"
        if isinstance(value, bytes):
            body = value
        else:
            body = b"" if value is None else json.dumps(value, separators=(",", ":")).encode()
        try:
            raw = transport.retrying(lambda: self._call(method, target, body, kind, meanwhile))
        except ProtocolError as problem:
            if self._signs or problem.code not in _HIDDEN or not self._could_sign():
                raise
            self._signs = True
            try:
                raw = transport.retrying(lambda: self._call(method, target, body, kind))
            except ProtocolError as signed:
                self._signs = False
                raise problem if signed.code == "unauthenticated" else signed from None
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            start = raw[:QUOTED_CHARACTERS].decode("utf-8", "replace")
            raise self.nonsense(f"no JSON object but {start!r}")
        return answer

    def _call(
        self, method: str, target: str, body: bytes, kind: str, meanwhile: Meanwhile = _nothing
    ) -> bytes:
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = kind
        secrets = []
        if self._signs:
            headers["Authorization"] = self._sign(method, target, body)
            secrets.append(headers["Authorization"].rpartition('sig="')[2].rstrip('"'))

        def send(write: Write) -> None:
            if body:
                write(body)
            meanwhile()

        origin, content = self.origin, (len(body), send)
        response = self._connections.exchange(origin, method, target, headers, content)
        raw = self._connections.read(origin, response, ANSWER_BYTES)
        transport.check_status(origin, response, raw, secrets)
        return raw

    def nonsense(self, what: str) -> ProtocolError:
        """The server answered with what the protocol does not have."""
        return ProtocolError("malformed", f"{self.origin} sent {what}", "HTTP-002", remote=True)

    # Signatures.

    def _key(self) -> Identity:
        if self._identity is None:
            raise ProtocolError("unauthenticated", "no key to sign with")
        return self._identity()

    def ready_to_sign(self) -> None:
        """Imports what signing takes, and finds the key; where there is none, nothing happens."""
        if self._could_sign():
            self._sign("GET", "/", b"")

    def _could_sign(self) -> bool:
        try:
            self._key()
        except ProtocolError:
            return False
        return self._may_sign()

    def _may_sign(self) -> bool:
        return self.origin.scheme == "https" or self.origin.stays_here or self._insecure

    def _sign(self, method: str, target: str, body: bytes) -> str:
        if not self._may_sign():
            why = f"{self.origin} is plain http: a signature would travel in the open (--insecure)"
            raise ProtocolError("invalid", why, "AUTH-019")
        from reference.wire.msign import authorization

        identity = self._key()
        digest = PREFIX + sha256(body).hexdigest()
        host, now = self.origin.authority, int(time.time())
        return authorization(identity.handle, identity.seed, method, host, target, digest, now)

    # Packs, by links that carry their own permission: no Authorization goes with them.

    def _link(self, url: object) -> tuple[Origin, str]:
        try:
            origin, target = split(url)
        except ProtocolError as problem:
            raise self.nonsense(f"a link that is none: {problem.detail}") from None
        secret = self._signs or self.origin.scheme == "https"
        exposed = origin.scheme == "http" and not origin.stays_here
        if secret and exposed and not self._insecure:
            why = f"the link to {origin} would travel in the open (--insecure)"
            raise ProtocolError("invalid", why, "AUTH-019")
        return origin, target

    def upload(self, url: object, size: int, send: Callable[[Write], object]) -> None:
        """Puts a pack to an upload link; 200 and 204 are success.  [PUSH-023]"""
        origin, target = self._link(url)
        headers = {"Content-Type": "application/octet-stream"}

        def attempt() -> None:
            response = self._connections.exchange(origin, "PUT", target, headers, (size, send))
            raw = self._connections.read(origin, response, ANSWER_BYTES)
            transport.check_status(origin, response, raw, _secrets(target))
            if response.status not in (200, 204):
                raise self.nonsense(f"{response.status} to an upload")

        transport.retrying(attempt)

    def download(self, url: object, take: Callable[[bytes], object]) -> None:
        """Gets a pack by its link; after a lost connection it goes on where it was."""
        origin, target = self._link(url)
        done = 0

        def attempt() -> None:
            nonlocal done
            headers = {"Range": f"bytes={done}-"} if done else {}
            connections = self._connections
            response = connections.exchange(origin, "GET", target, headers, (0, _no_body))
            if response.status not in (200, 206):
                raw = connections.read(origin, response, ANSWER_BYTES)
                transport.check_status(origin, response, raw, _secrets(target))
                raise self.nonsense(f"{response.status} to a download")
            at = 0
            if response.status == 206:
                at = done
                if not response.headers.get("content-range", "").startswith(f"bytes {done}-"):
                    raise self.nonsense("another part of the pack than was asked for")
            for chunk in self._chunks(origin, response):
                fresh = chunk[max(done - at, 0) :]
                at += len(chunk)
                if fresh:
                    take(fresh)
                    done += len(fresh)

        try:
            transport.retrying(attempt)
        except BaseException:
            self._connections.drop(origin)
            raise

    def _chunks(self, origin: Origin, response: Answer) -> Iterator[bytes]:
        try:
            while chunk := response.read(CHUNK_BYTES):
                yield chunk
            if response.rest:
                raise ConnectionError("the answer was cut short")
        except LOST as problem:
            self._connections.drop(origin)
            raise Again(unreachable(origin, problem)) from None


def texts(answer: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts in an answer, without whatever else is in it."""
    found = answer.get(name)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def _no_body(write: Write) -> None:
    return None


def _secrets(target: str) -> list[str]:
    """The query of a link, and each value in it: what must not be quoted."""
    query = target.partition("?")[2]
    values = [value for _, _, value in (pair.partition("=") for pair in query.split("&"))]
    return [query, *sorted((value for value in values if len(value) > 8), key=len, reverse=True)]
