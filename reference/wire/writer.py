"""Writing packs, plain and framed, to any file object, without holding one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgpack
import zstandard

from . import frames, heads
from .errors import ProtocolError
from .pack import WINDOW_BYTES
from .records import Commit, Snapshot

Write = Callable[[bytes], object]
HEAD_LEVEL = 9
_PACKER = msgpack.Packer()


class FramePlan(NamedTuple):
    """A frame to be sent: what it holds, and its payload once somebody compressed it."""

    blob_ids: Sequence[str]
    sizes: Sequence[int]
    stored: bool
    length: int


def _bin_header(length: int) -> bytes:
    if length < 1 << 8:
        return b"\xc4" + length.to_bytes(1, "big")
    if length < 1 << 16:
        return b"\xc5" + length.to_bytes(2, "big")
    return b"\xc6" + length.to_bytes(4, "big")


def _array_header(count: int) -> bytes:
    return bytes(msgpack.Packer().pack_array_header(count))


def write_framed(
    write: Write,
    commits: Sequence[Commit],
    snapshots: Sequence[Snapshot],
    plans: Sequence[FramePlan],
    payloads: Iterable[bytes],
    branch_heads: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """A framed pack; `payloads` gives each plan's bytes in turn."""
    blobs = [pair for plan in plans for pair in zip(plan.blob_ids, plan.sizes, strict=True)]
    counts = [len(plan.blob_ids) for plan in plans]
    stored = [plan.stored for plan in plans]
    head = heads.encode(commits, snapshots, blobs, counts, stored, branch_heads or {}, meta or {})
    packed = _compress_head(msgpack.packb(head))
    write(b"\x83\xa6format\x01\xa4head" + _bin_header(len(packed)) + packed)
    write(b"\xa6frames" + _array_header(len(plans)))
    for plan, payload in zip(plans, payloads, strict=True):
        if len(payload) != plan.length:
            raise ProtocolError("malformed", "a frame is not as long as planned")
        write(_bin_header(plan.length))
        write(payload)


def _compress_head(raw: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(HEAD_LEVEL, source_size=len(raw))
    if parameters.window_log > WINDOW_BYTES.bit_length() - 1:
        raise AssertionError("level 9 keeps windows of 4 MiB")
    return zstandard.ZstdCompressor(level=HEAD_LEVEL).compress(raw)


def compress_frames(
    blobs: Sequence[tuple[str, bytes]],
) -> tuple[list[FramePlan], list[bytes]]:
    """Plans and payloads for blobs that are in memory, cut by the rule."""
    plans, payloads = [], []
    start = 0
    for count in frames.cut([len(content) for _, content in blobs]):
        part = blobs[start : start + count]
        start += count
        payload, stored = frames.compress([content for _, content in part])
        ids, sizes = [oid for oid, _ in part], [len(content) for _, content in part]
        plans.append(FramePlan(ids, sizes, stored, len(payload)))
        payloads.append(payload)
    return plans, payloads


def write_plain(
    write: Write,
    commits: Sequence[Commit],
    snapshots: Sequence[Snapshot],
    blobs: Iterable[tuple[str, bytes]],
    count: int,
    branch_heads: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """A plain pack of `count` blobs, one at a time."""
    pack = _PACKER.pack
    write(b"\x86\xa6format\x01\xa7commits" + pack(list(commits)))
    write(b"\xa9snapshots" + pack(list(snapshots)))
    write(b"\xa5blobs" + _array_header(count))
    written = 0
    for object_id, content in blobs:
        write(b"\x82\xa9object_id" + pack(object_id) + b"\xa7content" + _bin_header(len(content)))
        write(content)
        written += 1
    if written != count:
        raise ProtocolError("malformed", f"{written} blobs written, {count} announced")
    write(b"\xacbranch_heads" + pack(dict(branch_heads or {})) + b"\xa4meta" + pack(meta or {}))
