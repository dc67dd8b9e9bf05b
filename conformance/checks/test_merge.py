"""Merges on the server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance import oracle
from conformance.client import Client
from conformance.expectations import check_refusal, fail, refused, requirement, unchanged
from conformance.histories import Commit, child_of, commit, merge_of, with_tree
from conformance.repository import Repository
from reference.wire import records

Files = dict[str, bytes]


def forked(repo: Repository, ours: Commit, theirs: Commit) -> None:
    """Pushes two branches."""
    repo.given(ours)
    repo.given(theirs, branch="theirs")


@requirement("HTTP-037")
@pytest.mark.parametrize(("source", "target"), [("nowhere", "main"), ("main", "nowhere")])
def test_both_branches_must_exist(repo: Repository, source: str, target: str) -> None:
    """A branch that is not there is unknown."""
    repo.given(commit("a"))
    with unchanged(repo), refused(404, "unknown_branch"):
        repo.merge(source, target)


@requirement("HTTP-037", "HTTP-024")
def test_a_merge_that_can_fast_forward_does(repo: Repository) -> None:
    """A target that is an ancestor moves to the source, without a commit."""
    root = commit("root")
    tip = child_of(root)
    forked(repo, root, tip)
    answer = repo.merge("theirs")
    assert (answer["ok"], answer["result"], answer["commit_id"]) == (True, "fast_forward", tip.id)
    assert repo.heads() == {"main": tip.id, "theirs": tip.id}


@requirement("HTTP-037")
@pytest.mark.parametrize("same", [False, True], ids=["behind", "same"])
def test_a_merge_of_what_is_there_does_nothing(repo: Repository, same: bool) -> None:
    """A source that is an ancestor, or the same, is up to date."""
    root = commit("root")
    tip = root if same else child_of(root)
    forked(repo, tip, root)
    with unchanged(repo):
        answer = repo.merge("theirs")
    assert (answer["result"], answer["commit_id"]) == ("up_to_date", tip.id)


@requirement("HTTP-038", "HTTP-037", "HTTP-024", "BOS6")
def test_a_merge_makes_a_commit(repo: Repository, owner: Client) -> None:
    """Two parents, the target first, the signer as author, the message, unsigned."""
    assert owner.identity is not None
    root = commit("root")
    ours, theirs = child_of(root, "ours"), child_of(root, "theirs")
    forked(repo, ours, theirs)
    answer = repo.merge("theirs")
    record = repo.commit(answer["commit_id"])
    made = {
        "commit_id": answer["commit_id"],
        "branch": "main",
        "parent_commit_id": ours.id,
        "parent2_commit_id": theirs.id,
        "author": owner.identity.handle,
        "message": "Merge branch 'theirs' into main",
        "snapshot_id": merge_of(ours, theirs).snapshot,
        "committed_at": record["committed_at"],
    }
    wanted = records.check_commit(made)  # the rest by default, so unsigned
    assert {name: record[name] for name in wanted} == wanted
    assert oracle.commit_id(record) == answer["commit_id"]
    assert (answer["result"], repo.heads()["main"]) == ("merged", answer["commit_id"])
    assert repo.snapshot(record["snapshot_id"])["delta_upsert"] == merge_of(ours, theirs).manifest


CLEAN: dict[str, tuple[Files, Files, Files, Files]] = {
    "both add": ({}, {"a": b"1"}, {"b": b"2"}, {"a": b"1", "b": b"2"}),
    "one edits": ({"a": b"0"}, {"a": b"1"}, {"a": b"0"}, {"a": b"1"}),
    "the other edits": ({"a": b"0"}, {"a": b"0"}, {"a": b"2"}, {"a": b"2"}),
    "one removes": ({"a": b"0", "k": b""}, {"k": b""}, {"a": b"0", "k": b"2"}, {"k": b"2"}),
    "the other removes": ({"a": b"0", "k": b""}, {"a": b"0", "k": b"1"}, {"k": b""}, {"k": b"1"}),
    "both alike": ({"a": b"0"}, {"a": b"1"}, {"a": b"1", "b": b""}, {"a": b"1", "b": b""}),
    "both remove": ({"a": b"0"}, {"o": b""}, {"t": b""}, {"o": b"", "t": b""}),
    "file to folder": ({"a": b"0"}, {"a/b": b"1"}, {"a": b"0", "t": b""}, {"a/b": b"1", "t": b""}),
}


@requirement("HTTP-039", "STORE-066")
@pytest.mark.parametrize("name", list(CLEAN))
def test_files_merge_by_path(repo: Repository, name: str) -> None:
    """A side that did not change yields to the one that did."""
    base, ours, theirs, merged = CLEAN[name]
    root = with_tree(f"root {repo.slug}", base)
    forked(repo, with_tree("ours", ours, (root,)), with_tree("theirs", theirs, (root,)))
    record = repo.commit(repo.merge("theirs")["commit_id"])
    wanted = {path: oracle.blob_id(content) for path, content in merged.items()}
    assert repo.snapshot(record["snapshot_id"])["delta_upsert"] == wanted


@requirement("HTTP-039")
def test_directories_merge_as_a_set(repo: Repository) -> None:
    """Each explicit directory follows the side that changed it."""
    root = commit("root", directories=["keep", "gone", "both"])
    ours = child_of(root, "ours", directories=["keep", "both", "new"])
    theirs = child_of(root, "theirs", directories=["keep", "gone", "more"])
    forked(repo, ours, theirs)
    record = repo.commit(repo.merge("theirs")["commit_id"])
    assert repo.snapshot(record["snapshot_id"])["directories"] == ["keep", "more", "new"]


@requirement("HTTP-039", "STORE-069")
def test_unrelated_histories_merge_on_nothing(repo: Repository) -> None:
    """Without a common base, the empty tree is the base."""
    forked(repo, commit("ours"), commit("theirs"))
    record = repo.commit(repo.merge("theirs")["commit_id"])
    assert len(repo.snapshot(record["snapshot_id"])["delta_upsert"]) == 2


@requirement("HTTP-039", "STORE-069")
def test_of_two_bases_the_smallest_id_counts(repo: Repository) -> None:
    """After a criss-cross, the smaller of the two best bases decides."""
    root = with_tree(f"root {repo.slug}", {"f": b"0"})
    one = with_tree("one", {"f": b"1"}, (root,))
    two = with_tree("two", {"f": b"0", "g": b""}, (root,))
    low = min(one, two, key=lambda commit: commit.id)
    ours = with_tree("ours", {"f": b"1", "g": b""}, (one, two))
    theirs = with_tree("theirs", {"f": b"0", "g": b""}, (two, one))
    forked(repo, ours, theirs)
    record = repo.commit(repo.merge("theirs")["commit_id"])
    wanted = b"0" if low is one else b"1"
    assert repo.snapshot(record["snapshot_id"])["delta_upsert"]["f"] == oracle.blob_id(wanted)


CONFLICTS: dict[str, tuple[Files, Files, Files, list[str]]] = {
    "both edit": ({"a": b"0"}, {"a": b"1"}, {"a": b"2"}, ["a"]),
    "both add": ({}, {"a": b"1"}, {"a": b"2"}, ["a"]),
    "delete against edit": ({"a": b"0", "k": b""}, {"k": b""}, {"a": b"2", "k": b""}, ["a"]),
    "file against folder": ({}, {"a": b"1"}, {"a/b": b"2"}, ["a"]),
    "several": (
        {},
        {"z": b"1", "a-b": b"1", "a/b": b"1"},
        {"z": b"2", "a-b": b"2", "a/b": b"2"},
        ["a-b", "a/b", "z"],
    ),
}


@requirement("HTTP-040", "HTTP-013")
@pytest.mark.parametrize("name", list(CONFLICTS))
def test_conflicts_are_listed(repo: Repository, name: str) -> None:
    """A conflict is refused with its paths in order, and nothing changes."""
    base, ours, theirs, paths = CONFLICTS[name]
    root = with_tree(f"root {repo.slug}", base)
    forked(repo, with_tree("ours", ours, (root,)), with_tree("theirs", theirs, (root,)))
    with unchanged(repo), refused(409, "merge_conflict") as errors:
        repo.merge("theirs")
    assert errors[0].get("conflicts") == paths


@requirement("HTTP-041", "HTTP-024")
def test_racing_merges_and_pushes_lose_no_head(repo: Repository) -> None:
    """Whatever a merge meets while it runs, every acknowledged head is in the history."""
    root = commit("root")
    sides = [child_of(root, f"side{number}") for number in range(6)]
    repo.given(root)
    for number, side in enumerate(sides):
        repo.given(side, branch=f"side{number}")
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda number: repo.ask(
                    "POST", "merge", {"source": f"side{number}", "target": "main"}
                ),
                range(6),
            )
        )
    merged = [side for side, answer in zip(sides, answers, strict=True) if answer.status == 200]
    for answer in answers:
        if answer.status != 200:
            check_refusal(answer, 409, "ref_moved")
    seen, queue = set[str](), [repo.heads()["main"]]
    while queue:
        record = repo.commit(queue.pop())
        seen.add(record["commit_id"])
        parents = [record["parent_commit_id"], record["parent2_commit_id"]]
        queue += [parent for parent in parents if parent and parent not in seen]
    lost = [side.record["message"] for side in merged if side.id not in seen]
    if lost or not merged:
        fail("every merged side in the history of main", f"lost {lost} of {len(merged)}")
