"""A file system in memory: what the recorded calls did, and what a crash would leave of it.

Nodes have numbers of their own, so that a file keeps its identity through renames and links.  The
contents of two trees that came from the same trace are shared until one of them writes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = 0


@dataclass(slots=True)
class Node:
    """A file, folder or symbolic link; `names` counts the entries that lead to it."""

    kind: str  # "file", "folder", "link"
    mode: int
    data: bytes = b""
    entries: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Node:
        return Node(self.kind, self.mode, self.data, dict(self.entries))


class Tree:
    """Nodes by number, the root being 0."""

    def __init__(self, nodes: dict[int, Node] | None = None) -> None:
        self.nodes = nodes if nodes is not None else {ROOT: Node("folder", 0o755)}

    def copy(self) -> Tree:
        return Tree({number: node.copy() for number, node in self.nodes.items()})

    def write(self, number: int, offset: int, data: bytes) -> None:
        """Puts bytes at an offset; a gap before them reads as zeros."""
        node = self.nodes[number]
        old = node.data.ljust(offset, b"\0")
        node.data = old[:offset] + data + old[offset + len(data) :]

    def truncate(self, number: int, size: int) -> None:
        node = self.nodes[number]
        node.data = node.data[:size].ljust(size, b"\0")

    def bind(self, folder: int, name: str, number: int | None) -> None:
        """Makes a name lead to a node, or to nothing."""
        if number is None:
            self.nodes[folder].entries.pop(name, None)
        else:
            self.nodes[folder].entries[name] = number

    def walk(self) -> Iterator[tuple[str, int]]:
        """Every path that can be reached from the root, folders before what they hold."""
        pending = [("", ROOT, frozenset({ROOT}))]
        while pending:
            prefix, number, above = pending.pop()
            for name, child in sorted(self.nodes[number].entries.items()):
                yield prefix + name, child
                if self.nodes[child].kind == "folder" and child not in above:
                    pending.append((f"{prefix}{name}/", child, above | {child}))

    def paths(self, number: int) -> list[str]:
        return [path for path, found in self.walk() if found == number]

    def find(self, path: str) -> int | None:
        number = ROOT
        for name in filter(None, path.split("/")):
            found = self.nodes[number].entries.get(name)
            if found is None:
                return None
            number = found
        return number

    def listing(self) -> dict[str, str]:
        """Path to kind, mode and contents; two trees are the same when these are."""
        return {path: self._describe(number) for path, number in self.walk()}

    def digest(self) -> str:
        lines = "\0".join(f"{path}\0{what}" for path, what in sorted(self.listing().items()))
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()

    def _describe(self, number: int) -> str:
        node = self.nodes[number]
        if node.kind == "folder":
            return "folder"
        content = _short_hash(node.data)
        return f"link {content}" if node.kind == "link" else f"file {node.mode:o} {content}"

    def materialise(self, target: Path) -> None:
        """Writes the tree into an empty folder; nothing in it is shared with another tree."""
        written: dict[int, str] = {}
        for path, number in self.walk():
            node, place = self.nodes[number], os.path.join(target, path)
            if node.kind == "folder":
                os.mkdir(place)
            elif node.kind == "link":
                os.symlink(node.data, place)
            elif number in written:  # two names of one file stay two names of one file
                os.link(written[number], place)
            else:
                descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                try:
                    os.write(descriptor, node.data)
                    os.fchmod(descriptor, node.mode)
                finally:
                    os.close(descriptor)
                written[number] = place


_hashes: dict[bytes, str] = {}


def _short_hash(data: bytes) -> str:
    known = _hashes.get(data)
    if known is None:
        if len(_hashes) > 50_000:
            _hashes.clear()
        known = _hashes[data] = hashlib.sha256(data).hexdigest()
    return known


def scan(folder: Path) -> tuple[Tree, dict[tuple[int, int], int]]:
    """The tree on disk, and which real inode (device, number) is which node."""
    tree = Tree()
    root = os.stat(folder)
    inodes = {(root.st_dev, root.st_ino): ROOT}
    tree.nodes[ROOT].mode = stat.S_IMODE(root.st_mode)
    pending = [(str(folder), ROOT)]
    while pending:
        place, parent = pending.pop()
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            status = entry.stat(follow_symlinks=False)
            key = (status.st_dev, status.st_ino)
            if key not in inodes:
                inodes[key] = len(tree.nodes)
                tree.nodes[inodes[key]] = load(entry.path, status)
                if stat.S_ISDIR(status.st_mode):
                    pending.append((entry.path, inodes[key]))
            tree.bind(parent, entry.name, inodes[key])
    return tree, inodes


def load(path: str, status: os.stat_result) -> Node:
    """One node as it is on disk, a folder without its entries."""
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return Node("folder", mode)
    if stat.S_ISLNK(status.st_mode):
        return Node("link", mode, os.fsencode(os.readlink(path)))
    if not stat.S_ISREG(status.st_mode):
        return Node("file", mode)
    with open(path, "rb") as file:
        return Node("file", mode, file.read())
