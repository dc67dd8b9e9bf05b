"""What is checked: the subject file, with one clear sentence for each thing wrong in it."""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reference.spec.requirements import PROFILES

from .client import Identity

REMOTE_PROFILES = ("core-wire", "push", "fetch", "auth")
"""What a bare URL is taken to claim."""
STORE_PROFILES = ("store-kill", "store-journal", "store-strict")
LIMITS = ("pack_bytes", "raw_bytes", "records", "manifest_bytes")
QUERIES = ("commit_storage_uri", "snapshot_storage_uri", "blob_storage_uri", "jobs")
COMMANDS = ("start", "second", "objects_down", "objects_up", "gc", "expire_cache", "jobs_idle")

_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("subject", "auth", "inspect", "process", "limits", "store"),
    "subject": ("name", "url", "profiles", "capabilities"),
    "auth": ("owner", "other", "register"),
    "inspect": ("objects", "postgres", "queries"),
    "inspect.queries": QUERIES,
    "process": (*COMMANDS, "ready", "second_url"),
    "limits": LIMITS,
    "store": ("command",),
}


class SubjectError(Exception):
    """The subject file cannot be used; one sentence a problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(slots=True)
class Subject:
    """An implementation, what it claims, and what it offers to those who check it."""

    name: str = ""
    url: str = ""
    profiles: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    owner: tuple[str, str] = field(default_factory=lambda: generated("owner"))
    other: tuple[str, str] = field(default_factory=lambda: generated("other"))
    register: bool = True
    objects: str = ""
    postgres: str = ""
    queries: dict[str, str] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    ready: str = "/healthz"
    second_url: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    store: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Everything, for another process of this run; not for a report."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Subject:
        """The subject that `as_json` wrote."""
        pairs = {"owner": tuple(value["owner"]), "other": tuple(value["other"])}
        lists = {name: tuple(value[name]) for name in ("profiles", "capabilities")}
        return cls(**{**value, **pairs, **lists})

    def shown(self) -> dict[str, Any]:
        """What a report tells about the subject: no key, no credential."""
        named = {"name": self.name, "url": self.url, "profiles": list(self.profiles)}
        return {**named, "capabilities": list(self.capabilities)}


def generated(handle: str) -> tuple[str, str]:
    """A handle and key of this run's own: a fixed handle would be taken by the run before."""
    key = urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return (f"{handle}-{secrets.token_hex(4)}", key)


def at_url(url: str, profiles: tuple[str, ...] = ()) -> Subject:
    """A subject of which only the address is known."""
    return Subject(name=url, url=url, profiles=profiles or REMOTE_PROFILES)


def load(path: Path) -> Subject:
    """The subject that a TOML file describes; `SubjectError` with every problem at once."""
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise SubjectError([f"{path}: cannot be read: {problem.strerror}."]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise SubjectError([f"{path}: this is not TOML: {problem}."]) from None
    table = _Table(value)
    subject = _read(table, path)
    if table.problems:
        raise SubjectError([f"{path}: {problem}" for problem in table.problems])
    return subject


@dataclass(slots=True)
class _Table:
    """Reads values out of the file and remembers what was wrong with them."""

    value: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    def section(self, name: str) -> dict[str, Any]:
        found: Any = self.value
        for part in filter(None, name.split(".")):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        if not isinstance(found, dict):
            self.problems.append(f"[{name}] must be a table, not {_kind(found)}.")
            return {}
        unknown = [key for key in found if key not in KEYS[name]]
        for key in unknown:
            where = f"[{name}] has" if name else "The file has"
            self.problems.append(f"{where} no key `{key}`; it may have {', '.join(KEYS[name])}.")
        return found

    def text(self, section: str, key: str, default: str = "") -> str:
        value = self.section_value(section, key, default)
        return value if self._is(section, key, value, str, "a text") else default

    def texts(self, section: str, key: str, known: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self.section_value(section, key, [])
        if not self._is(section, key, value, list, "a list of texts"):
            return ()
        for item in value:
            if not isinstance(item, str):
                self.problems.append(f"[{section}] {key} must hold texts only, not {_kind(item)}.")
            elif known and item not in known:
                self.problems.append(
                    f"[{section}] {key} names `{item}`, which is none of {', '.join(known)}."
                )
        return tuple(item for item in value if isinstance(item, str))

    def section_value(self, section: str, key: str, default: Any) -> Any:
        found: Any = self.value
        for part in section.split("."):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        return found.get(key, default) if isinstance(found, dict) else default

    def _is(self, section: str, key: str, value: Any, kind: type, word: str) -> bool:
        if isinstance(value, kind):
            return True
        self.problems.append(f"[{section}] {key} must be {word}, not {_kind(value)}.")
        return False


def _read(table: _Table, path: Path) -> Subject:
    for name in KEYS:
        table.section(name)
    subject = Subject(
        name=table.text("subject", "name", path.stem),
        url=table.text("subject", "url"),
        profiles=table.texts("subject", "profiles", PROFILES),
        capabilities=table.texts("subject", "capabilities"),
        register=bool(table.section_value("auth", "register", True)),
        objects=table.text("inspect", "objects"),
        postgres=table.text("inspect", "postgres"),
        ready=table.text("process", "ready", "/healthz"),
        second_url=table.text("process", "second_url"),
        store=list(table.texts("store", "command")),
    )
    for name in ("owner", "other"):
        setattr(subject, name, _identity(table, name))
    for name in QUERIES:
        if query := table.text("inspect.queries", name):
            subject.queries[name] = query
    for name in COMMANDS:
        if command := list(table.texts("process", name)):
            subject.commands[name] = command
    for name, number in table.value.get("limits", {}).items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            table.problems.append(f"[limits] {name} must be a whole number above 0.")
        else:
            subject.limits[name] = number
    _check_meaning(table, subject)
    return subject


def _check_meaning(table: _Table, subject: Subject) -> None:
    if not subject.profiles and not table.problems:
        table.problems.append("[subject] profiles is missing or empty: nothing would be checked.")
    remote = [name for name in subject.profiles if name not in STORE_PROFILES]
    if subject.url and not re.match(r"https?://[^/]+", subject.url):
        table.problems.append(f"[subject] url must begin with http:// or https://: {subject.url}.")
    if remote and not subject.url and "start" not in subject.commands:
        table.problems.append(
            f"[subject] url is missing, and {remote[0]} needs one (or [process] start,"
            ' whose first line of output is {"url": …}).'
        )
    if subject.second_url and not re.match(r"https?://[^/]+", subject.second_url):
        table.problems.append(
            f"[process] second_url must begin with http:// or https://: {subject.second_url}."
        )
    if "second" in subject.commands and not subject.second_url:
        table.problems.append("[process] second needs second_url: the address it will have.")
    if subject.second_url and "second" not in subject.commands:
        table.problems.append("[process] second_url needs second: the command that starts it.")
    if "objects_down" in subject.commands and "objects_up" not in subject.commands:
        table.problems.append("[process] objects_down needs objects_up, or they stay away.")
    if not subject.ready.startswith("/"):
        table.problems.append(
            f"[process] ready must be a path that begins with /: {subject.ready}."
        )
    if subject.queries and not subject.postgres:
        table.problems.append("[inspect.queries] needs [inspect] postgres, where they are run.")
    if subject.objects and not re.match(r"(file|s3)://", subject.objects):
        table.problems.append("[inspect] objects must begin with file:// or s3://.")
    if not isinstance(table.section_value("auth", "register", True), bool):
        table.problems.append("[auth] register must be true or false.")


def _identity(table: _Table, name: str) -> tuple[str, str]:
    value = table.section_value("auth", name, {})
    if not isinstance(value, dict) or not {"handle", "key"} >= value.keys():
        table.problems.append(f"[auth] {name} must be {{ handle = …, key = … }}.")
        return ("", "")
    handle, key = value.get("handle", name), value.get("key", "generate")
    if not isinstance(handle, str) or not _HANDLE.fullmatch(handle):
        table.problems.append(f"[auth] {name}.handle must match {_HANDLE.pattern}.")
    if key == "generate":
        if table.section_value("auth", "register", True) is False:
            table.problems.append(
                f"[auth] {name}.key is generated, but register = false: name a key that the"
                " subject knows."
            )
        return generated(str(handle)[:50])
    try:
        seed = resolve_key(key)
    except ValueError as problem:
        table.problems.append(f"[auth] {name}.key {problem}")
        seed = b""
    return (str(handle), urlsafe_b64encode(seed).decode().rstrip("="))


def resolve_key(key: object) -> bytes:
    """The 32-byte seed that `env:NAME`, `file:PATH` or base64url stands for."""
    if not isinstance(key, str):
        raise ValueError(f"must be a text, not {_kind(key)}.")
    kind, _, where = key.partition(":")
    text = key
    if kind == "env":
        if where not in os.environ:
            raise ValueError(f"names the environment variable {where}, which is not set.")
        text = os.environ[where]
    elif kind == "file":
        try:
            text = Path(where).expanduser().read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as problem:
            raise ValueError(f"names the file {where}, which cannot be read: {problem}.") from None
    text = text.strip()
    try:
        seed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        seed = b""
    if len(seed) != 32 or not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError(
            "must be the base64url of a 32-byte Ed25519 seed, env:, file: or generate."
        )
    return seed


def identity(pair: tuple[str, str]) -> Identity:
    """The identity of a subject's pair of handle and key."""
    handle, key = pair
    return Identity(handle, resolve_key(key))


def _kind(value: object) -> str:
    names = {"str": "a text", "bool": "true or false", "dict": "a table", "list": "a list"}
    return names.get(type(value).__name__, "a number or date")
