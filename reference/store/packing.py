"""Packs from what the store holds: whole packs and frames as they are, the rest compressed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO

from reference.core.closure import Closure
from reference.wire import frames
from reference.wire.pack import FRAME_BYTES
from reference.wire.writer import FramePlan, write_framed

from . import durable
from .loose import CHUNK_BYTES
from .pack_folder import folder
from .packs import PackFile
from .repository import Repository

if TYPE_CHECKING:
    from concurrent.futures import Future

Write = Callable[[bytes], object]
Payload = Callable[[], bytes]
Blob = tuple[str, bytes]
NewFrame = tuple[FramePlan, bytes]
Make = Callable[[Sequence[str]], Iterable[NewFrame]]
MEMORY_BYTES = 16 * 1024 * 1024
"""How much of what was compressed is kept in memory; the rest goes to a file without a name."""
_AHEAD = 4


def send_file(pack: PackFile, write: Write) -> None:
    """A pack's bytes as they lie."""
    with open(pack.path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            write(chunk)


class Spool:
    """Frames put aside until their turn: in memory while they are few, then in a nameless file."""

    def __init__(self, repository: Repository) -> None:
        self._folder = folder(repository.dot)
        self._in_memory = self._size = 0
        self._draft: durable.Draft | None = None
        self._file: BinaryIO | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, payload: bytes) -> Payload:
        """Puts bytes aside; what comes back gets them again, once all have been added."""
        if self._in_memory + len(payload) <= MEMORY_BYTES:
            self._in_memory += len(payload)
            return partial(bytes, payload)
        if self._draft is None:
            self._draft = self._stack.enter_context(durable.draft(self._folder, sync=False))
        self._draft.write(payload)
        self._size += len(payload)
        return partial(self._read, self._size - len(payload), len(payload))

    def _read(self, offset: int, length: int) -> bytes:
        if self._file is None:
            assert self._draft is not None, "nothing was put aside"
            path = f"{self._folder}/{durable.TEMP_PREFIX}{os.urandom(8).hex()}"
            self._draft.name(path)
            self._file = self._stack.enter_context(open(path, "rb"))  # noqa: SIM115  # it does
            os.unlink(path)
        self._file.seek(offset)
        return self._file.read(length)


def build_framed(repository: Repository, wanted: Closure, write: Write) -> None:
    """A framed pack of `wanted`; frames all of whose blobs are wanted are copied unopened."""
    with Spool(repository) as spool:
        plans, payloads = plan_frames(repository, wanted.objects, spool)
        write_planned(wanted, plans, payloads, write)


def write_planned(
    wanted: Closure, plans: list[FramePlan], payloads: list[Payload], write: Write
) -> None:
    """A framed pack of `wanted` whose frames were planned before; as often as it takes."""
    write_framed(
        write, wanted.commits, wanted.snapshots, plans, (payload() for payload in payloads)
    )


def plan_frames(
    repository: Repository, objects: list[str], spool: Spool, make: Make | None = None
) -> tuple[list[FramePlan], list[Payload]]:
    """How to send these blobs, and how to get each frame's payload when its turn comes.

    New frames come from `make`, or are made here.
    """
    missing = dict.fromkeys(objects)
    plans: list[FramePlan] = []
    payloads: list[Payload] = []
    for pack in repository.packs():
        if pack.places.keys().isdisjoint(missing):
            continue
        carried = pack.pack
        for number, (first, frame) in enumerate(zip(pack.firsts, carried.frames, strict=True)):
            ids = carried.blob_ids[first : first + frame.blobs]
            if len(missing.keys() & set(ids)) == frame.blobs:
                sizes = carried.blob_sizes[first : first + frame.blobs]
                plans.append(FramePlan(ids, sizes, frame.stored, frame.length))
                payloads.append(partial(pack.payload, number))
                for object_id in ids:
                    del missing[object_id]
    for plan, payload in (make or partial(new_frames, repository.blob))(list(missing)):
        plans.append(plan)
        payloads.append(spool.add(payload))
    return plans, payloads


def new_frames(blob: Callable[[str], bytes], objects: Sequence[str]) -> Iterator[NewFrame]:
    """Blobs cut into frames; where there are several, compressed on a second core."""
    parts = _parts(blob, objects)
    started = list(islice(parts, 2))
    if len(started) < 2:
        yield from map(_compressed, started)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        jobs: deque[Future[NewFrame]] = deque()
        for part in chain(started, parts):
            jobs.append(pool.submit(_compressed, part))
            if len(jobs) > _AHEAD:
                yield jobs.popleft().result()
        for job in jobs:
            yield job.result()


def _parts(blob: Callable[[str], bytes], objects: Sequence[str]) -> Iterator[list[Blob]]:
    """The blobs of each frame, read."""
    part: list[Blob] = []
    room = FRAME_BYTES
    for object_id in objects:
        content = blob(object_id)
        if part and len(content) > room:
            yield part
            part, room = [], FRAME_BYTES
        part.append((object_id, content))
        room -= len(content)
    if part:
        yield part


def _compressed(part: list[Blob]) -> NewFrame:
    payload, stored = frames.compress([content for _, content in part])
    ids, sizes = [oid for oid, _ in part], [len(content) for _, content in part]
    return FramePlan(ids, sizes, stored, len(payload)), payload
