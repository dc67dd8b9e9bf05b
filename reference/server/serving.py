"""Answering on a socket, with a worker and our own PostgreSQL beside it."""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import json
import socket
import sys

import uvicorn
import uvloop
from starlette.concurrency import run_in_threadpool

from reference.wire.errors import ProtocolError
from reference.wire.pack import Limits

from . import jobs
from .app import build
from .embedded import Embedded
from .service import Service, opened

REVIVE_SECONDS = 0.5
SWITCH_SECONDS = 0.0005
"""How long a thread that verifies may keep the interpreter while requests wait.

Beside a verification one round trip of the loop took 0.9 ms (95th percentile) at Python's 5 ms,
0.22 ms at this, 0.36 ms at a fifth of it, and the verification itself cost the same each time.
"""


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


async def _revive(embedded: Embedded) -> None:
    """Brings our PostgreSQL back when it dies; on the main thread, with which it lives."""
    while True:
        await asyncio.sleep(REVIVE_SECONDS)
        embedded.revive()


def run(options: argparse.Namespace, dsn: str, embedded: Embedded | None) -> None:
    """Until it is told to stop; a read costs a third less processor time than on asyncio's."""
    uvloop.run(_serve(options, dsn, embedded))


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
