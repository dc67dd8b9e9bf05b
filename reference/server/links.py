"""Serving the presigned links of the object store in a folder: one PUT, one GET."""

from __future__ import annotations

import asyncio
import os

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from reference.store import durable
from reference.wire.errors import ProtocolError

from .objects_files import FileObjects


class _PackResponse(FileResponse):
    chunk_size = 1024 * 1024


async def serve_link(objects: FileObjects, request: Request, limit: int) -> Response:
    """The answer to a request for a presigned link, which carries its own permission."""
    key = request.path_params["key"]
    query = request.query_params
    expires = query.get("expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 13):
        raise ProtocolError("bad_url", "the link is not one of this server's", "AUTH-014")
    objects.verify_link(request.method, key, expires, query.get("signature", ""))
    if request.method == "PUT":
        await _take(objects, request, key, limit)
        return Response(status_code=200)
    objects.check()
    path = objects.path(key)
    if not os.path.exists(path):
        raise ProtocolError("storage_down", "the object store does not have this pack any more")
    return _PackResponse(path, media_type="application/octet-stream")


async def _take(objects: FileObjects, request: Request, key: str, limit: int) -> None:
    size = 0
    with objects.draft_upload() as draft:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise ProtocolError("too_large", f"a pack of more than {limit} bytes", "MPACK-037")
            draft.write(chunk)
        await asyncio.to_thread(_name, objects, draft, key)


def _name(objects: FileObjects, draft: durable.Draft, key: str) -> None:
    path = objects.path(key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft.name(path)
