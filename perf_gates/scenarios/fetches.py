"""Fetch answers from the cache: how soon after a push, and how fast at any size of history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fixtures.history import HistoryBuilder
from fixtures.packing import to_bytes

from ..budgets import requirement
from ..commands import WrongResult
from ..contests import OURS, Bench, Contest
from ..sources import key_of
from ..subject import timed

COVERS = requirement("CG2", "CG3")

CAPABILITIES = ["framed"]


@contextmanager
def warm(bench: Bench, shape: str) -> Iterator[Contest]:
    """POST fetch/mpack for a cached tip: the request sent to the answer read, not the download."""
    history = bench.sources.history(shape)
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), history.head)
    repository.wait_until_cached([history.head])
    body = {"want": [history.head], "have": [], "capabilities": CAPABILITIES}
    downloaded = False

    def trial() -> Mapping[str, float]:
        nonlocal downloaded
        seconds, answer = timed(repository.post, "fetch/mpack", body)
        if answer["cache"] != "hit" or answer["commit_count"] != len(history.commits):
            raise WrongResult(f"the answer was {answer['cache']}, {answer['commit_count']} commits")
        if not downloaded:
            pack = bench.subject.client.get(answer["mpack_url"]).content
            if key_of(pack) != answer["mpack_id"]:
                raise WrongResult("the pack behind the answer is another")
            downloaded = True
        return {"answer": seconds}

    yield Contest({OURS: trial}, warm_ups=2)
    bench.subject.delete(repository)


@contextmanager
def prebuild(bench: Bench, shape: str = "simple", branches: int = 3) -> Iterator[Contest]:
    """From the answer to a push until the tip of every branch is answered from the cache."""
    history = bench.sources.history(shape)
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), history.head)
    repository.settle(history.head)
    tips = {"main": history.head}
    parent = dict(history.commits[-1])
    manifest, directories = history.tree()
    made = 0

    def trial() -> Mapping[str, float]:
        nonlocal made
        made += 1
        branch = f"branch-{made % branches}"
        builder = HistoryBuilder("one more")
        builder.stand_on(parent, (manifest, directories))
        path = "src/file_0000.py"
        builder.commit(f"later {made}", {path: builder.blob(path, b"later %d" % made)})
        tip = builder.history()
        pack = to_bytes(tip)
        key = key_of(pack)
        repository.upload(repository.presign(key, len(pack)), pack)
        body = {"mpack_key": key, "branch": branch, "head": tip.head, "force": True}
        repository.post("push/unpack-mpack", body)
        repository.check_head(tip.head, branch)
        tips[branch] = tip.head
        seconds = repository.wait_until_cached(list(tips.values()))
        repository.settle(tip.head)
        return {"cached": seconds}

    yield Contest({OURS: trial})
    bench.subject.delete(repository)
