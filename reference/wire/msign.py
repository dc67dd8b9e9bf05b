"""MSign: one header that binds a request's method, host, target, time and body to a key."""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import ProtocolError
from .provenance import to_base64url, verify_bytes

WINDOW_SECONDS = 30
CHALLENGE = 'MSign realm="musehub"'

_HANDLE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_HEADER = re.compile(
    rf'MSign handle="({_HANDLE})" alg="(ed25519)" '
    r'ts=([0-9]{1,12}) sig="([A-Za-z0-9_-]{86})"'
)


class Credentials(NamedTuple):
    """What a request says about its sender; nothing in it is proven yet."""

    handle: str
    algorithm: str
    timestamp: int
    signature: str


def check_handle(value: object) -> str:
    """`value` as a handle, or `malformed`."""
    if not isinstance(value, str) or not re.fullmatch(_HANDLE, value):
        raise ProtocolError("malformed", f"a handle is {_HANDLE}, got {value!r:.90}")
    return value


def string_to_sign(method: str, host: str, target: str, timestamp: int, body_key: str) -> bytes:
    """The six lines that are signed; `target` is the raw request target, query included."""
    lines = ("ed25519", method.upper(), host, target, str(timestamp), body_key)
    return "\n".join(lines).encode()


def authorization(
    handle: str, seed: bytes, method: str, host: str, target: str, body_key: str, timestamp: int
) -> str:
    """The Authorization header for one request; `body_key` is the body's `sha256:<hex>`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signed = string_to_sign(method, host, target, timestamp, body_key)
    signature = to_base64url(Ed25519PrivateKey.from_private_bytes(seed).sign(signed))
    return f'MSign handle="{handle}" alg="ed25519" ts={timestamp} sig="{signature}"'


def parse(header: str) -> Credentials:
    """The credentials in an Authorization header, or `unauthenticated`."""
    found = _HEADER.fullmatch(header)
    if found is None:
        why = "the Authorization header is not MSign's"
        raise ProtocolError("unauthenticated", why, "AUTH-001")
    return Credentials(found[1], found[2], int(found[3]), found[4])


def verify(
    credentials: Credentials, key: str, now: float, method: str, host: str, target: str, body: str
) -> None:
    """Raises `unauthenticated` unless the signature holds and its time is near `now`."""
    if abs(int(now) - credentials.timestamp) > WINDOW_SECONDS:
        why = f"the signature's time is more than {WINDOW_SECONDS} seconds away"
        raise ProtocolError("unauthenticated", why, "AUTH-006")
    try:  # text that is not UTF-8 is a ValueError too
        signed = string_to_sign(method, host, target, credentials.timestamp, body)
        verify_bytes(key, credentials.signature, signed)
    except ValueError:
        raise ProtocolError("unauthenticated", "the signature does not verify") from None
