"""The head of a framed pack: each column missing, wrong, too short, pointing nowhere.

One file, for each test is about one column of the same small head.
"""

from array import array
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import zstandard

from reference.wire.errors import ProtocolError
from reference.wire.heads import decode, encode
from reference.wire.pack import Limits
from reference.wire.reader import read
from tests import oracle

from .histories import SAMPLE, History, Version, checked, closed, framed, history, opened, received

HEAD, FRAMES = opened(framed(SAMPLE))
NONE = 0xFFFFFFFF


def u32(*numbers: int) -> bytes:
    """A column of little-endian numbers."""
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def changed(path: str, value: object) -> dict[str, Any]:
    """The sample's head with one entry replaced."""
    *outer, name = path.split(".")
    head = dict(HEAD)
    inner = head
    for key in outer:
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[name] = value
    return head


def at(path: str) -> Any:
    """An entry of the sample's head."""
    value: Any = HEAD
    for key in path.split("."):
        value = value[key]
    return value


def refusal(head: object) -> ProtocolError:
    """The error that refuses the sample with another head."""
    with pytest.raises(ProtocolError) as caught:
        read([closed(head, FRAMES)])
    return caught.value


@pytest.mark.requirement("MPACK-010")
def test_the_sample_is_fine_as_it_stands() -> None:
    """The tests below change a pack that is accepted."""
    assert checked(closed(HEAD, FRAMES)).commits == SAMPLE.commits


@pytest.mark.requirement("MPACK-010")
def test_columns_are_little_endian() -> None:
    """Sizes of the blobs, byte by byte, and ordinals of paths in path order."""
    assert HEAD["sizes"] == u32(*map(len, SAMPLE.blobs.values()))
    assert HEAD["paths"] == ["README.md", "empty", "src/a.py", "src/b/c.py"]
    assert HEAD["snapshots"]["base"][:8] == u32(NONE, 0)
    assert HEAD["commits"]["parents"] == bytes([0, 1, 1, 2, 1, 1])


@pytest.mark.requirement("MPACK-017")
def test_a_field_that_all_share_is_written_once() -> None:
    """Columns of one value where all agree, of all where they differ, rest for what some have."""
    commits = HEAD["commits"]
    assert commits["fields"]["author"] == [""]
    assert len(commits["fields"]["message"]) == len(SAMPLE.commits)
    assert [bool(item) for item in commits["rest"]] == [False, False, True, False, False, False]
    assert not commits["fields"].keys() & {"commit_id", "snapshot_id", "parent_commit_id"}


@pytest.mark.requirement("REC-007", "REC-008")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": True}),
        ({"n": 1}, {"n": 1.0}),
        ({"n": 0.0}, {"n": -0.0}),
        ([0], [False]),
        (1, 1.0),
        (0, False),
        (0.0, -0.0),
    ],
)
def test_values_that_python_takes_for_equal_stay_apart(one: object, other: object) -> None:
    """True is not 1 on the wire, and 0.0 is not -0.0, at any depth."""
    made = history(
        Version({"a": b""}, fields={"structured_delta": one}),
        Version({"a": b""}, fields={"structured_delta": other, "author": "x"}),
    )
    found = read([framed(made)]).commits
    assert [repr(commit["structured_delta"]) for commit in found] == [repr(one), repr(other)]


@pytest.mark.requirement("MPACK-010")
@pytest.mark.parametrize("head", [None, 1, [], b"", "x", [HEAD]])
def test_a_head_is_a_map(head: object) -> None:
    """Another type is `malformed`."""
    assert refusal(head).code == "malformed"


COLUMNS = {
    "paths": list,
    "sizes": bytes,
    "frame_counts": bytes,
    "raw": bytes,
    "snapshots": dict,
    "commits": dict,
    "external": bytes,
    "branch_heads": dict,
    "meta": dict,
    **{
        f"snapshots.{name}": bytes
        for name in ("ids", "base", "upserts", "path", "object", "removes", "removed")
    },
    "snapshots.directories": list,
    **{f"commits.{name}": bytes for name in ("ids", "snapshot", "parents", "parent")},
    "commits.fields": dict,
    "commits.rest": list,
}


@pytest.mark.requirement("MPACK-010")
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", b"bytes", [1], {"k": 1}], ids=repr)
def test_a_column_of_another_type(column: str, value: object) -> None:
    """Each key has its type, and a bin of a length that is no multiple of four is no column."""
    head = changed(column, value)
    if column in ("meta", "branch_heads", "commits") and isinstance(value, dict):
        assert read([closed(head, FRAMES)]).snapshots == received(SAMPLE.snapshots)
    else:
        assert refusal(head).code == "malformed"


@pytest.mark.requirement("MPACK-010", "MPACK-015")
@pytest.mark.parametrize(
    "column",
    [name for name, kind in COLUMNS.items() if kind is bytes and at(name) and name != "raw"],
)
@pytest.mark.parametrize("change", ["missing", "shorter", "longer", "a byte less", "a byte more"])
def test_a_column_of_another_length(column: str, change: str) -> None:
    """A column that does not fit its count is refused, whichever it is."""
    value = at(column)
    unit = 1 if column == "commits.parents" else 32 if column.endswith("ids") else 4
    changes = {
        "missing": b"",
        "shorter": value[:-unit],
        "longer": value + bytes(unit),
        "a byte less": value[:-1],
        "a byte more": value + b"\0",
    }
    assert refusal(changed(column, changes[change])).code in ("malformed", "missing_field")


@pytest.mark.requirement("MPACK-010")
def test_an_absent_column_is_an_empty_one() -> None:
    """A head of nothing is a pack of nothing."""
    found = read([closed({}, [])])
    assert (found.commits, found.snapshots, found.blob_ids) == ([], [], [])


@pytest.mark.requirement("MPACK-010")
def test_unknown_keys_of_a_head_are_ignored() -> None:
    """At the top and in the columns."""
    head = changed("commits.later", b"x")
    head["later"] = [{"x": 1}]
    assert read([closed(head, FRAMES)]).commits == SAMPLE.commits


@pytest.mark.requirement("MPACK-011")
@pytest.mark.parametrize(
    "column",
    [
        "snapshots.path",
        "snapshots.object",
        "snapshots.removed",
        "commits.snapshot",
        "commits.parent",
        "snapshots.base",
    ],
)
def test_an_ordinal_beyond_the_end(column: str) -> None:
    """The last one counts what is there and what is external; none stands only in base."""
    count = {
        "snapshots.path": len(HEAD["paths"]),
        "snapshots.removed": len(HEAD["paths"]),
        "snapshots.object": len(SAMPLE.blobs),
        "snapshots.base": len(SAMPLE.snapshots),
        "commits.snapshot": len(SAMPLE.snapshots),
        "commits.parent": len(SAMPLE.commits),
    }[column]
    for ordinal in (count, count + 1, 2**31, NONE - 1, NONE):
        if (column, ordinal) == ("snapshots.base", NONE):
            continue
        error = refusal(changed(column, u32(ordinal) + at(column)[4:]))
        assert (error.code, error.requirement) == ("malformed", "MPACK-011")


@pytest.mark.requirement("MPACK-011")
def test_an_ordinal_counts_on_through_external() -> None:
    """Behind what the pack holds of a kind comes what it only names."""
    outside = "sha256:" + "e" * 64
    head = changed("external", bytes.fromhex("e" * 64))
    head["commits"] = {**HEAD["commits"], "parent": u32(6) + HEAD["commits"]["parent"][4:]}
    head["snapshots"] = {**HEAD["snapshots"], "base": u32(5) + HEAD["snapshots"]["base"][4:]}
    found = read([closed(head, FRAMES)])
    assert found.commits[1]["parent_commit_id"] == outside
    assert found.snapshots[0]["parent_snapshot_id"] == outside


@pytest.mark.requirement("MPACK-014", "ID-007")
@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (["b", "a", "c", "d"], "malformed"),
        (["a", "a", "b", "c"], "malformed"),
        (["a/b", "a-b", "b", "c"], "malformed"),
        (["a", "b", "😀", "\uff5e"], "malformed"),
        (["a", "b", "c", b"d"], "malformed"),
        (["a", "b", "c", None], "malformed"),
        (["", "a", "b", "c"], "invalid_path"),
        (["../x", "a", "b", "c"], "invalid_path"),
        ([".muse/HEAD", "a", "b", "c"], "invalid_path"),
        (["a\0", "b", "c", "d"], "invalid_path"),
    ],
)
def test_paths_out_of_order_or_bad(paths: list[object], code: str) -> None:
    """Path order, each once, each a path."""
    assert refusal(changed("paths", paths)).code == code


@pytest.mark.requirement("MPACK-015")
@pytest.mark.parametrize(
    ("counts", "raw"),
    [
        (u32(0, len(SAMPLE.blobs)), bytes(2)),
        (u32(len(SAMPLE.blobs), 0), bytes(2)),
        (u32(len(SAMPLE.blobs) - 1), bytes(1)),
        (u32(len(SAMPLE.blobs) + 1), bytes(1)),
        (u32(NONE, len(SAMPLE.blobs) + 1), bytes(2)),
        (u32(len(SAMPLE.blobs)), b"\2"),
        (u32(len(SAMPLE.blobs)), b"\0\0"),
        (u32(len(SAMPLE.blobs)), b"\xff"),
    ],
)
def test_frames_that_do_not_add_up(counts: bytes, raw: bytes) -> None:
    """No empty frame, no blob too many or too few, flags of 0 and 1."""
    error = refusal({**HEAD, "frame_counts": counts, "raw": raw})
    assert (error.code, error.requirement) == ("malformed", "MPACK-015")


@pytest.mark.requirement("MPACK-016")
def test_an_upsert_of_one_path_twice() -> None:
    """Within one snapshot each path is named once."""
    error = refusal(changed("snapshots.path", u32(0, 0) + at("snapshots.path")[8:]))
    assert (error.code, error.requirement) == ("malformed", "MPACK-016")


@pytest.mark.requirement("MPACK-016", "SNAP-006", "ID-023")
def test_snapshots_in_columns_obey_the_rules_of_records() -> None:
    """What a plain record may not say, columns may not say either."""
    upserts, removes = array("I", at("snapshots.upserts")), array("I", at("snapshots.removes"))
    assert upserts[0] == 2
    assert removes[0] == 0
    twice = {
        **HEAD["snapshots"],
        "removes": u32(1, *removes[1:]),
        "removed": u32(0) + at("snapshots.removed"),
    }
    assert refusal({**HEAD, "snapshots": twice}).requirement == "SNAP-006"
    listed = [u32(1, 1), *at("snapshots.directories")[1:]]
    assert refusal(changed("snapshots.directories", listed)).code == "path_conflict"
    for bad in ("x", 1, [1], b"\0\0\0", u32(99)):
        listed = [bad, *at("snapshots.directories")[1:]]
        assert refusal(changed("snapshots.directories", listed)).code == "malformed"


def with_fields(change: Callable[[dict[str, Any], list[dict[str, Any]]], None]) -> Any:
    """The sample's head with other fields and rest."""
    fields, rest = dict(at("commits.fields")), [dict(item) for item in at("commits.rest")]
    change(fields, rest)
    return {**HEAD, "commits": {**HEAD["commits"], "fields": fields, "rest": rest}}


@pytest.mark.requirement("MPACK-017")
@pytest.mark.parametrize(
    "change",
    [
        lambda fields, rest: fields.update(author=[]),
        lambda fields, rest: fields.update(author=["a", "b"]),
        lambda fields, rest: fields.update(author=["a"] * 7),
        lambda fields, rest: fields.update(author="a"),
        lambda fields, rest: fields.update(author=None),
        lambda fields, rest: fields.update(author={"0": "a"}),
        *(
            lambda fields, rest, name=name: fields.update({name: [None]})
            for name in ("commit_id", "snapshot_id", "parent_commit_id", "parent2_commit_id")
        ),
        *(
            lambda fields, rest, name=name: rest[0].update({name: None})
            for name in ("commit_id", "snapshot_id", "parent_commit_id", "parent2_commit_id")
        ),
        lambda fields, rest: rest[0].update(message="again"),
        lambda fields, rest: rest[5].update(author="again"),
        lambda fields, rest: rest.__setitem__(0, []),
        lambda fields, rest: rest.__setitem__(0, None),
        lambda fields, rest: rest.__setitem__(0, "x"),
    ],
)
def test_fields_that_do_not_fit(change: Any) -> None:
    """One value or one for each, none of the four that are columns, none in both places."""
    error = refusal(with_fields(change))
    assert (error.code, error.requirement) == ("malformed", "MPACK-017")


@pytest.mark.requirement("MPACK-010")
@pytest.mark.parametrize("rest", [[{}], [{}] * 5, [{}] * 7])
def test_rest_has_a_map_for_each_commit(rest: list[dict[str, Any]]) -> None:
    """Or there is none at all."""
    assert refusal(changed("commits.rest", rest)).code == "malformed"
    assert read([closed(changed("commits.rest", []), FRAMES)]).blob_ids


@pytest.mark.requirement("MPACK-017", "REC-003", "REC-004", "REC-005", "REC-009")
@pytest.mark.parametrize(
    "change",
    [
        lambda fields, rest: fields.update(author=[None]),
        lambda fields, rest: fields.update(author=["a\0b"]),
        lambda fields, rest: fields.update(author=[b"a"]),
        lambda fields, rest: fields.update(committed_at=["yesterday"]),
        lambda fields, rest: fields.update({"x": [b""]}),
        lambda fields, rest: fields.update({"x": [float("nan")]}),
        lambda fields, rest: fields.update({"x": [msgpack.ExtType(5, b"")]}),
        lambda fields, rest: fields.update({"x\0": [1]}),
        lambda fields, rest: rest[0].update(x=b""),
        lambda fields, rest: rest[0].update(x={"k": ["\0"]}),
        lambda fields, rest: rest[0].update({"\0": 1}),
    ],
)
def test_commits_in_columns_obey_the_rules_of_records(change: Any) -> None:
    """What a plain record may not hold, columns may not hold either."""
    assert refusal(with_fields(change)).code == "malformed"


@pytest.mark.requirement("REC-001")
@pytest.mark.parametrize("name", ["message", "committed_at"])
def test_a_required_field_that_no_column_has(name: str) -> None:
    """Like a plain record without it."""
    error = refusal(with_fields(lambda fields, rest: fields.pop(name)))
    assert (error.code, error.requirement) == ("missing_field", "REC-001")


@pytest.mark.requirement("REC-010")
def test_more_than_two_parents() -> None:
    """0, 1 or 2, and two that differ."""
    assert (
        refusal(changed("commits.parents", b"\3" + at("commits.parents")[1:])).code == "malformed"
    )
    assert refusal(changed("commits.parent", u32(0, 0, 1, 1, 3, 4))).requirement == "REC-010"


@pytest.mark.requirement("MPACK-013", "MPACK-001", "MPACK-002", "MPACK-003")
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x81",
        msgpack.packb(HEAD)[:-1],
        msgpack.packb(HEAD) + b"\0",
        msgpack.packb(HEAD) + msgpack.packb(HEAD),
        b"\x82\xa4meta\x80\xa4meta\x80",
        b"\x81\xa4meta\x82\xa1a\1\xa1a\1",
        b"\x81\x01\x02",
        b"\x81\xc4\x04meta\x80",
        b"\x81\xa4meta\x81\x01\x02",
        b"\x81\xa4meta\x81\xc0\x02",
        b"\x81\xa4meta\x81\x90\x02",
        b"\x81\xa4meta\x81\x80\x02",
        b"\x81\xa2\xff\xff\x80",
        b"\xc1",
    ],
)
def test_a_head_that_is_not_one_map_of_unique_texts(raw: bytes) -> None:
    """The rules of the container hold inside too."""
    pack = msgpack.packb({"format": 1, "head": zstandard.compress(raw), "frames": FRAMES})
    with pytest.raises(ProtocolError) as caught:
        read([pack])
    assert caught.value.code == "malformed"


def refused_head(head: bytes) -> ProtocolError:
    """The error that refuses a pack with these bytes as its head."""
    pack = msgpack.packb({"format": 1, "head": head, "frames": FRAMES})
    with pytest.raises(ProtocolError) as caught:
        read([pack])
    return caught.value


@pytest.mark.requirement("MPACK-013", "MPACK-030", "MPACK-031", "MPACK-035")
def test_the_head_is_a_frame_like_any_other() -> None:
    """Magic, declared size, no tail, nothing cut, and no second frame."""
    raw = msgpack.packb(HEAD)
    whole = zstandard.compress(raw)
    assert refused_head(raw).requirement == "MPACK-030"
    assert refused_head(b"").requirement == "MPACK-030"
    undeclared = zstandard.ZstdCompressor(write_content_size=False).compress(raw)
    assert refused_head(undeclared).requirement == "MPACK-031"
    for bad in (whole[:-1], whole + b"\0", whole + whole, whole + zstandard.compress(b"")):
        assert refused_head(bad).code == "bad_frame"
    for length in range(0, len(whole), 7):
        assert refused_head(whole[:length]).code == "bad_frame"


@pytest.mark.requirement("MPACK-033", "MPACK-034", "MPACK-041")
def test_the_head_is_judged_by_its_header() -> None:
    """A large window, a dictionary and a size beyond the limit are refused before any memory."""
    header = b"\x28\xb5\x2f\xfd\xc0"
    size = (5).to_bytes(8, "little")
    assert refused_head(header + b"\x69" + size + b"\x29\0\0hello").requirement == "MPACK-033"
    assert refused_head(b"\x28\xb5\x2f\xfd\x23\x07\0\0\0\5").code == "bad_frame"
    huge = header + b"\x68" + (2**40).to_bytes(8, "little") + b"\x29\0\0hello"
    error = refused_head(huge)
    assert (error.code, error.requirement) == ("too_large", "MPACK-041")


def test_a_head_needs_no_blob_twice() -> None:
    """Encoding gives each outside id one ordinal, however often and as whatever it is named."""
    outside = "sha256:" + "f" * 64
    snapshot = {
        "snapshot_id": outside,
        "parent_snapshot_id": outside,
        "delta_upsert": {"a": outside, "b": outside},
        "delta_remove": [],
    }
    head = encode([], received([snapshot]), [], [], [], {}, {})
    assert head["external"] == bytes.fromhex("f" * 64)
    assert head["snapshots"]["object"] == u32(0, 0)
    assert decode(head, Limits()).snapshots([])[0]["delta_upsert"] == snapshot["delta_upsert"]


@pytest.mark.requirement("MPACK-024", "MPACK-025")
def test_commits_come_in_any_order() -> None:
    """A child before its parents is no fault."""
    made = History(
        SAMPLE.commits[::-1], SAMPLE.snapshots, SAMPLE.blobs, SAMPLE.manifests, SAMPLE.directories
    )
    found = checked(framed(made))
    assert found.commits == made.commits
    assert {oracle.commit_id(commit) for commit in found.commits} == {
        commit["commit_id"] for commit in SAMPLE.commits
    }
