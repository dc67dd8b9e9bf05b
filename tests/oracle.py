"""A second opinion on every id: the formulas of the specification again, with hashlib alone."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

EMPTY_BLOB = "sha256:473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"


def stored_blob(content: bytes) -> bytes:
    """The bytes of a loose object's file, which are what is hashed."""
    return _typed("blob", content)


def blob_id(content: bytes) -> str:
    """The id of a file's bytes."""
    return _name(_typed("blob", content))


def snapshot_id(manifest: Mapping[str, str], directories: Iterable[str] = ()) -> str:
    """The id of a whole tree: its files in byte order, then its explicit directories."""
    fields: list[bytes] = []
    for path, object_id in sorted((path.encode("utf-8"), oid) for path, oid in manifest.items()):
        fields += [path, _hex(object_id)]
    for path in sorted(folder.encode("utf-8") for folder in directories):
        fields += [path, b"dir"]
    return _name(_typed("snapshot", b"\x00".join(fields)))


def commit_id(record: Mapping[str, Any]) -> str:
    """The id of a commit: who its parents are, what it holds, and who says so when."""
    both = [record.get("parent_commit_id"), record.get("parent2_commit_id")]
    fields = [b"\x00".join(sorted(_hex(parent) for parent in both if parent is not None))]
    fields.append(_hex(record["snapshot_id"]))
    for name in ("message", "committed_at", "author", "signer_public_key"):
        fields.append(record.get(name, "").encode("utf-8"))
    return _name(_typed("commit", b"\x00".join(fields)))


def provenance_digest(record: Mapping[str, Any]) -> bytes:
    """The 32 bytes that the author's signature of a commit is over; ids keep their prefix."""
    names = ("commit_id", "author", "agent_id", "model_id", "toolchain_id", "prompt_hash")
    return hashlib.sha256(b"\x00".join(record[name].encode("utf-8") for name in names)).digest()


def mpack_key(raw: bytes) -> str:
    """The key of a pack: the digest of its bytes and of nothing else."""
    return _name(raw)


def msign_text(method: str, host: str, target: str, timestamp: int, body: bytes) -> bytes:
    """The six lines that sign a request; `target` is its raw path and query."""
    return f"ed25519\n{method}\n{host}\n{target}\n{timestamp}\n{_name(body)}".encode()


def _typed(kind: str, payload: bytes) -> bytes:
    return kind.encode("ascii") + b" " + str(len(payload)).encode("ascii") + b"\x00" + payload


def _name(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _hex(object_id: str) -> bytes:
    algorithm, _, digits = object_id.partition(":")
    assert algorithm == "sha256", object_id
    return digits.encode("ascii")
