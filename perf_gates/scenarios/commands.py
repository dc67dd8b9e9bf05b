"""Push and clone as a user types them, beside the same work of the peers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..budgets import requirement
from ..commands import WrongResult, musekit
from ..contests import OURS, Bench, Contest, Trial
from ..peers import Peer, opened
from ..sources import Expected, check_tree
from ..subject import Repository

COVERS = requirement("BG1", "BG3", "BG7", "CG1", "DP1")


def push_once(bench: Bench, source: Path, repository: Repository) -> tuple[float, dict[str, Any]]:
    """One push of `main`, from start to exit, and what it said."""
    home = bench.subject.home
    musekit("remote", "add", repository.slug, repository.url, folder=source, home=home)
    os.sync()
    done = musekit(
        "push", repository.slug, "main", "--json", *bench.stack.flags, folder=source, home=home
    )
    return done.seconds, json.loads(done.output)


def steps(said: Mapping[str, Any]) -> dict[str, float]:
    """The steps that a command with `--json` tells, in seconds."""
    return {f"step {name}": value / 1000 for name, value in said.get("ms", {}).items()}


@contextmanager
def push(bench: Bench, shape: str, store: str = "packed") -> Iterator[Contest]:
    """Push to an empty repository, from process start to exit."""
    history = bench.sources.history(shape)
    source = bench.sources.folder(shape, store == "loose")
    cloned = False

    def ours() -> Mapping[str, float]:
        nonlocal cloned
        repository = bench.subject.create()
        seconds, said = push_once(bench, source, repository)
        if said["stored_commits"] != len(history.commits):
            raise WrongResult(f"{said['stored_commits']} commits stored")
        repository.check_head(history.head)
        if not cloned:  # once is enough: what arrived can be cloned, to the last file
            _clone_ours(bench, repository, Expected(history))
            cloned = True
        repository.settle(history.head)
        bench.subject.delete(repository)
        return {"push": seconds, "commits": said["stored_commits"], **steps(said)}

    trials: dict[str, Trial] = {OURS: ours}
    with ExitStack() as stack:
        peers, absent = opened(bench, stack)
        for peer in peers:
            theirs = peer.source(shape, store == "loose")

            def trial(peer: Peer = peer, theirs: Path = theirs) -> Mapping[str, float]:
                url = peer.empty_remote()
                os.sync()
                seconds = peer.push(theirs, url)
                peer.check_pushed(theirs, url)
                bench.sources.remove(peer.served(url))
                return {"push": seconds}

            trials[peer.name] = trial
        yield Contest(trials, absent)


@contextmanager
def clone(bench: Bench, shape: str) -> Iterator[Contest]:
    """Clone with the working tree, everything verified, from process start to exit."""
    expected = Expected(bench.sources.history(shape))
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), expected.history.head)
    repository.settle(expected.history.head)
    trials: dict[str, Trial] = {OURS: lambda: _clone_ours(bench, repository, expected)}
    with ExitStack() as stack:
        peers, absent = opened(bench, stack)
        for peer in peers:
            url = peer.filled_remote(shape)
            for way, options in peer.ways(url).items():

                def trial(
                    peer: Peer = peer, url: str = url, options: tuple[str, ...] = options
                ) -> Mapping[str, float]:
                    into = bench.work / "theirs"
                    os.sync()
                    seconds = peer.clone(url, into, *options)
                    check_tree(into, expected.manifest)
                    peer.check(into, expected.history)
                    bench.sources.remove(into)
                    return {"clone": seconds}

                trials[way] = trial
        yield Contest(trials, absent)
    bench.subject.delete(repository)


def _clone_ours(bench: Bench, repository: Repository, expected: Expected) -> Mapping[str, float]:
    into = bench.work / "clone"
    os.sync()
    done = musekit(
        "clone", repository.url, into, "--json", *bench.stack.flags, home=bench.subject.home
    )
    said = json.loads(done.output)
    if said["commits"] != len(expected.history.commits):
        raise WrongResult(f"{said['commits']} commits cloned")
    check_tree(into, expected.manifest)
    bench.sources.remove(into)
    return {"clone": done.seconds, **steps(said)}
