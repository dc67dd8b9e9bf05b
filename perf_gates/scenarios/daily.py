"""One commit pushed and pulled, and a fetch that brings nothing: what people do all day."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from ..commands import WrongResult, musekit
from ..contests import OURS, Bench, Contest, Trial
from ..peers import Peer, opened
from . import library

EDITED = Path("src") / "file_0000.py"


@contextmanager
def incremental(bench: Bench, shape: str = "simple") -> Iterator[Contest]:
    """One commit pushed, pulled by somebody else, and a fetch that brings nothing.

    First by the command, then by a program that keeps the client library open; a peer's command
    is what both stand beside.
    """
    home, flags = bench.subject.home, bench.stack.flags
    history = bench.sources.history(shape)
    repository = bench.subject.create()
    repository.push(bench.sources.pack(shape), history.head)
    repository.settle(history.head)
    near, far = bench.work / "near", bench.work / "far"
    for folder in (near, far):
        musekit("clone", repository.url, folder, *flags, home=home)
        # A clone may not name its origin: then it is named here.
        musekit("remote", "add", "perf", repository.url, folder=folder, home=home)
    numbers = count()

    def arrived(head: str) -> None:
        """What is there is what was pushed, and the server has nothing left to do."""
        repository.check_head(head)
        repository.settle(head)

    def one_more() -> None:
        _edit(near, next(numbers))
        musekit("commit", "-m", "one more", folder=near, home=home)
        os.sync()

    def by_command() -> dict[str, float]:
        one_more()
        pushed = musekit("push", "perf", "main", "--json", *flags, folder=near, home=home)
        head = str(json.loads(pushed.output)["head"])
        arrived(head)
        pulled = musekit("pull", "perf", "--json", *flags, folder=far, home=home)
        if json.loads(pulled.output)["head"] != head:
            raise WrongResult("the pull did not bring the pushed head")
        _check_same(near, far)
        fetched = musekit("fetch", "perf", "--json", *flags, folder=far, home=home)
        seconds = pushed.seconds, pulled.seconds, fetched.seconds
        return dict(zip(("push one", "pull one", "fetch none"), seconds, strict=True))

    def by_library(client: library.Library) -> dict[str, float]:
        one_more()
        pushed, head = client.call(near, "push")
        arrived(head)
        pulled, _ = client.call(far, "pull", head)
        _check_same(near, far)
        fetched, _ = client.call(far, "fetch", head)
        seconds = pushed, pulled, fetched
        return dict(zip(("push call", "pull call", "fetch call"), seconds, strict=True))

    with ExitStack() as stack:
        client = stack.enter_context(library.opened(repository.url, home, bool(flags)))

        def ours() -> Mapping[str, float]:
            return by_command() | (by_library(client) if client else {})

        trials: dict[str, Trial] = {OURS: ours}
        peers, absent = opened(bench, stack)
        for peer in peers:
            trials[peer.name] = _theirs(bench, peer, shape)
        yield Contest(trials, absent)
        for folder in [near, far, *bench.work.glob("near-*"), *bench.work.glob("far-*")]:
            bench.sources.remove(folder)
    bench.subject.delete(repository)


def _theirs(bench: Bench, peer: Peer, shape: str) -> Trial:
    """The same by a peer's command."""
    url = peer.filled_remote(shape)
    near, far = (bench.work / f"{side}-{peer.name}" for side in ("near", "far"))
    for folder in (near, far):
        peer.clone(url, folder)
    numbers = count()

    def trial() -> Mapping[str, float]:
        _edit(near, next(numbers))
        peer.commit(near)
        os.sync()
        pushed, pulled = peer.push(near, url), peer.pull(far)
        _check_same(near, far)
        fetched = peer.fetch(far)
        return {
            "push one": pushed,
            "pull one": pulled,
            "fetch none": fetched,
            "push call": pushed,
            "pull call": pulled,
            "fetch call": fetched,
        }

    return trial


def _edit(folder: Path, number: int) -> None:
    (folder / EDITED).write_text(f"edited = {number}\n")


def _check_same(near: Path, far: Path) -> None:
    if (near / EDITED).read_bytes() != (far / EDITED).read_bytes():
        raise WrongResult("what was pulled is not what was pushed")
