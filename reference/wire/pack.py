"""A pack as it stands after its bytes were read and each blob was hashed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .records import Commit, Snapshot

FRAME_BYTES = 256 * 1024
"""Where a sender cuts frames, in raw bytes; a larger blob stands alone."""
WINDOW_BYTES = 8 * 1024 * 1024
"""The largest zstd window a receiver has to hold."""
VALUES = 32
"""How many values of lists and maps a receiver builds for each record that it takes in."""
NONE = 0xFFFFFFFF
"""The ordinal that names nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a receiver takes in at most; announced by a server in its refs."""

    pack_bytes: int = 256 * 1024 * 1024
    raw_bytes: int = 1024 * 1024 * 1024
    records: int = 2_000_000
    manifest_bytes: int = 4 * 1024 * 1024 * 1024


DEFAULT_LIMITS = Limits()


class Frame(NamedTuple):
    """Where consecutive blobs lie in a pack; `stored` frames are not compressed."""

    offset: int
    length: int
    stored: bool
    blobs: int


class Row(NamedTuple):
    """A byte-range index row: where one blob lies."""

    object_id: str
    frame_offset: int
    frame_length: int
    stored: bool
    offset: int
    length: int


@dataclass(slots=True)
class Pack:
    """Records, blob ids and where each blob lies; contents stay in the pack's bytes."""

    framed: bool
    size: int = 0
    commits: list[Commit] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    blob_ids: list[str] = field(default_factory=list)
    blob_sizes: list[int] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    branch_heads: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """The byte-range index of the pack, in the order of its blobs."""
        blob = 0
        for frame in self.frames:
            offset = 0
            for _ in range(frame.blobs):
                size = self.blob_sizes[blob]
                row = (frame.offset, frame.length, frame.stored, offset, size)
                yield Row(self.blob_ids[blob], *row)
                offset += size
                blob += 1
