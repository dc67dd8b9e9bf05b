"""Identities and the plain pack, computed with hashlib alone: a second opinion on the subject."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any


def _typed(kind: str, payload: bytes) -> str:
    digest = hashlib.sha256(f"{kind} {len(payload)}\0".encode() + payload)
    return f"sha256:{digest.hexdigest()}"


def blob_id(content: bytes) -> str:
    return _typed("blob", content)


def snapshot_id(manifest: Mapping[str, str], directories: Iterable[str] = ()) -> str:
    parts: list[str] = []
    for path in sorted(manifest, key=str.encode):
        parts += [path, manifest[path].removeprefix("sha256:")]
    for path in sorted(directories, key=str.encode):
        parts += [path, "dir"]
    return _typed("snapshot", "\0".join(parts).encode())


def commit_id(record: Mapping[str, Any]) -> str:
    named = (record.get("parent_commit_id"), record.get("parent2_commit_id"))
    parents = sorted(_hex(parent) for parent in named if parent)
    parts = ["\0".join(parents), _hex(record["snapshot_id"])]
    parts += [str(record[name]) for name in ("message", "committed_at")]
    parts += [str(record.get(name) or "") for name in ("author", "signer_public_key")]
    return _typed("commit", "\0".join(parts).encode())


def _hex(text: str) -> str:
    return text.removeprefix("sha256:")


def pack(value: object) -> bytes:
    """msgpack, as far as a pack needs it: maps, lists, text, bytes, small integers, nil."""
    match value:
        case None:
            return b"\xc0"
        case int() if 0 <= value < 128:
            return bytes([value])
        case str():
            raw = value.encode()
            return b"\xdb" + struct.pack(">I", len(raw)) + raw
        case bytes():
            return b"\xc6" + struct.pack(">I", len(value)) + value
        case list():
            return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
        case dict():
            pairs = b"".join(pack(name) + pack(item) for name, item in value.items())
            return b"\xdf" + struct.pack(">I", len(value)) + pairs
    raise TypeError(f"no msgpack for {type(value).__name__} here")
