"""Packs as values that a check can damage before they become bytes, and packs read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgpack
import zstandard

from reference.wire import heads, reader, records, writer
from reference.wire.errors import ProtocolError

from . import oracle
from .histories import Commit, ancestry
from .outcomes import Fields, Unmet

Value = dict[str, Any]
Tree = tuple[dict[str, str], list[str]]
_NOTHING: Tree = ({}, [])


def plain(*tips: Commit, known: Iterable[Commit] = ()) -> Value:
    """The plain pack of what `tips` reach and `known` do not, every delta on its first parent."""
    had = ancestry(*known)
    snapshots = {commit.snapshot for commit in had}
    blobs = {blob for commit in had for blob in commit.blobs}
    value: Value = {"format": 1, "commits": [], "snapshots": [], "blobs": []}
    for commit in ancestry(*tips, without=[commit.id for commit in had]):
        value["commits"].append(dict(commit.record))
        if commit.snapshot not in snapshots:
            snapshots.add(commit.snapshot)
            value["snapshots"].append(delta(commit, commit.parents[0] if commit.parents else None))
        for blob, content in commit.blobs.items():
            if blob not in blobs:
                blobs.add(blob)
                value["blobs"].append({"object_id": blob, "content": content})
    value["branch_heads"] = {}
    value["meta"] = {}
    return value


def delta(commit: Commit, base: Commit | None = None) -> Value:
    """The snapshot of `commit` as a record on the snapshot of `base`, or as a root."""
    below = base.manifest if base else {}
    record: Value = {
        "snapshot_id": commit.snapshot,
        "parent_snapshot_id": base.snapshot if base else None,
        "delta_upsert": {p: b for p, b in commit.manifest.items() if below.get(p) != b},
        "delta_remove": sorted(below.keys() - commit.manifest.keys()),
    }
    if set(commit.directories) != set(base.directories if base else ()):
        record["directories"] = list(commit.directories)
    return record


def encode(value: Any) -> bytes:
    """The bytes of a plain pack."""
    return bytes(msgpack.packb(value, unicode_errors="surrogatepass"))


@dataclass(slots=True)
class Framed:
    """A framed pack in its parts, so that a check can bend any of them."""

    head: Value
    contents: list[bytes]
    payloads: list[bytes] = field(default_factory=list)
    squeezed: bytes | None = None

    def encode(self) -> bytes:
        """The bytes of the pack."""
        head = self.squeezed if self.squeezed is not None else squeeze(msgpack.packb(self.head))
        return bytes(msgpack.packb({"format": 1, "head": head, "frames": self.payloads}))


def framed(value: Value) -> Framed:
    """The framed form of a plain pack, its blobs in one compressed frame each."""
    blobs = [(blob["object_id"], blob["content"]) for blob in value["blobs"]]
    head = heads.encode(
        [records.check_commit(record) for record in value["commits"]],
        [records.check_snapshot(record) for record in value["snapshots"]],
        [(name, len(content)) for name, content in blobs],
        [1] * len(blobs),
        [False] * len(blobs),
        value.get("branch_heads", {}),
        value.get("meta", {}),
    )
    contents = [content for _, content in blobs]
    return Framed(head, contents, [squeeze(content) for content in contents])


def written(value: Value) -> bytes:
    """The framed form of a plain pack as a sender writes it, blobs sharing frames."""
    blobs = [(blob["object_id"], blob["content"]) for blob in value["blobs"]]
    plans, payloads = writer.compress_frames(blobs)
    parts: list[bytes] = []
    commits = [records.check_commit(record) for record in value["commits"]]
    snapshots = [records.check_snapshot(record) for record in value["snapshots"]]
    writer.write_framed(parts.append, commits, snapshots, plans, payloads)
    return b"".join(parts)


def squeeze(raw: bytes, level: int = 3) -> bytes:
    """One zstd frame that declares its size."""
    return zstandard.ZstdCompressor(level=level, write_content_size=True).compress(raw)


@contextmanager
def legible(what: str) -> Iterator[None]:
    """Whatever a reader trips over in what the subject sent is the subject's to answer for."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as problem:
        raise Unmet(what, f"{type(problem).__name__}: {problem}") from None
    except (ProtocolError, zstandard.ZstdError, msgpack.UnpackException) as problem:
        raise Unmet(what, f"{type(problem).__name__}: {problem}") from None


@dataclass(slots=True)
class Contents:
    """What a pack from the subject holds, by id; every id in it was recomputed."""

    framed: bool
    commits: dict[str, Value] = field(default_factory=dict)
    snapshots: dict[str, Value] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    value: Value = field(default_factory=dict)

    @legible("snapshots in the form of a pack's")
    def trees(self, known: Iterable[Commit] = ()) -> dict[str, Tree]:
        """Each snapshot's rebuilt manifest and directories, proven against its id."""
        had = ((commit.snapshot, (commit.manifest, list(commit.directories))) for commit in known)
        trees: dict[str, Tree] = Fields(had)
        for name, record in self.snapshots.items():
            parent = record.get("parent_snapshot_id")
            if parent is not None and parent not in trees:
                raise Unmet("each delta stands on what the receiver has", f"{name} on {parent}")
            below, inherited = trees[parent] if parent else _NOTHING
            gone = set(record.get("delta_remove", ()))
            if not gone <= below.keys():
                raise Unmet("removals of paths that are there", f"{sorted(gone - below.keys())}")
            tree = {p: b for p, b in below.items() if p not in gone}
            tree |= record.get("delta_upsert", {})
            listed: list[str] | None = record.get("directories")
            explicit = inherited if listed is None else listed
            if oracle.snapshot_id(tree, explicit) != name:
                raise Unmet(f"a manifest that hashes to {name}", oracle.snapshot_id(tree, explicit))
            trees[name] = (tree, explicit)
        return trees


@legible("a pack in its form: one msgpack map, with records and contents of their types")
def read(raw: bytes) -> Contents:
    """The contents of a pack that the subject sent, ids of commits and blobs verified."""
    value = msgpack.unpackb(raw, object_hook=Fields)
    form = value.get("format", 1)
    if form != 1:
        raise Unmet("format 1", repr(form))
    contents = _read_framed(raw, value) if "head" in value else _read_plain(value)
    for name, record in contents.commits.items():
        if oracle.commit_id(record) != name:
            raise Unmet(f"a commit that hashes to {name}", oracle.commit_id(record))
    for name, content in contents.blobs.items():
        if oracle.blob_id(content) != name:
            raise Unmet(f"a blob that hashes to {name}", oracle.blob_id(content))
    return contents


def _read_plain(value: Value) -> Contents:
    blobs: list[Value] = value["blobs"] if "blobs" in value else value.get("objects") or []
    return Contents(
        False,
        Fields((record["commit_id"], record) for record in value.get("commits", [])),
        Fields((record["snapshot_id"], record) for record in value.get("snapshots", [])),
        Fields((blob["object_id"], blob["content"]) for blob in blobs),
        value,
    )


def _read_framed(raw: bytes, value: Value) -> Contents:
    if list(value) != ["format", "head", "frames"]:
        raise Unmet("the keys format, head, frames in this order", repr(list(value)))
    pack = reader.read([raw])
    contents: dict[str, bytes] = {}
    for row in pack.rows():
        frame = raw[row.frame_offset : row.frame_offset + row.frame_length]
        opened = frame if row.stored else zstandard.ZstdDecompressor().decompress(frame)
        contents[row.object_id] = opened[row.offset : row.offset + row.length]
    return Contents(
        True,
        Fields((record["commit_id"], record) for record in pack.commits),
        Fields((record["snapshot_id"], record) for record in pack.snapshots),
        Fields(contents),
        value,
    )


def same_tree(manifest: Mapping[str, str], commit: Commit) -> bool:
    """Whether a rebuilt manifest is that of a commit."""
    return dict(manifest) == commit.manifest
