"""A pack made ready to travel: its key and size are known, and it can be sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from reference.core.closure import Closure
from reference.store import packing
from reference.store.packing import MEMORY_BYTES, Write
from reference.store.packs import CHUNK_BYTES
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX
from reference.wire.pack import Limits


@dataclass(frozen=True, slots=True)
class Parcel:
    """What travels; `send` writes it, as often as it is called."""

    key: str
    size: int
    send: Callable[[Write], object]


@contextmanager
def parcel(
    repository: Repository, wanted: Closure, framed: bool, limits: Limits
) -> Iterator[Parcel]:
    """The pack of `wanted` in the form that the server takes, within what it takes."""
    entries = sum(
        len(s["delta_upsert"]) + len(s["delta_remove"]) + len(s.get("directories", ()))
        for s in wanted.snapshots
    )
    records = len(wanted.commits) + len(wanted.snapshots) + len(wanted.objects) + entries
    _within("records", records, limits.records)
    whole = packing.whole_pack(repository, wanted) if framed else None
    if whole is not None:
        _within("bytes of blobs", sum(whole.pack.blob_sizes), limits.raw_bytes)
        _within("bytes of pack", whole.pack.size, limits.pack_bytes)
        yield Parcel(whole.key, whole.pack.size, partial(packing.send_file, whole))
    elif framed:
        with packing.Spool(repository) as spool:
            plans, payloads = packing.plan_frames(repository, wanted.objects, spool)
            _within("bytes of blobs", sum(sum(p.sizes) for p in plans), limits.raw_bytes)
            write = partial(packing.write_planned, wanted, plans, payloads)
            yield _measured(write, limits)
    else:
        yield _measured(partial(packing.build_plain, repository, wanted), limits)


def _measured(build: Callable[[Write], object], limits: Limits) -> Parcel:
    """Builds a pack once for its key; a small one is kept, a large one is built again to send."""
    digest = sha256()
    size = 0
    kept: list[bytes] = []

    def take(data: bytes) -> None:
        nonlocal size
        digest.update(data)
        size += len(data)
        _within("bytes of pack", size, limits.pack_bytes)
        if size <= MEMORY_BYTES:
            kept.append(data)
        else:
            kept.clear()

    build(take)
    send = build if size > MEMORY_BYTES else partial(_send_kept, b"".join(kept))
    return Parcel(PREFIX + digest.hexdigest(), size, send)


def _send_kept(data: bytes, write: Write) -> None:
    for start in range(0, len(data), CHUNK_BYTES):
        write(data[start : start + CHUNK_BYTES])


def _within(what: str, count: int, limit: int) -> None:
    if count > limit:
        why = f"{count} {what}, the server takes {limit}: push an older commit's branch first"
        raise ProtocolError("too_large", why, "MPACK-037", remote=True)
