"""Commit and snapshot records: what they must hold, and what is filled in where it is absent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isfinite

from .errors import ProtocolError, shown
from .ids import check_id
from .names import check_directories, check_path

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Commit: TypeAlias = "dict[str, Any]"
"""A commit as on the wire: every known field, and each unknown one as it came."""
Snapshot: TypeAlias = "dict[str, Any]"
"""A snapshot as on the wire: a delta on `parent_snapshot_id`, or on nothing."""

DEPTH = 64
"""How deep metadata and unknown fields may nest."""
FORMAT_VERSION = 7
SEM_VER_BUMPS = ("none", "patch", "minor", "major")

_TIME = (  # compiled where it is first met
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    if "\0" in value:
        raise ProtocolError("malformed", f"{name:.64} holds a NUL", "REC-004")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            why = f"{name:.64} holds a lone surrogate"
            raise ProtocolError("malformed", why, "REC-004") from None
    return value


def _plain(name: str, value: object, depth: int = 0) -> object:
    """`value` if JSON can hold it, whatever its shape."""
    if isinstance(value, str):
        return _text(name, value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if depth >= DEPTH:
        why = f"{name:.64} nests deeper than {DEPTH} levels"
        raise ProtocolError("malformed", why, "REC-006")
    if isinstance(value, list):
        for item in value:
            _plain(name, item, depth + 1)
        return value
    if isinstance(value, dict):
        for key, item in value.items():
            _text(name, key)
            _plain(name, item, depth + 1)
        return value
    why = f"{name:.64}: expected a value JSON can hold, got {shown(value)}"
    raise ProtocolError("malformed", why, "REC-005")


def _mapping(name: str, value: object) -> object:
    if not isinstance(value, dict):
        raise _wrong(name, "a map", value)
    return _plain(name, value)


def _texts(name: str, value: object) -> object:
    if not isinstance(value, list):
        raise _wrong(name, "a list of texts", value)
    return [_text(name, item) for item in value]


def _optional_id(name: str, value: object) -> object:
    return None if value is None else check_id(value, name)


def _bump(name: str, value: object) -> object:
    if value not in SEM_VER_BUMPS:
        raise _wrong(name, "one of " + ", ".join(SEM_VER_BUMPS), value)
    return value


def _integer(name: str, value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "a whole number", value)
    return value


@lru_cache(maxsize=4096)
def _is_date(text: str) -> bool:
    from datetime import date  # most processes that ask a store meet none

    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def check_time(name: str, value: object) -> str:
    """`value` as an ISO 8601 time with its offset; the text itself is what is kept."""
    found = re.fullmatch(_TIME, value) if isinstance(value, str) else None
    if found is None or not _is_date(found[1]):
        why = f"{name}: expected a time like 2026-01-01T00:00:00+00:00, got {shown(value)}"
        raise ProtocolError("malformed", why, "REC-009")
    return found[0]


def _wrong(name: str, expected: str, value: object, requirement: str = "REC-003") -> ProtocolError:
    what = f"{name:.64}: expected {expected}, got {shown(value)}"
    return ProtocolError("malformed", what, requirement)


REQUIRED = ("commit_id", "snapshot_id", "message", "committed_at")

_NAMED_TEXTS = (
    *("branch", "author", "agent_id", "model_id", "toolchain_id", "prompt_hash"),
    *("signature", "signer_public_key", "signer_key_id"),
)
_CHECKS: dict[str, Callable[[str, object], object]] = dict.fromkeys(_NAMED_TEXTS, _text) | {
    "commit_id": lambda name, value: check_id(value, name),
    "snapshot_id": lambda name, value: check_id(value, name),
    "message": _text,
    "committed_at": check_time,
    "parent_commit_id": _optional_id,
    "parent2_commit_id": _optional_id,
    "metadata": _mapping,
    "structured_delta": _plain,
    "sem_ver_bump": _bump,
    "breaking_changes": _texts,
    "format_version": _integer,
}

_DEFAULTS: dict[str, Any] = {
    "branch": "",
    "parent_commit_id": None,
    "parent2_commit_id": None,
    "author": "",
    "structured_delta": None,
    "sem_ver_bump": "none",
    "agent_id": "",
    "model_id": "",
    "toolchain_id": "",
    "prompt_hash": "",
    "signature": "",
    "signer_public_key": "",
    "signer_key_id": "",
    "format_version": FORMAT_VERSION,
}


def check_field(name: object, value: object) -> object:
    """One field of a commit, known or not."""
    if not isinstance(name, str):
        raise ProtocolError("malformed", f"a field's name must be text, got {shown(name)}")
    check = _CHECKS.get(name)
    if check is None:
        _text("a field's name", name)
        check = _plain
    return check(name, value)


def defaults() -> Commit:
    """The fields that a commit need not give."""
    return {**_DEFAULTS, "metadata": {}, "breaking_changes": []}


def complete(fields: Mapping[str, Any]) -> Commit:
    """A commit of checked `fields`, with the defaults of those that are absent."""
    return check_whole({**defaults(), **fields})


def check_whole(record: Commit) -> Commit:
    """`record`, which holds `defaults` and checked fields, if they make a commit."""
    for name in REQUIRED:
        if name not in record:
            raise ProtocolError("missing_field", f"a commit lacks {name}", "REC-001")
    second = record["parent2_commit_id"]
    if second is not None and record["parent_commit_id"] in (None, second):
        why = f"second parent {second} without another first parent"
        raise ProtocolError("malformed", why, "REC-010")
    return record


def check_commit(value: object) -> Commit:
    """`value` as a whole commit record; its id is not computed here."""
    if not isinstance(value, dict):
        raise _wrong("a commit", "a map", value)
    return complete({name: check_field(name, item) for name, item in value.items()})


def count_entries(value: object) -> int:
    """How many paths a snapshot names, told before any of them is looked at."""
    if not isinstance(value, dict):
        return 0
    listed = (value.get(name) for name in ("delta_upsert", "delta_remove", "directories"))
    return sum(len(entries) for entries in listed if isinstance(entries, dict | list))


def check_snapshot(value: object) -> Snapshot:
    """`value` as a snapshot delta; unknown fields are dropped, a `manifest` is refused."""
    if not isinstance(value, dict):
        raise _wrong("a snapshot", "a map", value, "SNAP-001")
    if "manifest" in value:
        raise ProtocolError("malformed", "a snapshot carries a full manifest", "SNAP-002")
    if "snapshot_id" not in value:
        raise ProtocolError("missing_field", "a snapshot lacks snapshot_id", "SNAP-001")
    upsert, remove = value.get("delta_upsert", {}), value.get("delta_remove", [])
    if not isinstance(upsert, dict):
        raise _wrong("delta_upsert", "a map", upsert, "SNAP-001")
    if not isinstance(remove, list):
        raise _wrong("delta_remove", "a list", remove, "SNAP-001")
    snapshot = {
        "snapshot_id": check_id(value["snapshot_id"], "snapshot_id"),
        "parent_snapshot_id": _optional_id("parent_snapshot_id", value.get("parent_snapshot_id")),
        "delta_upsert": {check_path(path): check_id(oid, path) for path, oid in upsert.items()},
        "delta_remove": [check_path(path) for path in remove],
    }
    check_delta(snapshot)
    directories = value.get("directories")
    if directories is not None:
        if not isinstance(directories, list):
            raise _wrong("directories", "a list", directories, "SNAP-001")
        check_directories(directories)
        snapshot["directories"] = directories
    return snapshot


def check_delta(snapshot: Snapshot) -> None:
    """No path is removed twice, or both written and removed."""
    remove = snapshot["delta_remove"]
    if not remove:
        return
    if len(set(remove)) != len(remove) or not snapshot["delta_upsert"].keys().isdisjoint(remove):
        why = f"{snapshot['snapshot_id']} removes a path twice, or one it also writes"
        raise ProtocolError("malformed", why, "SNAP-006")


def parents(commit: Mapping[str, Any]) -> list[str]:
    """The ids of a commit's parents, first parent first."""
    found = (commit.get("parent_commit_id"), commit.get("parent2_commit_id"))
    return [parent for parent in found if parent]
