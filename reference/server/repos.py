"""Identities and repositories: made, looked at, deleted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
from starlette.responses import Response

from reference.wire import ids
from reference.wire.errors import ProtocolError
from reference.wire.ids import check_id, from_raw, is_id, to_raw
from reference.wire.provenance import KEY_PREFIX, load_key
from reference.wire.records import Snapshot, check_commit

from . import auth, history, rows, trees, writing
from .at_once import AT_ONCE
from .call import Call
from .service import Repo, derived_id

if TYPE_CHECKING:
    from .database import Connection

CAPABILITIES = ["framed"]
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


async def register(call: Call) -> Response:
    """Keeps a handle and its public key."""
    fields = call.fields
    fields.require("handle", "public_key")
    handle, text = fields.text("handle"), fields.text("public_key")
    if not _HANDLE.fullmatch(handle):
        raise ProtocolError("malformed", f"{handle!r:.80} is not a handle", "AUTH-015")
    try:
        load_key(text)
    except ValueError as problem:
        raise ProtocolError("malformed", f"public_key: {problem}", "AUTH-015") from None
    key = KEY_PREFIX + text.removeprefix(KEY_PREFIX)
    identity = derived_id("identity", handle, key)
    async with call.service.database.session() as db:
        await db.execute(
            "INSERT INTO identities VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            to_raw(identity),
            handle,
            key,
        )
        kept = await db.fetchval("SELECT public_key FROM identities WHERE handle = $1", handle)
    if kept != key:
        raise ProtocolError("handle_taken", f"{handle} belongs to another key", "AUTH-016")
    return call.answer({"handle": handle, "identity_id": identity}, 201)


def slug_of(name: str) -> str:
    """The slug of a repository's name.  [HTTP-018]"""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name).lower().strip("-")[:64].rstrip("-")
    if not slug:
        raise ProtocolError("malformed", f"{name[:80]!r} leaves nothing for a slug", "HTTP-018")
    return slug


async def create(call: Call) -> Response:
    """Makes a repository for the signer, with a first commit where asked."""
    auth.require_signed(call.signer)
    fields = call.fields
    fields.require("owner", "name")
    owner, name = fields.text("owner"), fields.text("name")
    visibility, initialize = fields.text("visibility", "public"), fields.flag("initialize")
    if owner != call.signer:
        raise ProtocolError("forbidden", f"you cannot create repositories of {owner[:80]!r}")
    if visibility not in ("public", "private"):
        raise ProtocolError("malformed", f"visibility: public or private, not {visibility!r:.40}")
    slug, now = slug_of(name), datetime.now(UTC)
    repo_id = derived_id("repo", owner, slug, f"{now:%Y-%m-%dT%H:%M:%S.%fZ}")
    repo = Repo(to_raw(repo_id), owner, slug, visibility == "private", "main")
    try:
        async with call.service.database.transaction() as db:
            await db.execute(
                "INSERT INTO repos (repo_id, owner, slug, name, visibility, created_at)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                *(repo.raw, owner, slug, name, visibility, now),
            )
            if initialize:
                await _initialize(db, repo, now)
    except asyncpg.UniqueViolationError:
        raise ProtocolError("repo_exists", f"{owner}/{slug} is there already") from None
    return call.answer({"slug": slug, "repoId": repo_id}, 201)


async def _initialize(db: Connection, repo: Repo, now: datetime) -> None:
    """The first commit: the empty snapshot, in rows only.  [HTTP-021, STORAGE-006]"""
    empty = ids.snapshot_id({})
    snapshot: Snapshot = {
        "snapshot_id": empty,
        "parent_snapshot_id": None,
        "delta_upsert": {},
        "delta_remove": [],
        "directories": [],
    }
    record = {
        "snapshot_id": empty,
        "message": "Initial commit",
        "committed_at": now.isoformat(timespec="seconds"),
        "author": repo.owner,
        "branch": "main",
    }
    commit = check_commit({**record, "commit_id": ids.commit_id(record)})
    await writing.begin(db, repo)
    tables = [
        partial(rows.commits, repo.raw, [commit], 0),
        partial(rows.snapshots, [snapshot]),
        partial(rows.references, "snapshot_refs", "snapshot_id", repo.raw, [to_raw(empty)], 0),
    ]
    await writing.copy(db, writing.making(tables, AT_ONCE))
    await writing.move_branch(db, repo, "main", None, commit["commit_id"])


async def delete(call: Call) -> Response:
    """Deletes a repository at once; what only it used is collected after."""
    auth.require_signed(call.signer)
    text = call.request.path_params["repo_id"]
    raw = to_raw(text) if is_id(text) else b""
    repo = await auth.visible_repo_by_id(call.service, raw, call.signer)
    auth.require_owner(repo, call.signer)
    async with call.service.database.transaction() as db:
        await writing.begin(db, repo)
        await db.execute("DELETE FROM repos WHERE repo_id = $1", repo.raw)
        for table in ("commits", "snapshot_refs", "mpack_refs"):
            await db.execute(f"DELETE FROM {table} WHERE repo_id = $1", repo.raw)
        await db.execute("INSERT INTO jobs (type, payload) VALUES ('gc', '{}')")
        await db.execute(f"NOTIFY {writing.JOB_CHANNEL}")
    return Response(status_code=204)


async def refs(call: Call) -> Response:
    """Where the branches are, and what this server can do."""
    async with call.service.database.session() as db:
        heads = await history.branch_heads(db, call.repo.raw)
    limits = call.service.limits
    return call.answer(
        {
            "repo_id": call.repo.id,
            "default_branch": call.repo.default_branch,
            "branch_heads": heads,
            "capabilities": CAPABILITIES,
            "limits": {
                "pack_bytes": limits.pack_bytes,
                "raw_bytes": limits.raw_bytes,
                "records": limits.records,
                "manifest_bytes": limits.manifest_bytes,
            },
        }
    )


async def get_commit(call: Call) -> Response:
    """One commit record, as it was pushed."""
    commit_id = check_id(call.request.path_params["id"], "commit")
    async with call.service.database.session() as db:
        return call.answer(await history.commit(db, call.repo.raw, commit_id))


async def get_snapshot(call: Call) -> Response:
    """One snapshot as a root.  [HTTP-032]"""
    snapshot_id = check_id(call.request.path_params["id"], "snapshot")
    async with call.service.database.session() as db:
        if not await history.known(db, "snapshot_refs", call.repo.raw, [snapshot_id]):
            raise ProtocolError("unknown_snapshot", f"no snapshot {snapshot_id} here", "AUTH-013")
        manifest, directories = (await trees.load(db, [snapshot_id])).tree(snapshot_id)
    return call.answer(
        {
            "snapshot_id": snapshot_id,
            "parent_snapshot_id": None,
            "delta_upsert": dict(manifest),
            "delta_remove": [],
            "directories": sorted(directories, key=str.encode),
        }
    )


async def negotiate(call: Call) -> Response:
    """Which of the client's commits are here, and where its history meets ours."""
    fields = call.fields
    fields.require("want")
    want, have = fields.ids("want"), fields.ids("have")
    async with call.service.database.session() as db:
        rows_ = await db.fetch(
            "SELECT commit_id FROM commits WHERE repo_id = $1 AND commit_id = ANY($2)",
            call.repo.raw,
            history.raws({*want, *have}),
        )
        here = {from_raw(row["commit_id"]) for row in rows_}
        ack = [commit_id for commit_id in have if commit_id in here]
        base = await history.newest_base(db, call.repo.raw, here.intersection(want), ack)
    return call.answer({"ack": ack, "common_base": base, "ready": base is not None or not have})
