"""What new work costs by its size, and by the length of the history that is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fixtures.dice import noise
from fixtures.history import History, HistoryBuilder
from fixtures.packing import to_bytes

from ..contests import OURS, Bench, Contest
from ..sources import key_of
from ..subject import Repository, timed
from .concurrent import one_more

SHAPES = {1: "simple", 10: "simple-x10", 30: "simple-x30"}
"""1,031, 10,310 and 30,930 commits of the same shape."""
FILES = 700
FILE_BYTES = 64
BLOBS = 32
BLOB_BYTES = 65536


@contextmanager
def growth(bench: Bench) -> Iterator[Contest]:
    """The server's time for a push of one commit, on 1, 10 and 30 times the history, in turn."""
    repositories: dict[int, Repository] = {}
    histories = {}
    for times, name in SHAPES.items():
        history = histories[times] = bench.sources.history(name)
        repository = repositories[times] = bench.subject.create()
        repository.push(bench.sources.pack(name), history.head)
        repository.settle(history.head)
    turn = 0
    found: dict[str, float] = {}

    def trial() -> Mapping[str, float]:
        nonlocal turn
        turn += 1
        for times, repository in repositories.items():
            tip = one_more(histories[times], f"turn {turn}")
            branch = f"turn-{turn}"
            found[SHAPES[times]] = _unpack(repository, to_bytes(tip), tip.head, branch)
            repository.settle(tip.head)
        return {**found, "one on 30 times": found[SHAPES[30]]}

    def small() -> Mapping[str, float]:
        return {"one on 30 times": found[SHAPES[1]]}

    yield Contest({OURS: trial, "on 1,031 commits": small}, rotates=False)
    for repository in repositories.values():
        bench.subject.delete(repository)


@contextmanager
def new_work(bench: Bench, of: str) -> Iterator[Contest]:
    """The server's time for 1, 10 and 30 times as many new commits, files or bytes, in turn."""
    packs = {times: _new(bench, of, times) for times in SHAPES}
    found: dict[str, float] = {}

    def trial() -> Mapping[str, float]:
        for times, (pack, head) in packs.items():
            repository = bench.subject.create()
            found[f"{times} times"] = _unpack(repository, pack, head)
            repository.settle(head)
            bench.subject.delete(repository)
        return {**found, "30 times beside 1": found["30 times"]}

    def once() -> Mapping[str, float]:
        return {"30 times beside 1": found["1 times"]}

    yield Contest({OURS: trial, "1 time": once}, rotates=False)


def _unpack(repository: Repository, pack: bytes, head: str, branch: str = "main") -> float:
    """Seconds that the server takes for an uploaded pack; the branch is there then."""
    key = key_of(pack)
    repository.upload(repository.presign(key, len(pack)), pack)
    seconds, _ = timed(repository.unpack, key, head, branch)
    repository.check_head(head, branch)
    return seconds


def _new(bench: Bench, of: str, times: int) -> tuple[bytes, str]:
    """A pack with so much new work in it, and its head."""
    if of == "commits":
        return bench.sources.pack(SHAPES[times]), bench.sources.history(SHAPES[times]).head
    count, size = {"files": (FILES, FILE_BYTES), "bytes": (BLOBS, BLOB_BYTES)}[of]
    made = _one_commit(f"{of} {times}", count * times, size)
    return to_bytes(made), made.head


def _one_commit(name: str, files: int, size: int) -> History:
    """One commit with so many files of noise, a hundred in each folder."""
    builder = HistoryBuilder(name)
    upsert = {}
    for number in range(files):
        path = f"src/part_{number // 100:04d}/file_{number:06d}.bin"
        upsert[path] = builder.blob(path, noise(f"{name} {number}", size))
    builder.commit(name, upsert)
    return builder.history()
