"""Who sent a request, and whether they may: signature, visibility, ownership, in this order."""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING

from starlette.requests import Request

from reference.wire import msign, provenance
from reference.wire.errors import ProtocolError

from .service import Repo, Service

if TYPE_CHECKING:
    from .database import Connection

_NOBODY = provenance.public_key(os.urandom(32))
"""What an unknown handle is checked against, so that no answer tells who is known.  [AUTH-007]"""
REPO_COLUMNS = "repo_id, owner, slug, visibility, default_branch"


def raw_target(request: Request) -> str:
    """The request target as it was sent: path and query, neither decoded nor normalised."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


def credentials(request: Request) -> msign.Credentials | None:
    """What the Authorization header says; nothing in it is proven yet."""
    headers = request.headers.getlist("authorization")
    if not headers:
        return None
    if len(headers) > 1:
        raise ProtocolError("unauthenticated", "more than one Authorization header", "AUTH-001")
    return msign.parse(headers[0])


async def signer(
    db: Connection, request: Request, given: msign.Credentials | None, body_key: str
) -> str | None:
    """The handle that signed the request, or nobody; a signature that fails is refused."""
    if given is None:
        return None
    known = await db.fetchval("SELECT public_key FROM identities WHERE handle = $1", given.handle)
    key = known or _NOBODY
    host = request.headers.get("host", "")
    msign.verify(given, key, time(), request.method, host, raw_target(request), body_key)
    return given.handle


async def visible_repo(db: Connection, owner: str, slug: str, who: str | None) -> Repo:
    """The repository, if it is there and `who` may see it."""
    if "\0" in owner + slug:  # which no text in the database can hold
        return _visible(None, who)
    row = await db.fetchrow(
        f"SELECT {REPO_COLUMNS} FROM repos WHERE owner = $1 AND slug = $2", owner, slug
    )
    return _visible(Repo.of(row) if row else None, who)


async def visible_repo_by_id(service: Service, repo_id: bytes, who: str | None) -> Repo:
    """The repository with this id, if it is there and `who` may see it."""
    async with service.database.session() as db:
        row = await db.fetchrow(f"SELECT {REPO_COLUMNS} FROM repos WHERE repo_id = $1", repo_id)
    return _visible(Repo.of(row) if row else None, who)


def _visible(repo: Repo | None, who: str | None) -> Repo:
    if repo is None or (repo.private and repo.owner != who):
        raise ProtocolError("unknown_repo", "there is no such repository here", "AUTH-011")
    return repo


def require_owner(repo: Repo, who: str | None) -> None:
    """Refuses everybody but the owner."""
    if repo.owner != who:
        raise ProtocolError("forbidden", f"{repo.owner}/{repo.slug} is not yours", "AUTH-012")


def require_signed(who: object) -> None:
    """Refuses a request that nobody signed."""
    if who is None:
        raise ProtocolError("unauthenticated", "this call must be signed", "AUTH-010")
