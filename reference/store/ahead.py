"""Loose blobs read ahead on a second core, while this one finds out which of them to send.

A forked process reads and proves all that is loose, is then told which blobs to send and in what
order, and gives back compressed frames.  What it cannot do, or not within its memory, is done
here as if it had never been.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from reference.wire import frames
from reference.wire.ids import to_raw
from reference.wire.writer import FramePlan

from . import loose, packing
from .repository import Repository

MEMORY_BYTES = 32 * 1024 * 1024
"""How much is read ahead; a store with more is read when it is known what of it is wanted."""


@contextmanager
def read_ahead(repository: Repository) -> Iterator[packing.Make]:
    """What makes frames of the blobs that it is given, in their order; once."""
    if not hasattr(os, "fork") or threading.active_count() > 1:  # threads do not survive a fork
        yield lambda objects: packing.new_frames(repository.blob, objects)
        return
    listening, telling = os.pipe()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(telling)
        os.close(reading)
        _serve(repository, listening, writing)
    os.close(listening)
    os.close(writing)
    try:
        with open(reading, "rb") as answer:
            yield lambda objects: _asked(repository, telling, answer, objects)
    finally:
        os.close(telling)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _asked(
    repository: Repository, telling: int, answer: BinaryIO, objects: Sequence[str]
) -> Iterator[packing.NewFrame]:
    done = 0
    try:
        _tell(telling, len(objects).to_bytes(8, "big"), *map(to_raw, objects))
        while done < len(objects):
            sizes, stored, payload = marshal.load(answer)
            ids = objects[done : done + len(sizes)]
            yield FramePlan(ids, sizes, stored, len(payload)), payload
            done += len(sizes)
    except (BrokenPipeError, EOFError):
        yield from packing.new_frames(repository.blob, objects[done:])


def _tell(pipe: int, *data: bytes) -> None:
    left = memoryview(b"".join(data))
    while left:
        left = left[os.write(pipe, left) :]


def _serve(repository: Repository, listening: int, writing: int) -> None:
    """The child: reads, waits for the order, answers, and never returns."""
    try:
        gc.disable()  # it would write to each page that is shared with the parent
        known = _within_memory(repository.dot)
        with open(listening, "rb") as order:
            told = order.read(32 * int.from_bytes(order.read(8), "big"))
            contents = [known[told[at : at + 32]] for at in range(0, len(told), 32)]
            first = 0
            for count in frames.cut(list(map(len, contents))):
                part = contents[first : first + count]
                first += count
                payload, stored = frames.compress(part)
                _tell(writing, marshal.dumps((list(map(len, part)), stored, payload)))
    finally:
        os._exit(0)


def _within_memory(dot: str) -> dict[bytes, bytes]:
    known: dict[bytes, bytes] = {}
    size = 0
    for digest, content in loose.sound_blobs(dot, MEMORY_BYTES):
        known[digest] = content
        size += len(content)
        if size > MEMORY_BYTES:
            os._exit(0)
    return known
