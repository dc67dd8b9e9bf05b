"""The commands that start a server or a worker, and stop it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from reference.wire.pack import Limits

from .collection import collect
from .embedded import Embedded, default_data
from .operations import configure_logging
from .service import opened


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
    from . import serving  # half of the imports are for the web, which a collection does without

    with _prepared(options) as (dsn, embedded):
        serving.run(options, dsn, embedded)
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


async def _work(options: argparse.Namespace, dsn: str) -> int:
    async with opened(dsn, options.objects, options.data, Limits(**dict(options.limit))) as service:
        if options.gc:
            print(json.dumps(await collect(service)))
            return 0
        if options.expire_cache:
            async with service.database.session() as db:
                await db.execute("UPDATE fetch_mpack_cache SET expires_at = now()")
            return 0
        from . import jobs

        if options.list or options.idle:
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
