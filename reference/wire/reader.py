"""Reading a pack as its bytes arrive: plain or framed, each blob hashed, none of it held.

The reader is a coroutine over a msgpack `Unpacker`: it takes what is there and waits where it is
not, so a pack of any size passes through in pieces.  Ids of commits and snapshots are not
computed here; that is `verification`'s part.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from hashlib import sha256
from typing import Any, TypeVar

import msgpack
import zstandard

from .errors import ProtocolError
from .frames import FrameReader
from .heads import Head, decode
from .ids import PREFIX, check_id
from .pack import DEFAULT_LIMITS, WINDOW_BYTES, Frame, Limits, Pack
from .records import check_commit, check_snapshot

T = TypeVar("T")
Steps = Generator[None, None, T]
_SLICE_BYTES = 64 * 1024
_BIN = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_PLAIN_KEYS = frozenset(
    {"format", "commits", "snapshots", "blobs", "objects", "branch_heads", "meta"}
)


def _malformed(why: str, requirement: str = "MPACK-001") -> ProtocolError:
    return ProtocolError("malformed", why, requirement)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _malformed("a map has a key twice", "MPACK-003")
    for key in found:
        if type(key) is not str:
            raise _malformed(f"a map's key must be text, got {key!r:.40}")
    return found


def unpack(raw: bytes, what: str) -> Any:
    """One msgpack value that is all of `raw`; keys are unique texts."""
    try:
        return msgpack.unpackb(raw, object_pairs_hook=_unique, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as problem:
        raise _malformed(f"{what}: {type(problem).__name__} {problem}") from None


class PackReader:
    """Takes a pack in chunks; `close` gives the `Pack`, or the first thing wrong with it."""

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, on_head: Callable[[Head], None] | None = None
    ) -> None:
        self._limits = limits
        self._on_head = on_head
        self._digest = sha256()
        self._fed = 0
        self._pack = Pack(framed=False)
        self._raw_bytes = 0
        self._unpacker = msgpack.Unpacker(
            object_pairs_hook=_unique,
            strict_map_key=False,
            max_buffer_size=limits.pack_bytes + _SLICE_BYTES,
        )
        self._steps = self._read()
        self._done = False

    @property
    def key(self) -> str:
        """The `mpack_key` of the bytes so far."""
        return PREFIX + self._digest.hexdigest()

    @property
    def size(self) -> int:
        """How many bytes came so far."""
        return self._fed

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes, and refuses the pack as soon as they show a reason."""
        self._digest.update(chunk)
        self._fed += len(chunk)
        if self._fed > self._limits.pack_bytes:
            limit = self._limits.pack_bytes
            raise ProtocolError("too_large", f"a pack of more than {limit} bytes", "MPACK-042")
        for start in range(0, len(chunk), _SLICE_BYTES):
            if self._done:
                raise _malformed("bytes after the end of the pack", "MPACK-002")
            try:
                self._unpacker.feed(chunk[start : start + _SLICE_BYTES])
                next(self._steps)
            except StopIteration:
                self._done = True
                if self._unpacker.read_bytes(1):
                    raise _malformed("bytes after the end of the pack", "MPACK-002") from None
            except (ValueError, TypeError, msgpack.UnpackException) as problem:
                raise _malformed(f"not msgpack: {type(problem).__name__} {problem}") from None

    def close(self) -> Pack:
        """The whole pack, once all of its bytes were fed."""
        if not self._done:
            raise _malformed(f"the pack ends early, after {self._fed} bytes", "MPACK-002")
        self._pack.size = self._fed
        return self._pack

    # Primitives: each waits for more input where there is too little.

    def _call(self, take: Callable[[], T]) -> Steps[T]:
        while True:
            try:
                return take()
            except msgpack.OutOfData:
                yield

    def _bytes(self, count: int) -> Steps[bytes]:
        """Between one and `count` bytes, as many as are there."""
        while not (found := self._unpacker.read_bytes(count)):
            yield
        return bytes(found)

    def _exactly(self, count: int) -> Steps[bytes]:
        found = b""
        while len(found) < count:
            found += yield from self._bytes(count - len(found))
        return found

    def _bin(self, what: str) -> Steps[int]:
        """The length of a bin that starts here."""
        kind = (yield from self._exactly(1))[0]
        if kind not in _BIN:
            raise _malformed(f"{what} must be a bin")
        length = int.from_bytes((yield from self._exactly(_BIN[kind])), "big")
        if length > self._limits.pack_bytes:
            raise ProtocolError("too_large", f"{what} of {length} bytes", "MPACK-042")
        return length

    def _array(self, what: str) -> Steps[int]:
        try:
            count: int = yield from self._call(self._unpacker.read_array_header)
        except ValueError:
            raise _malformed(f"{what} must be a list") from None
        if count > self._limits.records:
            limit = self._limits.records
            raise ProtocolError("too_large", f"{what}: more than {limit} entries", "MPACK-040")
        return count

    # The two forms.

    def _read(self) -> Steps[None]:
        try:
            keys: int = yield from self._call(self._unpacker.read_map_header)
        except ValueError:
            raise _malformed("a pack must be one msgpack map") from None
        seen: set[str] = set()
        head: Head | None = None
        for _ in range(keys):
            key = yield from self._call(self._unpacker.unpack)
            if not isinstance(key, str) or key in seen:
                raise _malformed(f"key {key!r:.40} twice, or no text", "MPACK-003")
            seen.add(key)
            if key == "head":
                if seen - {"format", "head"}:
                    raise _malformed("a framed pack has format, head and frames, in this order")
                head = yield from self._head()
            elif key == "frames" and head is not None:
                yield from self._frames(head)
            elif key not in _PLAIN_KEYS or (head is not None and key != "format"):
                raise _malformed(f"a pack has no key {key!r:.40}")
            else:
                yield from self._plain_part(key)
        if {"blobs", "objects"} <= seen:
            raise _malformed("a pack has blobs and objects", "MPACK-005")
        if head is not None:
            if "frames" not in seen:
                raise _malformed("a framed pack lacks its frames")
            self._pack.framed = True
            self._pack.snapshots = head.snapshots(self._pack.blob_ids)

    def _head(self) -> Steps[Head]:
        length = yield from self._bin("head")
        opener = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
        parts: list[bytes] = []
        total = 0
        while length:
            piece = yield from self._bytes(min(length, 4096))
            length -= len(piece)
            try:
                part = opener.decompress(piece)
            except zstandard.ZstdError as problem:
                raise ProtocolError("bad_frame", f"head: {problem}", "MPACK-035") from None
            total += len(part)
            if total > self._limits.raw_bytes:
                limit = self._limits.raw_bytes
                raise ProtocolError("too_large", f"a head of over {limit} bytes", "MPACK-041")
            parts.append(part)
            if opener.unused_data:
                break
        if not opener.eof or opener.unused_data or length:
            raise ProtocolError("bad_frame", "head is cut short or runs on", "MPACK-035")
        value = unpack(b"".join(parts), "head")
        head = decode(value, self._limits)
        pack = self._pack
        pack.commits, pack.blob_sizes = head.commits, head.sizes
        pack.branch_heads, pack.meta = head.branch_heads, head.meta
        if self._on_head:
            self._on_head(head)
        return head

    def _frames(self, head: Head) -> Steps[None]:
        count = yield from self._array("frames")
        if count != len(head.frame_counts):
            raise _malformed(f"{count} frames, the head names {len(head.frame_counts)}")
        first = 0
        for blobs, stored in zip(head.frame_counts, head.stored, strict=True):
            length = yield from self._bin("a frame")
            offset = self._unpacker.tell()
            frame = FrameReader(head.sizes[first : first + blobs], length, bool(stored))
            rest = length
            while rest:
                piece = yield from self._bytes(rest)
                rest -= len(piece)
                frame.feed(piece)
            self._pack.blob_ids += frame.blob_ids()
            self._pack.frames.append(Frame(offset, length, bool(stored), blobs))
            first += blobs

    def _plain_part(self, key: str) -> Steps[None]:
        pack = self._pack
        if key in ("blobs", "objects"):
            for _ in range((yield from self._array(key))):
                yield from self._blob()
        elif key in ("commits", "snapshots"):
            check = check_commit if key == "commits" else check_snapshot
            records = pack.commits if key == "commits" else pack.snapshots
            for _ in range((yield from self._array(key))):
                records.append(check((yield from self._call(self._unpacker.unpack))))
        else:
            value = yield from self._call(self._unpacker.unpack)
            if key == "format":
                if value != 1 or isinstance(value, bool):
                    raise _malformed(f"format must be 1, got {value!r:.40}", "MPACK-004")
            elif value is not None and not isinstance(value, dict):
                raise _malformed(f"{key} must be a map")
            elif key == "meta":
                pack.meta = value or {}
            else:
                pack.branch_heads = value or {}
        if len(pack.commits) + len(pack.snapshots) + len(pack.blob_ids) > self._limits.records:
            limit = self._limits.records
            raise ProtocolError("too_large", f"more than {limit} records", "MPACK-040")

    def _blob(self) -> Steps[None]:
        try:
            fields: int = yield from self._call(self._unpacker.read_map_header)
        except ValueError:
            raise _malformed("a blob must be a map of object_id and content") from None
        pack = self._pack
        named, found = None, None
        seen: set[str] = set()
        for _ in range(fields):
            key = yield from self._call(self._unpacker.unpack)
            if not isinstance(key, str) or key in seen:
                raise _malformed(f"a blob's key {key!r:.40} twice, or no text", "MPACK-003")
            seen.add(key)
            if key != "content":
                value = yield from self._call(self._unpacker.unpack)
                named = value if key == "object_id" else named
                continue
            length = yield from self._bin("a blob's content")
            self._raw_bytes += length
            if self._raw_bytes > self._limits.raw_bytes:
                limit = self._limits.raw_bytes
                raise ProtocolError("too_large", f"blobs of over {limit} bytes", "MPACK-041")
            offset = self._unpacker.tell()
            reader = FrameReader([length], length, stored=True)
            rest = length
            while rest:
                piece = yield from self._bytes(rest)
                rest -= len(piece)
                reader.feed(piece)
            found = reader.blob_ids()[0]
            pack.blob_sizes.append(length)
            pack.frames.append(Frame(offset, length, True, 1))
        if found is None or "object_id" not in seen:
            raise ProtocolError("missing_field", "a blob needs object_id and content", "MPACK-006")
        if check_id(named, "object_id") != found:
            raise ProtocolError("blob_mismatch", f"a blob named {named} hashes to {found}", "ID-005")
        pack.blob_ids.append(found)


def read(chunks: Iterable[bytes], limits: Limits = DEFAULT_LIMITS) -> Pack:
    """A pack from all of its chunks."""
    reader = PackReader(limits)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.close()
