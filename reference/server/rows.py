"""Rows in PostgreSQL's binary COPY format: 20,000 of them a push, so none costs a Python call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from struct import Struct, pack

import msgpack

from reference.wire.ids import from_raw, to_raw
from reference.wire.pack import Pack
from reference.wire.records import Commit, Snapshot

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_ID = b"\0\0\0\x20"
_TEXT_OID = 25
_PLACE = Struct(">iqiqi?iqiq")
_pack_message: Callable[[object], bytes] = msgpack.Packer().pack
_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

Table = tuple[str, tuple[str, ...], bytes]
"""A table, the columns that are copied, and the rows."""


def _table(name: str, columns: str, rows: Iterable[bytes]) -> Table:
    return name, tuple(columns.split()), _HEADER + b"".join(rows) + _END


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _id(object_id: str | None) -> bytes:
    return _NULL if object_id is None else _ID + to_raw(object_id)


def _texts(items: Sequence[str] | None) -> bytes:
    """An array of texts."""
    if items is None:
        return _NULL
    if not items:
        return _field(pack(">iii", 0, 0, _TEXT_OID))
    head = pack(">iiiii", 1, 0, _TEXT_OID, len(items), 1)
    return _field(head + b"".join(_field(item.encode()) for item in items))


def commits(repo: bytes, records: Iterable[Commit]) -> Table:
    """Rows of `commits`; of two records with one id the first counts."""
    unique: dict[str, Commit] = {}
    for record in records:
        unique.setdefault(record["commit_id"], record)
    start = b"\0\6" + _ID + repo
    return _table(
        "commits",
        "repo_id commit_id snapshot_id parent_commit_id parent2_commit_id record",
        (
            start
            + _id(object_id)
            + _id(unique[object_id]["snapshot_id"])
            + _id(unique[object_id]["parent_commit_id"])
            + _id(unique[object_id]["parent2_commit_id"])
            + _field(_dump(unique[object_id]).encode())
            for object_id in sorted(unique)
        ),
    )


def snapshots(records: Iterable[Snapshot]) -> Table:
    """Rows of `snapshots`."""
    unique: dict[str, Snapshot] = {}
    for record in records:
        unique.setdefault(record["snapshot_id"], record)
    return _table(
        "snapshots",
        "snapshot_id parent_snapshot_id delta directories",
        (
            b"\0\4"
            + _id(object_id)
            + _id(unique[object_id]["parent_snapshot_id"])
            + _field(
                _pack_message(
                    (unique[object_id]["delta_upsert"], unique[object_id]["delta_remove"])
                )
            )
            + _texts(unique[object_id].get("directories"))
            for object_id in sorted(unique)
        ),
    )


def references(table: str, column: str, repo: bytes, ids: Iterable[str]) -> Table:
    """Rows of a table that says which repository has what."""
    start = b"\0\2" + _ID + repo + _ID
    raws = sorted({to_raw(object_id) for object_id in ids})
    return _table(table, f"repo_id {column}", (start + raw for raw in raws))


def index(mpack: bytes, contents: Pack) -> Table:
    """Rows of `mpack_index`: where each blob of a pack lies."""
    places = {
        to_raw(object_id): _PLACE.pack(8, at, 8, size, 1, stored, 8, offset, 8, length)
        for object_id, at, size, stored, offset, length in contents.rows()
    }
    middle = _ID + mpack
    return _table(
        "mpack_index",
        "blob_id mpack_id frame_offset frame_length stored offset length",
        (b"\0\7" + _ID + raw + middle + places[raw] for raw in sorted(places)),
    )


def snapshot_of(row: Sequence[object] | object) -> Snapshot:
    """The record of a row of `snapshots`, as it was pushed."""
    values: dict[str, object] = dict(row)  # type: ignore[call-overload]  # a record is a mapping
    upsert, remove = msgpack.unpackb(values["delta"])  # type: ignore[arg-type]
    base = values["parent_snapshot_id"]
    record: Snapshot = {
        "snapshot_id": from_raw(values["snapshot_id"]),  # type: ignore[arg-type]
        "parent_snapshot_id": None if base is None else from_raw(base),  # type: ignore[arg-type]
        "delta_upsert": upsert,
        "delta_remove": remove,
    }
    if values["directories"] is not None:
        record["directories"] = values["directories"]
    return record
