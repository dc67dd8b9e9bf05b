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

from .errors import ProtocolError, shown
from .frames import HEADER_BYTES, SLICE_BYTES, FrameReader, declared_size
from .heads import Head, decode
from .ids import PREFIX, check_id
from .pack import DEFAULT_LIMITS, VALUES, WINDOW_BYTES, Frame, Limits, Pack
from .records import check_commit, check_snapshot, count_entries

T = TypeVar("T")
Steps = Generator[None, None, T]
_FEED_BYTES = 64 * 1024
_BIN = {0xC4: 1, 0xC5: 2, 0xC6: 4}


def _malformed(why: str, requirement: str = "MPACK-001") -> ProtocolError:
    return ProtocolError("malformed", why, requirement)


class _Budget:
    """How many values a pack may still unfold into: a byte of msgpack can be sixty of memory."""

    def __init__(self, records: int) -> None:
        self._records = records
        self._left = VALUES * records + 1024

    def map(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        """A map whose keys are unique texts."""
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _malformed("a map has a key twice", "MPACK-003")
        for key in found:
            if type(key) is not str:
                raise _malformed(f"a map's key must be text, got {shown(key)}", "MPACK-003")
        self.spend(len(pairs))
        return found

    def list(self, items: list[Any]) -> list[Any]:
        """A list, as it is."""
        self.spend(len(items))
        return items

    def spend(self, count: int) -> None:
        """Counts what a list or map holds, and itself."""
        self._left -= count + 1
        if self._left < 0:
            raise ProtocolError("too_large", f"far more than {self._records} records", "MPACK-039")

    def hooks(self) -> dict[str, Any]:
        """The arguments that make msgpack count."""
        return {
            "object_pairs_hook": self.map,
            "list_hook": self.list,
            "strict_map_key": False,
        }


def unpack(raw: bytes, what: str, records: int = DEFAULT_LIMITS.records) -> Any:
    """One msgpack value that is all of `raw`; keys are unique texts."""
    try:
        return msgpack.unpackb(raw, **_Budget(records).hooks())
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
        self._entries = 0
        self._budget = _Budget(limits.records)
        self._unpacker = msgpack.Unpacker(
            **self._budget.hooks(),
            max_buffer_size=limits.pack_bytes + _FEED_BYTES,
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
        for start in range(0, len(chunk), _FEED_BYTES):
            try:
                self._unpacker.feed(chunk[start : start + _FEED_BYTES])
                next(self._steps)
            except StopIteration:
                if self._unpacker.read_bytes(1):
                    self._done = False
                    raise _malformed("bytes after the end of the pack", "MPACK-002") from None
            except (ValueError, TypeError, msgpack.UnpackException) as problem:
                raise _malformed(f"not msgpack: {type(problem).__name__} {problem}") from None

    def close(self) -> Pack:
        """The whole pack, once all of its bytes were fed."""
        if not self._done:
            self._steps.close()  # it and the reader hold each other, and a buffer
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

    def _bin(self, what: str, requirement: str = "MPACK-012") -> Steps[int]:
        """The length of a bin that starts here."""
        kind = (yield from self._exactly(1))[0]
        if kind not in _BIN:
            raise _malformed(f"{what} must be a bin", requirement)
        length = int.from_bytes((yield from self._exactly(_BIN[kind])), "big")
        if length > self._limits.pack_bytes:
            raise ProtocolError("too_large", f"{what} of {length} bytes", "MPACK-042")
        return length

    def _array(self, what: str) -> Steps[int]:
        try:
            count: int = yield from self._call(self._unpacker.read_array_header)
        except ValueError:
            raise _malformed(f"{what} must be a list", "MPACK-009") from None
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
        self._budget.spend(keys)
        seen: dict[str, None] = {}
        head: Head | None = None
        for _ in range(keys):
            key = yield from self._key(seen)
            if key == "head":
                if list(seen) not in (["head"], ["format", "head"]):
                    raise _malformed("a framed pack has format, head, frames", "MPACK-012")
                head = yield from self._head()
            elif head is None:
                yield from self._plain_part(key)
            elif key == "frames":
                yield from self._frames(head)
            else:
                raise _malformed(f"a framed pack has no key {shown(key)} here", "MPACK-012")
        if "blobs" in seen and "objects" in seen:
            raise _malformed("a pack has blobs and objects", "MPACK-005")
        if head is not None:
            if "frames" not in seen:
                raise _malformed("a framed pack lacks its frames", "MPACK-012")
            self._pack.framed = True
            self._pack.snapshots = head.snapshots(self._pack.blob_ids)
        self._done = True

    def _key(self, seen: dict[str, None]) -> Steps[str]:
        key = yield from self._call(self._unpacker.unpack)
        if not isinstance(key, str) or key in seen:
            raise _malformed(f"key {shown(key)} twice, or no text", "MPACK-003")
        seen[key] = None
        return key

    def _head(self) -> Steps[Head]:
        length = yield from self._bin("head")
        start = yield from self._exactly(min(length, HEADER_BYTES))
        declared = declared_size(start)
        if declared > self._limits.raw_bytes:
            limit = self._limits.raw_bytes
            raise ProtocolError("too_large", f"a head of over {limit} bytes", "MPACK-041")
        opener = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
        parts: list[bytes] = []
        total, length = 0, length - len(start)
        piece = start
        while piece:
            try:
                parts.append(opener.decompress(piece))
            except zstandard.ZstdError as problem:
                raise ProtocolError("bad_frame", f"head: {problem}", "MPACK-035") from None
            total += len(parts[-1])
            if total > declared:
                raise ProtocolError("bad_frame", "head holds more than it declares", "MPACK-032")
            if opener.unused_data or (opener.eof and length):
                raise ProtocolError("bad_frame", "head has bytes after its end", "MPACK-035")
            piece = (yield from self._bytes(min(length, SLICE_BYTES))) if length else b""
            length -= len(piece)
        if not opener.eof or total != declared:
            raise ProtocolError("bad_frame", "head is cut short", "MPACK-035")
        value = unpack(b"".join(parts), "head", self._limits.records)
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
            why = f"{count} frames, the head names {len(head.frame_counts)}"
            raise _malformed(why, "MPACK-018")
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
                value = yield from self._call(self._unpacker.unpack)
                if key == "snapshots":
                    self._entries += count_entries(value)
                self._count_records(more=1)
                records.append(check(value))
        else:
            value = yield from self._call(self._unpacker.unpack)
            if key == "format":
                if type(value) is not int or value != 1:
                    raise _malformed(f"format must be 1, got {shown(value)}", "MPACK-004")
            elif key in ("meta", "branch_heads"):
                if not isinstance(value, dict):
                    raise _malformed(f"{key} must be a map", "MPACK-009")
                setattr(pack, key, value)

    def _count_records(self, more: int) -> None:
        pack = self._pack
        total = len(pack.commits) + len(pack.snapshots) + len(pack.blob_ids) + self._entries
        if total + more > self._limits.records:
            limit = self._limits.records
            raise ProtocolError("too_large", f"more than {limit} records", "MPACK-040")

    def _blob(self) -> Steps[None]:
        try:
            fields: int = yield from self._call(self._unpacker.read_map_header)
        except ValueError:
            raise _malformed("a blob must be a map", "MPACK-006") from None
        pack = self._pack
        named, found = None, None
        self._budget.spend(fields)
        seen: dict[str, None] = {}
        for _ in range(fields):
            key = yield from self._key(seen)
            if key != "content":
                value = yield from self._call(self._unpacker.unpack)
                named = value if key == "object_id" else named
                continue
            length = yield from self._bin("a blob's content", "MPACK-006")
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
            raise ProtocolError("blob_mismatch", f"a blob named {named} hashes to {found}")
        self._count_records(more=1)
        pack.blob_ids.append(found)


def read(chunks: Iterable[bytes], limits: Limits = DEFAULT_LIMITS) -> Pack:
    """A pack from all of its chunks."""
    reader = PackReader(limits)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.close()
