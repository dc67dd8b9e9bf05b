"""The protocol's calls one by one, as the published steps took them: a client that only waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..budgets import requirement
from ..commands import WrongResult
from ..contests import OURS, Bench, Contest
from ..sources import key_of
from ..subject import Repository, timed

COVERS = requirement("BG1", "BG2", "BG4", "BG5", "BG6", "BG7", "DP5", "DP6")


@contextmanager
def negotiate(bench: Bench, shape: str = "step") -> Iterator[Contest]:
    """GET refs, then POST negotiate for a tip that the server has."""
    history = bench.sources.history(shape)
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), history.head)
    repository.settle(history.head)
    body = {"want": [history.head], "have": [history.head]}

    def trial() -> Mapping[str, float]:
        refs, found = timed(repository.refs)
        seconds, answer = timed(repository.post, "negotiate", body)
        if found["branch_heads"] != {"main": history.head} or answer["ack"] != [history.head]:
            raise WrongResult(f"negotiate answered {answer}")
        return {"refs": refs, "negotiate": seconds, "both": refs + seconds}

    yield Contest({OURS: trial})
    bench.subject.delete(repository)


@contextmanager
def unpack_body(bench: Bench, shape: str = "step", form: str = "plain") -> Iterator[Contest]:
    """POST push/unpack with the pack as the body, to an empty repository each time."""
    history = bench.sources.history(shape)
    pack = bench.sources.pack(shape, form == "framed")

    def trial() -> Mapping[str, float]:
        repository = bench.subject.create()
        path = f"{repository.path}/push/unpack?branch=main&head={history.head}"
        send = bench.subject.send
        seconds, answer = timed(send, "POST", path, pack, "application/octet-stream")
        _check(repository, answer, len(history.commits), history.head)
        return {"unpack": seconds}

    yield Contest({OURS: trial})


@contextmanager
def pipeline(bench: Bench, shape: str = "step", form: str = "framed") -> Iterator[Contest]:
    """refs, negotiate, presign, PUT, unpack, refs: a whole push to an empty repository."""
    history = bench.sources.history(shape)
    pack = bench.sources.pack(shape, form == "framed")
    key = key_of(pack)
    body = {"want": [history.head], "have": []}

    def trial() -> Mapping[str, float]:
        repository = bench.subject.create()
        seconds: dict[str, float] = {}
        seconds["refs"], _ = timed(repository.refs)
        seconds["negotiate"], _ = timed(repository.post, "negotiate", body)
        seconds["presign"], url = timed(repository.presign, key, len(pack))
        seconds["upload"], _ = timed(repository.upload, url, pack)
        seconds["unpack"], answer = timed(repository.unpack, key, history.head)
        seconds["verify"], _ = timed(repository.check_head, history.head)
        _check(repository, answer, len(history.commits), history.head)
        server = sum(value for name, value in seconds.items() if name != "upload")
        accept = seconds["presign"] + seconds["unpack"]
        return {
            **seconds,
            "server": server,
            "presign and unpack": accept,
            "presign, unpack and refs": accept + seconds["verify"],
            "all": server + seconds["upload"],
        }

    yield Contest({OURS: trial})


@contextmanager
def advance(bench: Bench, shape: str = "big") -> Iterator[Contest]:
    """unpack for a pack that the repository has: only the checks of a branch and its moving."""
    history = bench.sources.history(shape)
    pack = bench.sources.pack(shape)
    key, parent = key_of(pack), history.commits[-1]["parent_commit_id"]
    repository = bench.subject.create()
    repository.push(pack, history.head)
    repository.settle(history.head)
    made = 0

    def trial() -> Mapping[str, float]:
        nonlocal made
        made += 1
        branch = f"branch-{made}"
        repository.unpack(key, parent, branch)
        seconds, _ = timed(repository.unpack, key, history.head, branch)
        repository.check_head(history.head, branch)
        return {"advance": seconds}

    yield Contest({OURS: trial})
    bench.subject.delete(repository)


def _check(repository: Repository, answer: Mapping[str, object], commits: int, head: str) -> None:
    """What was pushed is all there, and the repository goes again before the next run."""
    found = answer.get("commits_written"), answer.get("snapshots_written")
    if found != (commits, commits):
        raise WrongResult(f"{found} commits and snapshots written, not {commits}")
    repository.check_head(head)
    repository.settle(head)
    repository.subject.delete(repository)
