"""Records as the store's files hold them: read back, checked, never believed."""

from __future__ import annotations

import json
from collections.abc import Callable

from reference.wire.errors import ProtocolError
from reference.wire.ids import check_id, commit_id
from reference.wire.names import check_path
from reference.wire.records import Commit, Snapshot, check_commit, check_delta, check_snapshot

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Record: TypeAlias = "dict[str, Any]"
KNOWN = 1 << 16


class _Once(dict[str, str]):
    """Texts that were found sound, one copy of each: a history names the same over and over."""

    def __init__(self, check: Callable[[object], str]) -> None:
        super().__init__()
        self._check = check

    def __missing__(self, text: str) -> str:
        found = self._check(text)
        if len(self) >= KNOWN:
            self.clear()
        self[found] = found
        return found


_paths = _Once(check_path)
_ids = _Once(check_id)


def check_format(path: str) -> None:
    """A store of another format is refused before anything is touched.  [STORE-004]"""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError, RecursionError) as problem:
        raise ProtocolError("integrity", f"integrity check: {path}: {problem}") from None
    if not isinstance(found, dict) or found.get("format") != 1:
        raise ProtocolError("integrity", f"{path}: this kit knows format 1 alone")


def _parse(object_id: str, raw: bytes, check: Callable[[object], Record]) -> Record:
    try:
        return check(json.loads(raw.decode()))
    except (ValueError, RecursionError):
        raise ProtocolError("integrity", f"integrity check: {object_id} is not JSON") from None
    except ProtocolError as problem:
        raise ProtocolError("integrity", f"integrity check: {object_id}: {problem}") from None


def commit_from(object_id: str, raw: bytes) -> Commit:
    """A commit from its file, rehashed."""
    record = _parse(object_id, raw, check_commit)
    if record["commit_id"] != check_id(object_id) or commit_id(record) != object_id:
        raise ProtocolError("integrity", f"integrity check: commit {object_id} does not match")
    return record


def _check_snapshot(value: object) -> Snapshot:
    """As `check_snapshot`, which here looks at each path and id once."""
    given = value.get("delta_upsert") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(given, dict):
        return check_snapshot(value)
    record = check_snapshot({**value, "delta_upsert": {}})
    try:
        record["delta_upsert"] = {_paths[path]: _ids[oid] for path, oid in given.items()}
    except TypeError:  # an id that is a list, say
        return check_snapshot(value)
    check_delta(record)
    return record


def snapshot_from(object_id: str, raw: bytes) -> Snapshot:
    """A snapshot's delta from its file; only rebuilding its manifest proves it."""
    record = _parse(object_id, raw, _check_snapshot)
    if record["snapshot_id"] != object_id:
        raise ProtocolError("integrity", f"integrity check: snapshot {object_id} is mis-named")
    return record
