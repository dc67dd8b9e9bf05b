"""What one more commit costs on top of a history of any length, and new work by its size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fixtures.packing import to_bytes

from ..contests import OURS, Bench, Contest
from ..sources import key_of
from ..subject import Repository, timed
from .concurrent import one_more

SMALL, MIDDLE, LARGE = "simple", "simple-x10", "simple-x30"
"""1,031, 10,310 and 30,930 commits of the same shape."""


@contextmanager
def growth(bench: Bench) -> Iterator[Contest]:
    """The server's time for a push of one commit, on 1, 10 and 30 times the history, in turn."""
    repositories: dict[str, Repository] = {}
    histories = {}
    first: dict[str, float] = {}
    for name in (SMALL, MIDDLE, LARGE):
        history = bench.sources.history(name)
        pack = bench.sources.pack(name)
        repository = repositories[name] = bench.subject.create()
        key = key_of(pack)
        repository.upload(repository.presign(key, len(pack)), pack)
        first[name], _ = timed(repository.unpack, key, history.head)
        repository.settle(history.head)
        histories[name] = history
    turn = 0
    found: dict[str, float] = {}

    def trial() -> Mapping[str, float]:
        nonlocal turn
        turn += 1
        for name, repository in repositories.items():
            tip = one_more(histories[name], f"turn {turn}")
            pack = to_bytes(tip)
            key = key_of(pack)
            repository.upload(repository.presign(key, len(pack)), pack)
            branch = f"turn-{turn}"
            found[name], _ = timed(repository.unpack, key, tip.head, branch)
            repository.check_head(tip.head, branch)
            repository.settle(tip.head)
        new = {f"first {name}": seconds for name, seconds in first.items()}
        return {**found, **new, "one on 30 times": found[LARGE]}

    def small() -> Mapping[str, float]:
        return {"one on 30 times": found[SMALL]}

    yield Contest({OURS: trial, "on 1,031 commits": small}, rotates=False)
    for repository in repositories.values():
        bench.subject.delete(repository)
