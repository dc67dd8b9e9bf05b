"""What noise cannot touch: bytes on the wire, sizes of packs, memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgpack

from fixtures.packing import to_bytes
from reference.wire.reader import read

from ..budgets import requirement
from ..commands import (
    MUSEKIT,
    WrongResult,
    forget_peak,
    peak_memory,
    resident_memory,
    run,
)
from ..contests import OURS, Bench, Contest, Trial
from ..peers import Peer, opened
from ..relay import Relay, relaying
from ..subject import Subject
from .asking import parts_of, second_server
from .commands import push_once

COVERS = requirement("BG9", "BG10", "DP4")


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
            fresh = second_server(bench, *parts_of(bench), works=True)
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
