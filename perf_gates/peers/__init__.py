"""Other version control systems, given the same content and the same work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from fixtures.history import History

from ..commands import CouldNotRun
from ..contests import Bench
from .git import Dulwich, Git, serving, version
from .mercurial import Mercurial


class Peer(Protocol):
    """Somebody else's tool with the same repositories; times are seconds from start to exit."""

    name: str

    def source(self, shape: str, loose: bool = False) -> Path:
        """A shape as a local repository, its objects packed or loose."""
        ...

    def empty_remote(self) -> str:
        """The URL of a new repository on a server."""
        ...

    def filled_remote(self, shape: str) -> str:
        """The URL of a repository with a shape, as tidy as the tool makes it."""
        ...

    def served(self, url: str) -> Path:
        """Where the repository of a URL lies."""
        ...

    def push(self, source: Path, url: str) -> float:
        """One push."""
        ...

    def clone(self, url: str, into: Path, *options: str) -> float:
        """One clone with its working tree."""
        ...

    def ways(self, url: str) -> dict[str, tuple[str, ...]]:
        """The ways to clone, by name, and the options of each."""
        ...

    def pull(self, folder: Path) -> float:
        """One pull into a clone."""
        ...

    def fetch(self, folder: Path) -> float:
        """One fetch into a clone."""
        ...

    def commit(self, folder: Path) -> None:
        """Commits what changed in a working tree."""
        ...

    def check(self, path: Path, history: History) -> None:
        """Raises unless a repository has all commits of a history."""
        ...

    def check_pushed(self, source: Path, url: str) -> None:
        """Raises unless a remote has what a source has."""
        ...


def _git(kind: type[Git]) -> Callable[[Bench, ExitStack], Peer]:
    def make(bench: Bench, stack: ExitStack) -> Peer:
        version()
        if kind is Dulwich and find_spec("dulwich") is None:
            raise CouldNotRun("dulwich is not installed")
        root = bench.work / "git"
        return kind(bench.sources, root, stack.enter_context(serving(root / "served")))

    return make


def _mercurial(bench: Bench, stack: ExitStack) -> Peer:
    made = Mercurial(bench.sources, bench.work / "hg", Git(bench.sources, bench.work / "git", ""))
    stack.callback(made.close)
    made.version()
    return made


PEERS: dict[str, Callable[[Bench, ExitStack], Peer]] = {
    "git": _git(Git),
    "dulwich": _git(Dulwich),
    "mercurial": _mercurial,
}


def opened(bench: Bench, stack: ExitStack) -> tuple[list[Peer], dict[str, str]]:
    """The peers of this run, and why those that are not here are not."""
    found: list[Peer] = []
    absent: dict[str, str] = {}
    for name in bench.peers:
        try:
            found.append(PEERS[name](bench, stack))
        except CouldNotRun as problem:
            absent[name] = str(problem)
    return found, absent
