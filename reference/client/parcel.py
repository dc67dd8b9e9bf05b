"""A pack made ready to travel: its key and size are known, and it can be sent again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from reference.core.closure import Closure, closure, difference
from reference.store.loose import CHUNK_BYTES
from reference.store.pack_folder import list_packs
from reference.store.packs import PackFile
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX

from .transport import Write

if TYPE_CHECKING:
    from reference.store.packing import Make
    from reference.wire.pack import Limits

MEMORY_BYTES = 16 * 1024 * 1024
"""Up to this size a pack is built once; a larger one is built again to be sent."""


class Parcel(NamedTuple):
    """What travels; `send` writes it, as often as it is called."""

    key: str
    size: int
    blobs: int
    send: Callable[[Write], object]


@contextmanager
def parcel(
    repository: Repository, head: str, had: Sequence[str], framed: bool, limits: Limits
) -> Iterator[Parcel]:
    """The pack of what `head` needs beyond `had`, in the form and size that the server takes."""
    if framed and not had:
        for pack in list_packs(repository.dot):
            if pack.tip == head:
                yield _as_it_lies(pack, limits)
                return
    if not framed:
        wanted = _wanted(repository, head, had, limits)
        build = partial(_write_plain, repository, wanted, limits)
        yield _measured(len(wanted.objects), build, limits)
        return
    from reference.store import packing  # what it takes to compress is for who sends something

    with packing.Spool(repository) as spool:
        with _made_beside(repository) if not had else nullcontext() as make:
            wanted = _wanted(repository, head, had, limits)
            plans, payloads = packing.plan_frames(repository, wanted.objects, spool, make)
        _within("bytes of blobs", sum(sum(plan.sizes) for plan in plans), limits.raw_bytes)
        write = partial(packing.write_planned, wanted, plans, payloads)
        yield _measured(len(wanted.objects), write, limits)


def _made_beside(repository: Repository) -> AbstractContextManager[Make]:
    """For who has nothing: of what is loose, most will be sent."""
    from reference.store.ahead import read_ahead

    return read_ahead(repository)


def _wanted(repository: Repository, head: str, had: Sequence[str], limits: Limits) -> Closure:
    look = repository.lookups()
    wanted = difference(look, [head], had) if had else closure(look, [head])
    entries = sum(
        len(s["delta_upsert"]) + len(s["delta_remove"]) + len(s.get("directories", ()))
        for s in wanted.snapshots
    )
    records = len(wanted.commits) + len(wanted.snapshots) + len(wanted.objects) + entries
    _within("records", records, limits.records)
    return wanted


def _as_it_lies(pack: PackFile, limits: Limits) -> Parcel:
    """A pack of the store that is exactly what is wanted; its key was checked when it came."""
    size = os.stat(pack.path).st_size
    _within("bytes of pack", size, limits.pack_bytes)
    return Parcel(pack.key, size, len(pack.blob_ids), partial(_send_file, pack.path))


def _send_file(path: str, write: Write) -> None:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            write(chunk)


def _write_plain(repository: Repository, wanted: Closure, limits: Limits, write: Write) -> None:
    from reference.wire.writer import write_plain

    def blobs() -> Iterator[tuple[str, bytes]]:
        raw = 0
        for object_id in wanted.objects:
            content = repository.blob(object_id)
            raw += len(content)
            _within("bytes of blobs", raw, limits.raw_bytes)
            yield object_id, content

    write_plain(write, wanted.commits, wanted.snapshots, blobs(), len(wanted.objects))


def _measured(blobs: int, build: Callable[[Write], object], limits: Limits) -> Parcel:
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
    return Parcel(PREFIX + digest.hexdigest(), size, blobs, send)


def _send_kept(data: bytes, write: Write) -> None:
    for start in range(0, len(data), CHUNK_BYTES):
        write(data[start : start + CHUNK_BYTES])


def _within(what: str, count: int, limit: int) -> None:
    if count > limit:
        why = f"{count} {what}, the server takes {limit}: push an older commit's branch first"
        raise ProtocolError("too_large", why, "MPACK-037", remote=True)
