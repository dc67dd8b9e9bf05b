"""Repositories to measure with: fixtures as histories, as folders, and one commit further on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fixtures import folder, packing, shapes
from fixtures.history import History
from fixtures.linear import measured
from reference.wire.ids import blob_id

from .commands import WrongResult, musekit

MULTIPLES = {f"simple-x{times}": 1031 * times for times in (3, 10, 30)}
"""The published measurement with more commits; 10 times is the shape `x10`."""


def build(name: str) -> History:
    """The history of a shape, or of the published one made longer."""
    return measured(name, MULTIPLES[name]) if name in MULTIPLES else shapes.build(name)


@dataclass(slots=True)
class Sources:
    """Histories and folders of one run; each is made when it is first asked for."""

    work: Path
    _histories: dict[str, History] = field(default_factory=dict)
    _packs: dict[tuple[str, bool], bytes] = field(default_factory=dict)

    def history(self, name: str) -> History:
        """A shape's history; only the last two are kept, for some are large."""
        if name not in self._histories:
            while len(self._histories) > 1:
                del self._histories[next(iter(self._histories))]
            self._histories[name] = build(name)
        return self._histories[name]

    def pack(self, name: str, framed: bool = True) -> bytes:
        """A shape as the bytes of one pack; only the last is kept."""
        if (name, framed) not in self._packs:
            self._packs.clear()
            self._packs[name, framed] = packing.to_bytes(self.history(name), framed)
        return self._packs[name, framed]

    def folder(self, name: str, loose: bool = False) -> Path:
        """A shape as a repository on disk, with a packed or a loose store."""
        path = self.work / f"{name}-{'loose' if loose else 'packed'}"
        if not path.exists():
            folder.build(self.history(name), str(path), loose)
            # Any command that reads the store also indexes its pack, as it would be in use.
            musekit("log", "--json", folder=path)
        return path

    def remove(self, path: Path) -> None:
        """Removes a folder of this run."""
        shutil.rmtree(path, ignore_errors=True)


def check_tree(root: Path, manifest: Mapping[str, str]) -> None:
    """Raises unless a working tree has exactly these files with exactly these contents."""
    found = {}
    for parent, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in (".muse", ".git", ".hg")]
        for name in files:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = blob_id(file.read())
    if found != dict(manifest):
        wrong = sorted(found.items() ^ manifest.items())
        raise WrongResult(f"the working tree differs at {wrong[0][0]!r} and {len(wrong)} others")


def key_of(pack: bytes) -> str:
    """The key of a pack."""
    return "sha256:" + hashlib.sha256(pack).hexdigest()


@dataclass(frozen=True)
class Expected:
    """What a clone of a shape has to give."""

    history: History

    @cached_property
    def manifest(self) -> Mapping[str, str]:
        """Path and blob of each file of `main`."""
        return self.history.tree()[0]
