"""Rebuilding manifests from deltas at the price of what changed, and hashing them so.

A history of a thousand snapshots of seven hundred files is sixty megabytes of manifests.
Two things keep that cheap: what is hashed lies in buckets, sorted, and is changed where it lies;
and the digest's state is kept before each bucket, so hashing resumes at the first one that changed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate

from .errors import ProtocolError
from .ids import PREFIX, Manifest
from .names import ancestors
from .records import Snapshot

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any

BUCKET = 128
"""Entries in a bucket: 10 KiB of payload at a usual path's length."""


class Change:
    """What one delta does to a tree; applied the other way round it is undone."""

    __slots__ = ("directories", "remove", "upsert")

    def __init__(
        self, upsert: Mapping[str, str], remove: Sequence[str], directories: Sequence[str] | None
    ) -> None:
        self.upsert = upsert
        self.remove = remove
        self.directories = directories


class ManifestTree:
    """One manifest and its directories, always sorted, its id a few hashed bytes away."""

    def __init__(self, manifest: Manifest | None = None, directories: Sequence[str] = ()) -> None:
        self.files: dict[str, str] = dict(manifest or {})
        self.directories: Sequence[str] = ()
        self._folders: list[str] = []
        self._tail = b""
        self._paths: list[list[str]] = []
        self._ends: list[dict[str, int]] = []
        self._blocks: list[bytearray] = []
        self._firsts: list[str] = []
        self._states: list[Any] = []
        self._size = 0
        self._hashed_size = -1
        self._build()
        self._set_directories(directories)

    def apply(self, change: Change) -> Change:
        """Applies a delta and returns what undoes it."""
        files = self.files
        before = {path: files[path] for path in (*change.remove, *change.upsert) if path in files}
        added = [path for path in change.upsert if path not in files]
        is_same = change.directories is None or change.directories == self.directories
        undo = Change(before, added, None if is_same else self.directories)
        self.advance(change)
        return undo

    def advance(self, change: Change) -> None:
        """Applies a delta for good.

        A refused delta leaves the tree unusable: whoever verifies stops at the first error.
        """
        files, upsert = self.files, change.upsert
        for path in change.remove:
            if files.pop(path, None) is None:
                raise ProtocolError(
                    "delta_removes_unknown_path", f"{path!r} is not there to remove"
                )
            self._drop(path)
        is_new = not upsert.keys() <= files.keys()
        added = [path for path in upsert if path not in files] if is_new else []
        is_small = len(added) <= max(BUCKET, len(files))
        files.update(upsert)
        if is_small:
            for path in added:
                self._insert(path, upsert[path])
            self._overwrite(upsert)
        else:
            self._build()
        if change.directories is not None and change.directories != self.directories:
            self._set_directories(change.directories)
        clear: set[str] = set()
        for path in added:
            self._refuse_conflict(path, clear)

    def payload_size(self) -> int:
        """How many bytes the id is computed over."""
        return max(self._size + len(self._tail) - 1, 0)

    def snapshot_id(self) -> str:
        """The id of the manifest as it stands."""
        size = self.payload_size()
        states = self._states
        if size != self._hashed_size or not states:
            self._hashed_size = size
            states[:] = [sha256(b"snapshot %d\0" % size)]
        state = states.pop()
        for index in range(len(states), len(self._blocks)):
            states.append(state.copy())
            block = self._blocks[index]
            state.update(block if index else memoryview(block)[1:])
        if self._tail:
            state.update(self._tail if self._blocks else self._tail[1:])
        return PREFIX + str(state.hexdigest())

    # What is hashed: NUL, path, NUL and digits for each file, in buckets; the first NUL is not.

    def _build(self) -> None:
        files = self.files
        ordered = sorted(files)  # by code points, which is the order of their UTF-8 bytes
        self._paths[:] = [ordered[at : at + BUCKET] for at in range(0, len(ordered), BUCKET)]
        self._firsts[:] = [paths[0] for paths in self._paths]
        self._ends.clear()
        self._blocks.clear()
        for paths in self._paths:
            entries = [_entry(path, files[path]) for path in paths]
            self._ends.append(dict(zip(paths, accumulate(map(len, entries)), strict=True)))
            self._blocks.append(bytearray(b"".join(entries)))
        self._size = sum(map(len, self._blocks))
        self._touch(0)

    def _touch(self, index: int) -> None:
        del self._states[index + 1 :]

    def _find(self, path: str) -> int:
        return max(bisect_right(self._firsts, path) - 1, 0)

    def _insert(self, path: str, oid: str) -> None:
        if not self._paths:
            self._paths.append([])
            self._ends.append({})
            self._blocks.append(bytearray())
            self._firsts.append(path)
        index = self._find(path)
        paths, ends = self._paths[index], self._ends[index]
        at = bisect_left(paths, path)
        start, entry = ends[paths[at - 1]] if at else 0, _entry(path, oid)
        self._move(index, at, len(entry))
        paths.insert(at, path)
        ends[path] = start + len(entry)
        self._blocks[index][start:start] = entry
        if len(paths) > 2 * BUCKET:
            self._split(index)
        self._firsts[index] = self._paths[index][0]
        self._touch(index)

    def _overwrite(self, upsert: Mapping[str, str]) -> None:
        firsts, lowest = self._firsts, len(self._blocks)
        ends: Mapping[str, int] = {}
        block = bytearray()
        for path, oid in upsert.items():
            end = ends.get(path)
            if end is None:  # in another bucket than its neighbour
                index = bisect_right(firsts, path) - 1
                ends, block = self._ends[index], self._blocks[index]
                end = ends[path]
                lowest = min(lowest, index)
            block[end - 64 : end] = oid[7:].encode()
        self._touch(lowest)

    def _drop(self, path: str) -> None:
        index = self._find(path)
        paths, ends = self._paths[index], self._ends[index]
        at, end, size = bisect_left(paths, path), ends.pop(path), len(path.encode()) + 66
        del paths[at], self._blocks[index][end - size : end]
        self._move(index, at, -size)
        if paths:
            self._firsts[index] = paths[0]
        else:
            del self._paths[index], self._ends[index], self._blocks[index], self._firsts[index]
        self._touch(max(index - 1, 0))

    def _move(self, index: int, at: int, size: int) -> None:
        """Notes that what a bucket holds from `at` on lies `size` bytes further."""
        ends = self._ends[index]
        for path in self._paths[index][at:]:
            ends[path] += size
        self._size += size

    def _split(self, index: int) -> None:
        paths, ends, block = self._paths[index], self._ends[index], self._blocks[index]
        half = ends[paths[BUCKET - 1]]
        self._ends.insert(index + 1, {path: ends.pop(path) - half for path in paths[BUCKET:]})
        self._blocks[index : index + 1] = [block[:half], block[half:]]
        self._paths[index : index + 1] = [paths[:BUCKET], paths[BUCKET:]]
        self._firsts.insert(index + 1, paths[BUCKET])

    # What a tree may not hold.

    def _set_directories(self, directories: Sequence[str]) -> None:
        self.directories = directories
        self._folders = sorted(directories)
        self._tail = b"".join(b"\0%s\0dir" % folder.encode() for folder in self._folders)
        clear: set[str] = set()
        for folder in self._folders:
            if folder in self.files:
                raise ProtocolError("path_conflict", f"{folder!r} is both a file and a directory")
            self._refuse_file_above(folder, clear)

    def _refuse_conflict(self, path: str, clear: set[str]) -> None:
        self._refuse_file_above(path, clear)
        inside = path + "/"
        index = self._find(inside)
        at = bisect_left(self._paths[index], inside)
        following = self._paths[index][at : at + 1] or self._firsts[index + 1 : index + 2]
        if following and following[0].startswith(inside):
            raise _conflict(path, following[0])
        at = bisect_left(self._folders, path)
        for folder in self._folders[at : at + 1]:
            if folder == path:
                raise ProtocolError("path_conflict", f"{path!r} is both a file and a directory")
        at = bisect_left(self._folders, inside)
        for folder in self._folders[at : at + 1]:
            if folder.startswith(inside):
                raise _conflict(path, folder)

    def _refuse_file_above(self, path: str, clear: set[str]) -> None:
        """Refuses a file among the folders of `path`; `clear` remembers for its neighbours."""
        inner = path[: max(path.rfind("/"), 0)]
        if inner not in clear:
            for folder in ancestors(path):
                if folder in self.files:
                    raise _conflict(folder, path)
            clear.add(inner)


def _entry(path: str, oid: str) -> bytes:
    return f"\0{path}\0{oid[7:]}".encode()


def _conflict(file: str, path: str) -> ProtocolError:
    return ProtocolError("path_conflict", f"{file!r} is a file, yet {path!r} is in it")


_NO_CHANGE = Change({}, (), None)
External = Callable[[str], tuple[Manifest, Sequence[str]]]
"""Looks up the manifest and directories of a snapshot that is not among those walked."""


def walk(snapshots: Sequence[Snapshot], external: External) -> Iterator[tuple[int, ManifestTree]]:
    """Rebuilds each snapshot once, depth first, so that a branch point costs one undo.

    Yields the snapshot's index and the tree at that moment; the tree is changed afterwards.
    """
    index_of: dict[str, int] = {}
    for index, record in enumerate(snapshots):
        index_of.setdefault(record["snapshot_id"], index)
    children: dict[int, list[int]] = {}
    outside: dict[str | None, list[int]] = {}
    for index, record in enumerate(snapshots):
        base = record["parent_snapshot_id"]
        inside = index_of.get(base, index)
        if inside < index:
            children.setdefault(inside, []).append(index)
        else:
            outside.setdefault(base, []).append(index)
    for base, starts in outside.items():
        tree = ManifestTree() if base is None else ManifestTree(*external(base))
        trail: list[tuple[int, Change]] = []
        waiting = [(-1, start) for start in reversed(starts)]
        while waiting:
            parent, index = waiting.pop()
            while trail and trail[-1][0] != parent:
                tree.advance(trail.pop()[1])
            record = snapshots[index]
            directories = record.get("directories")
            change = Change(record["delta_upsert"], record["delta_remove"], directories)
            if waiting:
                trail.append((index, tree.apply(change)))
            else:  # whatever is still to come stands on this one
                tree.advance(change)
                trail.append((index, _NO_CHANGE))
            yield index, tree
            waiting.extend((index, child) for child in reversed(children.get(index, ())))
