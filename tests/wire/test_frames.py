"""Frames from strangers: judged by their header, opened in bounded memory, hashed blob by blob."""

import tracemalloc
from collections.abc import Sequence
from random import Random
from time import process_time

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from reference.wire import frames
from reference.wire.errors import ProtocolError
from reference.wire.pack import FRAME_BYTES
from tests import oracle

MIB = 1024 * 1024
TEXT = b"a line of text\n" * 100


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress."""
    return Random(seed).randbytes(size)


def packed(raw: bytes, level: int = 3, **parameters: int | bool) -> bytes:
    """A zstd frame of `raw` as one asks for it."""
    made = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(raw), **parameters)
    return zstandard.ZstdCompressor(compression_params=made).compress(raw)


def without_size(raw: bytes) -> bytes:
    """A frame whose header does not say how much it holds."""
    compressor = zstandard.ZstdCompressor(write_content_size=False)
    return compressor.compress(raw)


def runs(blocks: int, declared: int) -> bytes:
    """A frame of run-length blocks, 4 bytes for 128 KiB of zeros each, with an 8 MiB window."""
    header = b"\x28\xb5\x2f\xfd" + b"\xc0" + b"\x68" + declared.to_bytes(8, "little")
    block = ((128 * 1024) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = ((128 * 1024) << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return header + block * (blocks - 1) + last


def refusal(payload: bytes, declared: int) -> ProtocolError:
    """The error that refuses a frame, which is the same whether it comes whole or in pieces."""
    with pytest.raises(ProtocolError) as caught:
        frames.decompress(payload, declared)
    assert caught.value.code == "bad_frame"
    return caught.value


def ids_of(sizes: Sequence[int], payload: bytes, stored: bool, piece: int) -> list[str]:
    """The blobs' ids from a payload that comes in pieces."""
    reader = frames.FrameReader(sizes, len(payload), stored)
    for start in range(0, len(payload), piece):
        reader.feed(payload[start : start + piece])
    return reader.blob_ids()


def blobs_of(raw: bytes, sizes: Sequence[int]) -> list[str]:
    """What the oracle says of consecutive blobs."""
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    return [
        oracle.blob_id(raw[start : start + size]) for start, size in zip(starts, sizes, strict=True)
    ]


@pytest.mark.requirement("MPACK-023")
def test_a_frame_is_stored_where_compression_does_not_help() -> None:
    """Noise and nothing stay as they are; text shrinks."""
    raw = noise(1000)
    assert frames.compress([raw[:500], raw[500:]]) == (raw, True)
    assert frames.compress([]) == (b"", True)
    assert frames.compress([b"", b""]) == (b"", True)
    payload, stored = frames.compress([TEXT, TEXT])
    assert not stored
    assert zstandard.decompress(payload) == TEXT * 2


@pytest.mark.requirement("MPACK-022")
def test_frames_are_cut_at_256_kib() -> None:
    """Consecutive blobs share a frame while they fit; a larger blob stands alone."""
    full = FRAME_BYTES
    assert frames.cut([]) == []
    assert frames.cut([0, 0, 0]) == [3]
    assert frames.cut([full, 1]) == [1, 1]
    assert frames.cut([full - 1, 1, 0, 1]) == [3, 1]
    assert frames.cut([1, full, 1]) == [1, 1, 1]
    assert frames.cut([3 * full, 1, full - 1]) == [1, 2]


@given(st.lists(st.integers(0, 2 * FRAME_BYTES), max_size=40))
def test_cutting_loses_no_blob(sizes: list[int]) -> None:
    """Every blob is in a frame, and no frame of several exceeds the cut."""
    counts = frames.cut(sizes)
    assert sum(counts) == len(sizes)
    assert 0 not in counts
    at = 0
    for count in counts:
        assert count == 1 or sum(sizes[at : at + count]) <= FRAME_BYTES
        at += count


@pytest.mark.requirement("MPACK-030")
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x28",
        b"\x28\xb5\x2f\xfd",
        b"not a frame at all, though long enough",
        b"\x50\x2a\x4d\x18\x04\0\0\0" + b"skip" + packed(TEXT),
        packed(TEXT)[1:],
        packed(TEXT, format=zstandard.FORMAT_ZSTD1_MAGICLESS),
        b"\x1f\x8b\x08" + TEXT,
    ],
)
def test_what_does_not_start_like_a_frame(payload: bytes) -> None:
    """No magic number, a header that is cut short, a skippable frame in front."""
    assert refusal(payload, len(TEXT)).requirement == "MPACK-030"


@pytest.mark.requirement("MPACK-031")
def test_a_frame_that_does_not_declare_its_size() -> None:
    """Even where it would hold what it should."""
    assert refusal(without_size(TEXT), len(TEXT)).requirement == "MPACK-031"


@pytest.mark.requirement("MPACK-032")
@pytest.mark.parametrize("declared", [0, 1, len(TEXT) - 1, len(TEXT) + 1, 2**40])
def test_a_frame_that_declares_another_size(declared: int) -> None:
    """The size of its blobs is known beforehand."""
    assert refusal(packed(TEXT), declared).requirement == "MPACK-032"


@pytest.mark.requirement("MPACK-032", "MPACK-035")
@pytest.mark.parametrize("lie", [-1, 1, 1000])
def test_a_frame_that_holds_another_size_than_it_declares(lie: int) -> None:
    """A header that was changed to the expected size does not help."""
    honest = runs(2, 2 * 128 * 1024)
    assert frames.decompress(honest, 256 * 1024) == bytes(256 * 1024)
    refusal(runs(2, 256 * 1024 + lie), 256 * 1024 + lie)


@pytest.mark.requirement("MPACK-033")
def test_a_frame_with_a_large_window() -> None:
    """8 MiB pass, more do not; a single segment's window is its content."""
    header = b"\x28\xb5\x2f\xfd\xc0"
    for code, fine in ((0x68, True), (0x69, False), (0x70, False), (0xA8, False)):
        frame = header + bytes([code]) + (5).to_bytes(8, "little") + b"\x29\0\0hello"
        if fine:
            assert frames.decompress(frame, 5) == b"hello"
        else:
            assert refusal(frame, 5).requirement == "MPACK-033"
    single = b"\x28\xb5\x2f\xfd\xa0" + (9 * MIB).to_bytes(4, "little")
    assert refusal(single, 9 * MIB).requirement == "MPACK-033"


@pytest.mark.requirement("MPACK-033")
def test_level_22_on_20_mib_is_refused_and_level_3_is_not() -> None:
    """What a sender has to stay below."""
    raw = bytes(20 * MIB)
    assert refusal(packed(raw, 22, strategy=1), len(raw)).requirement == "MPACK-033"
    assert frames.decompress(packed(raw), len(raw)) == raw


@pytest.mark.requirement("MPACK-034")
def test_a_frame_that_needs_a_dictionary() -> None:
    """There is none on the wire."""
    dictionary = zstandard.train_dictionary(
        1024, [b"line %d of some text\n" % n for n in range(500)]
    )
    payload = zstandard.ZstdCompressor(dict_data=dictionary).compress(TEXT)
    assert refusal(payload, len(TEXT)).requirement == "MPACK-034"


@pytest.mark.requirement("MPACK-035")
@pytest.mark.parametrize("raw", [b"", b"x", TEXT], ids=["empty", "one", "text"])
@pytest.mark.parametrize("tail", [b"\0", b"garbage", packed(b""), packed(TEXT)])
def test_bytes_after_a_frame(raw: bytes, tail: bytes) -> None:
    """One frame and nothing else, the frame of nothing included."""
    assert frames.decompress(packed(raw), len(raw)) == raw
    assert refusal(packed(raw) + tail, len(raw)).requirement == "MPACK-035"


@pytest.mark.requirement("MPACK-030", "MPACK-035")
@pytest.mark.parametrize("raw", [b"", b"x", TEXT], ids=["empty", "one", "text"])
def test_a_frame_cut_short_at_every_byte(raw: bytes) -> None:
    """Every prefix is refused."""
    payload = packed(raw, write_checksum=True)
    for length in range(len(payload)):
        refusal(payload[:length], len(raw))


@pytest.mark.requirement("MPACK-035")
def test_a_frame_with_a_wrong_checksum() -> None:
    """Where the sender gave one it is checked."""
    payload = packed(TEXT, write_checksum=True)
    refusal(payload[:-1] + bytes([payload[-1] ^ 1]), len(TEXT))


@pytest.mark.requirement("MPACK-036")
@pytest.mark.parametrize("length", [0, 4, 6, 5 * MIB])
def test_a_stored_frame_of_another_length(length: int) -> None:
    """Its length is that of its blobs, known before a byte of it comes."""
    with pytest.raises(ProtocolError) as caught:
        frames.FrameReader([2, 3], length, stored=True)
    assert (caught.value.code, caught.value.requirement) == ("bad_frame", "MPACK-036")


@pytest.mark.requirement("MPACK-019")
@pytest.mark.parametrize("piece", [1, 7, 64, 10**9])
@pytest.mark.parametrize("stored", [False, True])
def test_blobs_of_a_frame_are_hashed_in_order(piece: int, stored: bool) -> None:
    """Empty blobs at every place included."""
    sizes = [0, 5, 0, 0, len(TEXT) - 5, 0]
    payload = TEXT if stored else packed(TEXT)
    assert ids_of(sizes, payload, stored, piece) == blobs_of(TEXT, sizes)


LARGE = 5 * MIB + 3


@pytest.mark.requirement("MPACK-019", "MPACK-024")
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [
        [LARGE],
        [0, LARGE, 0],
        [1, LARGE - 2, 1],
        [MIB, 0, 0, LARGE - MIB],
        [*[1000] * 2000, LARGE - 2_000_000],
    ],
    ids=["one", "empties", "edges", "two", "many"],
)
def test_a_large_frame_of_any_blobs(sizes: list[int], stored: bool) -> None:
    """A receiver does not insist that a large blob stands alone."""
    raw = noise(MIB) * 5 + b"end"
    payload = raw if stored else packed(raw)
    for piece in (65_536, 65_537, len(payload)):
        assert ids_of(sizes, payload, stored, piece) == blobs_of(raw, sizes)


def streamed_refusal(payload: bytes, sizes: list[int], piece: int = 65_536) -> ProtocolError:
    """The error that refuses a large frame which comes in pieces."""
    with pytest.raises(ProtocolError) as caught:
        ids_of(sizes, payload, False, piece)
    assert caught.value.code == "bad_frame"
    return caught.value


@pytest.mark.requirement("MPACK-030", "MPACK-031", "MPACK-032", "MPACK-033", "MPACK-035")
def test_a_large_frame_is_judged_like_a_small_one() -> None:
    """The rules are the same where contents are not held."""
    raw = bytes(LARGE)
    whole = packed(raw)
    cases = [
        (b"", "MPACK-035"),
        (b"no frame, but long enough to be read", "MPACK-030"),
        (whole[:3], "MPACK-030"),
        (without_size(raw), "MPACK-031"),
        (packed(raw + b"x"), "MPACK-032"),
        (packed(raw[:-1]), "MPACK-032"),
        (whole[:-1], "MPACK-035"),
        (whole + b"x", "MPACK-035"),
        (whole + whole, "MPACK-035"),
        (runs(64, LARGE), None),
        (runs(3, LARGE), None),
    ]
    for payload, requirement in cases:
        for piece in (1, 65_536):
            if piece > 1 or len(payload) < 5000:
                error = streamed_refusal(payload, [LARGE], piece)
                assert requirement in (None, error.requirement), (payload[:20], str(error))


@pytest.mark.requirement("MPACK-038")
@pytest.mark.parametrize("declared", [2**31, 2**40, 2**62])
def test_a_declared_size_is_no_allocation(declared: int) -> None:
    """A header of 18 bytes makes nobody allocate what it says."""
    payload = runs(1, declared)
    tracemalloc.start()
    refusal(payload, len(TEXT))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MIB


@pytest.mark.requirement("MPACK-038", "MPACK-039")
def test_a_run_of_zeros_is_hashed_in_bounded_memory() -> None:
    """A frame of 8 KB that holds 256 MiB passes through without being held."""
    size = 2048 * 128 * 1024
    tracemalloc.start()
    reader = frames.FrameReader([1, size - 1], len(runs(2048, size)), stored=False)
    reader.feed(runs(2048, size))
    assert len(reader.blob_ids()) == 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * MIB


@pytest.mark.requirement("MPACK-039")
@pytest.mark.parametrize("stored", [False, True])
def test_many_tiny_blobs_in_a_large_frame_take_linear_time(stored: bool) -> None:
    """Each blob costs its hash, not a copy of what is left of the frame."""
    count = 50_000
    sizes = [1] * count + [LARGE - count]
    payload = bytes(LARGE) if stored else packed(bytes(LARGE))
    began = process_time()
    found = ids_of(sizes, payload, stored, len(payload))
    assert process_time() - began < 5  # a hundredth of it is usual, copying would take a minute
    assert set(found[:count]) == {oracle.blob_id(b"\0")}


@pytest.mark.parametrize("at", range(4, 8))
def test_an_accepted_frame_that_was_damaged_since_is_no_allocation(at: int) -> None:
    """Whatever its header claims now, and there is no directory to ask."""
    sound = zstandard.ZstdCompressor(level=3).compress(b"hello world " * 400)
    assert frames.open_accepted(sound) == b"hello world " * 400
    damaged = bytearray(sound)
    damaged[at] ^= 0xC0
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="bad_frame"):
            frames.open_accepted(bytes(damaged))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_opened_frames_are_held_by_their_bytes() -> None:
    """The oldest go first, and the last stays however large it is."""
    opened = frames.Opened()
    for key in range(9):
        opened.keep(key, bytes(1 << 20))
    assert [key for key in range(9) if opened.get(key) is not None] == [5, 6, 7, 8]
    opened.keep("large", bytes(64 << 20))
    assert opened.get(8) is None
    assert opened.get("large") == bytes(64 << 20)
    opened.keep("small", b"1")
    assert (opened.get("large"), opened.get("small")) == (None, b"1")
