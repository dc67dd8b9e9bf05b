"""Pushes: what moves a branch, what counts, and what a retry does."""

from __future__ import annotations

import pytest

from conformance import oracle, packs
from conformance.checks.conftest import NewRepository
from conformance.expectations import fail, refused, requirement, unchanged
from conformance.histories import (
    altered,
    chain,
    child_of,
    commit,
    merge_of,
    sibling_of,
    signed,
)
from conformance.repository import Repository

COUNTS = ("commits_written", "snapshots_written", "blobs_written")


@requirement("PUSH-007", "ID-015", "SNAP-009", "REC-011")
@pytest.mark.parametrize("flaw", ["blob", "snapshot", "commit", "signature", "base", "parent"])
@pytest.mark.parametrize("size", [1, 30], ids=["small", "larger"])
def test_everything_is_verified_before_the_answer(repo: Repository, flaw: str, size: int) -> None:
    """One flaw at the end of an uploaded pack refuses it, and the branch has not moved."""
    root = repo.given(commit("root"))
    links = chain(size, on=root)
    last = signed(child_of(links[-1], "last"))
    value = packs.plain(last, known=[root])
    record, snapshot = value["commits"][-1], value["snapshots"][-1]
    code = f"{flaw}_mismatch"
    if flaw == "blob":
        value["blobs"][-1]["content"] = b"another"
    elif flaw == "snapshot":
        snapshot["delta_upsert"]["more"] = root.manifest["root.txt"]
    elif flaw == "commit":
        record["message"] = "another"
    elif flaw == "signature":
        record["signature"], code = "A" * 86, "bad_signature"
    elif flaw == "base":
        snapshot["parent_snapshot_id"], code = oracle.ABSENT, "missing_snapshot"
    else:
        value["commits"] = [c for c in value["commits"] if c["commit_id"] != links[-1].id]
        code = "missing_parent"
    raw = packs.encode(value)
    with unchanged(repo, last), refused(422, code):
        repo.unpack(repo.upload(raw), last.id, "new")
    repo.push(*links, last)
    repo.holds(last)


@requirement("PUSH-008")
def test_the_head_is_in_the_pack_or_here(repo: Repository) -> None:
    """A head nobody has is unknown, with and without force; a snapshot is no head."""
    tip = commit("a")
    raw = repo.pack(tip)
    key = repo.upload(raw)
    for head in (oracle.ABSENT, tip.snapshot, commit("b").id):
        for force in (None, True):
            with unchanged(repo, tip), refused(422, "unknown_head"):
                repo.unpack(key, head, force=force)
    repo.unpack(key, tip.id)


@requirement("PUSH-009", "BP11")
def test_a_stale_head_is_refused(repo: Repository) -> None:
    """A push whose head does not descend from the branch's head changes nothing."""
    root, ahead = chain(2)
    repo.given(ahead)
    stale = sibling_of(ahead)
    with unchanged(repo, stale), refused(409, "not_fast_forward"):
        repo.push(stale)
    repo.push(child_of(ahead))
    assert root.id != stale.id


@requirement("PUSH-009")
@pytest.mark.parametrize("what", ["ancestor", "unrelated", "same"])
def test_only_descendants_move_a_branch(repo: Repository, what: str) -> None:
    """An ancestor and an unrelated commit are refused; the head itself is no change."""
    root, tip = chain(2)
    repo.given(root, tip)
    other = {"ancestor": root, "unrelated": commit("else"), "same": tip}[what]
    if what == "same":
        with unchanged(repo):
            repo.push(other)
        return
    with unchanged(repo), refused(409, "not_fast_forward"):
        repo.push(other)
    repo.push(merge_of(tip, other))


@requirement("PUSH-009")
def test_descent_may_go_through_either_parent(repo: Repository) -> None:
    """A merge descends from both of its parents."""
    root = commit("root")
    ours, theirs = child_of(root, "ours"), child_of(root, "theirs")
    repo.given(root, ours)
    repo.push(theirs, merge_of(theirs, ours))
    repo.holds(merge_of(theirs, ours))


@requirement("PUSH-009")
def test_a_new_branch_takes_any_head(repo: Repository) -> None:
    """A branch that is not there yet has nothing to descend from."""
    tip = repo.given(commit("a"))
    repo.push(commit("unrelated"), branch="new")
    repo.push(tip, branch="old")
    assert set(repo.heads()) == {"main", "new", "old"}


@requirement("PUSH-010")
def test_force_moves_a_branch_anywhere(repo: Repository) -> None:
    """With force a branch moves back, and aside; without it, not."""
    root, tip = chain(2)
    repo.given(root, tip)
    side = commit("side")
    repo.push(root, force=True)
    assert repo.heads() == {"main": root.id}
    with refused(409, "not_fast_forward"):
        repo.push(side, force=False)
    repo.push(side, force=True)
    assert repo.heads() == {"main": side.id}


@requirement("PUSH-010")
def test_force_spares_no_other_check(repo: Repository) -> None:
    """A forced push is verified like any."""
    repo.given(commit("root"))
    tip = commit("a")
    value = packs.plain(tip)
    value["blobs"][0]["content"] = b"another"
    with unchanged(repo, tip), refused(422, "blob_mismatch"):
        repo.unpack(repo.upload(packs.encode(value)), tip.id, force=True)
    repo.push(tip, force=True)


@requirement("PUSH-014", "BP3", "HTTP-024")
@pytest.mark.parametrize("framed", [False, True], ids=["plain", "framed"])
def test_what_was_pushed_can_be_read_at_once(framed_repo: Repository, framed: bool) -> None:
    """Refs, commits, snapshots and every blob under its own id, right after the answer."""
    links = chain(12)
    framed_repo.push(*links, framed=framed)
    assert framed_repo.heads() == {"main": links[-1].id}
    framed_repo.holds(links[-1])


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
@pytest.mark.parametrize("how", ["whole push", "unpack only", "unpack after expiry"])
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
