"""Reading packs: both forms, in chunks of any size, and every way in which one can be wrong.

One file, for the builders of broken packs at its top serve all of it.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.wire.errors import ProtocolError
from reference.wire.pack import Limits, Pack
from reference.wire.reader import PackReader, read
from tests import oracle

from .histories import SAMPLE, History, as_known, checked, closed, framed, opened, plain, received
from .strategies import histories, same_records

PACKS = {"plain": plain(SAMPLE), "framed": framed(SAMPLE)}
FORMS = pytest.mark.parametrize("form", list(PACKS))
BLOB: dict[str, Any] = {"object_id": oracle.blob_id(b"x"), "content": b"x"}


def refusal(pack: bytes, limits: Limits | None = None) -> ProtocolError:
    """The error that refuses a pack."""
    with pytest.raises(ProtocolError) as caught:
        read([pack], limits or Limits())
    return caught.value


def pieces(pack: bytes, size: int) -> Iterator[bytes]:
    """The pack in chunks."""
    return (pack[start : start + size] for start in range(0, len(pack), size))


def parts(pack: Pack) -> list[object]:
    """All that is in it."""
    return [getattr(pack, name) for name in Pack.__slots__]


def packed(*pairs: tuple[Any, Any]) -> bytes:
    """A map of pairs as they are, keys that repeat included."""
    parts = [msgpack.packb(part) for pair in pairs for part in pair]
    return bytes(msgpack.Packer().pack_map_header(len(pairs))) + b"".join(parts)


@pytest.mark.requirement("MPACK-007", "MPACK-009", "MPACK-010", "MPACK-024")
@FORMS
def test_a_pack_gives_what_was_put_in(form: str) -> None:
    """Commits, snapshots, blobs, heads, in their order."""
    found = checked(PACKS[form])
    assert found.framed == (form == "framed")
    assert found.commits == SAMPLE.commits
    assert found.snapshots == received(SAMPLE.snapshots)
    assert found.blob_ids == list(SAMPLE.blobs)
    assert found.blob_sizes == [len(content) for content in SAMPLE.blobs.values()]
    assert found.branch_heads == {"main": SAMPLE.commits[-1]["commit_id"]}
    assert found.size == len(PACKS[form])


@pytest.mark.requirement("MPACK-039")
@FORMS
def test_chunks_of_every_size_give_the_same(form: str) -> None:
    """A pack does not depend on how it arrives."""
    whole = parts(read([PACKS[form]]))
    for size in [*range(1, 40), 63, 64, 65, 511, 512, 513, 4096, 10**6]:
        assert parts(read(pieces(PACKS[form], size))) == whole


@given(st.lists(st.integers(0, len(PACKS["framed"])), max_size=8), st.sampled_from(list(PACKS)))
def test_chunks_cut_anywhere_give_the_same(cuts: list[int], form: str) -> None:
    """Empty chunks included."""
    pack = PACKS[form]
    ends = [*sorted(cuts), len(pack)]
    chunks = [pack[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert parts(read(chunks)) == parts(read([pack]))


@settings(max_examples=70)
@given(histories())
def test_any_history_comes_back_from_both_forms(made: History) -> None:
    """Any graph, any trees, any values in any fields: bit for bit the same records."""
    for pack in (plain(made), framed(made)):
        found = checked(pack)
        assert same_records(found.commits, made.commits)
        assert found.snapshots == received(made.snapshots)
        assert found.blob_ids == list(made.blobs)


@settings(max_examples=40)
@given(histories(), st.integers(1, 6))
def test_any_part_of_a_history_leans_on_the_rest(made: History, keep: int) -> None:
    """What a receiver has is named and not sent; the records are the same."""
    before = History(
        made.commits[:keep], made.snapshots[:keep], {}, made.manifests, made.directories
    )
    known = as_known(History(before.commits, [], made.blobs, made.manifests, made.directories))
    rest = History(made.commits[keep:], made.snapshots[keep:], {}, {}, {})
    for pack in (plain(rest), framed(rest)):
        found = checked(pack, known=known)
        assert same_records(found.commits, rest.commits)
        assert found.snapshots == received(rest.snapshots)


@pytest.mark.requirement("MPACK-002")
@FORMS
def test_a_pack_cut_short_at_every_byte(form: str) -> None:
    """Every prefix is refused, and none is taken for a whole pack."""
    pack = PACKS[form]
    for length in range(len(pack)):
        assert refusal(pack[:length]).code in ("malformed", "bad_frame")


@pytest.mark.requirement("MPACK-002")
@FORMS
@pytest.mark.parametrize("tail", [b"\0", b"\xc0", b"\x80", b"more"])
def test_bytes_after_a_pack(form: str, tail: bytes) -> None:
    """In the same chunk, in the next, or much later."""
    pack = PACKS[form]
    assert refusal(pack + tail).code == "malformed"
    for chunks in ([pack, tail], [pack, b"", tail], [pack[:-1], pack[-1:] + tail]):
        with pytest.raises(ProtocolError, match="after the end"):
            read(chunks)


@pytest.mark.requirement("MPACK-001")
@pytest.mark.parametrize(
    "pack",
    [
        *(
            b"",
            b"\xc0",
            b"\x90",
            b"\xa1x",
            b"\x01",
            b"\xc1",
            b"{}",
            b"PK\3\4",
            b"\x1f\x8b",
            b"\xdf",
        ),
        *(b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x81", b"\x81\xa6format"),
    ],
)
def test_what_is_no_map(pack: bytes) -> None:
    """Nothing, another type, no msgpack, or a map that does not go on."""
    assert refusal(pack).code in ("malformed", "too_large")


@pytest.mark.requirement("MPACK-003")
@pytest.mark.parametrize(
    "pack",
    [
        packed(("meta", {}), ("meta", {})),
        packed(("format", 1), ("commits", []), ("format", 1)),
        packed(("x", 1), ("x", 1)),
        packed((1, 2)),
        packed((None, 2)),
        packed((b"meta", {})),
        packed(([], 2)),
        packed(({}, 2)),
        packed(("meta", {1: 2})),
        packed(("meta", {"a": {None: 1}})),
        packed(("x", [{1: 2}])),
        b"\x81\xa4meta\x82\xa1a\1\xa1a\1",
        b"\x81\xa1x\x91\x82\xa1a\1\xa1a\1",
        b"\x81\xa5blobs\x91\x82\xa9object_id\xa1x\xa9object_id\xa1x",
        b"\x81\xa5blobs\x91\x81\x01\x02",
        b"\x81\xa7commits\x91\x82\xa1a\1\xa1a\1",
        b"\x81\xa9snapshots\x91\x81\xacdelta_upsert\x82\xa1a\xa1x\xa1a\xa1x",
        b"\x81\xa4meta\x81\xa2\xff\xff\x01",
    ],
)
def test_keys_are_unique_texts_at_any_depth(pack: bytes) -> None:
    """In the outer map, in records, in what nobody reads."""
    assert refusal(pack).code == "malformed"


@pytest.mark.requirement("MPACK-004")
@pytest.mark.parametrize("value", [0, 2, -1, 1.0, True, False, None, "1", [1], {"1": 1}, b"\1"])
def test_a_format_that_is_not_1(value: object) -> None:
    """The integer 1 in both forms."""
    error = refusal(plain(SAMPLE, format=value))
    assert (error.code, error.requirement) == ("malformed", "MPACK-004")
    assert refusal(closed({}, [], format=value)).requirement == "MPACK-004"


@pytest.mark.requirement("MPACK-004", "MPACK-009")
def test_a_plain_pack_may_leave_out_anything() -> None:
    """The format means 1, lists are empty, and a pack of nothing is one."""
    found = read([b"\x80"])
    assert (found.framed, found.size, found.commits, found.snapshots) == (False, 1, [], [])
    assert (found.blob_ids, found.branch_heads, found.meta) == ([], {}, {})
    assert read([packed(("blobs", [BLOB]))]).blob_ids == [BLOB["object_id"]]


@pytest.mark.requirement("MPACK-009")
@pytest.mark.parametrize("key", ["commits", "snapshots", "blobs", "objects"])
@pytest.mark.parametrize("value", [None, {}, "x", b"", 1, True, [None], [1], ["x"], [[]], [b""]])
def test_records_are_lists_of_maps(key: str, value: object) -> None:
    """Another type, of the list or of a record, is `malformed`."""
    assert refusal(packed((key, value))).code == "malformed"


@pytest.mark.requirement("MPACK-009")
@pytest.mark.parametrize("key", ["branch_heads", "meta"])
@pytest.mark.parametrize("value", [None, [], "x", b"", 1, True])
def test_heads_and_meta_are_maps(key: str, value: object) -> None:
    """Or absent."""
    assert refusal(packed((key, value))).code == "malformed"


@pytest.mark.requirement("MPACK-005")
def test_objects_is_another_name_for_blobs() -> None:
    """One of the two, never both, in whatever order and though one is empty."""
    assert read([packed(("objects", [BLOB]))]).blob_ids == [BLOB["object_id"]]
    for one, other in (("blobs", "objects"), ("objects", "blobs")):
        error = refusal(packed((one, [BLOB]), ("meta", {}), (other, [])))
        assert (error.code, error.requirement) == ("malformed", "MPACK-005")


@pytest.mark.requirement("MPACK-006")
@pytest.mark.parametrize(
    ("blob", "code"),
    [
        ({}, "missing_field"),
        ({"object_id": BLOB["object_id"]}, "missing_field"),
        ({"content": b"x"}, "missing_field"),
        ({"path": "x"}, "missing_field"),
        ({**BLOB, "content": "x"}, "malformed"),
        ({**BLOB, "content": None}, "malformed"),
        ({**BLOB, "content": [b"x"]}, "malformed"),
        ({**BLOB, "content": msgpack.ExtType(1, b"x")}, "malformed"),
        ({**BLOB, "object_id": None}, "invalid_id"),
        ({**BLOB, "object_id": b"x"}, "invalid_id"),
        ({**BLOB, "object_id": [BLOB["object_id"]]}, "invalid_id"),
        ({**BLOB, "object_id": BLOB["object_id"].upper()}, "invalid_id"),
    ],
)
def test_a_blob_needs_its_id_and_its_bytes(blob: dict[str, object], code: str) -> None:
    """Both, of their types."""
    assert refusal(packed(("blobs", [blob]))).code == code


@pytest.mark.requirement("MPACK-006")
def test_other_keys_of_a_blob_are_ignored() -> None:
    """In any order, of any type."""
    blobs: list[Any] = [
        {"path": ["x"], **BLOB},
        {"content": b"x", "z": None, "object_id": BLOB["object_id"]},
    ]
    found = read([packed(("blobs", blobs))])
    assert found.blob_ids == [BLOB["object_id"]] * 2
    assert found.blob_sizes == [1, 1]


@pytest.mark.requirement("MPACK-008")
@pytest.mark.parametrize("content", [b"", b"y", b"x\n", b"x" * 100_000])
def test_a_blob_that_is_not_what_it_is_named(content: bytes) -> None:
    """The refusal names both ids."""
    error = refusal(packed(("blobs", [{**BLOB, "content": content}])))
    assert (error.code, error.requirement) == ("blob_mismatch", "MPACK-008")
    assert BLOB["object_id"] in error.detail
    assert oracle.blob_id(content) in error.detail


@pytest.mark.requirement("MPACK-009")
def test_keys_of_a_plain_pack_come_in_any_order() -> None:
    """And those that nobody knows are ignored, `frames` included."""
    parts = msgpack.unpackb(PACKS["plain"])
    backwards = packed(("summary", [1, {"x": None}]), *reversed(parts.items()), ("frames", [b""]))
    found = checked(backwards)
    assert found.commits == SAMPLE.commits
    assert not found.framed


@pytest.mark.requirement("MPACK-012")
@pytest.mark.parametrize(
    "keys",
    [
        ["format", "head"],
        ["head"],
        ["head", "format", "frames"],
        ["head", "frames", "format"],
        ["format", "frames", "head"],
        ["frames", "format", "head"],
        ["format", "head", "frames", "meta"],
        ["format", "head", "meta", "frames"],
        ["format", "meta", "head", "frames"],
        ["meta", "format", "head", "frames"],
        ["format", "head", "frames", "unknown"],
        ["format", "head", "blobs", "frames"],
        ["format", "blobs", "head", "frames"],
    ],
)
def test_a_framed_pack_has_its_keys_in_order(keys: list[str]) -> None:
    """Neither more nor fewer, and no other order."""
    outer = msgpack.unpackb(PACKS["framed"])
    parts = {**outer, "meta": {}, "blobs": [], "unknown": 1}
    error = refusal(packed(*((key, parts[key]) for key in keys)))
    assert (error.code, error.requirement) == ("malformed", "MPACK-012")


@pytest.mark.requirement("MPACK-004", "MPACK-012")
def test_a_framed_pack_may_leave_out_its_format() -> None:
    """As a plain one may: absent means 1."""
    outer = msgpack.unpackb(PACKS["framed"])
    found = checked(packed(("head", outer["head"]), ("frames", outer["frames"])))
    assert found.commits == SAMPLE.commits


@pytest.mark.requirement("MPACK-012")
@pytest.mark.parametrize("value", [None, "x", 1, [], {}])
def test_head_and_frames_are_bins(value: Any) -> None:
    """Text is not bytes."""
    head, frames = opened(PACKS["framed"])
    whole = msgpack.unpackb(PACKS["framed"])
    assert refusal(bytes(msgpack.packb({**whole, "head": value}))).code == "malformed"
    assert refusal(closed(head, [*frames[:-1], value])).code == "malformed"
    if value != []:
        assert refusal(bytes(msgpack.packb({**whole, "frames": value}))).code == "malformed"


@pytest.mark.requirement("MPACK-018")
def test_as_many_frames_as_the_head_names() -> None:
    """One more or one less is `malformed`."""
    head, frames = opened(PACKS["framed"])
    for some in ([], frames[:-1], [*frames, b""], [*frames, *frames]):
        error = refusal(closed(head, some))
        assert (error.code, error.requirement) == ("malformed", "MPACK-018")


@pytest.mark.requirement("MPACK-020", "MPACK-028")
def test_other_contents_show_in_the_manifests() -> None:
    """Blob ids are not sent: a frame of other bytes is another blob, which nobody named."""
    head, frames = opened(PACKS["framed"])
    swapped = {**head, "raw": b"\1" * len(frames)}
    other = b"".join(bytes(len(content)) for content in SAMPLE.blobs.values())
    with pytest.raises(ProtocolError) as caught:
        checked(closed(swapped, [other]))
    assert caught.value.code in ("snapshot_mismatch", "missing_object")


@pytest.mark.requirement("MPACK-026", "MPACK-027")
@pytest.mark.parametrize("make", [plain, framed])
def test_what_is_given_twice_is_accepted(make: Any) -> None:
    """Commits, snapshots and blobs; a blob nobody names; if they verify."""
    twice = History(
        SAMPLE.commits * 2, SAMPLE.snapshots * 2, SAMPLE.blobs, SAMPLE.manifests, SAMPLE.directories
    )
    pack = make(twice)
    if make is plain:
        blobs = [{"object_id": oid, "content": content} for oid, content in SAMPLE.blobs.items()]
        pack = plain(twice, blobs=[*blobs, BLOB, *blobs])
    found = checked(pack)
    assert len(found.commits) == 2 * len(SAMPLE.commits)
    assert set(found.blob_ids) >= set(SAMPLE.blobs)


@pytest.mark.requirement("MPACK-044", "MPACK-045")
@FORMS
@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_an_index_row_leads_to_its_blob(form: str, size: int) -> None:
    """The bytes at each row's place are the blob, in both forms and however the pack came."""
    pack = PACKS[form]
    found = read(pieces(pack, size))
    contents = {}
    for row in found.rows():
        frame = pack[row.frame_offset : row.frame_offset + row.frame_length]
        raw = frame if row.stored else zstandard.decompress(frame)
        contents[row.object_id] = raw[row.offset : row.offset + row.length]
    assert contents == SAMPLE.blobs


@FORMS
def test_the_key_and_the_size_are_of_the_bytes_so_far(form: str) -> None:
    """They grow with what is fed."""
    pack, fed = PACKS[form], PackReader()
    for end in (10, len(pack)):
        fed.feed(pack[fed.size : end])
        assert (fed.key, fed.size) == (oracle.mpack_key(pack[:end]), end)


def test_a_head_is_shown_before_the_frames_come() -> None:
    """So that records can be checked while blobs arrive."""
    pack = PACKS["framed"]
    heads: list[Any] = []
    fed = PackReader(on_head=heads.append)
    for number, byte in enumerate(pack):
        fed.feed(bytes([byte]))
        if heads:
            assert number < pack.index(b"\xa6frames")
            assert heads[0].commits == SAMPLE.commits
            break
    assert heads


@FORMS
def test_a_reader_that_refused_gives_no_pack(form: str) -> None:
    """Neither at once nor after more bytes, good ones included."""
    pack = PACKS[form]
    for at in (0, 5, 8, len(pack) // 2, len(pack) - 1):
        fed = PackReader()
        with pytest.raises(ProtocolError):  # noqa: PT012  the byte may be one that shows late
            fed.feed(pack[:at] + b"\xc1" + pack[at + 1 :])
            fed.close()
        for more in (b"", pack, b"\x80"):
            try:
                fed.feed(more)
            except ProtocolError:
                pass
            with pytest.raises(ProtocolError):
                fed.close()
    fed = PackReader()
    fed.feed(pack)
    with pytest.raises(ProtocolError):
        fed.feed(b"x")
    with pytest.raises(ProtocolError):
        fed.close()


def test_a_pack_is_read_from_a_file_in_pieces() -> None:
    """Any iterable of chunks will do."""
    file = BytesIO(PACKS["framed"])
    assert read(iter(lambda: file.read(100), b"")).commits == SAMPLE.commits
