"""Mercurial over HTTP: git's repositories as Mercurial converts them, served by `hg serve`."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from fixtures.history import History

from ..commands import WrongResult, run
from ..sources import Sources
from ..stacks import free_port, wait_for_port
from .git import Git

ENVIRONMENT = {"HGRCPATH": os.devnull, "HGUSER": "perf", "HGPLAIN": "1"}


def hg(*words: str | Path, folder: Path | None = None) -> str:
    """One command outside any clock; what it prints."""
    return run(["hg", "-q", *words], folder, ENVIRONMENT).output


@dataclass(slots=True)
class Mercurial:
    """Repositories of a run; Mercurial has no loose objects, so there is one kind of source."""

    sources: Sources
    root: Path
    git: Git
    name: str = "mercurial"
    _servers: dict[str, tuple[Path, subprocess.Popen[bytes]]] = field(default_factory=dict)

    def version(self) -> str:
        """The version, or `CouldNotRun`."""
        return run(["hg", "--version", "-q"], None, ENVIRONMENT).output.strip()

    def close(self) -> None:
        """Stops all servers."""
        for url in list(self._servers):
            self._stop(url)

    def _stop(self, url: str) -> None:
        _, process = self._servers.pop(url)
        process.terminate()
        process.wait()

    def source(self, shape: str, loose: bool = False) -> Path:
        """A shape, converted from git once."""
        path = self.root / "sources" / shape
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            packed = self.git.source(shape)
            hg("--config", "extensions.convert=", "convert", packed, path)
            hg("update", "-C", "tip", folder=path)
            self.check(path, self.sources.history(shape))
        return path

    def _serve(self, path: Path) -> str:
        port = free_port()
        words = ["hg", "serve", "-p", str(port), "-a", "127.0.0.1"]
        words += ["--config", "web.push_ssl=false", "--config", "web.allow-push=*"]
        environment = {**os.environ, **ENVIRONMENT}
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(words, cwd=path, env=environment, stdout=quiet, stderr=quiet)
        wait_for_port(port, process)
        url = f"http://127.0.0.1:{port}/"
        self._servers[url] = path, process
        return url

    def empty_remote(self) -> str:
        """The URL of a new repository."""
        path = self.root / "served" / os.urandom(6).hex()
        path.parent.mkdir(parents=True, exist_ok=True)
        hg("init", path)
        return self._serve(path)

    def filled_remote(self, shape: str) -> str:
        """The URL of a repository with a shape."""
        path = self.root / "served" / os.urandom(6).hex()
        path.parent.mkdir(parents=True, exist_ok=True)
        hg("clone", "-U", "--pull", self.source(shape), path)
        return self._serve(path)

    def served(self, url: str) -> Path:
        """Where the repository of a URL lies; its server ends, for it is asked last."""
        path = self._servers[url][0]
        self._stop(url)
        return path

    def push(self, source: Path, url: str) -> float:
        """Seconds of one push."""
        return run(["hg", "-q", "push", url], source, ENVIRONMENT).seconds

    def clone(self, url: str, into: Path, *options: str) -> float:
        """Seconds of one clone with its working tree."""
        return run(["hg", "-q", "clone", *options, url, into], None, ENVIRONMENT).seconds

    def ways(self, url: str) -> dict[str, tuple[str, ...]]:
        """The one way to clone."""
        return {self.name: ()}

    def pull(self, folder: Path) -> float:
        """Seconds of one pull with its update."""
        return run(["hg", "-q", "pull", "-u"], folder, ENVIRONMENT).seconds

    def fetch(self, folder: Path) -> float:
        """Seconds of one pull without an update."""
        return run(["hg", "-q", "pull"], folder, ENVIRONMENT).seconds

    def commit(self, folder: Path) -> None:
        """Commits what changed."""
        hg("commit", "-m", "one more", folder=folder)

    def check(self, path: Path, history: History) -> None:
        """Raises unless a repository has all commits of a history."""
        found = int(hg("log", "-r", "tip", "-T", "{rev}", folder=path)) + 1
        if found != len(history.commits):
            raise WrongResult(f"Mercurial has {found} of {len(history.commits)} commits")

    def check_pushed(self, source: Path, url: str) -> None:
        """Raises unless the remote's tip is the source's."""
        path = self._servers[url][0]
        tips = [hg("log", "-r", "tip", "-T", "{node}", folder=folder) for folder in (source, path)]
        if tips[0] != tips[1]:
            raise WrongResult("Mercurial's remote is not at what was pushed")
