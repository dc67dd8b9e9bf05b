"""The routes, and what happens to every request before and after its handler."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from os import urandom
from time import perf_counter

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference.wire import msign
from reference.wire.errors import ProtocolError

from . import auth, blobs, bodies, fetch, jobs, merge, openapi, push, repos
from .bodies import Body, receive, spooled
from .call import Call
from .links import serve_link
from .objects_files import LINKS, FileObjects
from .operations import log, request_id
from .service import Service

Handler = Callable[[Call], Awaitable[Response]]

# Open calls know no repository; reads need its visibility, writes its ownership.
OPEN: list[tuple[str, str, Handler]] = [
    ("POST", "/api/identities", repos.register),
    ("POST", "/api/repos", repos.create),
    ("DELETE", "/api/repos/{repo_id}", repos.delete),
    ("GET", "/o/{id}", blobs.get_by_repo_id),
]
READS: list[tuple[str, str, Handler]] = [
    ("GET", "/{owner}/{slug}/refs", repos.refs),
    ("POST", "/{owner}/{slug}/negotiate", repos.negotiate),
    ("POST", "/{owner}/{slug}/fetch/presign", fetch.presign_cached),
    ("POST", "/{owner}/{slug}/fetch/mpack", fetch.fetch),
    ("POST", "/{owner}/{slug}/fetch", fetch.fetch),
    ("GET", "/{owner}/{slug}/o/{id}", blobs.get),
    ("GET", "/{owner}/{slug}/commits/{id}", repos.get_commit),
    ("GET", "/{owner}/{slug}/snapshots/{id}", repos.get_snapshot),
]
WRITES: list[tuple[str, str, Handler]] = [
    ("POST", "/{owner}/{slug}/push/mpack-presign", push.presign_upload),
    ("POST", "/{owner}/{slug}/push/unpack-mpack", push.unpack_uploaded),
    ("POST", "/{owner}/{slug}/push/unpack", push.unpack_body),
    ("POST", "/{owner}/{slug}/merge", merge.merge),
    ("POST", "/{owner}/{slug}/push/bundle/presign", push.presign_bundle),
    ("POST", "/{owner}/{slug}/push/bundle-presign", push.presign_bundle),
    ("POST", "/{owner}/{slug}/push/bundle/confirm", push.unpack_bundle),
    ("POST", "/{owner}/{slug}/push/unpack-bundle", push.unpack_bundle),
]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def build(service: Service) -> ASGIApp:
    """The application of one server process."""
    routes = [
        Route(path, partial(_dispatch, service, access, handler), methods=[method])
        for access, table in (("open", OPEN), ("read", READS), ("write", WRITES))
        for method, path, handler in table
    ]
    routes += [  # nobody's calls: an Authorization header means nothing to them  [AUTH-009]
        Route("/healthz", partial(_healthz, service), methods=["GET"]),
        Route("/metrics", partial(_metrics, service), methods=["GET"]),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]
    if isinstance(service.objects, FileObjects):
        serve = partial(_link, service.objects, service.limits.pack_bytes)
        routes.append(Route(LINKS + "{key:path}", serve, methods=["GET", "PUT"]))
    app = Starlette(
        routes=routes,
        exception_handlers={
            ProtocolError: partial(_refused, service),
            HTTPException: partial(_not_routed, service),
            ClientDisconnect: _gone,
        },
    )
    app.router.redirect_slashes = False
    return Observed(app, service)


async def _dispatch(service: Service, access: str, handler: Handler, request: Request) -> Response:
    """The checks in their order: signature, visibility, ownership, then the body.  [HTTP-012]

    Only a body beyond the limit comes before a signature that would be over all of it.
    """
    given = auth.credentials(request)
    if access == "write":
        auth.require_signed(given)
    if handler is not push.unpack_body:
        return await _checked(service, access, handler, request, given, await receive(request))
    async with spooled(request, service.limits.pack_bytes, service.spool) as body:
        return await _checked(service, access, handler, request, given, body)


async def _checked(
    service: Service,
    access: str,
    handler: Handler,
    request: Request,
    given: msign.Credentials | None,
    body: Body,
) -> Response:
    who = repo = None
    if given or access != "open":
        named = request.path_params
        async with service.database.session() as db:
            key, found = await auth.known(db, given, named.get("owner", ""), named.get("slug", ""))
        who = auth.signer(request, given, key, body.key)
        if access != "open":
            repo = auth.visible(found, who)
        if repo and access == "write":
            auth.require_owner(repo, who)
    return await handler(Call(service, request, body, who, repo))


async def _refused(service: Service, request: Request, problem: ProtocolError) -> Response:
    service.metrics.count("refusals", code=problem.code)
    await _drain(request, service.limits.pack_bytes)
    response = bodies.answer(request, problem.body(), problem.status)
    if problem.status == 401:
        response.headers["www-authenticate"] = msign.CHALLENGE
    if problem.status >= 500:
        log("trouble", code=problem.code, detail=problem.detail, cause=repr(problem.__cause__))
    return response


async def _not_routed(service: Service, request: Request, problem: HTTPException) -> Response:
    code = "method_not_allowed" if problem.status_code == 405 else "not_found"
    detail = f"{request.method} {request.url.path[:200]!r} is not a call of this server"
    response = await _refused(service, request, ProtocolError(code, detail, "HTTP-015"))
    response.headers.update(problem.headers or {})
    return response


async def _drain(request: Request, limit: int) -> None:
    """Reads what the client still sends, so that it gets to see the answer."""
    if getattr(request, "_stream_consumed", False):
        return
    try:
        async for chunk in request.stream():
            limit -= len(chunk)
            if limit < 0:
                return
    except (ClientDisconnect, RuntimeError):
        return  # gone, or read before


async def _gone(request: Request, problem: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _link(objects: FileObjects, limit: int, request: Request) -> Response:
    return await serve_link(objects, request, limit)


async def _healthz(service: Service, request: Request) -> Response:
    """Ready, or what is not.  [HTTP-042]"""
    reasons = []
    try:
        async with service.database.session() as db:
            waiting = await jobs.oldest_waiting(db)
        if waiting > jobs.STUCK_SECONDS:
            reasons.append(f"jobs: the oldest has been waiting for {waiting:.0f} s")
    except ProtocolError as problem:
        reasons.append(f"database: {problem.detail}")
    try:
        await asyncio.to_thread(service.objects.check)
    except ProtocolError as problem:
        reasons.append(f"objects: {problem.detail}")
    body = {"ready": not reasons, "reasons": reasons}
    return bodies.answer(request, body, 503 if reasons else 200)


async def _metrics(service: Service, request: Request) -> Response:
    """Counters and histograms of this process, and the queue of all."""
    try:
        async with service.database.session() as db:
            depth = await jobs.depth(db)
    except ProtocolError:
        depth = {}  # what this process counted is known all the same
    return PlainTextResponse(service.metrics.text(**depth))


async def _openapi(request: Request) -> Response:
    return bodies.answer(request, openapi.describe(OPEN, READS, WRITES))


class Observed:
    """Gives each request an id, and says afterwards how it went."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._metrics = service.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        name = given if _REQUEST_ID.fullmatch(given) else urandom(8).hex()
        token = request_id.set(name)
        started = perf_counter()
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            seconds = perf_counter() - started
            route = scope.get("route")
            path = route.path if isinstance(route, Route) else "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            labels = {"method": method, "route": path, "status": str(status)}
            self._metrics.observe("request", seconds, **labels)
            log("request", **labels, path=scope["path"][:300], ms=round(seconds * 1000, 1))
            request_id.reset(token)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
