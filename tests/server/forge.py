"""Small histories made by hand, and the packs that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reference.wire import ids, provenance, snapshots, writer
from reference.wire.records import Commit, Snapshot, check_commit

Files = Mapping[str, bytes]


@dataclass
class Forge:
    """Remembers what it makes, so that a pack can be asked for by commits."""

    commits: dict[str, Commit] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, tuple[dict[str, str], list[str]]] = field(default_factory=dict)

    def commit(
        self,
        files: Files,
        *parents: str,
        directories: Iterable[str] = (),
        seed: bytes | None = None,
        **fields: Any,
    ) -> str:
        """A commit of `files`, as a delta on its first parent's snapshot."""
        manifest = {path: ids.blob_id(content) for path, content in files.items()}
        self.blobs.update({ids.blob_id(content): content for content in files.values()})
        listed = sorted(directories)
        snapshot = ids.snapshot_id(manifest, listed)
        if snapshot not in self.snapshots:
            base = self.commits[parents[0]]["snapshot_id"] if parents else None
            on = (base, *self.trees[base]) if base else ()
            self.snapshots[snapshot] = snapshots.between(snapshot, manifest, listed, *on)
        self.trees[snapshot] = (manifest, listed)
        record: dict[str, Any] = {
            "snapshot_id": snapshot,
            "message": f"commit {len(self.commits)}",
            "committed_at": f"2026-01-01T00:{len(self.commits) % 60:02d}:00+00:00",
            "author": "alice",
            "parent_commit_id": parents[0] if parents else None,
            "parent2_commit_id": parents[1] if len(parents) > 1 else None,
            **fields,
        }
        if seed is not None:
            record["signer_public_key"] = provenance.public_key(seed)
        made = check_commit({**record, "commit_id": ids.commit_id(record)})
        if seed is not None:
            made["signature"] = provenance.sign(made, seed)
        self.commits[made["commit_id"]] = made
        return str(made["commit_id"])

    def line(self, length: int, *parents: str, name: str = "file") -> list[str]:
        """Commits one after the other, each adding one file."""
        made: list[str] = []
        files = dict(self.files(parents[0])) if parents else {}
        for n in range(length):
            files[f"{name}-{n}.txt"] = f"{name} {n}\n".encode() * 20
            made.append(self.commit(files, *(made[-1:] or parents)))
        return made

    def files(self, commit_id: str) -> dict[str, bytes]:
        """The files of a commit."""
        manifest, _ = self.trees[self.commits[commit_id]["snapshot_id"]]
        return {path: self.blobs[object_id] for path, object_id in manifest.items()}

    def pack(
        self, ids_: Iterable[str] | None = None, /, framed: bool = True, **change: Any
    ) -> bytes:
        """The pack of these commits, of all where none are named; `change` replaces a part."""
        chosen = [self.commits[c] for c in (self.commits if ids_ is None else ids_)]
        wanted = list(dict.fromkeys(commit["snapshot_id"] for commit in chosen))
        records = change.get("snapshots", [self.snapshots[s] for s in wanted])
        named = [oid for record in records for oid in record["delta_upsert"].values()]
        blobs = change.get("blobs", [(oid, self.blobs[oid]) for oid in dict.fromkeys(named)])
        heads = change.get("branch_heads", {})
        parts: list[bytes] = []
        records_of_commits = change.get("commits", chosen)
        if framed:
            plans, payloads = writer.compress_frames(blobs)
            writer.write_framed(parts.append, records_of_commits, records, plans, payloads, heads)
        else:
            writer.write_plain(parts.append, records_of_commits, records, blobs, len(blobs), heads)
        return b"".join(parts)
