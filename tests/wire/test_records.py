"""Commit and snapshot records: each field missing, wrong, or holding what JSON cannot.

One file, a short test for each field of the same two records.
"""

from typing import Any

import msgpack
import pytest
from hypothesis import given

from reference.wire.errors import ProtocolError
from reference.wire.records import DEPTH, check_commit, check_snapshot, check_time, parents

from .strategies import fields, json_values

OID = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
COMMIT: dict[str, Any] = {
    "commit_id": OID,
    "snapshot_id": OTHER,
    "message": "m",
    "committed_at": "2026-01-01T00:00:00Z",
}
DEFAULTS: dict[str, Any] = {
    "branch": "",
    "parent_commit_id": None,
    "parent2_commit_id": None,
    "author": "",
    "metadata": {},
    "structured_delta": None,
    "sem_ver_bump": "none",
    "breaking_changes": [],
    "agent_id": "",
    "model_id": "",
    "toolchain_id": "",
    "prompt_hash": "",
    "signature": "",
    "signer_public_key": "",
    "signer_key_id": "",
    "format_version": 7,
}
IDS = ("commit_id", "snapshot_id", "parent_commit_id", "parent2_commit_id")
TEXTS = (
    *("message", "branch", "author", "agent_id", "model_id", "toolchain_id"),
    *("prompt_hash", "signature", "signer_public_key", "signer_key_id"),
)
NO_TEXT = [None, 1, True, 1.5, b"x", ["x"], {"x": "x"}]


def refusal(check: Any, value: object) -> ProtocolError:
    """The error that refuses `value`."""
    with pytest.raises(ProtocolError) as caught:
        check(value)
    return caught.value


def nested(depth: int) -> Any:
    """Lists and maps in turn, `depth` of them around a number."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


@pytest.mark.requirement("REC-002")
def test_defaults_are_filled_in() -> None:
    """A commit of the four required fields gets every other one of the table."""
    assert check_commit(COMMIT) == {**COMMIT, **DEFAULTS}


def test_defaults_are_not_shared() -> None:
    """Changing the metadata of one commit changes no other."""
    check_commit(COMMIT)["metadata"]["x"] = 1
    check_commit(COMMIT)["breaking_changes"].append("x")
    assert check_commit(COMMIT)["metadata"] == {}
    assert check_commit(COMMIT)["breaking_changes"] == []


@pytest.mark.requirement("REC-001")
@pytest.mark.parametrize("name", list(COMMIT))
def test_a_required_field_is_missing(name: str) -> None:
    """Each of the four is needed, and the refusal names it."""
    error = refusal(check_commit, {key: COMMIT[key] for key in COMMIT if key != name})
    assert (error.code, error.requirement) == ("missing_field", "REC-001")
    assert name in error.detail


@pytest.mark.requirement("REC-001")
def test_a_message_may_be_empty() -> None:
    """Empty text is text."""
    assert check_commit({**COMMIT, "message": ""})["message"] == ""


@pytest.mark.requirement("REC-003")
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", NO_TEXT, ids=repr)
def test_a_text_of_another_type(name: str, value: object) -> None:
    """Null, numbers, bytes, lists and maps are no texts."""
    assert refusal(check_commit, {**COMMIT, name: value}).code == "malformed"


@pytest.mark.requirement("REC-003", "ID-002")
@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("value", ["", "x", OID[7:], OID.upper(), OID + "\n", 1, b"x", [], False])
def test_an_id_that_is_none(name: str, value: object) -> None:
    """A wrong id is `invalid_id`, whatever its type."""
    error = refusal(check_commit, {**COMMIT, name: value})
    assert error.code == "invalid_id"
    assert name in error.detail


@pytest.mark.requirement("REC-003")
def test_null_is_a_value_only_where_the_table_says_so() -> None:
    """The parents, the structured delta and unknown fields may be null, and nothing else."""
    nullable = {"parent_commit_id", "parent2_commit_id", "structured_delta"}
    assert check_commit({**COMMIT, **dict.fromkeys(nullable), "other": None})["other"] is None
    for name in (COMMIT.keys() | DEFAULTS.keys()) - nullable:
        assert refusal(check_commit, {**COMMIT, name: None}).code in ("malformed", "invalid_id")


@pytest.mark.requirement("REC-003")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata", []),
        ("metadata", "x"),
        ("metadata", 1),
        ("metadata", [["a", "b"]]),
        ("breaking_changes", {}),
        ("breaking_changes", "x"),
        ("breaking_changes", [1]),
        ("breaking_changes", [None]),
        ("breaking_changes", [["x"]]),
        ("sem_ver_bump", "huge"),
        ("sem_ver_bump", "Major"),
        ("sem_ver_bump", ""),
        ("sem_ver_bump", 0),
        ("sem_ver_bump", ["none"]),
        ("sem_ver_bump", {"none": 1}),
        ("format_version", True),
        ("format_version", False),
        ("format_version", 7.0),
        ("format_version", "7"),
    ],
)
def test_other_fields_of_another_type(name: str, value: object) -> None:
    """Maps, lists, bumps and numbers are what the table says; true is not 1."""
    error = refusal(check_commit, {**COMMIT, name: value})
    assert (error.code, error.requirement) == ("malformed", "REC-003")


@pytest.mark.requirement("REC-013")
@pytest.mark.parametrize("value", [0, -1, 8, 2**63])
def test_any_format_version_is_kept(value: int) -> None:
    """A number nobody knows yet is no reason to refuse."""
    assert check_commit({**COMMIT, "format_version": value})["format_version"] == value


@pytest.mark.requirement("REC-004")
@pytest.mark.parametrize("bad", ["\0", "a\0b", "\ud800", "a\udfff"])
@pytest.mark.parametrize(
    "place",
    [
        *(lambda bad, name=name: {name: bad} for name in TEXTS),
        lambda bad: {"metadata": {"k": bad}},
        lambda bad: {"metadata": {bad: "v"}},
        lambda bad: {"metadata": {"k": [{"k": bad}]}},
        lambda bad: {"breaking_changes": [bad]},
        lambda bad: {"structured_delta": bad},
        lambda bad: {"structured_delta": [{bad: 1}]},
        lambda bad: {"unknown": bad},
        lambda bad: {"unknown": {"k": [bad]}},
        lambda bad: {bad: "unknown"},
    ],
)
def test_no_text_holds_a_nul_or_a_lone_surrogate(place: Any, bad: str) -> None:
    """Not in a known field, not in an unknown one, not in a key, at no depth."""
    error = refusal(check_commit, {**COMMIT, **place(bad)})
    assert (error.code, error.requirement) == ("malformed", "REC-004")


@pytest.mark.requirement("REC-005")
@pytest.mark.parametrize(
    "value",
    [b"", b"x", float("nan"), float("inf"), float("-inf"), msgpack.ExtType(1, b""), {1: 2}, (1,)],
    ids=repr,
)
@pytest.mark.parametrize("name", ["metadata", "structured_delta", "unknown"])
def test_values_json_cannot_hold(name: str, value: object) -> None:
    """Byte strings, extensions, NaN and infinities are refused wherever values are free."""
    for item in ({"k": value}, {"k": [value]}, {"k": {"k": value}}):
        assert refusal(check_commit, {**COMMIT, name: item}).code == "malformed"


@pytest.mark.requirement("REC-006")
@pytest.mark.parametrize("name", ["metadata", "structured_delta", "unknown"])
def test_nesting_has_a_depth(name: str) -> None:
    """Sixty-four lists and maps in one another are fine, one more is not."""
    deepest = nested(DEPTH) if name != "metadata" else {"k": nested(DEPTH - 1)}
    assert check_commit({**COMMIT, name: deepest})[name] == deepest
    error = refusal(check_commit, {**COMMIT, name: {"k": deepest}})
    assert (error.code, error.requirement) == ("malformed", "REC-006")


@pytest.mark.requirement("REC-006")
def test_depth_beyond_all_measure_is_no_crash() -> None:
    """A hundred thousand levels are refused like sixty-five, wherever they stand."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for name in (*COMMIT, *DEFAULTS, "unknown"):
        assert refusal(check_commit, {**COMMIT, name: deep}).code in ("malformed", "invalid_id")


@pytest.mark.requirement("REC-007")
@given(json_values)
def test_unknown_fields_are_kept(value: object) -> None:
    """Whatever JSON can hold comes back as it was."""
    assert repr(check_commit({**COMMIT, "x": value})["x"]) == repr(value)


@pytest.mark.requirement("REC-008")
@given(fields)
def test_values_are_kept_as_they_came(record: dict[str, Any]) -> None:
    """No time is re-rendered, no text trimmed, no empty value dropped."""
    found = check_commit({**COMMIT, **record})
    assert {name: repr(found[name]) for name in record} == {k: repr(v) for k, v in record.items()}


@pytest.mark.requirement("REC-009")
@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T23:59:59-23:59",
        "2026-01-01T00:00:00.0Z",
        "2026-01-01T00:00:00.123456789012345678901234567890Z",
        "2024-02-29T12:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59+23:59",
    ],
)
def test_times_that_are_fine(text: str) -> None:
    """The text itself is what is kept."""
    assert check_time("committed_at", text) == text


@pytest.mark.requirement("REC-009")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01t00:00:00z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00+0000",
        "2026-01-01T00:00:00+00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "2026-1-1T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        " 2026-01-01T00:00:00Z",
        "2026-W01-1T00:00:00Z",
        "20260101T000000Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00\u221205:00",
        1767225600,
        None,
        b"2026-01-01T00:00:00Z",
        [],
    ],
)
def test_times_that_are_refused(value: object) -> None:
    """Another form, a date that is not in the calendar, digits that are not ASCII."""
    error = refusal(check_commit, {**COMMIT, "committed_at": value})
    assert (error.code, error.requirement) == ("malformed", "REC-009")


@pytest.mark.requirement("REC-010")
@pytest.mark.parametrize("first", [None, OTHER])
def test_a_second_parent_needs_another_first(first: str | None) -> None:
    """A second parent alone, or the same one twice, is `malformed`."""
    error = refusal(check_commit, {**COMMIT, "parent_commit_id": first, "parent2_commit_id": OTHER})
    assert (error.code, error.requirement) == ("malformed", "REC-010")


def test_parents_are_listed_first_parent_first() -> None:
    """None, one or two ids."""
    assert parents(COMMIT) == []
    assert parents({"parent_commit_id": OID, "parent2_commit_id": None}) == [OID]
    assert parents({"parent_commit_id": OTHER, "parent2_commit_id": OID}) == [OTHER, OID]


@pytest.mark.requirement("REC-012", "REC-015")
def test_branch_and_author_are_remarks() -> None:
    """Neither has to be a valid name of anything."""
    record = {**COMMIT, "branch": "../..", "author": "Ünal <u@example> "}
    assert check_commit(record) == {**DEFAULTS, **record}


@pytest.mark.parametrize("value", [None, [], "x", 1, b"", [COMMIT]])
def test_a_record_is_a_map(value: object) -> None:
    """Anything else is `malformed`."""
    assert refusal(check_commit, value).code == "malformed"
    assert refusal(check_snapshot, value).code == "malformed"


def test_the_name_of_a_field_is_text() -> None:
    """A record from Python with another key is refused, not stored."""
    record: dict[Any, Any] = {**COMMIT, 1: 2}
    assert refusal(check_commit, record).code == "malformed"


def test_a_huge_name_of_a_field_makes_no_huge_error() -> None:
    """What an attacker chose is quoted in part only."""
    error = refusal(check_commit, {**COMMIT, "n" * 1_000_000: b"", "x": 1})
    assert len(error.detail) < 300


SNAPSHOT: dict[str, Any] = {"snapshot_id": OID}


@pytest.mark.requirement("SNAP-001")
def test_a_snapshot_of_its_id_alone() -> None:
    """Everything else has its default, and absent directories stay absent."""
    expected: dict[str, Any] = {
        "snapshot_id": OID,
        "parent_snapshot_id": None,
        "delta_upsert": {},
        "delta_remove": [],
    }
    assert check_snapshot(SNAPSHOT) == expected
    assert check_snapshot({**SNAPSHOT, "directories": None}) == expected


@pytest.mark.requirement("SNAP-001")
def test_a_snapshot_without_its_id() -> None:
    """The one required field."""
    error = refusal(check_snapshot, {"delta_upsert": {}})
    assert (error.code, error.requirement) == ("missing_field", "SNAP-001")


@pytest.mark.requirement("SNAP-002")
@pytest.mark.parametrize("value", [None, {}, [], {"a": OID}])
def test_a_snapshot_has_no_manifest(value: object) -> None:
    """The key is refused, whatever it holds."""
    error = refusal(check_snapshot, {**SNAPSHOT, "manifest": value})
    assert (error.code, error.requirement) == ("malformed", "SNAP-002")


@pytest.mark.requirement("SNAP-001")
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("snapshot_id", None, "invalid_id"),
        ("snapshot_id", OID[:-1], "invalid_id"),
        ("parent_snapshot_id", "", "invalid_id"),
        ("parent_snapshot_id", 1, "invalid_id"),
        ("delta_upsert", None, "malformed"),
        ("delta_upsert", [], "malformed"),
        ("delta_upsert", [["a", OID]], "malformed"),
        ("delta_upsert", "x", "malformed"),
        ("delta_upsert", {"a": None}, "invalid_id"),
        ("delta_upsert", {"a": OID[7:]}, "invalid_id"),
        ("delta_upsert", {"a": OID.encode()}, "invalid_id"),
        ("delta_upsert", {"/a": OID}, "invalid_path"),
        ("delta_upsert", {"": OID}, "invalid_path"),
        ("delta_upsert", {1: OID}, "malformed"),
        ("delta_remove", None, "malformed"),
        ("delta_remove", {}, "malformed"),
        ("delta_remove", "a", "malformed"),
        ("delta_remove", ["../a"], "invalid_path"),
        ("delta_remove", [None], "malformed"),
        ("delta_remove", [["a"]], "malformed"),
        ("directories", {}, "malformed"),
        ("directories", "a", "malformed"),
        ("directories", [1], "malformed"),
        ("directories", [["a"]], "malformed"),
        ("directories", ["a/"], "invalid_path"),
        ("directories", ["a", "a"], "path_conflict"),
        ("directories", False, "malformed"),
    ],
)
def test_a_snapshot_field_that_is_wrong(name: str, value: object, code: str) -> None:
    """Each wrong type, id and path has its code."""
    assert refusal(check_snapshot, {**SNAPSHOT, name: value}).code == code


@pytest.mark.requirement("SNAP-006")
@pytest.mark.parametrize("removed", [["a", "a"], ["b", "a"], ["b"]])
def test_a_delta_that_contradicts_itself(removed: list[str]) -> None:
    """A path removed twice, or both written and removed, is `malformed`."""
    record = {**SNAPSHOT, "delta_upsert": {"b": OID}, "delta_remove": removed}
    error = refusal(check_snapshot, record)
    assert (error.code, error.requirement) == ("malformed", "SNAP-006")


@pytest.mark.requirement("REC-014")
def test_unknown_fields_of_a_snapshot_are_dropped() -> None:
    """Unlike those of a commit."""
    assert "summary" not in check_snapshot({**SNAPSHOT, "summary": {"x": b""}})


@pytest.mark.requirement("SNAP-003")
def test_an_empty_list_of_directories_is_kept() -> None:
    """Empty is not absent: it says that there is none."""
    assert check_snapshot({**SNAPSHOT, "directories": []})["directories"] == []
    assert check_snapshot({**SNAPSHOT, "directories": ["b", "a"]})["directories"] == ["b", "a"]
