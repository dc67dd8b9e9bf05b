"""Loose objects and records: one file each, named by what it hashes to.

A blob's file holds exactly the bytes that are hashed, so `sha256sum` of it prints its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from reference.wire.errors import ProtocolError
from reference.wire.ids import PREFIX, blob_id, check_id, is_id

from . import durable

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from .packs import PackFile

FILE_MODE = 0o444
_READ_BYTES = 1 << 14
"""How much the first read asks for: most files whole, and no more than the allocator keeps."""
CHUNK_BYTES = 1 << 20
KINDS = {
    "commits": ("commits", ".json"),
    "snapshots": ("snapshots", ".json"),
    "objects": ("objects/sha256", ""),
}
"""For each kind its folder and what its files end in; what refers comes before what it names."""
PACKED_IDS: dict[str, Callable[[PackFile], Sequence[str]]] = {
    "objects": lambda pack: pack.blob_ids,
    "commits": lambda pack: [record["commit_id"] for record in pack.pack.commits],
    "snapshots": lambda pack: [record["snapshot_id"] for record in pack.pack.snapshots],
}
"""The ids of each kind in a pack."""


def path_of(dot: str, kind: str, object_id: str) -> str:
    """Where an object or record lies when it is loose."""
    folder, ending = KINDS[kind]
    return f"{dot}/{folder}/{object_id[7:9]}/{object_id[9:]}{ending}"


def iter_ids(dot: str, kind: str) -> Iterator[str]:
    """The ids of every loose object or record of a kind."""
    for path, object_id in _files(dot, kind):
        if _is_named(path, dot, kind, object_id):
            yield object_id


def _is_named(path: str, dot: str, kind: str, object_id: str) -> bool:
    return path == path_of(dot, kind, object_id) and is_id(object_id)


def shards(dot: str, kind: str) -> frozenset[str]:
    """The folders that files of a kind lie in, each named by two digits."""
    return frozenset(_listed(f"{dot}/{KINDS[kind][0]}"))


def _files(dot: str, kind: str) -> Iterator[tuple[str, str]]:
    """The path of each file among the loose ones, and the id that it would be named for."""
    folder, ending = KINDS[kind]
    for shard in _listed(f"{dot}/{folder}"):
        for name in _listed(f"{dot}/{folder}/{shard}"):
            if not durable.is_temp(name):
                object_id = f"{PREFIX}{shard}{name.removesuffix(ending)}"
                yield f"{dot}/{folder}/{shard}/{name}", object_id


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def misplaced(dot: str) -> Iterator[str]:
    """Files among the loose ones whose names are no id."""
    for kind in KINDS:
        for path, object_id in _files(dot, kind):
            if not _is_named(path, dot, kind, object_id):
                yield os.path.relpath(path, dot)


# Blobs.


def has(dot: str, object_id: str) -> bool:
    """Whether a loose blob of this id is there; what it holds is told by reading it."""
    return os.path.exists(path_of(dot, "objects", object_id))


def _read(path: str, object_id: str, most: int | None = None) -> bytes | None:
    """A whole file, or nothing; a small one in three calls, for a push reads thousands.

    A read of a regular file is short only at its end.  One of over `most` bytes is left alone.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        raw = os.read(fd, _READ_BYTES)
        if len(raw) < _READ_BYTES:
            return raw
        if most is not None and os.fstat(fd).st_size > most:
            return None
        parts = [raw]
        while part := os.read(fd, CHUNK_BYTES):
            parts.append(part)
        return b"".join(parts)
    except IsADirectoryError:
        raise _corrupt(object_id) from None
    finally:
        os.close(fd)


def find_blob(dot: str, object_id: str) -> bytes | None:
    """A loose blob's content, rehashed, or nothing."""
    raw = _read(path_of(dot, "objects", object_id), object_id)
    return None if raw is None else _content(raw, object_id)


def _content(raw: bytes, object_id: str) -> bytes:
    """What a loose blob's file holds, if it is what it is named for."""
    if sha256(raw).hexdigest() != object_id[7:]:
        raise _corrupt(object_id)
    header, _, content = raw.partition(b"\0")
    if header != b"blob %d" % len(content):
        raise _corrupt(object_id)
    return content


def sound_blobs(dot: str, most: int) -> Iterator[tuple[bytes, bytes]]:
    """Digest and content of each loose blob that is what it is named for, and not too large."""
    folder, _ = KINDS["objects"]
    for shard in _listed(f"{dot}/{folder}"):
        for name in _listed(f"{dot}/{folder}/{shard}"):
            object_id = f"{PREFIX}{shard}{name}"
            try:
                raw = _read(f"{dot}/{folder}/{shard}/{name}", object_id, most)
                content = _content(raw or b"", object_id)
            except (ProtocolError, OSError):
                continue
            yield bytes.fromhex(shard + name), content


def get_blob(dot: str, object_id: str) -> bytes:
    """A loose blob's content, rehashed; `not_found` when it is not loose."""
    content = find_blob(dot, object_id)
    if content is None:
        raise ProtocolError("not_found", f"no object {object_id} here")
    return content


def _corrupt(object_id: str) -> ProtocolError:
    return ProtocolError("integrity", f"integrity check: {object_id} does not hash to its name")


def put_blob(dot: str, content: bytes, expected: str | None = None) -> str:
    """Keeps a blob durably and returns its id; `expected` must be that id."""
    return put_blobs(dot, [content], expected)[0]


def put_blobs(dot: str, contents: Sequence[bytes], expected: str | None = None) -> list[str]:
    """Keeps blobs durably; what is there already is trusted only if this process wrote it."""
    ids = [blob_id(content) for content in contents]
    if expected is not None and ids != [check_id(expected)]:
        raise ProtocolError("integrity", f"{expected}: these bytes hash to {ids[0]}")
    items = {}
    for object_id, content in zip(ids, contents, strict=True):
        path = path_of(dot, "objects", object_id)
        if not (durable.is_settled(path) and _proves(get_blob, dot, object_id)):
            items[path] = b"blob %d\0%s" % (len(content), content)
        else:
            _freshen(path)
    durable.write_many(items.items(), mode=FILE_MODE)
    return ids


def _freshen(path: str) -> None:
    """Makes a file young again, so that a collection with a grace period leaves it."""
    os.utime(path)
    durable.settled(path)


def _proves(read: Callable[..., object], *arguments: object) -> bool:
    try:
        read(*arguments)
    except ProtocolError:
        return False
    return True


def put_blob_file(dot: str, source: str) -> str:
    """Keeps the bytes of a file, read once, whatever its size; returns their id."""
    if not os.path.lexists(source):
        raise ProtocolError("not_found", f"no file {source!r}")
    if not os.path.isfile(source):
        raise ProtocolError("invalid", f"{source!r} is not a regular file")
    with open(source, "rb") as file, durable.draft(f"{dot}/objects/sha256") as draft:
        size = os.fstat(file.fileno()).st_size
        header = b"blob %d\0" % size
        digest = sha256(header)
        draft.write(header)
        seen = 0
        while chunk := file.read(min(1 << 20, size - seen)):  # what it grows by meanwhile is not it
            seen += len(chunk)
            digest.update(chunk)
            draft.write(chunk)
        if seen != size:
            raise ProtocolError("io", f"{source!r} changed while it was read: try again")
        object_id = PREFIX + digest.hexdigest()
        path = path_of(dot, "objects", object_id)
        durable.make_folder(os.path.dirname(path))
        draft.keep(path, mode=FILE_MODE)
    return object_id


# Records.


def read_record(dot: str, kind: str, object_id: str) -> bytes | None:
    """The bytes of a loose record, or nothing; the caller proves them."""
    return _read(path_of(dot, kind, object_id), object_id)


def put_record(
    dot: str, kind: str, object_id: str, raw: bytes, prove: Callable[[str, bytes], object]
) -> None:
    """Keeps a record durably; one that is there and that `prove` accepts keeps its very bytes.

    Another delta for the same snapshot might stand on one that stands on this.
    """
    path = path_of(dot, kind, object_id)
    there = read_record(dot, kind, object_id)
    if there is not None and not _proves(prove, object_id, there):
        there = None
    if there is not None and durable.is_settled(path):
        _freshen(path)
    else:
        durable.write(path, there or raw, mode=FILE_MODE)
