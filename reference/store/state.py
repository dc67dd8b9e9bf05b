"""State files: an operation in progress, coordination between agents, configuration."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping

from reference.wire.errors import ProtocolError

from . import durable

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Value: TypeAlias = "dict[str, Any]"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,199}"
_PLACES = {
    "merge": "MERGE_STATE.json",
    "rebase": "REBASE_STATE.json",
    "reservation": "coordination/reservations/{}.json",
    "intent": "coordination/intents/{}.json",
    "checkpoint": "op_log/{}/checkpoint.json",
    "config": "config.toml",
}
_BARE_KEY = r"[A-Za-z0-9_-]+"


def _path(dot: str, kind: str, name: object) -> str:
    place = _PLACES.get(kind)
    if place is None:
        raise ProtocolError("invalid", f"no state of kind {kind!r:.60}")
    if "{}" not in place:
        if name is not None:
            raise ProtocolError("invalid", f"the state {kind} has no name")
        return f"{dot}/{place}"
    chosen = "default" if name is None else name
    if not isinstance(chosen, str) or not re.fullmatch(_NAME, chosen):
        raise ProtocolError("invalid", f"{name!r:.90} cannot name a {kind}")
    return f"{dot}/{place.format(chosen)}"


def set_state(dot: str, kind: str, name: object, value: object) -> None:
    """Writes a state, or clears it where `value` is None."""
    path = _path(dot, kind, name)
    if value is None and kind != "config":
        durable.remove(path)  # though it is gone: whoever removed it may not have lived to sync
        return
    if not isinstance(value, dict):
        raise ProtocolError("invalid", f"the state {kind} must be an object, got {value!r:.60}")
    durable.write(path, _toml(value) if kind == "config" else _json(value))


def get_state(dot: str, kind: str, name: object = None) -> Value:
    """A state as it was written, or `not_found`."""
    path = _path(dot, kind, name)
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except FileNotFoundError:
        raise ProtocolError("not_found", f"no {kind} state here") from None
    try:
        value = _config(raw) if kind == "config" else json.loads(raw)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError("integrity", f"integrity check: {path}: {problem}") from None
    if not isinstance(value, dict):
        raise ProtocolError("integrity", f"integrity check: {path} holds no object")
    return value


def _config(raw: bytes) -> Value:
    import tomllib  # with tables of its own: for who has a configuration

    return tomllib.loads(raw.decode())


def unfinished_clone(root: str) -> str | None:
    """What to do about a clone that was killed: a store with a remote and without HEAD."""
    dot = f"{root}/.muse"
    if os.path.exists(f"{dot}/HEAD"):
        return None
    try:
        remotes = get_state(dot, "config").get("remotes")
    except (ProtocolError, OSError):
        return None
    entries = remotes.values() if isinstance(remotes, dict) else ()
    urls = [entry.get("url") for entry in entries if isinstance(entry, dict)]
    for url in urls:
        if isinstance(url, str):
            import shlex

            return f"an unfinished clone: run musekit clone {shlex.quote(url)} {shlex.quote(root)}"
    return None


def all_values(dot: str) -> Iterator[Value]:
    """Every state that is set, whatever its kind; temp files and strangers are passed over."""
    for kind, place in _PLACES.items():
        if "{}" not in place:
            names: list[str | None] = [None] if os.path.exists(f"{dot}/{place}") else []
        else:
            folder, ending = f"{dot}/{place}".split("{}")
            listed = os.listdir(folder) if os.path.isdir(folder) else []
            stems = [entry.removesuffix(ending) for entry in listed]
            named = [stem for stem in stems if re.fullmatch(_NAME, stem)]
            names = [name for name in named if os.path.exists(f"{folder}{name}{ending}")]
        for name in names:
            yield get_state(dot, kind, name)


def _json(value: Value) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"
    except (ValueError, RecursionError) as problem:  # lone surrogates are a ValueError, too
        raise ProtocolError("invalid", f"JSON cannot hold this: {problem}") from None


def _toml(value: Value) -> bytes:
    try:
        return "".join(_table("", value)).encode()
    except (ValueError, RecursionError) as problem:
        raise ProtocolError("invalid", f"TOML cannot hold this: {problem}") from None


def _table(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    """A table's plain values first, then its tables, each under its full name."""
    plain = {key: item for key, item in table.items() if not isinstance(item, dict)}
    if name and (plain or not table):
        yield f"[{name}]\n"
    for key, item in plain.items():
        yield f"{_key(key)} = {_inline(item)}\n"
    for key, item in table.items():
        if isinstance(item, dict):
            yield from _table(f"{name}.{_key(key)}" if name else _key(key), item)


def _key(key: str) -> str:
    return key if re.fullmatch(_BARE_KEY, key) else _string(key)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(item: object) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return _string(item)
    if isinstance(item, int) and -(2**63) <= item < 2**63:
        return str(item)
    if isinstance(item, float) and item - item == 0:
        return repr(item)
    if isinstance(item, list):
        return f"[{', '.join(map(_inline, item))}]"
    if isinstance(item, dict):
        return (
            "{" + ", ".join(f"{_key(key)} = {_inline(value)}" for key, value in item.items()) + "}"
        )
    raise ValueError(f"{item!r:.60}")
