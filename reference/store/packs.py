"""Packs in the store: kept as received, found through an index that can always be remade.

An index holds what the pack's bytes do not say at once: the blobs' ids, where each frame lies,
and the records as a framed head, so that a plain pack is read in the same way as a framed one.
It ends up beside the pack as `<key>.idx`, carries its own digest, and is private to this store.
"""

from __future__ import annotations

import os
import struct
from functools import cached_property
from hashlib import sha256
from typing import Any

import msgpack
import zstandard

from reference.wire import frames, heads
from reference.wire.errors import ProtocolError
from reference.wire.ids import blob_id, from_raw, to_raw
from reference.wire.pack import Frame, Limits, Pack
from reference.wire.reader import PackReader, unpack

from . import durable
from .loose import CHUNK_BYTES, FILE_MODE

_MAGIC = b"MUSEIDX\1"
_FRAME = struct.Struct("<QQBxxxI")
OURS = Limits(pack_bytes=1 << 40, raw_bytes=1 << 60, records=1 << 40, manifest_bytes=1 << 60)
"""For packs that were taken in under the caps of their time, and are only read again."""


def _head_of(path: str) -> bytes:
    """The head of a framed pack that was read before, as it lies there, opened."""
    with open(path, "rb") as file:
        unpacker = msgpack.Unpacker(file, max_buffer_size=os.stat(path).st_size)
        unpacker.read_map_header()
        fields = {unpacker.unpack(): unpacker.unpack() for _ in ("format", "head")}
    return bytes(zstandard.ZstdDecompressor().decompress(fields["head"]))


def _columns_of(pack: Pack) -> bytes:
    counts = [frame.blobs for frame in pack.frames]
    stored = [frame.stored for frame in pack.frames]
    sizes = list(zip(pack.blob_ids, pack.blob_sizes, strict=True))
    head = heads.encode(
        pack.commits, pack.snapshots, sizes, counts, stored, pack.branch_heads, pack.meta
    )
    return bytes(msgpack.packb(head))


def encode_index(pack: Pack, path: str | None = None) -> bytes:
    """The bytes of the index of a pack that was read and verified, from `path` if it is given."""
    head = _head_of(path) if path and pack.framed else _columns_of(pack)
    body: bytes = msgpack.packb(
        {
            "size": pack.size,
            "framed": pack.framed,
            "ids": b"".join(to_raw(object_id) for object_id in pack.blob_ids),
            "frames": b"".join(_FRAME.pack(*frame) for frame in pack.frames),
            "head": head,
        }
    )
    return _MAGIC + sha256(body).digest() + body


class PackFile:
    """One pack of the store, opened lazily: index, records, then single frames."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.key = "sha256:" + os.path.basename(path).removesuffix(".mpack")
        self._opened = frames.Opened()

    @property
    def index_path(self) -> str:
        """Where the index lies."""
        return self.path.removesuffix(".mpack") + ".idx"

    @cached_property
    def _index(self) -> dict[str, Any]:
        try:
            with open(self.index_path, "rb") as file:
                raw = file.read()
        except FileNotFoundError:
            raw = b""
        body = raw[40:]
        if raw[:8] != _MAGIC or sha256(body).digest() != raw[8:40]:
            return self._remake_index()
        found: dict[str, Any] = unpack(body, "index")
        return found

    def _remake_index(self) -> dict[str, Any]:
        index = encode_index(self.verified(), self.path)
        durable.write(self.index_path, index, mode=FILE_MODE)
        found: dict[str, Any] = unpack(index[40:], "index")
        return found

    def verified(self, limits: Limits = OURS) -> Pack:
        """The pack read through from its bytes, every blob hashed, its key checked."""
        reader = PackReader(limits)
        with open(self.path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                reader.feed(chunk)
        pack = reader.close()
        if reader.key != self.key:
            raise ProtocolError("integrity", f"integrity check: pack {self.key} is {reader.key}")
        return pack

    @cached_property
    def blob_ids(self) -> list[str]:
        """The ids of the pack's blobs, by ordinal."""
        ids: bytes = self._index["ids"]
        return [from_raw(ids[at : at + 32]) for at in range(0, len(ids), 32)]

    @cached_property
    def pack(self) -> Pack:
        """The pack's records and frames, from the index alone."""
        index = self._index
        head = heads.decode(unpack(index["head"], "index head", OURS.records), OURS)
        rows = _FRAME.iter_unpack(index["frames"])
        found = Pack(framed=bool(index["framed"]))
        found.size = os.stat(self.path).st_size
        found.commits, found.snapshots = head.commits, head.snapshots(self.blob_ids)
        found.blob_ids, found.blob_sizes = self.blob_ids, head.sizes
        found.frames = [Frame(at, length, bool(stored), n) for at, length, stored, n in rows]
        found.branch_heads, found.meta = head.branch_heads, head.meta
        return found

    @cached_property
    def tip(self) -> str | None:
        """The one commit of whose closure this pack is the whole, told from its columns alone.

        It leans on nothing outside, and every other commit is somebody's parent.
        """
        head = unpack(self._index["head"], "index head", OURS.records)
        commits = head.get("commits", {})  # a sender may leave empty columns out  [MPACK-010]
        ids, parent = commits.get("ids", b""), commits.get("parent", b"")
        named = {at for (at,) in struct.iter_unpack("<I", parent)}
        tips = set(range(len(ids) // 32)) - named
        if head.get("external") or len(tips) != 1:
            return None
        at = 32 * tips.pop()
        return from_raw(ids[at : at + 32])

    @cached_property
    def places(self) -> dict[str, int]:
        """Which ordinal each blob has."""
        return {object_id: n for n, object_id in enumerate(self.blob_ids)}

    @cached_property
    def _frame_of(self) -> list[tuple[int, int]]:
        """For each blob its frame's number and its offset in the opened frame."""
        found = []
        blob = 0
        sizes = self.pack.blob_sizes
        for number, frame in enumerate(self.pack.frames):
            offset = 0
            for _ in range(frame.blobs):
                found.append((number, offset))
                offset += sizes[blob]
                blob += 1
        return found

    @cached_property
    def firsts(self) -> list[int]:
        """The ordinal of the first blob of each frame."""
        firsts, blob = [], 0
        for frame in self.pack.frames:
            firsts.append(blob)
            blob += frame.blobs
        return firsts

    def payload(self, number: int) -> bytes:
        """A frame's bytes as they lie in the pack."""
        frame = self.pack.frames[number]
        with open(self.path, "rb") as file:
            file.seek(frame.offset)
            payload = file.read(frame.length)
        if len(payload) != frame.length:
            raise ProtocolError("integrity", f"integrity check: pack {self.key} is cut short")
        return payload

    def _open_frame(self, number: int) -> bytes:
        cached = self._opened.get(number)
        if cached is not None:
            return cached
        frame, first = self.pack.frames[number], self.firsts[number]
        payload = self.payload(number)
        if frame.stored:
            raw = payload
        else:
            try:
                raw = frames.decompress(
                    payload, sum(self.pack.blob_sizes[first : first + frame.blobs])
                )
            except ProtocolError as problem:
                raise ProtocolError(
                    "integrity", f"integrity check: pack {self.key}: {problem.detail}"
                ) from None
        self._opened.keep(number, raw)
        return raw

    def read(self, object_id: str) -> bytes:
        """A blob's content, rehashed."""
        place = self.places[object_id]
        number, offset = self._frame_of[place]
        content = self._open_frame(number)[offset : offset + self.pack.blob_sizes[place]]
        if blob_id(content) != object_id:
            raise ProtocolError(
                "integrity", f"integrity check: {object_id} in pack {self.key} does not match"
            )
        return content
