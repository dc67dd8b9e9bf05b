"""Writing packs: the bytes of both forms, and what a sender keeps to."""

from io import BytesIO
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.wire.errors import ProtocolError
from reference.wire.pack import FRAME_BYTES, WINDOW_BYTES
from reference.wire.reader import read
from reference.wire.writer import FramePlan, compress_frames, write_framed, write_plain
from tests import oracle

from .histories import SAMPLE, checked, opened

HEADS = {"main": SAMPLE.commits[-1]["commit_id"]}


def written(write: Any, *arguments: Any) -> bytes:
    """The bytes that a writer gives to a file."""
    out = BytesIO()
    write(out.write, *arguments)
    return out.getvalue()


def sample_plain(blobs: dict[str, bytes] = SAMPLE.blobs, count: int | None = None) -> bytes:
    """The sample as a plain pack."""
    number = len(blobs) if count is None else count
    return written(
        write_plain, SAMPLE.commits, SAMPLE.snapshots, iter(blobs.items()), number, HEADS, {"n": 1}
    )


@pytest.mark.requirement("MPACK-004", "MPACK-009", "MPACK-006")
def test_a_plain_pack_is_the_map_that_msgpack_makes() -> None:
    """Written piece by piece, it is byte for byte what packing it whole gives."""
    whole = {
        "format": 1,
        "commits": SAMPLE.commits,
        "snapshots": SAMPLE.snapshots,
        "blobs": [{"object_id": oid, "content": content} for oid, content in SAMPLE.blobs.items()],
        "branch_heads": HEADS,
        "meta": {"n": 1},
    }
    assert sample_plain() == msgpack.packb(whole)


@pytest.mark.requirement("MPACK-012", "MPACK-013")
def test_a_framed_pack_is_three_keys_in_order() -> None:
    """Format, head, frames, as msgpack writes them."""
    plans, payloads = compress_frames(list(SAMPLE.blobs.items()))
    pack = written(write_framed, SAMPLE.commits, SAMPLE.snapshots, plans, payloads, HEADS)
    outer = msgpack.unpackb(pack)
    assert list(outer) == ["format", "head", "frames"]
    assert msgpack.packb(outer) == pack
    assert outer["frames"] == payloads


@pytest.mark.requirement("MPACK-033")
def test_a_sender_stays_below_the_window() -> None:
    """Heads and frames of any size declare theirs and need no more than 8 MiB."""
    commits = [
        {**SAMPLE.commits[0], "message": f"{n} {'x' * 1000}", "author": str(n)} for n in range(9000)
    ]
    plans, payloads = compress_frames([(oracle.blob_id(bytes(20 << 20)), bytes(20 << 20))])
    pack = written(write_framed, commits, [], plans, payloads)
    for frame in (msgpack.unpackb(pack)["head"], *payloads):
        header = zstandard.get_frame_parameters(frame)
        assert header.content_size > WINDOW_BYTES
        assert header.window_size <= WINDOW_BYTES
    assert len(read([pack]).commits) == 9000


@pytest.mark.requirement("MPACK-029")
def test_a_whole_pack_names_nothing_outside() -> None:
    """Everything that is named is carried."""
    plans, payloads = compress_frames(list(SAMPLE.blobs.items()))
    pack = written(write_framed, SAMPLE.commits, SAMPLE.snapshots, plans, payloads)
    assert opened(pack)[0]["external"] == b""
    assert checked(pack).branch_heads == {}


@pytest.mark.requirement("MPACK-022", "MPACK-023")
@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2 * FRAME_BYTES), st.integers(0, 255)), max_size=12))
def test_frames_of_any_blobs_are_planned_as_they_are(shapes: list[tuple[int, int]]) -> None:
    """Plans tell ids, sizes, lengths and whether a frame is stored; all of it reads back."""
    contents = [bytes([fill]) * size for size, fill in shapes]
    blobs = [(oracle.blob_id(content), content) for content in contents]
    plans, payloads = compress_frames(blobs)
    assert [len(payload) for payload in payloads] == [plan.length for plan in plans]
    found = read([written(write_framed, [], [], plans, payloads)])
    assert found.blob_ids == [oid for oid, _ in blobs]
    assert found.blob_sizes == [len(content) for content in contents]
    assert [frame.stored for frame in found.frames] == [plan.stored for plan in plans]


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_fewer_or_more_blobs_than_announced_are_no_pack(count: int) -> None:
    """The header of the list was already written: the writer says so instead of going on."""
    if count == len(SAMPLE.blobs):
        assert read([sample_plain(count=count)]).blob_ids == list(SAMPLE.blobs)
    else:
        with pytest.raises(ProtocolError, match="announced"):
            sample_plain(count=count)


def test_a_payload_of_another_length_than_planned_is_no_pack() -> None:
    """A frame that changed since it was planned is not sent."""
    plan = FramePlan([oracle.EMPTY_BLOB], [0], True, 0)
    with pytest.raises(ProtocolError, match="planned"):
        written(write_framed, [], [], [plan], [b"x"])


@pytest.mark.parametrize("count", [0, 15, 16, 255, 256, 65_535, 65_536])
def test_lists_and_bins_of_every_width(count: int) -> None:
    """Headers change their form at 16, 256 and 65,536; each form reads back."""
    content = bytes(count)
    blob = (oracle.blob_id(content), content)
    plain = written(write_plain, [], [], iter([blob] * min(count, 300)), min(count, 300))
    assert read([plain]).blob_sizes == [count] * min(count, 300)
    framed = written(write_framed, [], [], *compress_frames([blob] * min(count, 300)))
    assert read([framed]).blob_ids == [blob[0]] * min(count, 300)
