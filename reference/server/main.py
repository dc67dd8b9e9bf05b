"""Starting a server or a worker, and stopping it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import uvicorn
from starlette.concurrency import run_in_threadpool

from reference.wire.errors import ProtocolError
from reference.wire.pack import DEFAULT_LIMITS, Limits

from . import jobs, schema
from .app import build
from .collection import collect
from .database import Database
from .embedded import Embedded, default_data
from .objects import ObjectStore
from .objects_files import FileObjects
from .operations import configure_logging
from .service import Service


def _options(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"musekit {command}")
    parser.add_argument("--data", default=default_data(), help="folder of everything it keeps")
    parser.add_argument("--postgres", metavar="DSN", help="default: a PostgreSQL of its own")
    parser.add_argument("--objects", metavar="URL", help="file://… or s3://…; under --data")
    limit = parser.add_argument("--limit", metavar="NAME=N", action="append", default=[])
    limit.type, limit.help = _limit, "what it takes in at most: pack_bytes=67108864"
    parser.add_argument("--quiet", action="store_true", help="no log lines")
    return parser


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in Limits._fields:
        known = ", ".join(Limits._fields)
        raise argparse.ArgumentTypeError(f"no such limit: {name}; there are {known}")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{name} must be a whole number, 0 or more: {number!r}")
    return name, int(number)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535: {text!r}")
    return int(text)


def serve(arguments: Sequence[str]) -> int:
    """`musekit serve`: until SIGTERM or SIGINT; prints `{"url": …}` once it answers."""
    parser = _options("serve")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=_port, default=8000, help="0 for any that is free")
    parser.add_argument("--no-worker", action="store_true", help="leaves jobs to `musekit work`")
    options = parser.parse_args(arguments)
    with _prepared(options) as (dsn, embedded):
        asyncio.run(_serve(options, dsn, embedded))
    return 0


def work(arguments: Sequence[str]) -> int:
    """`musekit work`: runs background jobs, for as long as it is let or as the options say."""
    parser = _options("work")
    once = parser.add_mutually_exclusive_group()
    once.add_argument("--once", action="store_true", help="until no job is due, then exit")
    once.add_argument("--gc", action="store_true", help="one collection, its counts as JSON")
    once.add_argument("--expire-cache", action="store_true", help="makes each cache row expired")
    once.add_argument("--list", action="store_true", help="jobs that wait or were given up")
    once.add_argument("--idle", action="store_true", help="exit 0 if no job waits or runs, else 1")
    options = parser.parse_args(arguments)
    with _prepared(options) as (dsn, _):
        return asyncio.run(_work(options, dsn))


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


@contextlib.contextmanager
def _prepared(options: argparse.Namespace) -> Iterator[tuple[str, Embedded | None]]:
    """The database to use, started if it is our own."""
    configure_logging(quiet=options.quiet)
    signal.signal(signal.SIGTERM, _stop)  # while it answers, uvicorn's own stands in front of it
    if options.postgres:
        yield options.postgres, None
        return
    embedded = Embedded(options.data)
    try:
        embedded.start()
        yield embedded.dsn, embedded
    finally:
        embedded.stop()


@contextlib.asynccontextmanager
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


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; its protocol is named, or asyncio leaves Nagle's delay on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as problem:
        sock.close()
        if problem.errno != errno.EADDRINUSE:
            raise
        raise ProtocolError("io", f"{host}:{port} is taken; --port 0 takes a free one") from None
    return sock


class _Server(uvicorn.Server):
    url = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where it answers, once it does."""
        await super().startup(sockets)
        print(json.dumps({"url": self.url}), flush=True)


def server_for(service: Service, sock: socket.socket) -> uvicorn.Server:
    """A uvicorn server of the application, for a socket of `listen`."""
    config = uvicorn.Config(
        build(service),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=20,
    )
    server = _Server(config)
    host, port = sock.getsockname()[:2]
    server.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return server


REVIVE_SECONDS = 0.5
SWITCH_SECONDS = 0.0005
"""How long a thread that verifies may keep the interpreter while requests wait.

Beside a verification one round trip of the loop took 0.9 ms (95th percentile) at Python's 5 ms,
0.22 ms at this, 0.36 ms at a fifth of it, and the verification itself cost the same each time.
"""


async def _revive(embedded: Embedded) -> None:
    """Brings our PostgreSQL back when it dies; on the main thread, with which it lives."""
    while True:
        await asyncio.sleep(REVIVE_SECONDS)
        embedded.revive()


async def _serve(options: argparse.Namespace, dsn: str, embedded: Embedded | None) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    await run_in_threadpool(int)  # imports what the first download would wait for
    limits = Limits(**dict(options.limit))
    async with opened(dsn, options.objects, options.data, limits) as service:
        gc.freeze()  # what is there now stays: no collection looks at it beside a push again
        sock = listen(options.host, options.port)
        beside = [] if options.no_worker else [asyncio.create_task(jobs.work(service))]
        beside += [asyncio.create_task(_revive(embedded))] if embedded else []
        try:
            await server_for(service, sock).serve(sockets=[sock])
        finally:
            for task in beside:
                task.cancel()
            if beside:
                await asyncio.wait(beside)


async def _work(options: argparse.Namespace, dsn: str) -> int:
    async with opened(dsn, options.objects, options.data, Limits(**dict(options.limit))) as service:
        if options.gc:
            print(json.dumps(await collect(service)))
        elif options.expire_cache:
            async with service.database.session() as db:
                await db.execute("UPDATE fetch_mpack_cache SET expires_at = now()")
        elif options.list or options.idle:
            async with service.database.session() as db:
                listed = await jobs.unfinished(db)
            if options.idle:
                return int(any(job["state"] == "waiting" for job in listed))
            print("\n".join(map(json.dumps, listed)))
        elif options.once:
            await jobs.run_until_idle(service)
        else:
            worker = asyncio.create_task(jobs.work(service))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, worker.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                await worker
    return 0
