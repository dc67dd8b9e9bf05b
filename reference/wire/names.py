"""Paths and branch names: what may name a file in a snapshot and a line of history."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from .errors import ProtocolError, shown

PATH_BYTES = 4096
COMPONENT_BYTES = 255
BRANCH_CHARACTERS = 255

_NO_SEGMENT = frozenset((b"", b".", b".."))
_BAD_BRANCH = re.compile(r"[\\\0\r\n\t]|\.\.|//|^[./]|[./]$|(?:^|/)\.(?:/|$)")


def check_path(value: object) -> str:
    """`value` as a relative path, or `invalid_path`."""
    if not isinstance(value, str):
        raise ProtocolError("malformed", f"a path must be text, got {shown(value)}", "ID-017")
    return _checked_path(value)


@lru_cache(maxsize=4096)  # a history names the same paths over and over
def _checked_path(value: str) -> str:
    try:
        octets = value.encode()
    except UnicodeEncodeError:
        raise _bad_path(value, "is not valid UTF-8", "ID-017") from None
    if len(octets) > PATH_BYTES:
        raise _bad_path(value, f"is longer than {PATH_BYTES} bytes", "ID-021")
    if b"\0" in octets or b"\\" in octets:
        raise _bad_path(value, "has a NUL or a backslash", "ID-019")
    segments = octets.split(b"/")  # no loop of our own: a path may have two thousand
    if not _NO_SEGMENT.isdisjoint(segments):
        raise _bad_path(value, "is absolute or has an empty, '.' or '..' segment", "ID-018")
    if len(octets) > COMPONENT_BYTES and max(map(len, segments)) > COMPONENT_BYTES:
        raise _bad_path(value, f"has a segment longer than {COMPONENT_BYTES} bytes", "ID-021")
    if segments[0].lower() == b".muse":
        raise _bad_path(value, "lies in the store's own folder", "ID-020")
    return value


def _bad_path(value: str, why: str, requirement: str) -> ProtocolError:
    return ProtocolError("invalid_path", f"path {shown(value)} {why}", requirement)


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
        why = f"{min(clash)!r} is both a file and a directory"
        raise ProtocolError("path_conflict", why, "ID-023")


def check_directories(directories: Collection[str]) -> None:
    """Each explicit directory is a valid path and listed once."""
    seen: set[str] = set()
    for path in directories:
        if check_path(path) in seen:
            raise ProtocolError("path_conflict", f"directory {path!r} is listed twice", "ID-023")
        seen.add(path)


def check_branch(value: object) -> str:
    """`value` as a branch name, or `invalid_branch`."""
    if not isinstance(value, str):
        raise ProtocolError("malformed", f"a branch must be text, got {shown(value)}", "ID-025")
    if not 1 <= len(value) <= BRANCH_CHARACTERS:
        why = f"a branch name has 1 to {BRANCH_CHARACTERS} characters, not {len(value)}"
        raise ProtocolError("invalid_branch", why, "ID-025")
    if found := _BAD_BRANCH.search(value):
        why = f"{value!r} cannot name a branch: {found[0]!r} stands in a wrong place"
        raise ProtocolError("invalid_branch", why, "ID-026")
    try:
        value.encode()
    except UnicodeEncodeError:
        why = "a branch name must be valid UTF-8"
        raise ProtocolError("invalid_branch", why, "ID-025") from None
    return value
