"""Request and answer bodies: JSON or msgpack in, JSON or msgpack out, decided apart.  [HTTP-001]"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import IO, Any

import msgpack
from starlette.requests import Request
from starlette.responses import Response

from reference.store import durable
from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX, check_id, mpack_key
from reference.wire.names import check_branch
from reference.wire.reader import unpack

from .objects_files import translated

MSGPACK = "application/x-msgpack"
JSON = "application/json"
BODY_BYTES = 8 * 1024 * 1024
"""What a body other than a pack may have."""
HELD_BYTES = 64 * 1024
"""A pack of no more is held in memory: to write it to a file and read it takes longer."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body: its digest, and its bytes, or a file of them where it is a pack."""

    key: str
    raw: bytes = b""
    file: IO[bytes] | None = None


async def receive(request: Request) -> Body:
    """A body that is read whole."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > BODY_BYTES:
            raise ProtocolError("too_large", f"a body of more than {BODY_BYTES} bytes", "HTTP-008")
    raw = bytes(received)
    return Body(mpack_key(raw), raw)


@asynccontextmanager
async def spooled(request: Request, limit: int, folder: str) -> AsyncIterator[Body]:
    """A body of any size, in memory or in a file without a name that is gone at the end."""
    key, file = await _spool(request, limit, folder)
    with file:
        yield Body(key, file=file)


async def _spool(request: Request, limit: int, folder: str) -> tuple[str, IO[bytes]]:
    digest, size = sha256(), 0
    held, draft = BytesIO(), None
    file: IO[bytes] = held
    with translated(), ExitStack() as stack:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise ProtocolError("too_large", f"a body of more than {limit} bytes", "PUSH-022")
            digest.update(chunk)
            if draft is None and size > HELD_BYTES:
                draft = stack.enter_context(durable.draft(_made(folder), sync=False))
                draft.write(held.getbuffer())
            (draft or held).write(chunk)
        held.seek(0)
        if draft is not None:
            file = open(draft.path, "rb")  # noqa: SIM115  # closed by whoever asked for it
    return PREFIX + digest.hexdigest(), file


def _made(folder: str) -> str:
    os.makedirs(folder, exist_ok=True)
    return folder


def decode(content_type: str, raw: bytes) -> Fields:
    """A request's body as a map, whatever was sent; anything else is `malformed`."""
    if content_type.partition(";")[0].strip().lower() == MSGPACK:
        value = unpack(raw, "body")
    else:
        try:
            value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        except (ValueError, RecursionError) as problem:
            raise ProtocolError("malformed", f"body: {str(problem)[:200]}", "HTTP-004") from None
    if not isinstance(value, dict):
        raise ProtocolError("malformed", "the body must be a map", "HTTP-004")
    return Fields(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one map")
    return found


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def wants_msgpack(accept: str) -> bool:
    """Whether an Accept header names msgpack with a weight above 0.  [HTTP-002]"""
    for entry in accept.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        if name == MSGPACK:
            weights = [part[2:].strip() for part in parameters if part.startswith("q=")]
            return all(weight.strip("0.") for weight in weights)
    return False


def answer(
    request: Request, value: Mapping[str, Any], status: int = 200, **headers: str
) -> Response:
    """`value` in the form that the request's Accept asks for."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    if wants_msgpack(",".join(request.headers.getlist("accept"))):
        raw = msgpack.packb(value, unicode_errors="replace")
        return Response(raw, status, named, MSGPACK)
    return Response(json.dumps(value, separators=(",", ":")), status, named, JSON)


class Fields:
    """The fields of a request, each read with the type that its call gives it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}

    def require(self, *names: str) -> None:
        """Refuses the request unless all of `names` are there, naming those that are not."""
        if missing := [name for name in names if name not in self._values]:
            raise ProtocolError(
                "missing_field", f"missing: {', '.join(missing)}", "HTTP-005", fields=missing
            )

    def id(self, name: str) -> str:
        """A required id."""
        self.require(name)
        return check_id(self._values[name], name)

    def ids(self, name: str) -> list[str]:
        """A list of ids, empty where it is absent."""
        return [check_id(item, name) for item in self._list(name)]

    def branch(self, name: str) -> str:
        """A required branch name."""
        self.require(name)
        return check_branch(self._values[name])

    def text(self, name: str, default: str | None = None) -> str:
        """A text without NUL, required unless it has a default."""
        if default is None:
            self.require(name)
        value = self._values.get(name, default)
        if not isinstance(value, str) or "\0" in value or not _is_unicode(value):
            raise _wrong(name, "a text", value)
        return value

    def texts(self, name: str) -> set[str]:
        """A list of texts, of which unknown ones do not matter."""
        found = self._list(name)
        if any(not isinstance(item, str) for item in found):
            raise _wrong(name, "a list of texts", found)
        return set(found)

    def flag(self, name: str) -> bool:
        """True or false, false where it is absent."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise _wrong(name, "true or false", value)
        return value

    def size(self, name: str) -> int:
        """A count of bytes, 0 where it is absent."""
        value = self._values.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _wrong(name, "a whole number from 0", value)
        return value

    def _list(self, name: str) -> list[Any]:
        value = self._values.get(name, [])
        if not isinstance(value, list):
            raise _wrong(name, "a list", value)
        return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(name: str, expected: str, value: object) -> ProtocolError:
    is_short = isinstance(value, str | int | float)
    shown = repr(value)[:80] if is_short else type(value).__name__
    return ProtocolError("malformed", f"{name}: expected {expected}, got {shown}", "HTTP-006")
