"""Commit records: fields, defaults, what is refused, and signatures of authors."""

from __future__ import annotations

from typing import Any

import pytest

from conformance import oracle, packs
from conformance.expectations import only_if_right, refused, requirement, unchanged
from conformance.histories import altered, child_of, commit
from conformance.repository import Repository

DEFAULTS: dict[str, Any] = {
    "parent_commit_id": None,
    "parent2_commit_id": None,
    "author": "",
    "signer_public_key": "",
    "branch": "",
    "metadata": {},
    "structured_delta": None,
    "sem_ver_bump": "none",
    "breaking_changes": [],
    "agent_id": "",
    "model_id": "",
    "toolchain_id": "",
    "prompt_hash": "",
    "signature": "",
    "signer_key_id": "",
    "format_version": 7,
}
REQUIRED = ("commit_id", "snapshot_id", "message", "committed_at")


def deep(levels: int) -> Any:
    """A value nested that deep."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def set_field(field: str, value: Any, rehash: bool = True) -> Any:
    """Bends a pack: its first commit gets a field, and the id that then belongs to it."""

    def bend(pack: packs.Value) -> None:
        record = pack["commits"][0]
        record[field] = value
        if rehash and field != "commit_id":
            try:
                record["commit_id"] = oracle.commit_id(record)
            except (TypeError, AttributeError, UnicodeEncodeError):
                pass  # no id is right for it

    return bend


@requirement("REC-001")
@pytest.mark.parametrize("field", REQUIRED)
def test_a_commit_needs_four_fields(repo: Repository, field: str) -> None:
    """A commit without one of its required fields is refused as such."""
    only_if_right(repo, commit("a"), lambda p: p["commits"][0].pop(field), "missing_field")


@requirement("REC-001")
def test_a_message_may_be_empty(repo: Repository) -> None:
    """An empty message is a message."""
    tip = commit("", files={"a": repo.slug.encode()})
    repo.push(tip)
    assert repo.commit(tip.id)["message"] == ""


@requirement("REC-002", "HTTP-031")
@pytest.mark.parametrize("framed", [False, True], ids=["plain", "framed"])
def test_defaults_are_filled_in(framed_repo: Repository, framed: bool) -> None:
    """A commit of four fields is served with every known field, by route and by pack."""
    repo = framed_repo
    tip = commit("a", author="")
    bare = {name: tip.record[name] for name in REQUIRED}
    repo.push_body(packs.encode({**packs.plain(tip), "commits": [bare]}), tip.id)
    wanted = {**DEFAULTS, **bare}
    assert repo.commit(tip.id) == wanted
    assert {**DEFAULTS, **repo.fetch(tip, framed=framed).pack.commits[tip.id]} == wanted


WRONG: list[tuple[str, Any]] = [
    *[(name, 7) for name in DEFAULTS if name not in ("format_version", "structured_delta")],
    *[(name, 7) for name in REQUIRED],
    *[(name, None) for name in DEFAULTS if "parent" not in name and name != "structured_delta"],
    ("format_version", True),
    ("format_version", "7"),
    ("format_version", 7.5),
    ("sem_ver_bump", "huge"),
    ("breaking_changes", [1]),
    ("breaking_changes", {"a": 1}),
    ("metadata", []),
]


@requirement("REC-003")
@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_field_of_another_type_is_refused(repo: Repository, field: str, value: Any) -> None:
    """A wrong type is malformed, a wrong id no id; null is a value for few fields."""
    codes = ["invalid_id", "malformed"] if field.endswith("_id") else ["malformed"]
    only_if_right(repo, commit("a"), set_field(field, value), *codes)


@requirement("REC-004")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message", "a\0b"),
        ("author", "\0"),
        ("branch", "a\0"),
        ("agent_id", "\0"),
        ("metadata", {"a\0": 1}),
        ("metadata", {"a": ["\0"]}),
        ("breaking_changes", ["\0"]),
        ("unheard_of", {"deep": {"er": "\0"}}),
        ("message", "\ud800"),
        ("unheard_of", ["\udfff"]),
    ],
)
def test_no_text_holds_a_nul_or_half_a_character(repo: Repository, field: str, value: Any) -> None:
    """NUL and lone surrogates are refused in known and unknown fields, keys and nested values."""
    only_if_right(repo, commit("a"), set_field(field, value), "malformed")


@requirement("REC-005")
@pytest.mark.parametrize(
    "value", [b"bytes", float("nan"), float("inf"), [float("-inf")], {"a": b""}], ids=repr
)
def test_values_are_those_of_json(repo: Repository, value: Any) -> None:
    """Byte strings, NaN and infinities are refused wherever they stand."""
    only_if_right(repo, commit("a"), set_field("unheard_of", value), "malformed")


@requirement("REC-006")
def test_values_may_be_64_deep(repo: Repository) -> None:
    """A depth of 64 is accepted and comes back; one that is far deeper is refused."""
    tip = altered(commit("a"), unheard_of=deep(63))
    only_if_right(repo, tip, set_field("unheard_of", deep(400)), "malformed")
    assert repo.commit(tip.id)["unheard_of"] == deep(63)


UNKNOWN: dict[str, Any] = {
    "reviewed_by": "bob",
    "a number": 1.5,
    "big": 2**53 - 1,
    "negative": -7,
    "flags": [True, False, None],
    "map": {"": {"\U0001f600": []}},
    "empty": "",
}


@requirement("REC-007", "HTTP-031")
def test_unknown_fields_are_kept(repo: Repository) -> None:
    """Fields nobody knows come back with their values, by route and in every pack."""
    tip = altered(commit("a"), **UNKNOWN)
    repo.push(tip)
    served = [repo.commit(tip.id), repo.fetch(tip).pack.commits[tip.id]]
    if repo.takes_framed():
        served.append(repo.fetch(tip, framed=True).pack.commits[tip.id])
    for record in served:
        assert {name: record.get(name) for name in UNKNOWN} == UNKNOWN


@requirement("REC-008")
def test_a_commit_is_served_as_it_was_stored(repo: Repository) -> None:
    """Texts are not trimmed, values not dropped, times not re-rendered."""
    fields = {"metadata": {"empty": "", "none": None, "list": []}, "breaking_changes": [" a "]}
    tip = altered(commit("  padded \n", committed_at="2026-01-01T01:00:00.50+01:00"), **fields)
    repo.push(tip)
    repo.holds(tip)


BAD_TIMES = [
    "2026-01-01",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00+0100",
    "2026-01-01T00:00:00.Z",
    "2026-01-01t00:00:00z",
    "2026-01-01T00:00:00Z\n",
    "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "",
]


@requirement("REC-009")
@pytest.mark.parametrize("text", BAD_TIMES)
def test_other_times_are_refused(repo: Repository, text: str) -> None:
    """Another form, or a date that is not in the calendar, is malformed."""
    only_if_right(repo, commit("a"), set_field("committed_at", text), "malformed")


@requirement("REC-010")
@pytest.mark.parametrize("first", [False, True], ids=["without a first", "the same twice"])
def test_a_second_parent_needs_another_first(repo: Repository, first: bool) -> None:
    """A second parent without a first, or the same as it, is malformed."""
    root = repo.given(commit("root"))
    tip = child_of(root)
    value = packs.plain(tip, known=[root])
    wrong = {"parent_commit_id": root.id if first else None, "parent2_commit_id": root.id}
    record = {**tip.record, **wrong}
    record["commit_id"] = oracle.commit_id(record)
    with unchanged(repo, tip), refused(422, "malformed"):
        repo.push_body(packs.encode({**value, "commits": [record]}), str(record["commit_id"]))
    repo.push(tip)


@requirement("REC-011")
@pytest.mark.parametrize("field", ["message", "author", "committed_at", "signer_public_key"])
def test_a_commit_that_is_not_its_id_is_refused(repo: Repository, field: str) -> None:
    """Each identifying text, changed without the id, shows."""
    value = "2027-01-01T00:00:00Z" if field == "committed_at" else "another"
    bend = set_field(field, value, rehash=False)
    only_if_right(repo, commit("a"), bend, "commit_mismatch")


@requirement("REC-012")
def test_the_branch_of_a_record_decides_nothing(repo: Repository) -> None:
    """It is kept, need not be a branch name, and moves no branch."""
    tip = altered(commit("a"), branch="../not a branch\\")
    repo.push(tip, branch="main")
    assert repo.commit(tip.id)["branch"] == "../not a branch\\"
    assert repo.heads() == {"main": tip.id}


@requirement("REC-013")
@pytest.mark.parametrize("number", [0, 1, 6, 8, 10**6])
def test_an_unknown_format_version_is_kept(repo: Repository, number: int) -> None:
    """A number nobody knows is no reason to refuse a commit."""
    tip = altered(commit("a"), format_version=number)
    repo.push(tip)
    assert repo.commit(tip.id)["format_version"] == number


@requirement("REC-015")
def test_the_author_is_free_text(repo: Repository) -> None:
    """The author need not be whoever signs the request."""
    tip = commit("a", author="somebody else <x@example.org>")
    repo.push(tip)
    assert repo.commit(tip.id)["author"] == tip.record["author"]
