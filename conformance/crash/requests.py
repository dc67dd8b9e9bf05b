"""What a subject is asked, and what it owes once it has said ok."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import ids

BASE = "$BASE"  # in a path: the folder the subject works under
WHEN = "2026-01-01T00:00:00+00:00"
Register = tuple[str, ...]  # ("ref", branch), ("head",), ("state", kind, name)


def spoken(register: Register) -> str:
    return " ".join(filter(None, register))


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit must turn out to be."""

    manifest: Mapping[str, str]
    directories: tuple[str, ...] = ()
    message: str = ""
    parent: str | None = None

    def record(self) -> dict[str, Any]:
        record = {
            "parent_commit_id": self.parent,
            "snapshot_id": ids.snapshot_id(self.manifest, self.directories),
            "message": self.message,
            "committed_at": WHEN,
            "author": "crash",
        }
        return {"commit_id": ids.commit_id(record), **record}

    def under(self, parent: str | None) -> tuple[str, Commit]:
        """The same commit with a parent, and its id."""
        child = Commit(self.manifest, self.directories, self.message, parent)
        return str(child.record()["commit_id"]), child


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the adapter contract, and what its ok promises."""

    op: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    commits: Mapping[str, Commit] = field(default_factory=dict)
    commit: Commit | None = None  # its parent is known only when it is made
    register: Register | None = None
    value: Any = None  # None: cleared
    restored: tuple[str, bytes] | None = None  # path under the base, contents

    def line(self, base: Path) -> bytes:
        fields = {
            name: value.replace(BASE, str(base)) if isinstance(value, str) else value
            for name, value in self.fields.items()
        }
        return json.dumps({"op": self.op, **fields}).encode() + b"\n"

    @property
    def promises(self) -> set[str]:
        """What a symptom about this request's promise is about."""
        found = {*self.blobs, *self.commits}
        for made in self.commits.values():
            found.add(ids.snapshot_id(made.manifest, made.directories))
        if self.commit is not None:
            found.add(ids.snapshot_id(self.commit.manifest, self.commit.directories))
        if self.register is not None:
            found.add(spoken(self.register))
        if self.restored is not None:
            found.add(self.restored[0])
        return found

    @property
    def name(self) -> str:
        """The operation, with the kind where it has kinds."""
        return f"{self.op} {self.fields['kind']}" if "kind" in self.fields else self.op


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def put_blob(data: bytes) -> Request:
    return Request("put_blob", {"data": text(data)}, {ids.blob_id(data): data})


def put_blob_file(path: Path) -> Request:
    data = path.read_bytes()
    return Request("put_blob_file", {"path": str(path)}, {ids.blob_id(data): data})


def commit(
    branch: str, files: Mapping[str, bytes], message: str, directories: tuple[str, ...] = ()
) -> Request:
    blobs = {ids.blob_id(data): data for data in files.values()}
    manifest = {path: ids.blob_id(data) for path, data in files.items()}
    fields = {
        "branch": branch,
        "files": {path: text(data) for path, data in files.items()},
        "directories": list(directories),
        "message": message,
        "author": "crash",
        "committed_at": WHEN,
    }
    plan = Commit(manifest, directories, message)
    return Request("commit", fields, blobs, commit=plan, register=("ref", branch))


def set_ref(branch: str, target: str, **expect: str | None) -> Request:
    fields = {"branch": branch, "id": target, **expect}
    return Request("set_ref", fields, register=("ref", branch), value=target)


def set_head(**value: str) -> Request:
    return Request("set_head", value, register=("head",), value=value)


def set_state(kind: str, value: Any, name: str | None = None) -> Request:
    fields = {"kind": kind, "value": value, **({"name": name} if name else {})}
    return Request("set_state", fields, register=("state", kind, name or ""), value=value)


def restore(target: str, data: bytes, path: str) -> Request:
    fields = {"id": target, "dest": f"{BASE}/{path}"}
    return Request("restore", fields, restored=(path, data))


def receive_pack(path: Path, commits: Mapping[str, Commit], blobs: Mapping[str, bytes]) -> Request:
    """Writes a plain pack of these commits (each a root) and asks to take it in."""
    snapshots = [
        {
            "snapshot_id": made.record()["snapshot_id"],
            "parent_snapshot_id": None,
            "delta_upsert": dict(made.manifest),
            "delta_remove": [],
            "directories": list(made.directories),
        }
        for made in commits.values()
    ]
    content = {
        "format": 1,
        "commits": [made.record() for made in commits.values()],
        "snapshots": snapshots,
        "blobs": [{"object_id": name, "content": data} for name, data in blobs.items()],
        "branch_heads": {},
        "meta": {},
    }
    path.write_bytes(ids.pack(content))
    return Request("receive_pack", {"path": str(path)}, blobs, commits)


def gc() -> Request:
    return Request("gc", {"grace_seconds": 0})
