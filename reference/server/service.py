"""What a server process or a worker works with: the database, the object store, the limits."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX, from_raw
from reference.wire.pack import DEFAULT_LIMITS, Limits

from . import schema
from .database import Database
from .objects import ObjectStore
from .objects_files import FileObjects
from .operations import Metrics

if TYPE_CHECKING:
    import asyncpg

GC_LOCK = 0x6D757365_02
"""Held shared by whoever adds to `packs/` until its rows are there, and alone by collection."""


def derived_id(*parts: str) -> str:
    """The id of a repository, identity, branch or cache row.  [STORAGE-011]"""
    return PREFIX + sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Repo:
    """One repository, as its row says."""

    raw: bytes
    owner: str
    slug: str
    private: bool
    default_branch: str

    @property
    def id(self) -> str:
        """Its id as text."""
        return from_raw(self.raw)

    @classmethod
    def of(cls, row: asyncpg.Record) -> Repo:
        """The repository of a row of `repos`."""
        private = row["visibility"] == "private"
        return cls(row["repo_id"], row["owner"], row["slug"], private, row["default_branch"])


@dataclass(slots=True)
class Service:
    """One server process; nothing that matters lives in it.  [STORAGE-010]"""

    database: Database
    objects: ObjectStore
    spool: str
    limits: Limits = DEFAULT_LIMITS
    metrics: Metrics = field(default_factory=Metrics)


@asynccontextmanager
async def opened(
    dsn: str, objects: str | None, data: str, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[Service]:
    """A service on this database and this object store, its tables up to date."""
    database = Database(dsn)
    await database.open()
    try:
        async with database.session() as db:
            await schema.migrate(db)
            secret = await schema.secret(db, "links", os.urandom(32))
            fresh = not await db.fetchval("SELECT EXISTS (SELECT FROM mpacks)")
        spool = os.path.join(os.path.abspath(data), "spool")
        yield Service(database, _open_objects(objects, data, spool, secret, fresh), spool, limits)
    finally:
        await database.close()


def _open_objects(
    url: str | None, data: str, spool: str, secret: bytes, fresh: bool
) -> ObjectStore:
    parts = urlsplit(url or "file://" + os.path.join(os.path.abspath(data), "objects"))
    if parts.scheme == "s3":
        from .objects_s3 import S3Objects  # 150 ms of imports that files do not need

        return S3Objects(url or "", spool)
    if parts.scheme != "file" or not parts.path:
        raise ProtocolError("invalid", f"--objects: file:///… or s3://…, not {url}")
    return FileObjects(parts.path, secret, fresh)
