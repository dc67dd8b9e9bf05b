"""Counts, retries, and the parameters of a push."""

from __future__ import annotations

import pytest

from conformance import oracle, packs
from conformance.checks.conftest import NewRepository
from conformance.expectations import check_refusal, fail, refused, requirement, unchanged
from conformance.histories import (
    altered,
    chain,
    child_of,
    commit,
)
from conformance.repository import Repository

COUNTS = ("commits_written", "snapshots_written", "blobs_written")


@requirement("PUSH-015", "DP5")
def test_counts_are_what_is_new(repo: Repository) -> None:
    """Commits, snapshots and blobs that this repository did not have."""
    root = commit("root", files={"a": b"1", "b": b"2", "c": b"1"})
    answer = repo.push(root)
    assert [answer[name] for name in COUNTS] == [1, 1, 2]
    same_tree = child_of(root, files={})
    repo.accepted.clear()
    answer = repo.push(root, same_tree)
    assert [answer[name] for name in COUNTS] == [1, 0, 0]
    answer = repo.push(child_of(same_tree, files={"d": b"4", "e": b"2"}))
    assert ([answer[name] for name in COUNTS], answer["ok"]) == ([1, 1, 1], True)


@requirement("PUSH-015")
def test_counts_do_not_depend_on_other_repositories(new_repo: NewRepository) -> None:
    """What another repository has is new here all the same."""
    one, two = new_repo(), new_repo()
    tip = chain(3)[-1]
    first, second = one.push(tip), two.push(tip)
    assert [first[name] for name in COUNTS] == [second[name] for name in COUNTS] == [3, 3, 3]


@requirement("PUSH-016", "BP4", "K1")
@pytest.mark.parametrize("how", ["whole push", "unpack only"])
def test_a_retry_succeeds_and_changes_nothing(repo: Repository, how: str) -> None:
    """The same push again is 200 with nothing written."""
    tip = commit("a")
    raw = repo.pack(tip)
    first = repo.unpack(repo.upload(raw), tip.id)
    assert [first[name] for name in COUNTS] == [1, 1, 1]
    with unchanged(repo):
        if how == "whole push":
            again = repo.unpack(repo.upload(raw), tip.id)
        else:
            again = repo.unpack(oracle.digest(raw), tip.id)
    assert ([again[name] for name in COUNTS], again["ok"]) == ([0, 0, 0], True)
    repo.holds(tip)


@requirement("PUSH-016", "BP4", "K1")
def test_a_retry_by_body_succeeds_too(repo: Repository) -> None:
    """A pack sent as the body twice is written once."""
    tip = commit("a")
    raw = repo.pack(tip)
    repo.push_body(raw, tip.id)
    again = repo.push_body(raw, tip.id)
    assert [again[name] for name in COUNTS] == [0, 0, 0]


@requirement("PUSH-016", "PUSH-009")
def test_a_retry_after_the_branch_moved_on_is_refused(repo: Repository) -> None:
    """What was the head is an ancestor now."""
    tip = commit("a")
    raw = repo.pack(tip)
    repo.push(tip)
    repo.push(child_of(tip))
    with unchanged(repo), refused(409, "not_fast_forward"):
        repo.unpack(oracle.digest(raw), tip.id)


@requirement("PUSH-017")
@pytest.mark.parametrize("field", ["metadata", "agent_id", "branch", "unheard_of"])
def test_the_first_record_stays(repo: Repository, field: str) -> None:
    """A later push of the same id with other metadata succeeds and overwrites nothing."""
    first, second = ({"n": 1}, {"n": 2}) if field == "metadata" else ("first", "second")
    tip = commit("a")
    repo.push(altered(tip, **{field: first}))
    repo.accepted.clear()
    answer = repo.push(altered(tip, **{field: second}))
    assert (answer["ok"], answer["commits_written"]) == (True, 0)
    assert repo.commit(tip.id)[field] == first
    assert repo.fetch(tip).pack.commits[tip.id][field] == first


@requirement("PUSH-019", "MPACK-009")
def test_an_empty_pack_makes_a_branch(repo: Repository) -> None:
    """A pack with nothing in it moves or makes a branch at a commit that is here."""
    root, tip = chain(2)
    repo.given(root, tip)
    empty = packs.encode({"format": 1, "commits": [], "snapshots": [], "blobs": []})
    answer = repo.unpack(repo.upload(empty), root.id, "old")
    assert [answer[name] for name in COUNTS] == [0, 0, 0]
    repo.unpack(oracle.digest(empty), tip.id, "old")
    assert repo.heads() == {"main": tip.id, "old": tip.id}


@requirement("PUSH-020")
def test_the_packs_own_heads_are_ignored(repo: Repository) -> None:
    """In unpack-mpack only the request's branch and head count."""
    root, tip = chain(2)
    value = {**packs.plain(tip), "branch_heads": {"evil": root.id, "main": oracle.ABSENT}}
    repo.unpack(repo.upload(packs.encode(value)), tip.id, "mine")
    assert repo.heads() == {"mine": tip.id}


@requirement("PUSH-021")
def test_a_body_names_its_branch_itself(repo: Repository) -> None:
    """Without branch and head the pack's only entry counts."""
    tip = commit("a")
    value = {**packs.plain(tip), "branch_heads": {"feat/x": tip.id}}
    repo.push_body(packs.encode(value))
    assert repo.heads() == {"feat/x": tip.id}


@requirement("PUSH-021")
@pytest.mark.parametrize("count", [0, 2])
def test_a_body_with_no_or_several_heads_is_refused(repo: Repository, count: int) -> None:
    """It is not guessed which was meant."""
    tip = commit("a")
    heads = {f"b{number}": tip.id for number in range(count)}
    raw = packs.encode({**packs.plain(tip), "branch_heads": heads})
    with unchanged(repo, tip), refused(422, "missing_field"):
        repo.push_body(raw)
    repo.push_body(raw, tip.id)


@requirement("PUSH-021")
@pytest.mark.parametrize(
    ("force", "moves"), [("true", True), ("1", True), ("false", False), ("0", False)]
)
def test_force_in_the_query(repo: Repository, force: str, moves: bool) -> None:
    """`true` and `1` force, `false` and `0` do not."""
    repo.given(commit("a"))
    tip = commit("b")
    if moves:
        repo.push_body(repo.pack(tip), tip.id, force=force)
        return
    with unchanged(repo, tip), refused(409, "not_fast_forward"):
        repo.push_body(repo.pack(tip), tip.id, force=force)


@requirement("PUSH-021")
@pytest.mark.parametrize("kind", ["application/x-msgpack", "application/json", "text/plain", None])
def test_a_body_is_a_pack_whatever_it_is_called(repo: Repository, kind: str | None) -> None:
    """Content-Type does not matter here."""
    tip = commit("a")
    target = f"{repo.path}/push/unpack?branch=main&head={tip.id}"
    headers = {"content-type": kind} if kind else {}
    answer = repo.client.send("POST", target, repo.pack(tip), headers)
    if answer.status != 200:
        fail("200", str(answer))


@requirement("DP3", "DP5", "PUSH-014")
def test_a_longer_history_goes_through(repo: Repository) -> None:
    """Two hundred commits of small deltas: every count is right, and the tip is whole."""
    root = commit("root", files={f"src/file_{n:04}.py": b"x" * 40 + b"%d" % n for n in range(40)})
    links = [root]
    for number in range(199):
        name = f"src/file_{number % 40:04}.py"
        links.append(commit(f"c{number}", on=links[-1], files={name: b"v%d" % number}))
    answer = repo.push(*links)
    assert [answer[name] for name in COUNTS[:2]] == [200, 200]
    assert repo.heads() == {"main": links[-1].id}
    assert repo.snapshot(links[-1].snapshot)["delta_upsert"] == links[-1].manifest


@requirement("PUSH-021")
def test_the_last_of_a_repeated_parameter_counts(repo: Repository) -> None:
    """branch, head and force given twice are no error."""
    tip = commit("a")
    twice = f"branch=no&head={oracle.ABSENT}&force=0&branch=main&head={tip.id}&force=1"
    answer = repo.client.send("POST", f"{repo.path}/push/unpack?{twice}", repo.pack(tip))
    if answer.status != 200:
        fail("200", str(answer))
    assert repo.heads() == {"main": tip.id}


@requirement("PUSH-021")
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("branch=main", "missing_field"),
        ("head={head}", "missing_field"),
        ("branch=&head={head}", "invalid_branch"),
        ("branch=main&head=", "invalid_id"),
        ("branch=main&head={head}&force=", "malformed"),
        ("branch=main&head={head}&force=yes", "malformed"),
    ],
)
def test_parameters_are_judged_as_given(repo: Repository, query: str, code: str) -> None:
    """Half of the two is not taken from the pack, an empty value is there."""
    tip = commit("a")
    raw = packs.encode({**packs.plain(tip), "branch_heads": {"main": tip.id}})
    target = f"{repo.path}/push/unpack?{query.format(head=tip.id)}"
    answer = repo.client.send("POST", target, raw)
    check_refusal(answer, 422, code)
    if code == "missing_field":
        absent = "head" if query.startswith("branch") else "branch"
        assert answer.fields["error"]["fields"] == [absent]
