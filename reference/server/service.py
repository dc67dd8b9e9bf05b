"""What handlers work with: the database, the object store, the limits, one request, one repo."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX, from_raw
from reference.wire.pack import DEFAULT_LIMITS, Limits

from . import bodies
from .bodies import Body, Fields
from .database import Database
from .objects import ObjectStore
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


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the checks of its route."""

    service: Service
    request: Request
    body: Body
    signer: str | None
    repo_or_none: Repo | None = None

    @property
    def repo(self) -> Repo:
        """The repository that the route names."""
        if self.repo_or_none is None:
            raise ProtocolError("unknown_repo", "there is no such repository here")
        return self.repo_or_none

    @property
    def fields(self) -> Fields:
        """The body's fields."""
        return bodies.decode(self.request.headers.get("content-type", ""), self.body.raw)

    @property
    def base_url(self) -> str:
        """How the client reached this server, for links back to it."""
        return f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"

    def answer(self, value: dict[str, Any], status: int = 200) -> Response:
        """The answer in the form that the client asked for."""
        return bodies.answer(self.request, value, status)
