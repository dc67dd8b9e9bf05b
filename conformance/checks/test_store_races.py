"""Several processes on one store, and processes killed in the middle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from conformance import oracle
from conformance.adapter import Batch, Store, text_of
from conformance.expectations import fail, requirement
from conformance.outcomes import Unmet

PROCESSES = 4


def together(store: Store, work: Callable[[Batch, int], None]) -> None:
    """Runs the same work in several batches at once; the first failure is the check's."""
    batches = [store.start() for _ in range(PROCESSES)]
    for batch in batches:
        batch.ask("list_refs")
    problems: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(batches[number], number)
        except AssertionError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def must(answer: dict[str, object]) -> dict[str, object]:
    """An answer that may not be a refusal."""
    if not answer["ok"]:
        fail("success", json.dumps(answer))
    return answer


@requirement("STORE-021", "STORE-053", "DUR-022")
def test_compare_and_swap_is_a_chain(store: Store) -> None:
    """Of processes that move one ref by what they expect, every success replaced one value."""
    made = [store.commit("source", message=str(number))[0] for number in range(30)]
    store.do("set_ref", branch="x", id=made[0])
    steps: list[tuple[str, str]] = []

    def work(batch: Batch, number: int) -> None:
        for turn in range(12):
            old = str(must(batch.ask("get_ref", branch="x"))["id"])
            new = made[(number * 7 + turn * 3 + 1) % len(made)]
            answer = batch.ask("set_ref", branch="x", id=new, expect=old)
            if answer["ok"]:
                steps.append((old, new))
            elif answer["error"] != "conflict":
                fail("ok or conflict", json.dumps(answer))

    together(store, work)
    last = store.do("get_ref", branch="x")["id"]
    for id in made:
        out = sum(old == id for old, _ in steps)
        into = sum(new == id for _, new in steps) + (id == made[0]) - (id == last)
        if out != into:
            fail("each value left as often as it was reached", f"{id}: {into} in, {out} out")
    assert steps


@requirement("STORE-021")
def test_one_of_several_creates_a_ref(store: Store) -> None:
    """Of those that expect no ref, one succeeds."""
    first, _ = store.commit()
    won: list[tuple[int, int]] = []

    def work(batch: Batch, number: int) -> None:
        for turn in range(8):
            if batch.ask("set_ref", branch=f"b{turn}", id=first, expect=None)["ok"]:
                won.append((turn, number))

    together(store, work)
    assert sorted(turn for turn, _ in won) == list(range(8))


@requirement("STORE-022", "DUR-006", "FS4")
@pytest.mark.parametrize("what", ["object", "objects", "ref", "head", "state", "config"])
def test_writers_do_not_disturb_each_other(store: Store, what: str) -> None:
    """Each write succeeds, and every read sees a whole value of one of the writers."""
    commits = [store.commit("source", message=str(number))[0] for number in range(PROCESSES)]
    big = "x" * 20_000

    def work(batch: Batch, number: int) -> None:
        for turn in range(10):
            if what in ("object", "objects"):
                content = b"same" * 5000 if what == "object" else b"%d %d" % (number, turn)
                id = str(must(batch.ask("put_blob", data=text_of(content)))["id"])
                assert must(batch.ask("get_blob", id=id))["data"] == text_of(content)
            elif what == "ref":
                must(batch.ask("set_ref", branch="x", id=commits[number]))
                assert must(batch.ask("get_ref", branch="x"))["id"] in commits
            elif what == "head":
                must(batch.ask("set_head", branch=f"branch{number}"))
                assert str(must(batch.ask("get_head"))["branch"]).startswith("branch")
            else:
                kind = "merge" if what == "state" else "config"
                must(batch.ask("set_state", kind=kind, value={"n": number, "big": big}))
                read = must(batch.ask("get_state", kind=kind))["value"]
                assert read in [{"n": other, "big": big} for other in range(PROCESSES)]

    together(store, work)
    store.sound()


@requirement("STORE-055")
def test_commits_at_once_form_a_chain(store: Store) -> None:
    """Each acknowledged commit is in the history of the branch; others are conflicts."""
    made: list[str] = []

    def work(batch: Batch, number: int) -> None:
        for turn in range(5):
            answer = batch.ask(
                "commit",
                branch="main",
                files={f"{number}": text_of(b"%d" % turn)},
                message=f"{number} {turn}",
                author="a",
                committed_at="2026-01-01T00:00:00Z",
            )
            if answer["ok"]:
                made.append(str(answer["commit_id"]))
            elif answer["error"] != "conflict":
                fail("ok or conflict", json.dumps(answer))

    together(store, work)
    history, at = [], str(store.do("get_ref", branch="main")["id"])
    while at:
        history.append(at)
        at = store.do("get_commit", id=at)["record"]["parent_commit_id"]
    assert sorted(history) == sorted(set(made))
    store.sound()


@requirement("DUR-021", "STORE-025")
def test_a_killed_process_leaves_no_lock(store: Store) -> None:
    """Whatever it was doing, others go on at once."""
    first, _ = store.commit()
    for op in ("set_ref", "commit", "gc"):
        batch = store.start()
        batch.ask("list_refs")
        value: dict[str, object] = {
            "op": op,
            "branch": "main",
            "id": first,
            "files": {},
            "message": "m",
        }
        value |= {"author": "a", "committed_at": "2026-01-01T00:00:00Z"}
        for _ in range(3):
            batch.write(json.dumps(value).encode())
        batch.kill()
        other = store.start()
        begun = time.monotonic()
        must(other.ask("set_ref", branch="free", id=first))
        must(other.ask("set_state", kind="config", value={}))
        must(other.ask("gc"))
        assert time.monotonic() - begun < 10
    store.sound()


@requirement("DUR-027", "DUR-001", "DUR-002", "STORE-047", "FS12")
@pytest.mark.parametrize("milliseconds", [10, 30, 50])
def test_a_kill_in_a_stream_of_writes_loses_nothing(store: Store, milliseconds: int) -> None:
    """Everything acknowledged before SIGKILL reads back, fsck finds nothing, a retry heals."""
    prior = {store.put(b"prior %d" % number): b"prior %d" % number for number in range(20)}
    batch = store.start()
    batch.ask("list_refs")
    acknowledged: dict[str, bytes] = {}
    heads: list[str] = []
    early: list[Unmet] = []
    killed = threading.Event()

    def stream() -> None:
        number = 0
        try:
            while True:
                content = b"stream %d " % number * 50
                answer = must(batch.ask("put_blob", data=text_of(content)))
                acknowledged[str(answer["id"])] = content
                files = {"a": text_of(content)}
                when = {"message": "m", "author": "a", "committed_at": "2026-01-01T00:00:00Z"}
                answer = must(batch.ask("commit", branch="main", files=files, **when))
                heads.append(str(answer["commit_id"]))
                number += 1
        except Unmet as unmet:
            if not killed.is_set():
                early.append(unmet)

    thread = threading.Thread(target=stream)
    thread.start()
    while not acknowledged and thread.is_alive():
        time.sleep(0.001)  # the first answer comes in the other thread
    time.sleep(milliseconds / 1000)  # the moment of death is the case
    killed.set()
    batch.kill()
    thread.join()
    if early:
        raise early[0]
    if not acknowledged:
        fail("writes are acknowledged before the kill", "none")
    for id, content in (prior | acknowledged).items():
        assert store.get(id) == content
    if heads:
        history, at = set[str](), store.do("get_ref", branch="main")["id"]
        while at:
            history.add(at)
            at = store.do("get_commit", id=at)["record"]["parent_commit_id"]
        assert [head for head in heads if head not in history] == []
    store.sound()
    store.commit(message="after")
    for path in (store.inside / "objects" / "sha256").glob("*/*"):
        if len(path.name) == 62:
            assert oracle.digest(path.read_bytes())[7:] == path.parent.name + path.name
