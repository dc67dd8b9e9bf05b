"""What a handler works with: one request that passed its checks, and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from reference.wire.errors import ProtocolError

from . import bodies
from .bodies import Body, Fields
from .service import Repo, Service


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
