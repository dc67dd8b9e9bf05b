"""Fetch: one pack of what is wanted and not had, from the cache where it can be.  [FETCH]"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from reference.wire.errors import ProtocolError
from reference.wire.ids import from_raw, to_raw

from . import building, history, writing
from .call import Call
from .gathering import gather
from .objects import LINK_SECONDS, pack_key
from .operations import log
from .service import Repo, Service

if TYPE_CHECKING:
    from .database import Connection

Cached = tuple[str, int, int]
"""A pack and its counts of commits and blobs."""


async def presign_cached(call: Call) -> Response:
    """The cached pack of one tip, or `not_cached`; builds nothing.  [FETCH-016]"""
    fields = call.fields
    fields.require("want")
    want, form = fields.ids("want"), _form(fields.texts("capabilities"))
    if len(want) != 1:
        raise ProtocolError("malformed", f"want: exactly one id, not {len(want)}", "FETCH-016")
    async with call.service.database.session() as db:
        await _require_commits(db, call.repo, want)
        found = None if fields.ids("have") else await cached(db, call.repo, want[0], form)
    if found is None:
        raise ProtocolError("not_cached", f"no pack of {want[0]} is ready", "FETCH-016")
    return _answer(call, found, "hit")


async def fetch(call: Call) -> Response:
    """The pack of what is reachable from `want` and not from `have`."""
    started = perf_counter()
    fields = call.fields
    fields.require("want")
    want, have, form = fields.ids("want"), fields.ids("have"), _form(fields.texts("capabilities"))
    if not want:
        raise ProtocolError("malformed", "want: at least one id", "FETCH-001")
    cacheable = len(set(want)) == 1 and not have
    async with call.service.database.session() as db:
        await _require_commits(db, call.repo, want)
        found = await cached(db, call.repo, want[0], form) if cacheable else None
    cache = "miss" if found is None else "hit"
    if found is None:
        found = await build(call.service, call.repo, want, have, form)
    if cacheable:
        ms = round((perf_counter() - started) * 1000, 1)
        log("fetch", cache=cache.upper(), tip=want[0], ms=ms, line=f"cache={cache.upper()}")
        call.service.metrics.count("fetch_cache", result=cache)
    return _answer(call, found, cache)


def _form(capabilities: set[str]) -> str:
    return "framed" if "framed" in capabilities else "plain"


def _answer(call: Call, found: Cached, cache: str) -> Response:
    mpack_id, commits, blobs = found
    url = call.service.objects.link(call.base_url, pack_key(mpack_id), LINK_SECONDS)
    body: dict[str, Any] = {"mpack_id": mpack_id, "mpack_url": url, "commit_count": commits}
    return call.answer({**body, "blob_count": blobs, "cache": cache})


async def _require_commits(db: Connection, repo: Repo, want: list[str]) -> None:
    if missing := set(want) - await history.known(db, "commits", repo.raw, set(want)):
        raise ProtocolError("unknown_commit", f"no commit {min(missing)} here", "FETCH-001")


async def cached(db: Connection, repo: Repo, tip: str, form: str) -> Cached | None:
    """The pack that answers a clone of `tip`, if its row is fresh."""
    row = await db.fetchrow(
        "SELECT mpack_id, commit_count, blob_count FROM fetch_mpack_cache"
        " WHERE repo_id = $1 AND tip_commit_id = $2 AND form = $3 AND expires_at > now()",
        repo.raw,
        to_raw(tip),
        form,
    )
    return (from_raw(row[0]), row[1], row[2]) if row else None


async def build(
    service: Service, repo: Repo, want: list[str], have: list[str], form: str
) -> Cached:
    """Builds and keeps a pack; a clone's gets its row in the same transaction."""
    async with service.database.session() as db:
        sent = await gather(db, repo.raw, set(want), set(have))
        places = await building.places(db, repo, sent.objects)
    is_clone = len(set(want)) == 1 and not have
    mpack_id, outgoing = await asyncio.to_thread(
        building.build, service.objects, sent, places, form == "framed", proven=is_clone
    )
    counts = len(sent.commits), len(set(sent.objects))
    try:
        # Collection waits until the row is there; without a row the pack is young, and spared.
        async with service.database.transaction() as db:
            is_there = await writing.begin_adding(db, repo.raw if is_clone else b"")
            if is_clone and not is_there:
                raise ProtocolError("unknown_repo", "the repository was deleted meanwhile")
            await asyncio.to_thread(outgoing.keep, pack_key(mpack_id))
            if is_clone:
                await writing.cache_pack(db, repo, want[0], form, mpack_id, *counts)
    finally:
        outgoing.close()
    return mpack_id, *counts
