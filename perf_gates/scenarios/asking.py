"""What a server asks of its database and of its object store for one push, counted on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from fixtures.packing import to_bytes

from ..budgets import requirement
from ..commands import CouldNotRun
from ..contests import OURS, Bench, Contest
from ..relay import Address, Relay, http_requests, postgres_messages, relaying
from ..stacks import Stack, served
from ..subject import Subject
from .concurrent import one_more

COVERS = requirement("BG8")


def _replaced(url: str, port: int) -> str:
    """A URL that leads to a port of this machine instead."""
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who}{at}127.0.0.1:{port}"))


def _database(dsn: str) -> tuple[Address, Callable[[int], str]]:
    """Where a DSN leads, and the DSN that leads to a port of this machine instead."""
    parts = urlsplit(dsn)
    if folder := parse_qs(parts.query).get("host"):
        user = parts.username or "postgres"
        name = parts.path.lstrip("/")
        return (
            f"{folder[0]}/.s.PGSQL.5432",
            lambda port: f"postgresql://{user}@127.0.0.1:{port}/{name}?sslmode=disable",
        )
    address = (parts.hostname or "127.0.0.1", parts.port or 5432)
    return address, lambda port: _replaced(dsn, port) + "?sslmode=disable"


def _seen(relay: Relay, sign: str) -> Counter[str]:
    """What went through the relay since it was last asked; nothing at all is no measurement."""
    counts = relay.take()
    if not counts[sign]:
        raise CouldNotRun(f"no {sign} came through the relay: the server goes another way")
    return counts


@contextmanager
def second_server(
    bench: Bench, dsn: str, objects: str, works: bool = False
) -> Iterator[tuple[Subject, Stack]]:
    """Another server on the same database and object store, with nobody else's requests."""
    stack = bench.stack
    words = stack.options.serve if works else (*stack.options.serve, "--no-worker")
    options, data = replace(stack.options, serve=words), bench.work / "second"
    with served("second", options, data, dsn, objects, stack.environment) as second:
        subject = Subject(second.url, bench.subject.home)
        try:
            yield subject, second
        finally:
            subject.close()


def parts_of(bench: Bench) -> tuple[str, str]:
    """The database and the object store under the subject."""
    stack = bench.stack
    if stack.postgres is None or stack.data is None:
        raise CouldNotRun("the database of this subject is not known: give --postgres, --objects")
    return stack.postgres, stack.objects or f"file://{quote(str(stack.data / 'objects'))}"


@contextmanager
def statements(bench: Bench, shape: str, form: str = "framed") -> Iterator[Contest]:
    """SQL statements of one push, by a second server whose database connection is counted."""
    postgres, objects = parts_of(bench)
    history = bench.sources.history(shape)
    pack = bench.sources.pack(shape, form == "framed")
    address, dsn = _database(postgres)
    with (
        relaying(address, postgres_messages) as relay,
        second_server(bench, dsn(relay.port), objects) as (subject, _),
    ):

        def trial() -> Mapping[str, float]:
            repository = subject.create()
            relay.take()
            repository.push(pack, history.head)
            counts = _seen(relay, "statements")
            repository.check_head(history.head)
            subject.delete(repository)
            return {"statements": counts["statements"], "round trips": counts["round trips"]}

        yield Contest({OURS: trial}, warm_ups=2)


@contextmanager
def statements_on(bench: Bench, shape: str) -> Iterator[Contest]:
    """SQL statements of a push of one commit on top of a shape, counted in the same way."""
    postgres, objects = parts_of(bench)
    history = bench.sources.history(shape)
    address, dsn = _database(postgres)
    turns = count()
    with (
        relaying(address, postgres_messages) as relay,
        second_server(bench, dsn(relay.port), objects) as (subject, _),
    ):
        repository = subject.create()
        repository.push(bench.sources.pack(shape), history.head)

        def trial() -> Mapping[str, float]:
            turn = f"turn-{next(turns)}"
            tip = one_more(history, turn)
            pack = to_bytes(tip)
            relay.take()
            repository.push(pack, tip.head, turn)
            counts = _seen(relay, "statements")
            repository.check_head(tip.head, turn)
            return {"statements": counts["statements"], "round trips": counts["round trips"]}

        yield Contest({OURS: trial}, warm_ups=2)
        subject.delete(repository)


@contextmanager
def object_calls(bench: Bench, shape: str) -> Iterator[Contest]:
    """Object-store calls of one push, by a second server whose S3 endpoint is counted."""
    postgres, objects = parts_of(bench)
    if not objects.startswith("s3://"):
        raise CouldNotRun("the object store is files: run with --stack containers")
    history = bench.sources.history(shape)
    pack = bench.sources.pack(shape)
    parts = urlsplit(objects)
    upstream = urlsplit(parse_qs(parts.query)["endpoint"][0])
    address = (upstream.hostname or "", upstream.port or 80)
    with ExitStack() as exits:
        relay = exits.enter_context(relaying(address, http_requests))
        relayed = f"s3://{parts.netloc}{parts.path}?endpoint=http://127.0.0.1:{relay.port}"
        subject, _ = exits.enter_context(second_server(bench, postgres, relayed))

        def trial() -> Mapping[str, float]:
            repository = subject.create()
            relay.take()
            repository.push(pack, history.head)
            counts = _seen(relay, "requests")
            repository.check_head(history.head)
            subject.delete(repository)
            names = ("requests", "PUT", "GET", "COPY", "HEAD", "DELETE", "POST")
            return {name: float(counts[name]) for name in names}

        yield Contest({OURS: trial})
