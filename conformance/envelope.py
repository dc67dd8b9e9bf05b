"""A signed envelope in the form of DSSE: what is signed is exactly the bytes that are carried."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from reference.wire.provenance import KEY_PREFIX, from_base64url, public_key

KIND = "application/vnd.musekit.conformance+json"


class EnvelopeError(Exception):
    """This is no envelope of ours, or its signature does not hold."""


def signed_text(kind: str, payload: bytes) -> bytes:
    """The bytes under the signature: the kind is in them, so nobody can relabel a payload."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def seal(payload: bytes, seed: bytes) -> bytes:
    """The envelope around `payload`, signed with a 32-byte Ed25519 seed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(signed_text(KIND, payload))
    value = {
        "payloadType": KIND,
        "payload": b64encode(payload).decode(),
        "signatures": [{"keyid": public_key(seed), "sig": b64encode(signature).decode()}],
    }
    return json.dumps(value, indent=1).encode() + b"\n"


def is_envelope(value: Any) -> bool:
    """Whether a JSON value is meant to be one."""
    return isinstance(value, dict) and "payloadType" in value


def signer(value: Any) -> str:
    """The key that the envelope says it was signed with: a hint, until `open_with` proves it."""
    match value:
        case {"signatures": [{"keyid": str(key)}]}:
            return key
    raise EnvelopeError("the envelope does not have one signature with a keyid")


def open_with(value: Any, key: str) -> bytes:
    """The payload, if the holder of `key` signed it."""
    match value:
        case {"payloadType": str(kind), "payload": str(body), "signatures": [{"sig": str(text)}]}:
            pass
        case _:
            raise EnvelopeError("this is no envelope with a payload and one signature")
    if kind != KIND:
        raise EnvelopeError(f"the envelope holds {kind}, not {KIND}")
    try:
        payload, signature = (b64decode(field, validate=True) for field in (body, text))
    except ValueError:
        raise EnvelopeError("payload and signature must be base64") from None
    if len(signature) != 64:
        raise EnvelopeError("the signature must be 64 bytes")
    try:
        crypto_sign_open(signature + signed_text(kind, payload), public_bytes(key))
    except BadSignatureError:
        raise EnvelopeError(f"the signature is not by {key}, or something was changed") from None
    return payload


def public_bytes(key: str) -> bytes:
    """The 32 bytes of a public key's text."""
    try:
        return from_base64url(key.strip().removeprefix(KEY_PREFIX), 32)
    except ValueError:
        raise EnvelopeError(
            f"{key!r} is no public key: ed25519: and 43 characters of base64url"
        ) from None
