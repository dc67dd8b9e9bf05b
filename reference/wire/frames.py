"""Frames: consecutive blobs, compressed as one, and what is checked before one is opened."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from hashlib import sha256

import zstandard

from .errors import ProtocolError
from .ids import PREFIX
from .pack import FRAME_BYTES, WINDOW_BYTES

LEVEL = 3
WHOLE_BYTES = 4 * 1024 * 1024
"""Frames up to this size are opened at once; larger ones, single blobs by rule, in pieces."""
_MAGIC = b"\x28\xb5\x2f\xfd"
HEADER_BYTES = 18
"""The most that a zstd frame's header takes."""
SLICE_BYTES = 512
_OPENED_BYTES = 4 * 1024 * 1024
_DENSEST = 1 << 15
"""How much a byte of a zstd frame can stand for: 4 bytes are a block of at most 128 KiB."""


def compress(contents: Sequence[bytes | memoryview]) -> tuple[bytes, bool]:
    """The payload of a frame, and whether it is stored as it is."""
    raw = b"".join(contents)
    packed = zstandard.ZstdCompressor(level=LEVEL).compress(raw)
    return (packed, False) if len(packed) < len(raw) else (raw, True)


def cut(sizes: Sequence[int]) -> list[int]:
    """How many blobs of these sizes go into each frame."""
    counts: list[int] = []
    room = 0
    for size in sizes:
        if counts and size <= room:
            counts[-1] += 1
            room -= size
        else:
            counts.append(1)
            room = FRAME_BYTES - size
    return counts


def _bad(why: str, requirement: str) -> ProtocolError:
    return ProtocolError("bad_frame", why, requirement)


def declared_size(start: bytes) -> int:
    """The size that a frame declares, by its first bytes, before anything is allocated."""
    if start[:4] != _MAGIC:
        raise _bad("a frame does not start with zstd's magic number", "MPACK-030")
    try:
        header = zstandard.get_frame_parameters(start)
    except zstandard.ZstdError as problem:
        raise _bad(f"a frame's header: {problem}", "MPACK-030") from None
    if header.content_size == zstandard.CONTENTSIZE_UNKNOWN:
        raise _bad("a frame does not declare its size", "MPACK-031")
    if header.window_size > WINDOW_BYTES:
        raise _bad(f"a frame's window of {header.window_size} bytes is too large", "MPACK-033")
    if header.dict_id:
        raise _bad("a frame needs a dictionary", "MPACK-034")
    return int(header.content_size)


def check_header(start: bytes, expected: int) -> None:
    """Refuses a frame that declares another size than the directory gives."""
    declared = declared_size(start)
    if declared != expected:
        raise _bad(f"a frame declares {declared} bytes, not {expected}", "MPACK-032")


def open_accepted(payload: bytes) -> bytes:
    """The contents of a frame that was checked when its pack was accepted, damaged or not since."""
    declared = declared_size(payload[:HEADER_BYTES])
    if declared > len(payload) * _DENSEST:
        raise _bad(f"{len(payload)} bytes of a frame cannot be {declared}", "MPACK-032")
    return decompress(payload, declared)


class Opened:
    """The frames opened last, since neighbours are read together: a few megabytes of them.

    The very last stays whatever its size: it may hold a thousand blobs that are wanted now.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> bytes | None:
        """A frame's contents, if they are still held."""
        return self._held.get(key)

    def keep(self, key: Hashable, raw: bytes) -> None:
        """Holds a frame's contents, and lets go of the oldest ones that are too many with them."""
        self._held[key] = raw
        self._bytes += len(raw)
        while self._bytes > _OPENED_BYTES and len(self._held) > 1:
            self._bytes -= len(self._held.popitem(last=False)[1])


def decompress(payload: bytes, declared: int) -> bytes:
    """The whole contents of a compressed frame of `declared` bytes."""
    check_header(payload[:HEADER_BYTES], declared)
    opener = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
    try:
        if not declared:  # for which the one-shot call below looks no further than the header
            stream = opener.decompressobj()
            if stream.decompress(payload) or not stream.eof or stream.unused_data:
                raise _bad("an empty frame is cut short or runs on", "MPACK-035")
            return b""
        # allocates what the header declares, which was just checked, and never more
        return opener.decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as problem:
        raise _bad(str(problem), "MPACK-035") from None


def hash_blobs(raw: bytes, sizes: Sequence[int]) -> list[str]:
    """The ids of consecutive blobs."""
    found = []
    start = 0
    for size in sizes:
        end = start + size
        found.append(PREFIX + sha256(b"blob %d\0" % size + raw[start:end]).hexdigest())
        start = end
    return found


class FrameReader:
    """Takes a frame's payload in pieces and gives the ids of its blobs.

    A usual frame is opened at once.  A large one is hashed as it is opened, in slices so short
    that even a run of repeated blocks (4 bytes for 128 KiB) stays within 16 MiB.
    """

    def __init__(self, sizes: Sequence[int], length: int, stored: bool) -> None:
        self._sizes = sizes
        self._declared = sum(sizes)
        self._stored = stored
        self._pieces: list[bytes] = []
        self._pending = length
        self._opener: zstandard.ZstdDecompressionObj | None = None
        self._whole = length <= WHOLE_BYTES and self._declared <= WHOLE_BYTES
        self._ids: list[str] = []
        self._rest = 0
        self._digest = sha256()
        if stored and length != self._declared:
            raise _bad(f"a stored frame has {length} bytes, not {self._declared}", "MPACK-036")
        if not self._whole:
            self._start_blob()

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes of the payload."""
        self._pending -= len(piece)
        if self._whole:
            self._pieces.append(piece)
        elif self._stored:
            self._hash(piece)
        else:
            self._open(piece)

    def blob_ids(self) -> list[str]:
        """The ids of the blobs, once the payload is complete."""
        if self._whole:
            payload = b"".join(self._pieces)
            raw = payload if self._stored else decompress(payload, self._declared)
            return hash_blobs(raw, self._sizes)
        ended = self._stored or (self._opener and self._opener.eof)
        if not ended or len(self._ids) != len(self._sizes):
            raise _bad("a frame is cut short", "MPACK-035")
        return self._ids

    def _open(self, piece: bytes) -> None:
        if self._opener is None:
            self._pieces.append(piece)
            piece = b"".join(self._pieces)
            if len(piece) < HEADER_BYTES and self._pending:
                return
            check_header(piece[:HEADER_BYTES], self._declared)
            self._opener = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
            self._pieces.clear()
        for start in range(0, len(piece), SLICE_BYTES):
            if self._opener.eof:
                raise _bad("a frame has bytes after its end", "MPACK-035")
            try:
                self._hash(self._opener.decompress(piece[start : start + SLICE_BYTES]))
            except zstandard.ZstdError as problem:
                raise _bad(str(problem), "MPACK-035") from None
            if self._opener.unused_data:
                raise _bad("a frame has bytes after its end", "MPACK-035")

    def _hash(self, raw: bytes) -> None:
        rest = memoryview(raw)  # a slice of it copies nothing, however many blobs there are
        while rest:
            if len(self._ids) == len(self._sizes):
                raise _bad("a frame holds more than it declares", "MPACK-032")
            taken = min(self._rest, len(rest))
            self._digest.update(rest[:taken])
            rest = rest[taken:]
            self._rest -= taken
            self._end_blobs()

    def _end_blobs(self) -> None:
        while not self._rest and len(self._ids) < len(self._sizes):
            self._ids.append(PREFIX + self._digest.hexdigest())
            if len(self._ids) < len(self._sizes):
                self._start_blob(end=False)

    def _start_blob(self, end: bool = True) -> None:
        size = self._sizes[len(self._ids)]
        self._digest, self._rest = sha256(b"blob %d\0" % size), size
        if end:
            self._end_blobs()
