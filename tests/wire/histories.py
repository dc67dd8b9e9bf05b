"""Small histories with ids from the oracle, and the packs that carry them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import msgpack
import zstandard

from reference.core import verification
from reference.wire import provenance
from reference.wire.pack import DEFAULT_LIMITS, Limits, Pack
from reference.wire.reader import read
from reference.wire.records import check_commit, check_snapshot
from reference.wire.writer import compress_frames, write_framed
from tests import oracle

SEED = bytes(range(32))
KEY = "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"


@dataclass(frozen=True)
class Version:
    """A tree, the earlier versions it descends from, and the earlier one its delta stands on."""

    files: Mapping[str, bytes]
    directories: Sequence[str] = ()
    parents: tuple[int, ...] = ()
    base: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    signed: bool = False


@dataclass(frozen=True)
class History:
    """The records of some versions as they travel, and the contents they name."""

    commits: list[dict[str, Any]]
    snapshots: list[dict[str, Any]]
    blobs: dict[str, bytes]
    manifests: dict[str, dict[str, str]]
    directories: dict[str, list[str]]


def history(*versions: Version) -> History:
    """Commits and deltas of `versions`, in their order; equal trees share a snapshot."""
    made = History([], [], {}, {}, {})
    trees: list[str] = []
    for version in versions:
        manifest = {path: oracle.blob_id(content) for path, content in version.files.items()}
        made.blobs.update((oracle.blob_id(content), content) for content in version.files.values())
        directories = list(version.directories)
        snapshot_id = oracle.snapshot_id(manifest, directories)
        base = None if version.base is None else trees[version.base]
        trees.append(snapshot_id)
        if snapshot_id not in made.manifests:
            made.snapshots.append(_delta(made, snapshot_id, manifest, directories, base))
            made.manifests[snapshot_id] = manifest
            made.directories[snapshot_id] = directories
        made.commits.append(_commit(made, snapshot_id, version))
    return made


def _delta(
    made: History,
    snapshot_id: str,
    manifest: dict[str, str],
    directories: list[str],
    base: str | None,
) -> dict[str, Any]:
    before = made.manifests[base] if base else {}
    record: dict[str, Any] = {
        "snapshot_id": snapshot_id,
        "parent_snapshot_id": base,
        "delta_upsert": {p: oid for p, oid in manifest.items() if before.get(p) != oid},
        "delta_remove": [path for path in before if path not in manifest],
    }
    if directories != (made.directories[base] if base else []):
        record["directories"] = directories
    return record


def _commit(made: History, snapshot_id: str, version: Version) -> dict[str, Any]:
    number = len(made.commits)
    parents = [made.commits[n]["commit_id"] for n in version.parents]
    first, second = (*parents, None, None)[:2]
    record = {
        "snapshot_id": snapshot_id,
        "message": f"Version {number}",
        "committed_at": f"2026-01-01T00:{number // 60:02}:{number % 60:02}+00:00",
        "parent_commit_id": first,
        "parent2_commit_id": second,
        "signer_public_key": KEY if version.signed else "",
        **version.fields,
    }
    record = check_commit({"commit_id": oracle.commit_id(record), **record})
    if version.signed:
        record["signature"] = provenance.sign(record, SEED)
    return record


def plain(made: History, **parts: Any) -> bytes:
    """A plain pack, packed by msgpack itself; `parts` replaces or adds keys."""
    blobs = [{"object_id": oid, "content": content} for oid, content in made.blobs.items()]
    whole = {
        "format": 1,
        "commits": made.commits,
        "snapshots": made.snapshots,
        "blobs": blobs,
        "branch_heads": {"main": made.commits[-1]["commit_id"]} if made.commits else {},
        "meta": {},
    }
    return bytes(msgpack.packb({**whole, **parts}))


def framed(made: History) -> bytes:
    """A framed pack as the reference sends it."""
    plans, payloads = compress_frames(list(made.blobs.items()))
    heads = {"main": made.commits[-1]["commit_id"]} if made.commits else {}
    out = BytesIO()
    write_framed(out.write, made.commits, made.snapshots, plans, payloads, heads)
    return out.getvalue()


def opened(pack: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The decoded head and the frames of a framed pack."""
    outer = msgpack.unpackb(pack)
    return msgpack.unpackb(zstandard.decompress(outer["head"])), outer["frames"]


def closed(head: Any, frames: Sequence[bytes], **keys: Any) -> bytes:
    """A framed pack from a head, which is compressed here, and frames as they are."""
    packed = zstandard.compress(msgpack.packb(head))
    return bytes(msgpack.packb({"format": 1, "head": packed, "frames": list(frames), **keys}))


def checked(
    pack: bytes,
    limits: Limits = DEFAULT_LIMITS,
    known: verification.Known | None = None,
) -> Pack:
    """The pack after everything a receiver checks."""
    found = read([pack], limits)
    verification.check_commits(found.commits)
    provenance.verify_all(found.commits)
    verification.check_pack(found, known or verification.Known(), limits)
    return found


def as_known(made: History) -> verification.Known:
    """A receiver that has all of `made`."""
    return verification.Known(
        commits={commit["commit_id"] for commit in made.commits},
        snapshots=set(made.manifests),
        objects=set(made.blobs),
        manifest=lambda oid: (made.manifests[oid], made.directories[oid]),
    )


def received(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Snapshot records as a receiver holds them."""
    return [check_snapshot(dict(record)) for record in records]


SAMPLE = history(
    Version({"README.md": b"hello\n", "src/a.py": b"a = 1\n" * 9}, ["empty"]),
    Version({"README.md": b"hello\n", "src/a.py": b"a = 2\n" * 9}, ["empty"], (0,), 0),
    Version({"README.md": b"", "src/b/c.py": b"c\n"}, [], (0,), 0, {"reviewed_by": "bob"}, True),
    Version({"README.md": b"", "src/a.py": b"a = 2\n" * 9}, ["empty"], (1, 2), 1, signed=True),
    Version({"README.md": b"hello\n", "src/a.py": b"a = 1\n" * 9}, ["empty"], (3,)),
    Version({}, [], (4,), 3, {"metadata": {"n": 1}}),
)
"""A branch, a merge, a revert to an earlier tree, an empty tree, two signatures."""
