"""Pushes: what moves a branch, what counts, and what a retry does."""

from __future__ import annotations

import pytest

from conformance import oracle, packs
from conformance.expectations import exactly, refused, requirement, unchanged
from conformance.histories import (
    chain,
    child_of,
    commit,
    merge_of,
    sibling_of,
    signed,
)
from conformance.repository import Repository


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
    exactly(repo.fetch(last), [last])


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
    ahead = repo.given(chain(2)[-1])
    stale = sibling_of(ahead)
    with unchanged(repo, stale), refused(409, "not_fast_forward"):
        repo.push(stale)
    repo.push(child_of(ahead))


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
@pytest.mark.parametrize("flaw", ["blob", "snapshot"])
def test_force_spares_no_other_check(repo: Repository, flaw: str) -> None:
    """A forced push is verified like any."""
    repo.given(commit("root"))
    tip = commit("a")
    value = packs.plain(tip)
    if flaw == "blob":
        value["blobs"][0]["content"] = b"another"
    else:
        value["snapshots"][0]["delta_upsert"]["more"] = tip.manifest["a.txt"]
    with unchanged(repo, tip), refused(422, f"{flaw}_mismatch"):
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
