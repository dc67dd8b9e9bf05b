"""Packs from what the store holds: whole packs and frames as they are, the rest compressed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from reference.core.closure import Closure
from reference.wire import frames
from reference.wire.pack import FRAME_BYTES
from reference.wire.writer import FramePlan, write_framed, write_plain

from .packs import CHUNK_BYTES, PackFile
from .repository import Repository

Write = Callable[[bytes], object]
Payload = Callable[[], bytes]


def whole_pack(repository: Repository, wanted: Closure) -> PackFile | None:
    """The pack that holds exactly this closure, if there is one: it is sent as it lies."""
    commits = {commit["commit_id"] for commit in wanted.commits}
    for pack in repository.packs():
        carried = pack.pack
        if (
            carried.framed
            and len(carried.commits) == len(commits)
            and set(pack.places) == set(wanted.objects)
            and {commit["commit_id"] for commit in carried.commits} == commits
            and {s["snapshot_id"] for s in carried.snapshots}
            == {s["snapshot_id"] for s in wanted.snapshots}
        ):
            return pack
    return None


def send_file(pack: PackFile, write: Write) -> None:
    """A pack's bytes as they lie."""
    with open(pack.path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            write(chunk)


def build_framed(repository: Repository, wanted: Closure, write: Write) -> None:
    """A framed pack of `wanted`; frames all of whose blobs are wanted are copied unopened."""
    plans, payloads = plan_frames(repository, wanted.objects)
    write_framed(
        write, wanted.commits, wanted.snapshots, plans, (payload() for payload in payloads)
    )


def build_plain(repository: Repository, wanted: Closure, write: Write) -> None:
    """A plain pack of `wanted`, for receivers that know no frames."""
    blobs = ((oid, repository.blob(oid)) for oid in wanted.objects)
    write_plain(write, wanted.commits, wanted.snapshots, blobs, len(wanted.objects))


def plan_frames(
    repository: Repository, objects: list[str]
) -> tuple[list[FramePlan], list[Payload]]:
    """How to send these blobs, and how to get each frame's payload when its turn comes."""
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
    for plan, compressed in _compressed(repository, list(missing)):
        plans.append(plan)
        payloads.append(partial(bytes, compressed))
    return plans, payloads


def _compressed(repository: Repository, objects: list[str]) -> Iterator[tuple[FramePlan, bytes]]:
    """New frames, read here and compressed on a second core."""

    def compress(part: list[tuple[str, bytes]]) -> tuple[FramePlan, bytes]:
        payload, stored = frames.compress([content for _, content in part])
        ids, sizes = [oid for oid, _ in part], [len(content) for _, content in part]
        return FramePlan(ids, sizes, stored, len(payload)), payload

    if not objects:
        return
    with ThreadPoolExecutor(1) as pool:
        jobs = []
        part: list[tuple[str, bytes]] = []
        room = FRAME_BYTES
        for object_id in objects:
            content = repository.blob(object_id)
            if part and len(content) > room:
                jobs.append(pool.submit(compress, part))
                part, room = [], FRAME_BYTES
            part.append((object_id, content))
            room -= len(content)
        jobs.append(pool.submit(compress, part))
        for job in jobs:
            yield job.result()
