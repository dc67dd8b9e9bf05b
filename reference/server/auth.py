"""Who sent a request, and whether they may: signature, visibility, ownership, in this order."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from nacl.bindings import crypto_sign_keypair
from starlette.requests import Request

from reference.wire import msign, provenance
from reference.wire.errors import ProtocolError

from .service import Repo, Service

if TYPE_CHECKING:
    from .database import Connection

_NOBODY = provenance.KEY_PREFIX + provenance.to_base64url(crypto_sign_keypair()[0])
"""What an unknown handle is checked against, so that no answer tells who is known.  [AUTH-007]"""
_REPO_COLUMNS = "repo_id, owner, slug, visibility, default_branch"
_KNOWN = f"""
    SELECT (SELECT public_key FROM identities WHERE handle = $1) AS public_key, {_REPO_COLUMNS}
    FROM (SELECT) AS once LEFT JOIN repos ON owner = $2 AND slug = $3
"""


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


async def known(
    db: Connection, given: msign.Credentials | None, owner: str, slug: str
) -> tuple[str, Repo | None]:
    """The key that must have signed, and the repository, if it is there: with one statement."""
    if "\0" in owner + slug:  # which no text in the database can hold
        owner = slug = ""
    row = await db.fetchrow(_KNOWN, given.handle if given else None, owner, slug)
    assert row is not None
    key = row["public_key"] or _NOBODY
    return key, Repo.of(row) if row["repo_id"] else None


def signer(
    request: Request, given: msign.Credentials | None, key: str, body_key: str
) -> str | None:
    """The handle that signed the request, or nobody; a signature that fails is refused."""
    if given is None:
        return None
    host = request.headers.get("host", "")
    msign.verify(given, key, time(), request.method, host, raw_target(request), body_key)
    return given.handle


async def visible_repo_by_id(service: Service, repo_id: bytes, who: str | None) -> Repo:
    """The repository with this id, if it is there and `who` may see it."""
    async with service.database.session() as db:
        row = await db.fetchrow(f"SELECT {_REPO_COLUMNS} FROM repos WHERE repo_id = $1", repo_id)
    return visible(Repo.of(row) if row else None, who)


def visible(repo: Repo | None, who: str | None) -> Repo:
    """The repository, if it is there and `who` may see it."""
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
