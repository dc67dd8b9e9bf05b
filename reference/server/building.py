"""Building a pack to be fetched: frames as they lie where all of their blobs are wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from reference.core.closure import Closure
from reference.wire import frames
from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX, blob_id, from_raw
from reference.wire.pack import Row
from reference.wire.writer import FramePlan, write_framed, write_plain

from . import history
from .blobs import PLACES
from .objects import ObjectStore, Outgoing, pack_key
from .service import Repo

if TYPE_CHECKING:
    from .database import Connection

KEPT_BYTES = 32 * 1024 * 1024
"""New frames kept until they are written; beyond that they are compressed a second time."""
_WINDOW_BYTES = 4 * 1024 * 1024


class Place(NamedTuple):
    """Where a blob lies, and how many blobs lie in its frame."""

    mpack_id: str
    row: Row
    frame_blobs: int
    framed: bool


async def places(db: Connection, repo: Repo, objects: Collection[str]) -> dict[str, Place]:
    """Where each of these blobs can be read."""
    rows = await db.fetch(
        f"""
        SELECT DISTINCT ON (blob_id) p.*, mpacks.form
        FROM ({PLACES} AND i.blob_id = ANY($2)) AS p JOIN mpacks USING (mpack_id)
        ORDER BY blob_id, mpack_id
        """,
        repo.raw,
        history.raws(set(objects)),
    )
    by_id = {}
    for blob, mpack, *row, frame_blobs, form in rows:
        object_id = from_raw(blob)
        place = Place(from_raw(mpack), Row(object_id, *row), frame_blobs, form == "framed")
        by_id[object_id] = place
    if missing := set(objects) - by_id.keys():
        raise ProtocolError("storage_down", f"no pack holds {min(missing)} any more")
    return by_id


def build(
    objects: ObjectStore,
    sent: Closure,
    where: Mapping[str, Place],
    framed: bool,
    proven: bool = True,
) -> tuple[str, Outgoing]:
    """Writes the pack; its key, and what keeps it under that key or lets go of it.

    Unless every byte of it is to be `proven`, frames that lie as they are wanted are not opened:
    whoever gets the pack hashes their blobs.
    """
    source = _Source(objects, where)
    outgoing = objects.outgoing()
    digest = sha256()

    def write(data: bytes) -> None:
        digest.update(data)
        outgoing.write(data)

    try:
        if framed:
            plans, payloads = _plan(source, sent.objects, where, proven)
            frames_ = (payload() for payload in payloads)
            write_framed(write, sent.commits, sent.snapshots, plans, frames_)
        else:
            blobs = ((object_id, source.blob(object_id)) for object_id in sent.objects)
            write_plain(write, sent.commits, sent.snapshots, blobs, len(sent.objects))
    except BaseException as problem:
        outgoing.close()
        if isinstance(problem, FileNotFoundError):
            raise ProtocolError("storage_down", "a pack that the index names is gone") from None
        if isinstance(problem, ProtocolError) and problem.status == 422:  # ours, not the client's
            why = f"a stored pack is damaged: {problem.detail}"
            raise ProtocolError("storage_down", why, "HTTP-017") from None
        raise
    return PREFIX + digest.hexdigest(), outgoing


class _Source:
    """Reads blobs and frames in few range reads, since neighbours are wanted together."""

    def __init__(self, objects: ObjectStore, where: Mapping[str, Place]) -> None:
        self._objects = objects
        self._where = where
        self._window = ("", 0, b"")
        self._opened = frames.Opened()

    def payload(self, mpack_id: str, start: int, length: int) -> bytes:
        """The bytes of one frame."""
        held, first, data = self._window
        if held != mpack_id or start < first or start + length > first + len(data):
            first, size = start, max(length, _WINDOW_BYTES)
            data = self._objects.read(pack_key(mpack_id), start, size)
            self._window = (mpack_id, first, data)
        return data[start - first : start - first + length]

    def blob(self, object_id: str) -> bytes:
        """A blob's content, rehashed."""
        mpack_id, row, *_ = self._where[object_id]
        key = (mpack_id, row.frame_offset)
        raw = self._opened.get(key)
        if raw is None:
            payload = self.payload(mpack_id, row.frame_offset, row.frame_length)
            raw = payload if row.stored else frames.open_accepted(payload)
            self._opened.keep(key, raw)
        content = raw[row.offset : row.offset + row.length]
        if blob_id(content) != object_id:
            why = f"the stored bytes of {object_id} are wrong"
            raise ProtocolError("storage_down", why, "HTTP-017")
        return content

    def whole(self, members: Sequence[Place], proven: bool) -> bytes:
        """A frame as it lies, all of whose blobs these are."""
        mpack_id, row, *_ = members[0]
        payload = self.payload(mpack_id, row.frame_offset, row.frame_length)
        if proven:
            sizes = [place.row.length for place in members]
            raw = payload if row.stored else frames.decompress(payload, sum(sizes))
            if frames.hash_blobs(raw, sizes) != [place.row.object_id for place in members]:
                why = f"the stored bytes of a frame in {mpack_id} are wrong"
                raise ProtocolError("storage_down", why, "HTTP-017")
        return payload


Payload = Callable[[], bytes]


def _plan(
    source: _Source, objects: Sequence[str], where: Mapping[str, Place], proven: bool
) -> tuple[list[FramePlan], list[Payload]]:
    """Which frames to send: whole ones first, then the remaining blobs in frames of their own."""
    plans: list[FramePlan] = []
    payloads: list[Payload] = []
    whole: set[str] = set()
    by_frame = sorted(
        (where[object_id] for object_id in set(objects)),
        key=lambda place: (place.mpack_id, place.row.frame_offset, place.row.offset),
    )
    for _, group in groupby(by_frame, lambda p: (p.mpack_id, p.row.frame_offset)):
        members = list(group)
        if _is_whole(members):
            row = members[0].row
            ids, sizes = [p.row.object_id for p in members], [p.row.length for p in members]
            plans.append(FramePlan(ids, sizes, row.stored, row.frame_length))
            payloads.append(partial(source.whole, members, proven))
            whole.update(ids)
    kept = 0
    rest = [object_id for object_id in objects if object_id not in whole]
    for part in _cut(rest, [where[object_id].row.length for object_id in rest]):
        payload, stored = _compress(source, part)
        sizes = [where[object_id].row.length for object_id in part]
        plans.append(FramePlan(part, sizes, stored, len(payload)))
        kept += len(payload)
        again = partial(_compressed_again, source, part)
        payloads.append(again if kept > KEPT_BYTES else partial(bytes, payload))
    return plans, payloads


def _is_whole(members: Sequence[Place]) -> bool:
    """Whether these blobs are all of a frame, as it lies.

    Of a blob that a frame holds twice the index has the later place, which leaves a gap here.
    """
    end = 0
    for place in members:
        if place.row.offset != end:
            return False
        end += place.row.length
    return members[0].framed and members[0].frame_blobs == len(members)


def _cut(ids: Sequence[str], sizes: Sequence[int]) -> Iterator[Sequence[str]]:
    start = 0
    for count in frames.cut(sizes):
        yield ids[start : start + count]
        start += count


def _compressed_again(source: _Source, ids: Sequence[str]) -> bytes:
    return _compress(source, ids)[0]


def _compress(source: _Source, ids: Sequence[str]) -> tuple[bytes, bool]:
    return frames.compress([source.blob(object_id) for object_id in ids])
