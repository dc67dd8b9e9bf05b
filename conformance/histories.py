"""Small histories as values: `commit("a")`, `child_of(a)`, `sibling_of(b)`, `merge_of(a, b)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reference.wire import provenance

from . import oracle

salt: ContextVar[str] = ContextVar("salt", default="")
"""Stands in every generated file, so that no two checks push the same content by accident."""

SEED = bytes(range(32))
"""The key that commits of checks are signed with."""


@dataclass(frozen=True, eq=False)
class Commit:
    """A commit with its whole tree and its parents: enough to build any pack that holds it."""

    record: dict[str, Any]
    files: dict[str, bytes]
    directories: tuple[str, ...] = ()
    parents: tuple[Commit, ...] = ()

    @property
    def id(self) -> str:
        """The commit's id, as the oracle computes it."""
        return str(self.record["commit_id"])

    @property
    def snapshot(self) -> str:
        """The id of the commit's tree."""
        return str(self.record["snapshot_id"])

    @cached_property
    def generation(self) -> int:
        """How many commits lie below; makes times grow along a history."""
        return 1 + max((parent.generation for parent in self.parents), default=-1)

    @cached_property
    def manifest(self) -> dict[str, str]:
        """Which blob each path holds."""
        return {path: oracle.blob_id(content) for path, content in self.files.items()}

    @cached_property
    def blobs(self) -> dict[str, bytes]:
        """The contents under their ids."""
        return {oracle.blob_id(content): content for content in self.files.values()}


def commit(
    message: str = "one",
    *,
    on: Commit | Iterable[Commit] = (),
    files: Mapping[str, bytes] | None = None,
    directories: Iterable[str] | None = None,
    **fields: Any,
) -> Commit:
    """A commit whose tree is its first parent's with `files` set; a file of its own by default."""
    parents = (on,) if isinstance(on, Commit) else tuple(on)
    own = {f"{message}.txt": f"{salt.get()} {message}\n".encode()} if files is None else files
    tree = {**(parents[0].files if parents else {}), **own}
    return with_tree(message, tree, parents, directories, **fields)


def with_tree(
    message: str,
    files: Mapping[str, bytes],
    parents: tuple[Commit, ...] = (),
    directories: Iterable[str] | None = None,
    **fields: Any,
) -> Commit:
    """A commit of exactly these files; directories are the first parent's unless given."""
    inherited = parents[0].directories if parents else ()
    explicit = tuple(inherited if directories is None else directories)
    manifest = {path: oracle.blob_id(content) for path, content in files.items()}
    ids = [parent.id for parent in parents] + [None, None]
    generation = 1 + max((parent.generation for parent in parents), default=-1)
    record: dict[str, Any] = {
        "snapshot_id": oracle.snapshot_id(manifest, explicit),
        "message": message,
        "committed_at": f"2026-01-01T{generation // 60:02d}:{generation % 60:02d}:00Z",
        "author": "conformance",
        "parent_commit_id": ids[0],
        "parent2_commit_id": ids[1],
        **fields,
    }
    record = {"commit_id": oracle.commit_id(record), **record}
    return Commit(record, dict(files), explicit, parents)


def child_of(parent: Commit, message: str = "child", **how: Any) -> Commit:
    """A commit on top of another."""
    return commit(message, on=parent, **how)


def sibling_of(other: Commit, message: str = "sibling", **how: Any) -> Commit:
    """A commit with the same parents as another, which therefore does not descend from it."""
    return commit(message, on=other.parents, **how)


def merge_of(one: Commit, other: Commit, message: str = "merge", **how: Any) -> Commit:
    """A commit with two parents and both their files."""
    files = {**other.files, **one.files}
    return with_tree(message, files, (one, other), **how)


def chain(length: int, message: str = "link", on: Commit | None = None) -> list[Commit]:
    """Commits one on top of the other, oldest first."""
    made: list[Commit] = []
    for number in range(length):
        below = made[-1:] or ([on] if on else [])
        made.append(commit(f"{message}{number}", on=below))
    return made


def signed(unsigned: Commit, seed: bytes = SEED, **fields: Any) -> Commit:
    """The same commit with a provenance signature."""
    record = dict.fromkeys(("agent_id", "model_id", "toolchain_id", "prompt_hash"), "")
    record |= unsigned.record | {"signer_public_key": provenance.public_key(seed)} | fields
    record["commit_id"] = oracle.commit_id(record)
    record["signature"] = provenance.sign(record, seed)
    return Commit(record, unsigned.files, unsigned.directories, unsigned.parents)


def altered(commit: Commit, **fields: Any) -> Commit:
    """The same commit with other fields, and the id that then belongs to it."""
    record = commit.record | fields
    record["commit_id"] = oracle.commit_id(record)
    return Commit(record, commit.files, commit.directories, commit.parents)


def ancestry(*tips: Commit, without: Iterable[str] = ()) -> list[Commit]:
    """Everything reachable from the tips, parents first, but for ids in `without` and below."""
    stop = set(without)
    found: dict[str, Commit] = {}

    def visit(node: Commit) -> None:
        if node.id in stop or node.id in found:
            return
        for parent in node.parents:
            visit(parent)
        found[node.id] = node

    for tip in tips:
        visit(tip)
    return list(found.values())
