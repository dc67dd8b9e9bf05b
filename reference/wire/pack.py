"""A pack as it stands after its bytes were read and each blob was hashed."""

from __future__ import annotations

from collections.abc import Iterator
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


class Limits(NamedTuple):
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


class Pack:
    """Records, blob ids and where each blob lies; contents stay in the pack's bytes."""

    __slots__ = (
        *("framed", "size", "commits", "snapshots", "blob_ids", "blob_sizes", "frames"),
        *("branch_heads", "meta"),
    )

    def __init__(self, framed: bool) -> None:
        self.framed = framed
        self.size = 0
        self.commits: list[Commit] = []
        self.snapshots: list[Snapshot] = []
        self.blob_ids: list[str] = []
        self.blob_sizes: list[int] = []
        self.frames: list[Frame] = []
        self.branch_heads: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}

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
