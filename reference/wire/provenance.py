"""Who made a commit: the optional Ed25519 signature over its id and authorship."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from .errors import ProtocolError

if TYPE_CHECKING:  # cryptography costs 40 ms to import: only whoever signs or verifies pays
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_PREFIX = "ed25519:"
_SIGNED = ("commit_id", "author", "agent_id", "model_id", "toolchain_id", "prompt_hash")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def to_base64url(data: bytes) -> str:
    """`data` in base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str, size: int) -> bytes:
    """`size` bytes from their one unpadded base64url text; `ValueError` for any other text."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url without padding")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(data) != size or to_base64url(data) != text:
        raise ValueError(f"not the canonical text of {size} bytes")
    return data


def digest(commit: Mapping[str, Any]) -> bytes:
    """The 32 bytes that a provenance signature is over."""
    return sha256("\0".join(commit[name] for name in _SIGNED).encode()).digest()


def public_key(seed: bytes) -> str:
    """The text of the public key that belongs to a 32-byte seed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return KEY_PREFIX + to_base64url(
        Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    )


def sign(commit: Mapping[str, Any], seed: bytes) -> str:
    """The signature text for `commit`, whose `signer_public_key` and id are already set."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return to_base64url(Ed25519PrivateKey.from_private_bytes(seed).sign(digest(commit)))


@lru_cache(maxsize=256)
def load_key(text: str) -> Ed25519PublicKey:
    """The public key of a text with or without its prefix; `ValueError` when it is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(from_base64url(text.removeprefix(KEY_PREFIX), 32))


@lru_cache(maxsize=256)
def _key_bytes(text: str) -> bytes:
    return from_base64url(text.removeprefix(KEY_PREFIX), 32)


def verify_bytes(key: str, signature: str, message: bytes) -> None:
    """Raises `ValueError` unless this is the key's signature of the message.

    libsodium, since it takes half the time and refuses keys of small order, which OpenSSL lets
    through: with such a key one signature fits many messages.  [REC-021]
    """
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import BadSignatureError

    try:
        crypto_sign_open(from_base64url(signature, 64) + message, _key_bytes(key))
    except BadSignatureError as problem:
        raise ValueError(str(problem)) from None


def verify(commit: Mapping[str, Any]) -> None:
    """Raises unless `commit` is unsigned, or its signature holds."""
    if not commit["signature"]:
        return
    key = commit["signer_public_key"]
    if not key:
        raise ProtocolError(
            "signature_without_key", f"{commit['commit_id']} is signed but names no key", "REC-020"
        )
    try:
        if not key.startswith(KEY_PREFIX):
            raise ValueError("the key lacks its ed25519: prefix")
        verify_bytes(key, commit["signature"], digest(commit))
    except ValueError as problem:
        why = str(problem)
        raise ProtocolError(
            "bad_signature", f"signature of {commit['commit_id']}: {why}", "REC-021"
        ) from None


def verify_all(commits: Sequence[Mapping[str, Any]], threads: int = 2) -> None:
    """Verifies every signature; libsodium runs outside the interpreter lock, so on two cores."""
    signed = [commit for commit in commits if commit["signature"]]
    if len(signed) < 64:
        _verify_each(signed)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:  # hands on whatever a thread raises
        list(pool.map(_verify_each, [signed[n::threads] for n in range(threads)]))


def _verify_each(commits: Iterable[Mapping[str, Any]]) -> None:
    for commit in commits:
        verify(commit)
