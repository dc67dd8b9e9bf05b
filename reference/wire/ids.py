"""Content ids: `sha256:` and 64 lower-case hex digits over typed, injective payloads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from .errors import ProtocolError, shown

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any

PREFIX = "sha256:"
_ID = re.compile(r"sha256:[0-9a-f]{64}")

Manifest = Mapping[str, str]
"""Which blob each path holds: path to object id."""


def typed_id(kind: str, payload: bytes) -> str:
    """The id of `payload` as a blob, snapshot or commit."""
    return PREFIX + sha256(b"%s %d\0%s" % (kind.encode(), len(payload), payload)).hexdigest()


def blob_id(content: bytes) -> str:
    """The id of a blob's bytes."""
    return typed_id("blob", content)


def mpack_key(raw: bytes) -> str:
    """The key of a pack: the plain digest of its bytes on the wire."""
    return PREFIX + sha256(raw).hexdigest()


def snapshot_payload(manifest: Manifest, directories: Iterable[str] = ()) -> bytes:
    """What a snapshot's id is computed over: files, then explicit directories, in byte order."""
    files = [f"{path}\0{manifest[path][7:]}" for path in sorted(manifest)]  # texts sort as UTF-8
    folders = [f"{path}\0dir" for path in sorted(directories)]
    return "\0".join(files + folders).encode()


def snapshot_id(manifest: Manifest, directories: Iterable[str] = ()) -> str:
    """The id of a full manifest and its explicit directories."""
    return typed_id("snapshot", snapshot_payload(manifest, directories))


def commit_payload(record: Mapping[str, Any]) -> bytes:
    """What a commit's id is computed over: six fields joined by NUL, which none may contain."""
    parents = (record.get("parent_commit_id"), record.get("parent2_commit_id"))
    return "\0".join(
        (
            "\0".join(sorted(parent[7:] for parent in parents if parent)),
            record["snapshot_id"][7:],
            record["message"],
            record["committed_at"],
            record.get("author") or "",
            record.get("signer_public_key") or "",
        )
    ).encode()


def commit_id(record: Mapping[str, Any]) -> str:
    """The id of a commit record; fields that are not part of the identity are ignored."""
    return typed_id("commit", commit_payload(record))


def is_id(value: object) -> bool:
    """Whether `value` is an id in its one text form."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def check_id(value: object, what: str = "id") -> str:
    """`value` as an id, or `invalid_id`."""
    if not is_id(value):
        expected = "expected sha256:<64 lower-case hex>"
        raise ProtocolError("invalid_id", f"{what:.64}: {expected}, got {shown(value)}")
    return str(value)


def to_raw(object_id: str) -> bytes:
    """The 32 bytes that an id's text stands for."""
    return bytes.fromhex(object_id[7:])


def from_raw(digest: bytes) -> str:
    """The text form of a 32-byte digest."""
    return PREFIX + digest.hex()
