"""What would be left after a power cut, in the strict model, worked out from recorded calls.

A file's fsync keeps its bytes and not its name; a folder's fsync keeps the names in that folder
and nothing above it. After an fsync that failed, what was waiting for it is lost for good: only
doing it anew brings it back.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import Call


@dataclass(eq=False)
class Thing:
    """A file or folder, whatever its names; a folder has no bytes to lose."""

    synced: bool = True
    lost: bool = False
    is_folder: bool = False
    kept: bytes = b""


@dataclass
class Survival:
    """The names now, and those that a power cut would leave."""

    live: dict[str, Thing] = field(default_factory=dict)
    kept: dict[str, Thing] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path) -> "Survival":
        """All that is below `folder` now, taken as durable."""
        names = {os.path.realpath(folder): Thing(is_folder=True)}
        for parent, folders, files in os.walk(os.path.realpath(folder)):
            names |= {f"{parent}/{name}": Thing(is_folder=True) for name in folders}
            for name in files:
                names[f"{parent}/{name}"] = Thing(kept=Path(parent, name).read_bytes())
        return cls(names, dict(names))

    def follow(self, calls: Iterable[Call]) -> None:
        """Takes in what was done since."""
        for call in calls:
            if call.name == "fsync":
                self._fsync(call)
            elif not call.failed:
                self._change(call)

    def has(self, path: str | Path) -> bool:
        """Whether the file would be there with the bytes it has now, under all its folders."""
        at = os.path.realpath(path)
        thing = self.live.get(at)
        if thing is None or not thing.synced:
            return False
        while at in self.live:
            if self.kept.get(at) is not self.live[at]:
                return False
            at = os.path.dirname(at)
        return True

    def lacks(self, path: str | Path) -> bool:
        """Whether nothing would be there any more."""
        at = os.path.realpath(path)
        return at not in self.live and at not in self.kept

    def rebuild(self, folder: Path, elsewhere: Path) -> None:
        """Makes `elsewhere` what a power cut would leave of `folder`.

        Bytes that were not synced are gone, but for a part of what was there.
        """
        root = os.path.realpath(folder)
        elsewhere.mkdir()
        for path in sorted(self.kept):
            copy = elsewhere / os.path.relpath(path, root)
            thing = self.kept[path]
            if path == root or not copy.parent.is_dir():
                continue
            if thing.is_folder:
                copy.mkdir()
            else:
                whole = thing.kept
                copy.write_bytes(whole if thing.synced else whole[: len(whole) // 2])

    def _change(self, call: Call) -> None:
        path, target = call.path, call.target
        if call.name == "mkdir":
            self._name(path, Thing(is_folder=True))
        elif call.name == "open" and call.creates:
            self._name(path, Thing(synced=False))
        elif call.name in ("write", "fchmod"):
            self.live[path].synced = False
        elif call.name in ("replace", "rename"):
            self._name(target, self.live.pop(path))
            self.dropped.discard(path)
        elif call.name == "link":
            self._name(target, self.live[path])
        elif call.name in ("unlink", "rmdir"):
            self.live.pop(path, None)
            self.dropped.discard(path)

    def _name(self, path: str, thing: Thing) -> None:
        self.live[path] = thing
        self.dropped.discard(path)

    def _fsync(self, call: Call) -> None:
        inside = [
            path
            for path in self.live.keys() | self.kept.keys()
            if os.path.dirname(path) == call.path and self.live.get(path) is not self.kept.get(path)
        ]
        thing = self.live.get(call.path)
        if call.failed:
            self.dropped.update(inside)
            if thing is not None:
                thing.lost = not thing.synced
            return
        if thing is not None and not thing.lost:
            thing.synced = True
            thing.kept = thing.kept if call.synced is None else call.synced
        for path in inside:
            if path in self.dropped:
                continue
            if path in self.live:
                self.kept[path] = self.live[path]
            else:
                del self.kept[path]
