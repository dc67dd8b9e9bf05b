"""Refs: heads, the default branch, capabilities and limits; negotiation about them."""

from __future__ import annotations

from itertools import count

import pytest

from conformance import oracle
from conformance.client import Client
from conformance.expectations import fail, requirement
from conformance.histories import chain, child_of, commit, merge_of
from conformance.repository import Repository


@requirement("HTTP-024", "DP5")
def test_heads_are_current(repo: Repository, anyone: Client) -> None:
    """What a push answered is what the next refs show, to everybody."""
    everybody = repo.seen_by(anyone)
    links = chain(5)
    for tip in links:
        repo.push(tip)
        assert everybody.heads() == {"main": tip.id}
    repo.push(links[0], branch="feat/x")
    assert everybody.heads() == {"main": links[-1].id, "feat/x": links[0].id}


@requirement("HTTP-024")
def test_refs_name_the_repository(repo: Repository) -> None:
    """`repo_id` is the id that creation answered."""
    assert repo.refs()["repo_id"] == repo.id


@requirement("HTTP-025")
def test_the_default_branch_is_main_at_first(repo: Repository) -> None:
    """Without branches it is main, and the first branch becomes it for good."""
    assert repo.refs()["default_branch"] == "main"
    tip = commit("a")
    repo.push(tip, branch="trunk")
    assert repo.refs()["default_branch"] == "trunk"
    repo.push(child_of(tip), branch="main")
    assert repo.refs()["default_branch"] == "trunk"


@requirement("HTTP-026")
def test_capabilities_are_texts(repo: Repository) -> None:
    """`capabilities` is a list of texts."""
    capabilities = repo.refs()["capabilities"]
    if not isinstance(capabilities, list) or not all(isinstance(c, str) for c in capabilities):
        fail("a list of texts", repr(capabilities))


@requirement("HTTP-026", "MPACK-021")
def test_framed_works_both_ways(announcing_repo: Repository) -> None:
    """Whoever announces `framed` accepts framed packs and may send them."""
    tip = chain(3)[-1]
    announcing_repo.push(tip, framed=True)
    got = announcing_repo.fetch(tip, framed=True).pack
    assert tip.id in got.commits


@requirement("HTTP-027")
def test_limits_are_announced(repo: Repository) -> None:
    """The four limits are numbers above zero."""
    names = ("pack_bytes", "raw_bytes", "records", "manifest_bytes")
    assert [name for name in names if repo.limit(name) < 1] == []


@requirement("HTTP-028")
def test_ack_lists_what_is_known_in_order(repo: Repository) -> None:
    """The known ids of have, in the order they were given; the rest is no error."""
    a, b, c = chain(3)
    repo.given(c)
    unknown = oracle.digest(b"unknown")
    answer = repo.negotiate([unknown], [c.id, unknown, a.id, b.id])
    assert answer["ack"] == [c.id, a.id, b.id]


@requirement("HTTP-028", "AUTH-013")
def test_another_repositorys_commit_is_not_acknowledged(repo: Repository, new_repo: object) -> None:
    """What only another repository has is unknown here."""
    assert callable(new_repo)
    elsewhere: Repository = new_repo()
    tip = elsewhere.given(commit("a"))
    answer = repo.negotiate([tip.id], [tip.id])
    assert (answer["ack"], answer["common_base"], answer["ready"]) == ([], None, False)


@requirement("HTTP-028")
def test_a_snapshot_is_no_commit(repo: Repository) -> None:
    """Only commits are acknowledged."""
    tip = repo.given(commit("a"))
    assert repo.negotiate([], [tip.snapshot, *tip.blobs])["ack"] == []


@requirement("HTTP-029")
def test_the_base_is_reachable_from_what_is_wanted(repo: Repository) -> None:
    """Of what is had, the best that a wanted commit reaches; itself included."""
    a, b, c = chain(3)
    side = child_of(a, "side")
    repo.given(c)
    repo.given(side, branch="side")
    assert repo.negotiate([c.id], [a.id, b.id, side.id])["common_base"] == b.id
    assert repo.negotiate([c.id], [c.id])["common_base"] == c.id
    assert repo.negotiate([side.id], [b.id, a.id])["common_base"] == a.id


@requirement("HTTP-029")
def test_the_base_falls_back_to_branches(repo: Repository) -> None:
    """Where nothing wanted is known, or nothing had is below it, a branch's history counts."""
    a, b = chain(2)
    repo.given(b)
    unknown = oracle.digest(b"unknown")
    assert repo.negotiate([unknown], [a.id])["common_base"] == a.id
    assert repo.negotiate([], [b.id, a.id])["common_base"] == b.id
    assert repo.negotiate([a.id], [b.id])["common_base"] == b.id


@requirement("HTTP-029")
def test_of_several_bases_the_latest_counts(repo: Repository) -> None:
    """Ancestors of another go; then the latest instant, not the largest text."""
    root = commit("root")
    early = child_of(root, "early", committed_at="2026-03-01T09:30:00+09:00")
    late = child_of(root, "late", committed_at="2026-03-01T01:00:00Z")
    tip = merge_of(early, late)
    repo.given(root, early, late, tip)
    answer = repo.negotiate([tip.id], [root.id, early.id, late.id])
    assert answer["common_base"] == late.id


@requirement("HTTP-029")
def test_a_clock_that_went_back_changes_no_base(repo: Repository) -> None:
    """An ancestor of another goes, though its time is later."""
    root = commit("root", committed_at="2026-03-02T00:00:00Z")
    tip = child_of(root, "tip", committed_at="2026-03-01T00:00:00Z")
    repo.given(root, tip)
    assert repo.negotiate([tip.id], [root.id, tip.id])["common_base"] == tip.id


@requirement("HTTP-029", "REC-009")
@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-03-01T00:00:00.1234567Z", "2026-03-01T00:00:00.1234568Z"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:58"),
        ("9999-12-31T23:59:59-23:58", "9999-12-31T23:59:59-23:59"),
        ("2026-03-01T00:00:00.9Z", "2026-03-01T00:00:00.91Z"),
    ],
)
def test_instants_are_compared_exactly(repo: Repository, earlier: str, later: str) -> None:
    """To the last digit, and at both ends of the calendar."""
    root = commit("root")
    late = child_of(root, "late", committed_at=later)
    tries = (child_of(root, f"{n}", committed_at=earlier) for n in count())
    early = next(one for one in tries if one.id < late.id)  # which would be it, were they equal
    tip = merge_of(early, late)
    repo.given(root, early, late, tip)
    assert repo.negotiate([tip.id], [early.id, late.id])["common_base"] == late.id


@requirement("HTTP-029")
def test_of_equal_bases_the_smallest_id_counts(repo: Repository) -> None:
    """The same instant in two texts is the same instant."""
    root = commit("root")
    one = child_of(root, "one", committed_at="2026-03-01T01:00:00+01:00")
    two = child_of(root, "two", committed_at="2026-03-01T00:00:00Z")
    tip = merge_of(one, two)
    repo.given(root, one, two, tip)
    answer = repo.negotiate([tip.id], [one.id, two.id])
    assert answer["common_base"] == min(one.id, two.id)


@requirement("HTTP-030")
@pytest.mark.parametrize("have", ["nothing", "known", "unknown"])
def test_ready_means_that_a_pack_can_be_built(repo: Repository, have: str) -> None:
    """True with a base, or when nothing is had; else false."""
    tip = repo.given(commit("a"))
    ids = {"nothing": [], "known": [tip.id], "unknown": [oracle.ABSENT]}[have]
    assert repo.negotiate([tip.id], ids)["ready"] is (have != "unknown")
