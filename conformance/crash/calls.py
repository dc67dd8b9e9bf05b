"""A call as strace prints it with `-y -xx`, and what its arguments stand for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

_AT = re.compile(r"(AT_FDCWD|-?\d+)(?:<([^>]*)>)?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Call:
    """One finished line of strace."""

    process: int
    name: str
    arguments: list[str]
    result: int
    error: str = ""


@dataclass(slots=True)
class Description:
    """An open file: descriptors that were copied share it."""

    node: int
    flags: str
    offset: int = 0


@dataclass(slots=True)
class Process:
    """What a process, or several threads, have open, and where relative paths begin."""

    cwd: str
    files: dict[int, Description] = field(default_factory=dict)

    def copy(self) -> Process:
        return Process(self.cwd, dict(self.files))


def number(argument: str) -> int:
    """A descriptor or a plain number; -1 for what is none."""
    found = re.match(r"-?\d+", argument)
    return int(found[0]) if found else -1


def shown(argument: str) -> str:
    """The path that stands behind a descriptor."""
    found = _AT.match(argument)
    return os.fsdecode(text(found[2])) if found and found[2] else ""


def text(escaped: str) -> bytes:
    """The bytes of a text that is written in hexadecimal escapes, or plainly."""
    if not escaped.startswith("\\x"):
        return escaped.encode()
    return bytes.fromhex(escaped.replace("\\x", ""))


def named(argument: str) -> str:
    """The path that an argument is."""
    found = _TEXT.match(argument)
    return os.fsdecode(text(found[1])) if found else ""


def texts(argument: str) -> list[bytes]:
    """Every text in an argument: of a vector each piece."""
    return [text(found) for found in _TEXT.findall(argument)]


def two_places(call: Call) -> list[str]:
    """Folder and path of both names of a rename or link."""
    if "at" in call.name:
        return call.arguments
    return ["AT_FDCWD", call.arguments[0], "AT_FDCWD", call.arguments[1]]
