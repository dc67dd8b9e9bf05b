"""Many clients at once: how much gets done in a second, how long the slow ones wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from statistics import median

from fixtures.history import History, HistoryBuilder
from fixtures.packing import to_bytes

from ..commands import CouldNotRun, forget_peak, musekit, peak_memory, resident_memory
from ..contests import OURS, Bench, Contest, Trial
from ..peers import Peer, opened
from ..sources import Expected, check_tree


def _all_at_once(clients: int, call: Callable[[int], float]) -> dict[str, float]:
    """Runs `call` for each client at the same time; an error of any is raised."""
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = sorted(pool.map(call, range(clients)))
    elapsed = time.perf_counter() - started
    slow = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
    return {"per second": clients / elapsed, "p50": median(seconds), "p99": slow, "all": elapsed}


@contextmanager
def _memory(process: int | None, found: dict[str, float]) -> Iterator[None]:
    """Adds what a server's memory rose by at most, above what it had at the start of the block."""
    if process is None:
        yield
        return
    forget_peak(process)
    idle = resident_memory(process)
    yield
    found["server memory"] = max(0, peak_memory(process) - idle)


@contextmanager
def clones(bench: Bench, shape: str = "real", clients: int = 8) -> Iterator[Contest]:
    """Whole clones by the command, started together; each working tree is compared."""
    expected = Expected(bench.sources.history(shape))
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), expected.history.head)
    repository.settle(expected.history.head)

    def clone_ours(number: int) -> float:
        into = bench.work / f"clone-{number}"
        home = bench.subject.home
        return musekit("clone", repository.url, into, *bench.stack.flags, home=home).seconds

    def tidy(prefix: str) -> None:
        for number in range(clients):
            into = bench.work / f"{prefix}-{number}"
            check_tree(into, expected.manifest)
            bench.sources.remove(into)

    def ours() -> Mapping[str, float]:
        found: dict[str, float] = {}
        with _memory(bench.stack.process, found):
            found |= _all_at_once(clients, clone_ours)
        tidy("clone")
        return found

    trials: dict[str, Trial] = {OURS: ours}
    with ExitStack() as stack:
        peers, absent = opened(bench, stack)
        for peer in peers:
            url = peer.filled_remote(shape)

            def trial(peer: Peer = peer, url: str = url) -> Mapping[str, float]:
                def clone_theirs(number: int) -> float:
                    return peer.clone(url, bench.work / f"theirs-{number}")

                found = _all_at_once(clients, clone_theirs)
                tidy("theirs")
                return found

            trials[peer.name] = trial
        yield Contest(trials, absent, warm_ups=0)
    bench.subject.delete(repository)


@contextmanager
def pushes(bench: Bench, clients: int = 8, shape: str = "step") -> Iterator[Contest]:
    """Pushes of one commit each to branches of one repository; afterwards each is looked for."""
    history = bench.sources.history(shape)
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), history.head)
    repository.settle(history.head)
    turn = 0

    def ours() -> Mapping[str, float]:
        nonlocal turn
        turn += 1
        tips = [one_more(history, f"turn {turn}, client {n}") for n in range(clients)]
        packs = [to_bytes(tip) for tip in tips]

        def push(number: int) -> float:
            started = time.perf_counter()
            repository.push(packs[number], tips[number].head, f"turn-{turn}-{number}")
            return time.perf_counter() - started

        found: dict[str, float] = {}
        with _memory(bench.stack.process, found):
            found |= _all_at_once(clients, push)
        heads = repository.refs()["branch_heads"]
        lost = sum(heads.get(f"turn-{turn}-{n}") != tip.head for n, tip in enumerate(tips))
        return {**found, "lost": float(lost)}

    if clients > 100:
        raise CouldNotRun("more than 100 clients at once need more connections than a client keeps")
    yield Contest({OURS: ours})
    bench.subject.delete(repository)


def one_more(history: History, text: str) -> History:
    """A commit on top of a history, alone."""
    builder = HistoryBuilder("one more")
    builder.stand_on(dict(history.commits[-1]), history.tree())
    path = "src/file_0000.py"
    builder.commit(text, {path: builder.blob(path, text.encode())})
    return builder.history()
