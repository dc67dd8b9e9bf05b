"""The head of a framed pack: records as columns, with ordinals where a plain pack has ids.

An ordinal counts through what the pack holds of its kind, then on through `external`.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgpack

from .errors import ProtocolError, shown
from .ids import from_raw, to_raw
from .names import check_directories, check_path
from .pack import DEFAULT_LIMITS, NONE, VALUES, Limits
from .records import Commit, Snapshot, check_delta, check_field, check_whole, defaults

_IDENTITY = ("commit_id", "snapshot_id", "parent_commit_id", "parent2_commit_id")


def _u32(numbers: Iterable[int]) -> bytes:
    column = array("I", numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def encode(
    commits: Sequence[Commit],
    snapshots: Sequence[Snapshot],
    blobs: Sequence[tuple[str, int]],
    frame_counts: Sequence[int],
    stored: Sequence[bool],
    branch_heads: Mapping[str, str],
    meta: Mapping[str, Any],
) -> dict[str, Any]:
    """The map of a head; `blobs` gives sizes in frame order, snapshots have parents first."""
    external: dict[str, int] = {}

    blob_at = {object_id: n for n, (object_id, _) in enumerate(blobs)}
    snapshot_at = {record["snapshot_id"]: n for n, record in enumerate(snapshots)}
    commit_at = {record["commit_id"]: n for n, record in enumerate(commits)}

    def ordinal(object_id: str | None, known: Mapping[str, int], count: int) -> int:
        if object_id is None:
            return NONE
        found = known.get(object_id)
        return count + external.setdefault(object_id, len(external)) if found is None else found

    paths = sorted({path for record in snapshots for path in _named_paths(record)}, key=str.encode)
    path_at = {path: n for n, path in enumerate(paths)}
    directories = [record.get("directories") for record in snapshots]
    parent_ids = [
        [commit[name] for name in _IDENTITY[2:] if commit[name] is not None] for commit in commits
    ]
    fields, rest = _field_columns(commits)
    head: dict[str, Any] = {
        "paths": paths,
        "sizes": _u32(size for _, size in blobs),
        "frame_counts": _u32(frame_counts),
        "raw": bytes(stored),
        "snapshots": {
            "ids": b"".join(to_raw(record["snapshot_id"]) for record in snapshots),
            "base": _u32(
                ordinal(r["parent_snapshot_id"], snapshot_at, len(snapshots)) for r in snapshots
            ),
            "upserts": _u32(len(record["delta_upsert"]) for record in snapshots),
            "path": _u32(path_at[p] for record in snapshots for p in record["delta_upsert"]),
            "object": _u32(
                ordinal(oid, blob_at, len(blobs))
                for record in snapshots
                for oid in record["delta_upsert"].values()
            ),
            "removes": _u32(len(record["delta_remove"]) for record in snapshots),
            "removed": _u32(path_at[p] for record in snapshots for p in record["delta_remove"]),
            "directories": [
                None if listed is None else _u32(path_at[path] for path in listed)
                for listed in directories
            ],
        },
        "commits": {
            "ids": b"".join(to_raw(commit["commit_id"]) for commit in commits),
            "snapshot": _u32(
                ordinal(c["snapshot_id"], snapshot_at, len(snapshots)) for c in commits
            ),
            "parents": bytes(map(len, parent_ids)),
            "parent": _u32(
                ordinal(oid, commit_at, len(commits)) for ids in parent_ids for oid in ids
            ),
            "fields": fields,
        },
        "branch_heads": dict(branch_heads),
        "meta": dict(meta),
    }
    if rest:
        head["commits"]["rest"] = rest
    head["external"] = b"".join(map(to_raw, external))
    return head


def _named_paths(record: Snapshot) -> Iterable[str]:
    yield from record["delta_upsert"]
    yield from record["delta_remove"]
    yield from record.get("directories") or ()


def _field_columns(commits: Sequence[Commit]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The fields every commit has, as columns, and what only some have, as maps."""
    if not commits:
        return {}, []
    shared = set.intersection(*map(set, commits)).difference(_IDENTITY)
    fields = {}
    for name in sorted(shared):
        column = [commit[name] for commit in commits]
        first = column[0]
        fields[name] = [first] if all(_same(first, value) for value in column) else column
    known = shared.union(_IDENTITY)
    rest = [{k: v for k, v in commit.items() if k not in known} for commit in commits]
    return fields, rest if any(rest) else []


def _same(one: object, other: object) -> bool:
    """Whether two values are the same on the wire; in Python {"n": 1} equals {"n": True}."""
    if one is other:
        return True
    if type(one) is not type(other) or one != other:
        return False
    if type(one) in (str, int) or one in ([], {}):
        return True
    return bool(msgpack.packb(one) == msgpack.packb(other))


def _malformed(why: str, requirement: str = "MPACK-010") -> ProtocolError:
    return ProtocolError("malformed", f"head: {why}", requirement)


class _Columns:
    """Typed access to a decoded map: each getter checks type and length, or says what is wrong."""

    def __init__(self, name: str, value: object) -> None:
        if not isinstance(value, dict):
            raise _malformed(f"{name} must be a map")
        self._name = name
        self._map: dict[str, Any] = value

    def _get(self, key: str, kind: type, default: object = None) -> Any:
        value = self._map.get(key, default)
        if not isinstance(value, kind):
            raise _malformed(f"{self._name}.{key} must be a {kind.__name__}")
        return value

    def columns(self, key: str) -> _Columns:
        return _Columns(key, self._map.get(key, {}))

    def mapping(self, key: str) -> dict[str, Any]:
        return dict(self._get(key, dict, {}))

    def items(self, key: str, count: int | None = None) -> list[Any]:
        found: list[Any] = self._get(key, list, [])
        if count is not None and len(found) != count:
            raise _malformed(f"{self._name}.{key} has {len(found)} entries, not {count}")
        return found

    def octets(self, key: str, count: int | None = None) -> bytes:
        found: bytes = self._get(key, bytes, b"")
        if count is not None and len(found) != count:
            raise _malformed(f"{self._name}.{key} has {len(found)} bytes, not {count}")
        return found

    def numbers(self, key: str, count: int | None = None) -> list[int]:
        return numbers(f"{self._name}.{key}", self.octets(key), count)

    def ids(self, key: str) -> list[str]:
        octets = self.octets(key)
        if len(octets) % 32:
            raise _malformed(f"{self._name}.{key} is not a whole number of digests")
        return [from_raw(octets[at : at + 32]) for at in range(0, len(octets), 32)]


def numbers(name: str, octets: bytes, count: int | None = None) -> list[int]:
    """A column of little-endian unsigned 32-bit integers."""
    if len(octets) % 4 or (count is not None and len(octets) != 4 * count):
        raise _malformed(f"{name} has {len(octets)} bytes, not 4 for each of {count} entries")
    column = array("I")
    column.frombytes(octets)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tolist()


def _named(what: str, ordinals: Sequence[int], names: Sequence[str]) -> list[str]:
    """What each ordinal stands for; one out of range is refused."""
    if ordinals and max(ordinals) >= len(names):
        raise _malformed(f"{what}: ordinal {max(ordinals)} of {len(names)}", "MPACK-011")
    return [names[n] for n in ordinals]


def _optional(what: str, ordinals: Sequence[int], names: Sequence[str]) -> list[str | None]:
    given = iter(_named(what, [n for n in ordinals if n != NONE], names))
    return [None if n == NONE else next(given) for n in ordinals]


def _shares(what: str, counts: Sequence[int], total: int) -> list[slice]:
    """The part of a column of `total` entries that belongs to each record."""
    if sum(counts) != total:
        raise _malformed(f"{what}: counts add up to {sum(counts)}, the column has {total}")
    return [slice(start, end) for start, end in pairwise(accumulate(counts, initial=0))]


class Head(NamedTuple):
    """A checked head; snapshots wait for the blobs' ids, everything else is there."""

    sizes: list[int]
    frame_counts: list[int]
    stored: bytes
    commits: list[Commit]
    branch_heads: dict[str, Any]
    meta: dict[str, Any]
    paths: list[str]
    external: list[str]
    snapshot_ids: list[str]
    columns: _Columns

    def snapshots(self, blob_ids: Sequence[str]) -> list[Snapshot]:
        """The snapshot records, now that the frames gave the blobs' ids."""
        columns = self.columns
        ids = self.snapshot_ids
        bases = _optional("base", columns.numbers("base", len(ids)), [*ids, *self.external])
        paths = _named("path", columns.numbers("path"), self.paths)
        known = [*blob_ids, *self.external]
        objects = _named("object", columns.numbers("object", len(paths)), known)
        removed = _named("removed", columns.numbers("removed"), self.paths)
        upserts = _shares("upserts", columns.numbers("upserts", len(ids)), len(paths))
        removes = _shares("removes", columns.numbers("removes", len(ids)), len(removed))
        found = []
        for n, listed in enumerate(columns.items("directories", len(ids))):
            share = upserts[n]
            record: Snapshot = {
                "snapshot_id": ids[n],
                "parent_snapshot_id": bases[n],
                "delta_upsert": dict(zip(paths[share], objects[share], strict=True)),
                "delta_remove": removed[removes[n]],
            }
            if len(record["delta_upsert"]) != share.stop - share.start:
                raise _malformed(f"{ids[n]} writes a path twice", "MPACK-016")
            check_delta(record)
            if listed is not None:
                if not isinstance(listed, bytes):
                    raise _malformed("snapshots.directories must hold nil or u32 columns")
                directories = _named("directories", numbers("directories", listed), self.paths)
                check_directories(directories)
                record["directories"] = directories
            found.append(record)
        return found


def decode(value: object, limits: Limits = DEFAULT_LIMITS) -> Head:
    """A head from its decoded map; counts and sizes beyond the caps are `too_large`."""
    top = _Columns("head", value)
    snapshots, commits = top.columns("snapshots"), top.columns("commits")
    if _count_records(top, snapshots, commits) > limits.records:
        raise ProtocolError("too_large", f"more than {limits.records} records", "MPACK-040")
    sizes = top.numbers("sizes")
    counts = top.numbers("frame_counts")
    stored = top.octets("raw") or bytes(len(counts))
    snapshot_ids, commit_ids = snapshots.ids("ids"), commits.ids("ids")
    if sum(sizes) > limits.raw_bytes:
        raise ProtocolError("too_large", f"blobs of over {limits.raw_bytes} bytes", "MPACK-041")
    if sum(counts) != len(sizes) or 0 in counts:
        raise _malformed("frame_counts do not add up to the blobs", "MPACK-015")
    if len(stored) != len(counts) or any(flag > 1 for flag in stored):
        raise _malformed("raw must hold one 0 or 1 for each frame", "MPACK-015")
    paths = [check_path(path) for path in top.items("paths")]
    if any(one >= two for one, two in pairwise(paths)):  # texts compare as their UTF-8 does
        raise _malformed("paths must be sorted, each once", "MPACK-014")
    external = top.ids("external")
    return Head(
        sizes=sizes,
        frame_counts=counts,
        stored=stored,
        commits=_commits(commits, commit_ids, [*snapshot_ids, *external], external, limits),
        branch_heads=top.mapping("branch_heads"),
        meta=top.mapping("meta"),
        paths=paths,
        external=external,
        snapshot_ids=snapshot_ids,
        columns=snapshots,
    )


def _count_records(top: _Columns, snapshots: _Columns, commits: _Columns) -> int:
    """What the limit on records counts, by the lengths of columns alone."""
    digests = len(snapshots.octets("ids")) + len(commits.octets("ids"))
    listings = snapshots.items("directories")
    directories = (len(listed) for listed in listings if isinstance(listed, bytes))
    ordinals = [len(snapshots.octets("path")), len(snapshots.octets("removed")), *directories]
    return digests // 32 + (len(top.octets("sizes")) + sum(ordinals)) // 4


def _commits(
    columns: _Columns,
    ids: list[str],
    snapshots: list[str],
    external: list[str],
    limits: Limits,
) -> list[Commit]:
    count = len(ids)
    of_snapshot = _named("snapshot", columns.numbers("snapshot", count), snapshots)
    parents = columns.octets("parents", count)
    if any(number > 2 for number in parents):
        raise _malformed("commits.parents must be 0, 1 or 2 each")
    parent_ids = _named("parent", columns.numbers("parent"), [*ids, *external])
    shares = _shares("parents", parents, len(parent_ids))
    fields = columns.mapping("fields")
    if count * len(fields) > VALUES * limits.records:
        raise ProtocolError("too_large", f"{count} commits of {len(fields)} fields", "MPACK-039")
    rest = columns.items("rest")
    if rest and len(rest) != count:
        raise _malformed(f"commits.rest has {len(rest)} entries, not {count}")
    shared: dict[str, Any] = {}
    varying: dict[str, list[Any]] = {}
    for name, column in fields.items():
        if name in _IDENTITY or not isinstance(column, list) or len(column) not in (1, count):
            raise _malformed(f"commits.fields.{shown(name)} must list 1 or {count}", "MPACK-017")
        if len(column) == 1:
            shared[name] = check_field(name, column[0])
        else:
            varying[name] = [check_field(name, item) for item in column]
    found = []
    same = {**defaults(), **shared}
    names = tuple(varying)
    for n, values in enumerate(zip(*varying.values(), strict=True) if varying else [()] * count):
        first, second = (*parent_ids[shares[n]], None, None)[:2]
        record: Commit = {
            **same,
            "commit_id": ids[n],
            "snapshot_id": of_snapshot[n],
            "parent_commit_id": first,
            "parent2_commit_id": second,
        }
        record.update(zip(names, values, strict=True))
        if rest:
            own = rest[n]
            if not isinstance(own, dict) or not own.keys().isdisjoint((*fields, *_IDENTITY)):
                raise _malformed("commits.rest must hold maps of other fields", "MPACK-017")
            record.update({name: check_field(name, item) for name, item in own.items()})
        found.append(check_whole(record))
    return found
