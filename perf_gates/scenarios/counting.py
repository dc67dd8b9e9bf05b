"""What noise cannot touch: statements, calls, bytes, memory, syncs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import msgpack

from fixtures.packing import to_bytes
from reference.wire.reader import read

from ..budgets import requirement
from ..commands import (
    MUSEKIT,
    CouldNotRun,
    WrongResult,
    forget_peak,
    peak_memory,
    resident_memory,
    run,
)
from ..contests import OURS, Bench, Contest, Trial
from ..peers import Peer, opened
from ..relay import Address, Relay, http_requests, postgres_messages, relaying
from ..stacks import Stack, served
from ..subject import Subject
from .commands import push_once

COVERS = requirement("BG8", "BG9", "BG10", "DP4")


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


@contextmanager
def _second_server(
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


def _parts(bench: Bench) -> tuple[str, str]:
    """The database and the object store under the subject."""
    stack = bench.stack
    if stack.postgres is None or stack.data is None:
        raise CouldNotRun("the database of this subject is not known: give --postgres, --objects")
    return stack.postgres, stack.objects or f"file://{quote(str(stack.data / 'objects'))}"


@contextmanager
def statements(bench: Bench, shape: str, form: str = "framed") -> Iterator[Contest]:
    """SQL statements of one push, by a second server whose database connection is counted."""
    postgres, objects = _parts(bench)
    history = bench.sources.history(shape)
    pack = bench.sources.pack(shape, form == "framed")
    address, dsn = _database(postgres)
    with (
        relaying(address, postgres_messages) as relay,
        _second_server(bench, dsn(relay.port), objects) as (subject, _),
    ):

        def trial() -> Mapping[str, float]:
            repository = subject.create()
            relay.take()
            repository.push(pack, history.head)
            counts = relay.take()
            repository.check_head(history.head)
            subject.delete(repository)
            return {"statements": counts["statements"], "round trips": counts["round trips"]}

        yield Contest({OURS: trial}, warm_ups=2)


@contextmanager
def object_calls(bench: Bench, shape: str) -> Iterator[Contest]:
    """Object-store calls of one push, by a second server whose S3 endpoint is counted."""
    postgres, objects = _parts(bench)
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
        subject, _ = exits.enter_context(_second_server(bench, postgres, relayed))

        def trial() -> Mapping[str, float]:
            repository = subject.create()
            relay.take()
            repository.push(pack, history.head)
            counts = relay.take()
            repository.check_head(history.head)
            subject.delete(repository)
            names = ("requests", "PUT", "GET", "COPY", "HEAD", "DELETE", "POST")
            return {name: float(counts[name]) for name in names}

        yield Contest({OURS: trial})


def _relayed(url: str, relay: Relay) -> str:
    return f"http://127.0.0.1:{relay.port}{urlsplit(url).path}"


@contextmanager
def wire_bytes(bench: Bench, shape: str, store: str = "packed") -> Iterator[Contest]:
    """Bytes in both directions of one push by the command, headers and negotiation included."""
    history = bench.sources.history(shape)
    source = bench.sources.folder(shape, store == "loose")
    parts = urlsplit(bench.stack.url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    with ExitStack() as stack:
        relay = stack.enter_context(relaying(address))
        through = Subject(f"http://127.0.0.1:{relay.port}", bench.subject.home)
        stack.callback(through.close)

        def ours() -> Mapping[str, float]:
            repository = through.create()
            relay.take()
            _, said = push_once(bench, source, repository)
            counts = relay.take()
            repository.check_head(history.head)
            repository.settle(history.head)
            through.delete(repository)
            total = counts["up"] + counts["down"]
            if counts["up"] < said["pack_bytes"]:  # the pack went to the object store by itself
                total += said["pack_bytes"]
            return {"bytes": total, "pack": said["pack_bytes"]}

        trials: dict[str, Trial] = {OURS: ours}
        peers, absent = opened(bench, stack)
        for peer in peers:
            theirs = peer.source(shape, store == "loose")

            def trial(peer: Peer = peer, theirs: Path = theirs) -> Mapping[str, float]:
                url = peer.empty_remote()
                where = urlsplit(url)
                with relaying((where.hostname or "", where.port or 80)) as counted:
                    peer.push(theirs, _relayed(url, counted))
                    peer.check_pushed(theirs, url)
                    counts = counted.take()
                return {"bytes": counts["up"] + counts["down"]}

            trials[peer.name] = trial
        yield Contest(trials, absent, warm_ups=0)


@contextmanager
def pack_size(bench: Bench, shape: str, form: str = "framed") -> Iterator[Contest]:
    """Bytes of a shape as one pack, beside its raw blobs; the pack is read back and counted."""

    def trial() -> Mapping[str, float]:
        history = bench.sources.history(shape)
        raw = to_bytes(history, form == "framed")
        pack = read([raw])
        if len(pack.commits) != len(history.commits) or pack.blob_ids != history.blobs.ids:
            raise WrongResult("the pack does not hold what was packed")
        return {"pack": len(raw), "raw": sum(pack.blob_sizes)}

    yield Contest({OURS: trial}, warm_ups=0)


@contextmanager
def snapshot_share(bench: Bench, shape: str = "simple") -> Iterator[Contest]:
    """What all snapshot deltas take, of what full manifests at 80 bytes an entry would."""

    def trial() -> Mapping[str, float]:
        snapshots = bench.sources.history(shape).snapshots
        files = len(snapshots[0]["delta_upsert"])
        if any("manifest" in snapshot for snapshot in snapshots):
            raise WrongResult("a snapshot carries a full manifest")
        taken = sum(len(msgpack.packb(snapshot)) for snapshot in snapshots)
        return {"share": taken / (len(snapshots) * files * 80)}

    yield Contest({OURS: trial}, warm_ups=0)


@contextmanager
def memory(bench: Bench, shape: str = "big") -> Iterator[Contest]:
    """Peak memory of a push and a clone: the client's in all, a fresh server's above idle."""
    history = bench.sources.history(shape)
    source = bench.sources.folder(shape)
    environment = {"MUSEKIT_HOME": str(bench.subject.home)}
    with ExitStack() as exits:
        subject, process = bench.subject, None
        if bench.stack.process is not None:
            fresh = _second_server(bench, *_parts(bench), works=True)
            subject, second = exits.enter_context(fresh)
            process = second.process

        def watched(words: list[str], folder: Path | None, name: str) -> dict[str, float]:
            idle = 0
            if process is not None:
                forget_peak(process)
                idle = resident_memory(process)
            command = [*MUSEKIT, *words, "--json", *bench.stack.flags]
            done = run(command, folder, environment, watch_memory=True)
            found = {f"{name} client": float(done.peak_bytes), f"{name} reads": done.read_bytes}
            if process is not None:
                found[f"{name} server"] = max(0, peak_memory(process) - idle)
            return found

        def trial() -> Mapping[str, float]:
            repository = subject.create()
            run([*MUSEKIT, "remote", "add", repository.slug, repository.url], source, environment)
            found = watched(["push", repository.slug, "main"], source, "push")
            repository.check_head(history.head)
            repository.settle(history.head)
            into = bench.work / "clone"
            found |= watched(["clone", repository.url, str(into)], None, "clone")
            bench.sources.remove(into)
            subject.delete(repository)
            return found

        yield Contest({OURS: trial}, warm_ups=0)


_SYNC = re.compile(r"\b(fsync|fdatasync|syncfs|sync|sync_file_range)\(")


@contextmanager
def fsyncs(bench: Bench, shape: str = "simple") -> Iterator[Contest]:
    """Syncs of one clone by the command, counted by strace; what is not needed costs most there."""
    history = bench.sources.history(shape)
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), history.head)
    repository.settle(history.head)
    log, into = bench.work / "strace.log", bench.work / "clone"
    environment = {"MUSEKIT_HOME": str(bench.subject.home)}
    calls = "trace=fsync,fdatasync,syncfs,sync,sync_file_range"
    traced = ["strace", "-f", "-o", str(log), "-e", calls]
    words = [*traced, *MUSEKIT, "clone", repository.url, str(into), *bench.stack.flags]

    def trial() -> Mapping[str, float]:
        run(words, None, environment)
        counts = Counter(found[1] for found in _SYNC.finditer(log.read_text()))
        bench.sources.remove(into)
        os.unlink(log)
        return {"clone": float(sum(counts.values()))}

    yield Contest({OURS: trial}, warm_ups=0)
    bench.subject.delete(repository)
