"""Limits: a pack at a limit passes, one beyond it is refused before memory or time is spent."""

import tracemalloc
from array import array
from collections.abc import Callable
from random import Random
from time import process_time
from typing import Any

import msgpack
import pytest
import zstandard

from reference.wire.errors import ProtocolError
from reference.wire.pack import DEFAULT_LIMITS, Limits
from reference.wire.reader import PackReader
from tests import oracle

from .histories import SAMPLE, History, checked, closed, framed, opened, plain

MIB = 1024 * 1024
FORMS = pytest.mark.parametrize("make", [plain, framed])
ENTRIES = sum(
    len(record["delta_upsert"]) + len(record["delta_remove"]) + len(record.get("directories", ()))
    for record in SAMPLE.snapshots
)
RECORDS = len(SAMPLE.commits) + len(SAMPLE.snapshots) + len(SAMPLE.blobs) + ENTRIES
PAYLOADS = sum(
    len(_payload)
    for _payload in (
        "\0".join(
            [part for path, oid in manifest.items() for part in (path, oid[7:])]
            + [part for path in SAMPLE.directories[oid_] for part in (path, "dir")]
        )
        for oid_, manifest in SAMPLE.manifests.items()
    )
)


def refused(pack: bytes, limits: Limits = DEFAULT_LIMITS, seconds: float = 1) -> ProtocolError:
    """The error that refuses a pack, soon and without much memory."""
    tracemalloc.start()
    began = process_time()
    try:
        with pytest.raises(ProtocolError) as caught:
            checked(pack, limits)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert process_time() - began < 5 * seconds  # tracemalloc slows everything down
    assert peak < 96 * MIB + 2 * len(pack)  # msgpack takes 64 KiB for each list it is promised
    return caught.value


@pytest.mark.requirement("HTTP-027")
def test_the_defaults_are_the_published_ones() -> None:
    """What a client takes for granted where a server says nothing."""
    published = (268_435_456, 1_073_741_824, 2_000_000, 4_294_967_296)
    assert Limits(*published) == DEFAULT_LIMITS


@pytest.mark.requirement("MPACK-037", "MPACK-040", "MPACK-041", "MPACK-043")
@FORMS
def test_exactly_at_each_limit_passes_and_one_less_does_not(
    make: Callable[[History], bytes],
) -> None:
    """All four, in both forms."""
    pack = make(SAMPLE)
    contents = sum(map(len, SAMPLE.blobs.values()))
    head = len(msgpack.packb(opened(pack)[0])) if make is framed else 0
    limits = {
        "pack_bytes": len(pack),
        "raw_bytes": max(contents, head),
        "records": RECORDS,
        "manifest_bytes": PAYLOADS,
    }
    checked(pack, Limits(**limits))
    for name, value in limits.items():
        error = refused(pack, Limits(**{**limits, name: value - 1}))
        assert error.code == "too_large", name
        assert str(value - 1) in error.detail or name == "raw_bytes"


@pytest.mark.requirement("MPACK-040")
@pytest.mark.parametrize("field", [{"a": 1}, {"k" * n: n for n in range(30)}])
def test_records_with_many_fields_pass_at_the_limit(field: dict[str, Any]) -> None:
    """The limit counts records, not the values that records usually have."""
    commits = [{**commit, "metadata": field} for commit in SAMPLE.commits]
    made = History(commits, SAMPLE.snapshots, SAMPLE.blobs, SAMPLE.manifests, SAMPLE.directories)
    checked(plain(made), Limits(records=RECORDS))


@pytest.mark.requirement("MPACK-037")
@FORMS
def test_a_pack_is_refused_as_soon_as_it_is_too_large(make: Callable[[History], bytes]) -> None:
    """Not at its end: by then the bytes would have been taken in."""
    assert refused(make(SAMPLE), Limits(pack_bytes=100)).code == "too_large"


def bombs() -> dict[str, bytes]:
    """Small packs that unfold into gigabytes for whoever believes them."""

    def framed_head(raw: bytes) -> bytes:
        packed = zstandard.compress(raw)
        return bytes(msgpack.packb({"format": 1, "head": packed, "frames": []}))

    def header(kind: bytes, count: int) -> bytes:
        return kind + count.to_bytes(4, "big")

    commits = {
        "ids": bytes(32 * 50_000),
        "snapshot": bytes(4 * 50_000),
        "parents": bytes(50_000),
        "fields": {
            "message": [""],
            "committed_at": ["2026-01-01T00:00:00Z"],
            **{f"x{n}": [None] for n in range(2_000)},
        },
    }
    huge = b"\x28\xb5\x2f\xfd\xc0\x68" + (2**50).to_bytes(8, "little") + b"\x29\0\0hello"
    return {
        "nested lists that claim millions": b"\x81\xa4meta\x81\xa1a"
        + header(b"\xdd", 2**28 - 1) * 1000,
        "nested maps that claim millions": b"\x81\xa4meta\x81\xa1a" + header(b"\xdf", 2**27) * 1000,
        "a list of commits that claims billions": b"\x81\xa7commits" + header(b"\xdd", 2**32 - 1),
        "a map that claims billions": header(b"\xdf", 2**32 - 1),
        "a blob of billions of keys": b"\x81\xa5blobs\x91" + header(b"\xdf", 2**32 - 1),
        "a text that claims gigabytes": b"\x81" + header(b"\xdb", 2**32 - 1) + b"x",
        "a blob that claims gigabytes": b"\x81\xa5blobs\x91\x81\xa7content"
        + header(b"\xc6", 2**32 - 1),
        "a head that claims gigabytes": b"\x82\xa6format\1\xa4head" + header(b"\xc6", 2**32 - 1),
        "a head that declares a petabyte": bytes(
            msgpack.packb({"format": 1, "head": huge, "frames": []})
        ),
        "fields that all commits share": framed_head(
            msgpack.packb({"commits": commits, "external": bytes(32)})
        ),
        "too deep for a stack": b"\x81\xa4meta\x81\xa1a" + b"\x91" * 200_000 + b"\0",
        "too deep to be shown": b"\x81\xa7commits\x91\x81\xacsem_ver_bump" + b"\x91" * 1000 + b"\0",
        "frames that claim billions": closed({}, [])[:-1] + header(b"\xdd", 2**32 - 1),
    }


BOMBS = bombs()


@pytest.mark.requirement("MPACK-038", "MPACK-039")
@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_refused_in_no_time_and_no_memory(name: str) -> None:
    """Under the default limits, whatever they declare."""
    assert refused(BOMBS[name]).code in ("malformed", "too_large", "bad_frame")


@pytest.mark.requirement("MPACK-038", "MPACK-039")
@pytest.mark.parametrize("filler", [b"\x90", b"\x80", b"\xc0", b"\xa2xy", b"\xd4\1\0"])
@pytest.mark.parametrize("compressed", [True, False])
def test_values_are_counted_as_they_are_built(filler: bytes, compressed: bool) -> None:
    """A byte of msgpack can be sixty of memory: what the records may hold bounds it."""
    count = 400_000
    raw = b"\x81\xa4meta\x81\xa1a\xdd" + count.to_bytes(4, "big") + filler * count
    pack = raw
    if compressed:
        head = zstandard.compress(raw)
        pack = bytes(msgpack.packb({"format": 1, "head": head, "frames": []}))
    tracemalloc.start()
    with pytest.raises(ProtocolError) as caught:
        checked(pack, Limits(records=1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.value.code, caught.value.requirement) == ("too_large", "MPACK-039")
    assert peak < 140 * count


@pytest.mark.requirement("MPACK-040")
@pytest.mark.parametrize(
    "columns",
    [
        {"sizes": bytes(4 * 10_000_000)},
        {"snapshots": {"ids": bytes(32 * 3_000_000)}},
        {"commits": {"ids": bytes(32 * 3_000_000)}},
        {"snapshots": {"path": bytes(4 * 10_000_000)}},
        {"snapshots": {"removed": bytes(4 * 10_000_000)}},
        {"snapshots": {"directories": [bytes(4 * 10_000_000)]}},
    ],
    ids=["blobs", "snapshots", "commits", "upserts", "removals", "directories"],
)
def test_columns_are_counted_by_their_length(columns: dict[str, Any]) -> None:
    """Ten million entries of a few compressed bytes are refused before one of them is built."""
    raw = msgpack.packb(columns)
    pack = closed(columns, [])
    tracemalloc.start()
    with pytest.raises(ProtocolError) as caught:
        checked(pack)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.value.code, caught.value.requirement) == ("too_large", "MPACK-040")
    assert peak < 4 * len(raw)  # the entries as numbers would be nine times


@pytest.mark.requirement("MPACK-038", "MPACK-040")
@pytest.mark.parametrize("part", ["delta_upsert", "delta_remove", "directories"])
def test_what_a_snapshot_names_is_counted_before_it_is_looked_at(part: str) -> None:
    """One name too many is told before any of them is found to be no path."""
    wrong = [f"../{number}" for number in range(50)]
    named = dict.fromkeys(wrong, oracle.EMPTY_BLOB) if part == "delta_upsert" else wrong
    snapshot = {"snapshot_id": oracle.snapshot_id({}), part: named}
    pack = bytes(msgpack.packb({"snapshots": [snapshot]}))
    assert refused(pack, Limits(records=50)).code == "too_large"
    assert refused(pack, Limits(records=51)).code == "invalid_path"


@pytest.mark.requirement("MPACK-041")
def test_sizes_are_summed_before_a_frame_is_read() -> None:
    """What the blobs will be is in the head."""
    head = {"sizes": b"\xff\xff\xff\xff" * 2, "frame_counts": b"\2\0\0\0"}
    error = refused(closed(head, [zstandard.compress(b"")]))
    assert (error.code, error.requirement) == ("too_large", "MPACK-041")


def chain(length: int, files: int) -> bytes:
    """A manifest of many files and a line of deltas of one file each, all ids right."""
    empty = oracle.EMPTY_BLOB
    manifest = {f"{n:06}": empty for n in range(files)}
    records = []
    parent: str | None = None
    upsert = dict(manifest)
    for number in range(length):
        if number:
            upsert = {f"x{number}": empty}
            manifest |= upsert
        snapshot_id = oracle.snapshot_id(manifest)
        records.append(
            {"snapshot_id": snapshot_id, "parent_snapshot_id": parent, "delta_upsert": upsert}
        )
        parent = snapshot_id
    blobs = [{"object_id": empty, "content": b""}]
    return bytes(msgpack.packb({"snapshots": records, "blobs": blobs}))


@pytest.mark.requirement("MPACK-043", "MPACK-038")
def test_a_chain_of_deltas_counts_with_whole_manifests() -> None:
    """A few bytes a delta are a whole manifest to hash: the work is bounded by running totals."""
    pack = chain(100, 3000)
    whole = sum((71 + 1) * 3000 + 75 * n for n in range(100))
    checked(pack, Limits(manifest_bytes=whole))
    error = refused(pack, Limits(manifest_bytes=MIB))
    assert (error.code, error.requirement) == ("too_large", "MPACK-043")


@pytest.mark.requirement("MPACK-038")
def test_very_deep_paths_are_work_that_is_bounded() -> None:
    """Two thousand folders above a file are megabytes of names to look for among the files."""
    folders = "/".join("a" * 2040)
    empty = oracle.EMPTY_BLOB
    upsert = {f"{number}/{folders}": empty for number in range(60)}
    snapshot = {"snapshot_id": oracle.snapshot_id(upsert), "delta_upsert": upsert}
    blobs = [{"object_id": empty, "content": b""}]
    pack = bytes(msgpack.packb({"snapshots": [snapshot], "blobs": blobs}))
    assert len(checked(pack).snapshots) == 1
    error = refused(pack, Limits(manifest_bytes=10 * MIB))
    assert (error.code, error.requirement) == ("too_large", "MPACK-038")


@pytest.mark.requirement("MPACK-039")
def test_a_framed_pack_passes_through_in_bounded_memory() -> None:
    """A hundred megabytes of blobs, small and large, are never held together."""
    noise = Random(3).randbytes(MIB)
    large, small = noise * 12, noise[: 200 * 1024]
    sizes = array("I", [len(large)] * 6 + [len(small)] * 150)
    counts = array("I", [1] * len(sizes))
    reader = PackReader()
    tracemalloc.start()
    head = {"sizes": sizes.tobytes(), "frame_counts": counts.tobytes(), "raw": b"\1" * len(sizes)}
    start = closed(head, [])[:-1] + b"\xdc" + len(sizes).to_bytes(2, "big")
    reader.feed(start)
    for size in sizes:
        reader.feed(b"\xc6" + size.to_bytes(4, "big"))
        content = memoryview(large if size == len(large) else small)
        for at in range(0, size, 65_536):
            reader.feed(bytes(content[at : at + 65_536]))
    pack = reader.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(pack.blob_sizes) > 100 * MIB
    assert pack.blob_ids[0] == oracle.blob_id(large)
    assert pack.blob_ids[-1] == oracle.blob_id(small)
    assert peak < 16 * MIB
