"""A blob by its id: one index row, one range read, verified before it is sent.  [HTTP-033]"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import zstandard
from starlette.responses import Response

from reference.wire.errors import ProtocolError
from reference.wire.ids import blob_id, check_id, from_raw, is_id, to_raw
from reference.wire.pack import WINDOW_BYTES, Row

from . import auth
from .call import Call
from .objects import CHUNK_BYTES, ObjectStore, pack_key
from .service import Repo

if TYPE_CHECKING:
    from .database import Connection

PLACES = """
    SELECT i.blob_id, i.mpack_id, i.frame_offset, i.frame_length, i.stored, i."offset", i.length,
        i.frame_blobs
    FROM mpack_index i JOIN mpack_refs m USING (mpack_id) WHERE m.repo_id = $1
"""
_RANGE = re.compile(r"bytes=(\d{0,4000})-(\d{0,4000})")  # `int` takes not many more


async def get(call: Call) -> Response:
    """A blob of the repository that the path names."""
    return await _serve(call, call.repo, call.request.path_params["id"])


async def get_by_repo_id(call: Call) -> Response:
    """A blob of the repository that the query names."""
    text = call.request.query_params.get("repo_id")
    if text is None:
        raise ProtocolError("unknown_blob", "without repo_id no blob is known", "HTTP-036")
    raw = to_raw(text) if is_id(text) else b""
    repo = await auth.visible_repo_by_id(call.service, raw, call.signer)
    return await _serve(call, repo, call.request.path_params["id"])


async def _serve(call: Call, repo: Repo, object_id: str) -> Response:
    check_id(object_id, "blob")
    service, request = call.service, call.request
    async with service.database.session() as db:
        places = await _places(db, repo, object_id)
    if not places:
        raise ProtocolError("unknown_blob", f"no blob {object_id} here", "AUTH-013")
    who = "private" if repo.private else "public"
    headers = {
        "etag": f'"{object_id}"',
        "cache-control": f"{who}, max-age=31536000, immutable",
        "accept-ranges": "bytes",
    }
    asked = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    if headers["etag"] in (tag.removeprefix("W/") for tag in asked) or "*" in asked:
        return Response(status_code=304, headers=headers)
    content = await asyncio.to_thread(_read_any, service.objects, places)
    return _ranged(content, request.headers.get("range", ""), headers)


async def _places(db: Connection, repo: Repo, object_id: str) -> list[tuple[str, Row]]:
    rows = await db.fetch(PLACES + " AND i.blob_id = $2", repo.raw, to_raw(object_id))
    return [(from_raw(row[1]), Row(object_id, *row[2:-1])) for row in rows]


def _read_any(objects: ObjectStore, places: list[tuple[str, Row]]) -> bytes:
    """The blob from the first pack that has it; a pack that is gone or wrong is passed over."""
    for mpack_id, row in places:
        try:
            payload = objects.read(pack_key(mpack_id), row.frame_offset, row.frame_length)
        except FileNotFoundError:
            continue
        content = _slice_of(payload, row)
        if blob_id(content) == row.object_id:
            return content
    raise ProtocolError("storage_down", f"the stored bytes of {row.object_id} are gone or wrong")


def _slice_of(payload: bytes, row: Row) -> bytes:
    """One blob's bytes; of its frame, which may be a million times as large, no more is held."""
    if row.stored:
        return payload[row.offset : row.offset + row.length]
    opener = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
    try:
        with opener.stream_reader(payload) as raw:
            left = row.offset
            while left and (passed := raw.read(min(left, CHUNK_BYTES))):
                left -= len(passed)
            return raw.read(row.length) if row.length else b""
    except zstandard.ZstdError:
        return b""  # which is not the blob, unless it is empty


def _ranged(content: bytes, asked: str, headers: dict[str, str]) -> Response:
    """The part that a Range header asks for; anything but one plain range gets it all."""
    found = _RANGE.fullmatch(asked.strip())
    kind = "application/octet-stream"
    if found is None or found[0] == "bytes=-":
        return Response(content, 200, headers, kind)
    size = len(content)
    if found[1]:
        start, end = int(found[1]), min(int(found[2] or size - 1), size - 1)
        if found[2] and int(found[2]) < int(found[1]):
            return Response(content, 200, headers, kind)
    else:
        start, end = max(size - int(found[2]), 0), size - 1
    if start > end:
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{size}"})
    headers = {**headers, "content-range": f"bytes {start}-{end}/{size}"}
    return Response(content[start : end + 1], 206, headers, kind)
