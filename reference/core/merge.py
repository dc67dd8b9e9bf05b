"""Three-way merge by path: who changed what since the base, and where both did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reference.wire.ids import Manifest
from reference.wire.names import ancestors

Tree = tuple[Manifest, Sequence[str]]
"""A manifest and its explicit directories."""


class Merged(NamedTuple):
    """The outcome; where `conflicts` is not empty, our side stands at those paths."""

    manifest: dict[str, str]
    directories: list[str]
    conflicts: list[str]


def three_way(base: Tree, ours: Tree, theirs: Tree) -> Merged:
    """Merges `theirs` into `ours`: a path changed on one side takes that side's content."""
    manifest: dict[str, str] = {}
    conflicts: set[str] = set()
    for path in ours[0].keys() | theirs[0].keys():
        before, mine, other = base[0].get(path), ours[0].get(path), theirs[0].get(path)
        if mine == other or other == before:
            chosen = mine
        elif mine == before:
            chosen = other
        else:
            conflicts.add(path)
            chosen = mine
        if chosen is not None:
            manifest[path] = chosen
    directories = _merge_sets(set(base[1]), set(ours[1]), set(theirs[1]))
    conflicts |= _files_that_are_folders(manifest, directories)
    return Merged(manifest, sorted(directories, key=str.encode), sorted(conflicts, key=str.encode))


def _merge_sets(base: set[str], ours: set[str], theirs: set[str]) -> set[str]:
    added = (ours | theirs) - base
    return added | (base & ours & theirs)


def _files_that_are_folders(manifest: Manifest, directories: set[str]) -> set[str]:
    above = (folder for path in (*manifest, *directories) for folder in ancestors(path))
    return {folder for folder in above if folder in manifest} | (manifest.keys() & directories)
