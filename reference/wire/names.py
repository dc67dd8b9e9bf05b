"""Paths and branch names: what may name a file in a snapshot and a line of history."""

from __future__ import annotations

import re
from collections.abc import Collection

from .errors import ProtocolError

PATH_BYTES = 4096
COMPONENT_BYTES = 255
BRANCH_CHARACTERS = 255

_BAD_BRANCH = re.compile(r"[\\\0\r\n\t]|\.\.|//|^[./]|[./]$|(?:^|/)\.(?:/|$)")


def check_path(value: object) -> str:
    """`value` as a relative path, or `invalid_path`."""
    if not isinstance(value, str):
        raise ProtocolError("malformed", f"a path must be text, got {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise _bad_path(value, "is not valid UTF-8") from None
    if size > PATH_BYTES:
        raise _bad_path(value, f"is longer than {PATH_BYTES} bytes")
    if "\0" in value or "\\" in value:
        raise _bad_path(value, "has a NUL or a backslash")
    segments = value.split("/")
    for segment in segments:
        if segment in ("", ".", ".."):
            raise _bad_path(value, "is absolute or has an empty, '.' or '..' segment")
        if len(segment) * 4 > COMPONENT_BYTES and len(segment.encode()) > COMPONENT_BYTES:
            raise _bad_path(value, f"has a component longer than {COMPONENT_BYTES} bytes")
    if segments[0].lower() == ".muse":
        raise _bad_path(value, "lies in the store's own folder")
    return value


def _bad_path(value: str, why: str) -> ProtocolError:
    return ProtocolError("invalid_path", f"path {value[:80]!r} {why}")


def ancestors(path: str) -> list[str]:
    """Each folder that `path` lies in, outermost last."""
    found = []
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        found.append(path)
    return found


def check_tree(paths: Collection[str], directories: Collection[str]) -> None:
    """No file is also a folder, no directory is listed twice or named like a file."""
    files = frozenset(paths)
    for path in (*paths, *directories):
        for folder in ancestors(path):
            if folder in files:
                raise ProtocolError("path_conflict", f"{folder!r} is a file, yet {path!r} is in it")
    check_directories(directories)
    if clash := files.intersection(directories):
        raise ProtocolError("path_conflict", f"{min(clash)!r} is both a file and a directory")


def check_directories(directories: Collection[str]) -> None:
    """Each explicit directory is a valid path and listed once."""
    seen: set[str] = set()
    for path in directories:
        if check_path(path) in seen:
            raise ProtocolError("path_conflict", f"directory {path!r} is listed twice")
        seen.add(path)


def check_branch(value: object) -> str:
    """`value` as a branch name, or `invalid_branch`."""
    if not isinstance(value, str):
        raise ProtocolError("malformed", f"a branch must be text, got {type(value).__name__}")
    if not 1 <= len(value) <= BRANCH_CHARACTERS or _BAD_BRANCH.search(value):
        raise ProtocolError("invalid_branch", f"{value[:80]!r} cannot name a branch")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ProtocolError("invalid_branch", "a branch name must be valid UTF-8") from None
    return value
