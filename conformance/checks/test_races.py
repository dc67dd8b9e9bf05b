"""Pushes at the same time: one wins, the others lose nothing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from conformance import oracle
from conformance.client import Answer, Client, Connection
from conformance.expectations import check_refusal, fail, requirement
from conformance.histories import Commit, ancestry, child_of, commit
from conformance.repository import Repository
from conformance.world import World


def race(repo: Repository, rivals: Sequence[Commit], branches: Sequence[str]) -> list[Answer]:
    """Uploads every pack, then asks for all of them to be unpacked at the same moment."""
    keys = [repo.upload(repo.pack(rival)) for rival in rivals]
    start = Barrier(len(rivals))

    def unpack(number: int) -> Answer:
        value = {"mpack_key": keys[number], "branch": branches[number], "head": rivals[number].id}
        start.wait()
        return repo.ask("POST", "push/unpack-mpack", value)

    with ThreadPoolExecutor(len(rivals)) as pool:
        return list(pool.map(unpack, range(len(rivals))))


@requirement("PUSH-012", "PUSH-013", "BP9")
@pytest.mark.parametrize("existing", [True, False], ids=["branch", "new branch"])
@pytest.mark.parametrize("rivals", [2, 8])
def test_one_of_racing_pushes_wins(repo: Repository, existing: bool, rivals: int) -> None:
    """Of pushes that move one branch aside of each other, one is acknowledged."""
    root = repo.given(commit("root"), branch="main" if existing else "other")
    tips = [child_of(root, f"rival{number}") for number in range(rivals)]
    answers = race(repo, tips, ["main"] * rivals)
    won = [tip for tip, answer in zip(tips, answers, strict=True) if answer.status == 200]
    for answer in answers:
        if answer.status != 200:
            check_refusal(answer, 409, "not_fast_forward", "ref_moved")
    if len(won) != 1 or repo.heads()["main"] != won[0].id:
        fail("one winner, which is the head", f"{len(won)} winners, head {repo.heads()}")
    repo.holds(won[0])


@requirement("PUSH-013", "HTTP-013")
def test_losers_leave_nothing(repo: Repository) -> None:
    """What a lost race brought is not there afterwards, and can be pushed again."""
    root = repo.given(commit("root"))
    tips = [child_of(root, f"rival{number}") for number in range(4)]
    answers = race(repo, tips, ["main"] * 4)
    lost = [tip for tip, answer in zip(tips, answers, strict=True) if answer.status != 200]
    if len(lost) != 3:
        fail("one winner", f"{4 - len(lost)} of 4")
    for read in repo.reads_of_new(*lost):
        check_refusal(read(), 404, "unknown_commit", "unknown_snapshot", "unknown_blob")
    repo.push(lost[0], branch="second try")
    repo.holds(lost[0])


@requirement("PUSH-013", "PUSH-012")
def test_different_branches_do_not_disturb_each_other(repo: Repository) -> None:
    """Pushes to ten branches at once all succeed, shared content included."""
    tips = [commit(f"tip{number}", files={"same": b"same"}) for number in range(10)]
    answers = race(repo, tips, [f"b{number}" for number in range(10)])
    failed = [str(answer) for answer in answers if answer.status != 200]
    assert failed == []
    assert repo.heads() == {f"b{number}": tip.id for number, tip in enumerate(tips)}


@requirement("PUSH-013", "BP9")
def test_every_acknowledged_head_is_in_the_history(repo: Repository) -> None:
    """Writers that push, lose, and push again on the new head lose no acknowledged commit."""
    root = repo.given(commit("root"))
    known: dict[str, Commit] = {root.id: root}

    def write(writer: int) -> list[Commit]:
        acknowledged: list[Commit] = []
        for turn in range(4):
            below = known.get(repo.heads()["main"])
            if below is None:
                continue  # somebody's commit whose acknowledgement has not been noted yet
            tip = child_of(below, f"w{writer}t{turn}")
            raw = repo.pack(tip)
            known[tip.id] = tip
            target = f"{repo.path}/push/unpack?branch=main&head={tip.id}"
            answer = repo.client.send("POST", target, raw)
            if answer.status == 200:
                acknowledged.append(tip)
            else:
                check_refusal(answer, 409, "not_fast_forward", "ref_moved")
        return acknowledged

    with ThreadPoolExecutor(6) as pool:
        acknowledged = [tip for tips in pool.map(write, range(6)) for tip in tips]
    head = known[repo.heads()["main"]]
    history = {below.id for below in ancestry(head)}
    lost = [tip.record["message"] for tip in acknowledged if tip.id not in history]
    assert (lost, bool(acknowledged)) == ([], True)
    repo.holds(head)


@requirement("PUSH-016", "PUSH-013")
def test_the_same_push_at_once_is_one_push(repo: Repository) -> None:
    """A push repeated while it still runs ends as one, and the next repetition is a success."""
    tip = commit("a")
    answers = race(repo, [tip] * 5, ["main"] * 5)
    for answer in answers:
        if answer.status != 200:
            check_refusal(answer, 409, "ref_moved")
    written = sum(answer.fields["commits_written"] for answer in answers if answer.status == 200)
    assert written == 1
    assert repo.unpack(oracle.digest(repo.pack(tip)), tip.id)["commits_written"] == 0
    repo.holds(tip)


@requirement("STORAGE-010", "HTTP-024")
def test_several_processes_are_one_server(repo: Repository, world: World) -> None:
    """What one process acknowledged is what another shows, and races cross processes."""
    second = world.second()
    other = repo.seen_by(Client(Connection(second), world.owner.identity))
    root = repo.given(commit("root"))
    assert other.heads() == {"main": root.id}
    tips = [child_of(root, "here"), child_of(root, "there")]
    keys = [repo.upload(repo.pack(tip)) for tip in tips]
    start = Barrier(2)

    def unpack(number: int) -> Answer:
        value = {"mpack_key": keys[number], "branch": "main", "head": tips[number].id}
        start.wait()
        return (repo, other)[number].ask("POST", "push/unpack-mpack", value)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(unpack, range(2)))
    assert sorted(answer.status for answer in answers) == [200, 409]
    won = tips[[answer.status for answer in answers].index(200)]
    for view in (repo, other):
        assert view.heads() == {"main": won.id}
        view.holds(won)
        assert view.blob(oracle.blob_id(won.files["root.txt"])).status == 200
