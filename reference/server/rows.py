"""Rows in PostgreSQL's binary COPY format: 20,000 of them a push, so none costs a Python call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from struct import Struct, pack
from typing import TYPE_CHECKING, Any

import msgpack

from reference.core.history import parents_first
from reference.wire.ids import from_raw, to_raw
from reference.wire.pack import Pack
from reference.wire.records import Commit, Snapshot, parents

if TYPE_CHECKING:
    import asyncpg

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
NONE = _HEADER + _END
"""No rows."""
_NULL = b"\xff\xff\xff\xff"
_ID = b"\0\0\0\x20"
_TEXT_OID = 25
_FRAME, _SPAN, _NUMBER = Struct(">iqiqiii?"), Struct(">iqiq"), Struct(">iq")
_pack_message: Callable[[object], bytes] = msgpack.Packer().pack

Table = tuple[str, tuple[str, ...], bytes]
"""A table, the columns that are copied, and the rows."""


def _table(name: str, columns: str, rows: Iterable[bytes]) -> Table:
    return name, tuple(columns.split()), b"".join((_HEADER, *rows, _END))


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


def commits(repo: bytes, records: Sequence[Commit], last: int) -> Table:
    """Rows of `commits`, numbered on from `last`; of two records with one id the first counts."""
    start = b"\0\7" + _ID + repo
    order = parents_first({record["commit_id"]: parents(record) for record in records})
    position = {commit_id: last + n for n, commit_id in enumerate(order, start=1)}
    rows: list[bytes] = []
    for object_id, record in _unique("commit_id", records):
        rows += (
            start,
            _id(object_id),
            _id(record["snapshot_id"]),
            _id(record["parent_commit_id"]),
            _id(record["parent2_commit_id"]),
            _field(_pack_message(record)),
            _NUMBER.pack(8, position[object_id]),
        )
    return _table(
        "commits",
        "repo_id commit_id snapshot_id parent_commit_id parent2_commit_id record position",
        rows,
    )


def snapshots(records: Iterable[Snapshot]) -> Table:
    """Rows of `snapshots`."""
    return _table(
        "snapshots",
        "snapshot_id parent_snapshot_id delta directories",
        (
            b"\0\4"
            + _id(object_id)
            + _id(record["parent_snapshot_id"])
            + _field(_pack_message((record["delta_upsert"], record["delta_remove"])))
            + _texts(record.get("directories"))
            for object_id, record in _unique("snapshot_id", records)
        ),
    )


def _unique(name: str, records: Iterable[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Records in the order of their ids, each id once."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        found.setdefault(record[name], record)
    return [(object_id, found[object_id]) for object_id in sorted(found)]


def references(table: str, column: str, repo: bytes, ids: Iterable[bytes], last: int) -> Table:
    """Rows of a table that says which repository has what since when; the ids in order, once."""
    start, end = b"\0\3" + _ID + repo + _ID, _NUMBER.pack(8, last)
    return _table(table, f"repo_id {column} since", [start + own + end for own in ids])


def index(mpack: bytes, contents: Pack, raws: Sequence[bytes]) -> Table:
    """Rows of `mpack_index`, in the order of the ids; of two places of a blob the later counts."""
    found: dict[bytes, bytes] = {}
    blobs = zip(raws, contents.blob_sizes, strict=True)
    span, middle = _SPAN.pack, _ID + mpack
    for frame in contents.frames:
        known = (8, frame.offset, 8, frame.length, 4, frame.blobs, 1, frame.stored)
        start = middle + _FRAME.pack(*known)
        offset = 0
        for blob, size in islice(blobs, frame.blobs):
            found[blob] = start + span(8, offset, 8, size)
            offset += size
    start = b"\0\x08" + _ID
    return _table(
        "mpack_index",
        "blob_id mpack_id frame_offset frame_length frame_blobs stored offset length",
        sorted([start + blob + place for blob, place in found.items()]),
    )


def parents_in(records: Mapping[str, Commit]) -> Callable[[str], list[str]]:
    """Looks up parents among `records`; a commit that is not there has none."""
    return lambda commit_id: parents(records[commit_id]) if commit_id in records else []


def snapshot_of(row: asyncpg.Record) -> Snapshot:
    """The record of a row of `snapshots`, as it was pushed."""
    upsert, remove = msgpack.unpackb(row["delta"])
    base = row["parent_snapshot_id"]
    record: Snapshot = {
        "snapshot_id": from_raw(row["snapshot_id"]),
        "parent_snapshot_id": None if base is None else from_raw(base),
        "delta_upsert": upsert,
        "delta_remove": remove,
    }
    if row["directories"] is not None:
        record["directories"] = row["directories"]
    return record
