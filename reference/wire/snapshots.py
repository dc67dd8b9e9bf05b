"""Snapshot deltas: from one manifest to the next, and back."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import ProtocolError
from .ids import Manifest
from .names import check_tree
from .records import Snapshot


def apply(manifest: Manifest, delta: Snapshot) -> dict[str, str]:
    """The manifest that `delta` describes on top of `manifest` [SNAP-004]."""
    removed = frozenset(delta["delta_remove"])
    if unknown := removed - manifest.keys():
        why = f"{min(unknown)!r} is not there to remove"
        raise ProtocolError("delta_removes_unknown_path", why)
    changed = {**manifest, **delta["delta_upsert"]}
    result = {path: oid for path, oid in changed.items() if path not in removed}
    check_tree(result, directories_of(delta, ()))
    return result


def directories_of(delta: Snapshot, inherited: Sequence[str]) -> Sequence[str]:
    """The explicit directories of a snapshot, which are its parent's where it names none."""
    own: Sequence[str] | None = delta.get("directories")
    return inherited if own is None else own


def between(
    snapshot_id: str,
    manifest: Manifest,
    directories: Sequence[str],
    parent_id: str | None = None,
    parent: Manifest | None = None,
    parent_directories: Sequence[str] = (),
) -> Snapshot:
    """The record of a snapshot as a delta on `parent`, or as a root when there is none."""
    base = parent or {}
    record: Snapshot = {
        "snapshot_id": snapshot_id,
        "parent_snapshot_id": parent_id,
        "delta_upsert": {p: oid for p, oid in manifest.items() if base.get(p) != oid},
        "delta_remove": sorted(base.keys() - manifest.keys()),
    }
    if sorted(directories) != sorted(parent_directories):
        record["directories"] = sorted(directories)
    return record
