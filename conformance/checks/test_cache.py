"""The clone cache: hits, misses, and whose rows answer."""

from __future__ import annotations

import re

import pytest

from conformance.checks.conftest import NewRepository
from conformance.expectations import check_refusal, exclusive, fail, prepared, requirement
from conformance.histories import Commit, chain, child_of, commit
from conformance.lifecycle import until
from conformance.outcomes import Fields
from conformance.repository import Repository
from conformance.world import World

SECONDS = 10.0


def warm(repo: Repository, tip: Commit) -> None:
    """Clones once, so that the next is a hit."""
    repo.fetch(tip)


def cached(repo: Repository, tip: Commit) -> bool:
    """Whether fetch/presign knows the pack."""
    return repo.ask("POST", "fetch/presign", {"want": [tip.id]}).status == 200


@requirement("FETCH-013", "FMC_11", "FMC_14", "FMC_10")
def test_the_fetch_after_a_miss_is_a_hit(repo: Repository) -> None:
    """The second clone is a hit with the same pack, whether or not a job came first."""
    _, old, tip = chain(3)
    repo.given(tip)
    first = repo.fetch(old)  # no branch's tip, so no job builds it
    second = repo.fetch(old)
    assert [first.answer["cache"], second.answer["cache"]] == ["miss", "hit"]
    assert second.answer["mpack_id"] == first.answer["mpack_id"]
    assert second.raw == first.raw


@requirement("FETCH-011", "FMC_09")
def test_only_a_clone_asks_the_cache(repo: Repository) -> None:
    """With several wants, or a have, the pack is built; the closure is what it would be anyway."""
    root, tip = chain(2)
    other = commit("other")
    repo.given(tip)
    repo.given(other, branch="other")
    warm(repo, tip)
    built = repo.fetch(tip, have=[root])
    assert (built.answer["cache"], list(built.pack.commits)) == ("miss", [tip.id])
    both = repo.fetch(tip, other)
    assert both.answer["cache"] == "miss"
    assert set(both.pack.commits) == {root.id, tip.id, other.id}


@requirement("FETCH-014")
def test_rows_of_another_tip_never_answer(repo: Repository) -> None:
    """After the branch moved, the clone is of the new tip."""
    root, tip = chain(2)
    repo.given(root)
    warm(repo, root)
    repo.push(tip)
    assert set(repo.fetch(tip).pack.commits) == {root.id, tip.id}
    assert set(repo.fetch(root).pack.commits) == {root.id}


@requirement("FETCH-014", "PUSH-018")
def test_rows_of_another_repository_never_answer(new_repo: NewRepository) -> None:
    """The same tip in two repositories, with other metadata: each clone is its own."""
    one, two = new_repo(), new_repo()
    tip = commit("a")
    here, there = (
        Commit(tip.record | {"agent_id": name}, tip.files, tip.directories) for name in "12"
    )
    one.given(here)
    warm(one, here)
    two.given(there)
    for _ in range(2):
        assert one.fetch(tip).pack.commits[tip.id]["agent_id"] == "1"
        assert two.fetch(tip).pack.commits[tip.id]["agent_id"] == "2"


@requirement("FETCH-014", "FETCH-003")
@pytest.mark.parametrize("first", [False, True], ids=["plain first", "framed first"])
def test_rows_of_another_form_never_answer(framed_repo: Repository, first: bool) -> None:
    """A cached framed pack does not answer who asked for a plain one."""
    repo, tip = framed_repo, commit("a")
    with prepared("a push"):
        repo.push(tip, framed=first)  # whose pack may be the first in the cache, as it is
    repo.fetch(tip, framed=first)
    for framed in (not first, first, not first):
        pack = repo.fetch(tip, framed=framed).pack
        assert list(pack.commits) == [tip.id]
        assert framed or not pack.framed


@requirement("FETCH-016", "FMC_21")
def test_presign_builds_nothing(repo: Repository) -> None:
    """Not cached is 404, until somebody built it; then the same pack."""
    _, old, tip = chain(3)
    repo.given(tip)
    for _ in range(2):
        check_refusal(repo.ask("POST", "fetch/presign", {"want": [old.id]}), 404, "not_cached")
    built = repo.fetch(old)
    answer = repo.call("POST", "fetch/presign", {"want": [old.id]})
    fields = ("mpack_id", "commit_count", "blob_count")
    assert {n: answer[n] for n in fields} == {n: built.answer[n] for n in fields}
    assert (answer["cache"], repo.download(answer)) == ("hit", built.raw)


@requirement("FETCH-016")
@pytest.mark.parametrize("count", [0, 2])
def test_presign_takes_one_want(repo: Repository, count: int) -> None:
    """None, or several, are malformed."""
    links = chain(2)
    repo.given(*links)
    want = [link.id for link in links[:count]]
    check_refusal(repo.ask("POST", "fetch/presign", {"want": want}), 422, "malformed")


@requirement("FETCH-016")
def test_presign_with_a_have_is_not_cached(repo: Repository) -> None:
    """The cache is for clones."""
    root, tip = chain(2)
    repo.given(tip)
    warm(repo, tip)
    value = {"want": [tip.id], "have": [root.id]}
    check_refusal(repo.ask("POST", "fetch/presign", value), 404, "not_cached")
    repo.call("POST", "fetch/presign", {**value, "have": []})


@exclusive
@requirement("FETCH-017", "JOB-010", "FMC_08", "CG2")
def test_every_tip_is_cached_soon(repo: Repository, world: World) -> None:
    """Within ten seconds of a push to any branch, every tip has its pack."""
    if world.subject.commands.get("jobs_idle"):
        world.jobs_idle()  # what is promised is promised of a worker with nothing else to do
    one = repo.given(commit("one"))
    two = repo.given(commit("two"), branch="feat/x")
    tips = [child_of(one), two]
    repo.push(tips[0])
    for tip in tips:
        if not until(lambda tip=tip: cached(repo, tip), SECONDS):  # type: ignore[misc]
            fail(f"a cached pack for each tip within {SECONDS:.0f} s", tip.record["message"])
    assert repo.fetch(tips[0]).answer["cache"] == "hit"


@exclusive
@requirement("FETCH-015")
def test_an_expired_row_is_a_miss(repo: Repository, world: World) -> None:
    """An expired row does not answer; the fetch builds and says miss."""
    _, old, tip = chain(3)
    repo.given(tip)
    warm(repo, old)
    world.command("expire_cache")
    check_refusal(repo.ask("POST", "fetch/presign", {"want": [old.id]}), 404, "not_cached")
    assert repo.fetch(old).answer["cache"] == "miss"
    assert repo.fetch(old).answer["cache"] == "hit"


@exclusive
@requirement("FETCH-012", "STORAGE-005", "FMC_13", "FMC_10")
def test_a_hit_reads_nothing_from_the_object_store(repo: Repository, world: World) -> None:
    """A cached clone is answered while the object store is away."""
    tip = repo.given(commit("a"))
    warm(repo, tip)
    with world.without_objects():
        answer = repo.ask("POST", "fetch/mpack", {"want": [tip.id]})
        presigned = repo.ask("POST", "fetch/presign", {"want": [tip.id]})
    for each in (answer, presigned):
        if each.status != 200 or each.fields["cache"] != "hit":
            fail("200 with cache hit", str(each))


@requirement("FETCH-019")
def test_each_clone_leaves_a_line(repo: Repository, world: World) -> None:
    """`cache=HIT` or `cache=MISS`, the tip and the milliseconds."""
    _, old, tip = chain(3)
    repo.given(tip)
    answers: list[Fields] = [repo.fetch(old).answer, repo.fetch(old).answer]
    assert [answer["cache"] for answer in answers] == ["miss", "hit"]
    for word in ("MISS", "HIT"):
        wanted = re.compile(rf"cache\W{{1,4}}{word}.*{old.id}|{old.id}.*cache\W{{1,4}}{word}")
        found: list[str] = []

        def told(wanted: re.Pattern[str] = wanted, found: list[str] = found) -> bool:
            found[:] = filter(wanted.search, world.log_text().splitlines())
            return bool(found)

        if not until(told, 3.0) or not re.search(r"\d\s*ms\b|\bms\W{1,4}\d", found[0]):
            fail(f"a line with cache={word}, the tip and milliseconds", repr(found[:1]))
