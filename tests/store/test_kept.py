"""Records as files hold them: whatever a file says, it is a record or a clear error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reference.store import kept
from reference.wire.errors import ProtocolError

ID = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


def snapshot(**fields: Any) -> bytes:
    """A snapshot's file."""
    record = {"snapshot_id": ID, "parent_snapshot_id": None, "delta_upsert": {}, **fields}
    return json.dumps(record).encode()


def test_one_copy_of_each_path_and_id() -> None:
    """A history that names the same ones over and over does not keep them over and over."""
    first, again = (kept.snapshot_from(ID, snapshot(delta_upsert={"a/b": OTHER})) for _ in "12")
    [(path, oid)], [(same_path, same_oid)] = (
        record["delta_upsert"].items() for record in (first, again)
    )
    assert (path, oid) == ("a/b", OTHER)
    assert path is same_path
    assert oid is same_oid


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b'"\xff"',
        json.dumps({"snapshot_id": ID}).encode("utf-16"),
        b"[" * 100_000,
        snapshot(delta_upsert=[]),
        snapshot(delta_upsert={"a": [OTHER]}),
        snapshot(delta_upsert={"a": 7}),
        snapshot(delta_upsert={"a": None}),
        snapshot(delta_upsert={"a": OTHER.upper()}),
        snapshot(delta_upsert={"../a": OTHER}),
        snapshot(delta_upsert={"a\ud800": OTHER}),
        snapshot(delta_upsert={"a": OTHER}, delta_remove=["a"]),
        snapshot(delta_remove=[["a"]]),
        snapshot(snapshot_id=OTHER),
        snapshot(manifest={}),
    ],
)
def test_a_damaged_snapshot_is_told(raw: bytes) -> None:
    """Every way of being wrong is the one code that the commands explain."""
    with pytest.raises(ProtocolError, match="integrity check") as caught:
        kept.snapshot_from(ID, raw)
    assert caught.value.code == "integrity"
