"""Every id computed once more, with hashlib alone: the suite's own opinion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

EMPTY_BLOB = "sha256:473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
ABSENT = "sha256:" + "ab" * 32
"""An id that names nothing anywhere."""


def digest(raw: bytes) -> str:
    """The key of a pack: the digest of its bytes as they travel [ID-005]."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def blob_id(content: bytes) -> str:
    """The id of a file's bytes [ID-003, ID-004]."""
    return _typed(b"blob", content)


def snapshot_payload(manifest: Mapping[str, str], directories: Iterable[str] = ()) -> bytes:
    """What is hashed for a snapshot: files in byte order, then explicit directories [ID-006]."""
    parts: list[bytes] = []
    for path, blob in sorted((path.encode(), blob) for path, blob in manifest.items()):
        parts += [path, blob.removeprefix("sha256:").encode()]
    for path in sorted(directory.encode() for directory in directories):
        parts += [path, b"dir"]
    return b"\0".join(parts)


def snapshot_id(manifest: Mapping[str, str], directories: Iterable[str] = ()) -> str:
    """The id of a tree."""
    return _typed(b"snapshot", snapshot_payload(manifest, directories))


def commit_id(record: Mapping[str, Any]) -> str:
    """The id of a commit record, whatever its other fields are [ID-010, ID-011]."""
    named = (record.get("parent_commit_id"), record.get("parent2_commit_id"))
    parents = sorted(parent.removeprefix("sha256:") for parent in named if parent)
    parts = ["\0".join(parents), record["snapshot_id"].removeprefix("sha256:")]
    parts += [record["message"], record["committed_at"]]
    parts += [record.get("author", ""), record.get("signer_public_key", "")]
    return _typed(b"commit", "\0".join(parts).encode())


def opaque_id(kind: str, *parts: str) -> str:
    """How the reference's tables derive the ids of repositories, branches and the like."""
    return digest("\0".join((kind, *parts)).encode())


def _typed(kind: bytes, payload: bytes) -> str:
    return digest(kind + b" %d\0" % len(payload) + payload)
