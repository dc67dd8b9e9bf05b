"""git over smart HTTP: the fixtures' content in git repositories, pushed and cloned by git."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fixtures.history import History

from ..commands import CouldNotRun, WrongResult, run
from ..sources import Sources
from ..stacks import free_port, wait_for_port
from . import git_server

ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "perf",
    "GIT_AUTHOR_EMAIL": "perf@localhost",
    "GIT_COMMITTER_NAME": "perf",
    "GIT_COMMITTER_EMAIL": "perf@localhost",
}
QUIET = ("-c", "gc.auto=0", "-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false")


def git(*words: str | Path, folder: Path | None = None, stdin: bytes = b"") -> str:
    """One git command outside any clock; what it prints."""
    return run(["git", *QUIET, *words], folder, ENVIRONMENT, stdin).output


def export(history: History) -> Iterator[bytes]:
    """A history as `git fast-import` reads it: each blob once, each commit as its delta."""
    marks = {}
    for mark, blob in enumerate(history.blobs, 1):
        marks[blob.object_id] = mark
        yield b"blob\nmark :%d\ndata %d\n%s\n" % (mark, len(blob.content), blob.content)
    deltas = {snapshot["snapshot_id"]: snapshot for snapshot in history.snapshots}
    yield b"reset refs/heads/main\n"
    for commit in history.commits:
        when = int(datetime.fromisoformat(commit["committed_at"]).timestamp())
        who = f"{commit['author']} <{commit['author']}@localhost> {when} +0000"
        message = commit["message"].encode()
        yield f"commit refs/heads/main\nauthor {who}\ncommitter {who}\n".encode()
        yield b"data %d\n%s\n" % (len(message), message)
        delta = deltas[commit["snapshot_id"]]
        for path in delta["delta_remove"]:
            yield f"D {path}\n".encode()
        for path, object_id in delta["delta_upsert"].items():
            yield f"M 100644 :{marks[object_id]} {path}\n".encode()
        yield b"\n"


@dataclass(slots=True, weakref_slot=True)
class Git:
    """Repositories of a run, and the server that holds the bare ones."""

    name = "git"
    sources: Sources
    root: Path
    url: str

    def source(self, shape: str, loose: bool = False) -> Path:
        """A shape as a repository with a working tree, its objects packed or loose."""
        path = self.root / "sources" / f"{shape}-{'loose' if loose else 'packed'}"
        if path.exists():
            return path
        history = self.sources.history(shape)
        path.mkdir(parents=True)
        git("init", "-q", folder=path)
        git("fast-import", "--quiet", folder=path, stdin=b"".join(export(history)))
        git("reset", "-q", "--hard", folder=path)
        if loose:
            for pack in list((path / ".git/objects/pack").glob("*.pack")):
                aside = path / ".git" / pack.name
                pack.rename(aside)
                for rest in pack.parent.glob(pack.stem + ".*"):
                    rest.unlink()
                git("unpack-objects", "-q", folder=path, stdin=aside.read_bytes())
                aside.unlink()
        else:
            git("repack", "-adq", folder=path)
        self.check(path, history)
        return path

    def check(self, path: Path, history: History) -> None:
        """Raises unless a repository has all commits of a history."""
        found = int(git("rev-list", "--count", "HEAD", folder=path))
        if found != len(history.commits):
            raise WrongResult(f"git has {found} of {len(history.commits)} commits")

    def empty_remote(self) -> str:
        """The URL of a new bare repository."""
        name = f"r{os.urandom(6).hex()}.git"
        path = self.root / "served" / name
        git("init", "-q", "--bare", path)
        git("config", "http.receivepack", "true", folder=path)
        git("config", "receive.autogc", "false", folder=path)
        return f"{self.url}/{name}"

    def filled_remote(self, shape: str) -> str:
        """The URL of a bare repository with a shape, repacked as a server would."""
        url = self.empty_remote()
        path = self.served(url)
        git("push", "-q", path, "main", folder=self.source(shape))
        git("repack", "-adq", folder=path)
        git("symbolic-ref", "HEAD", "refs/heads/main", folder=path)
        return url

    def bundle(self, url: str) -> str:
        """The URL of a bundle of everything in a bare repository."""
        path = self.root / "served" / "bundles"
        path.mkdir(exist_ok=True)
        name = f"b{os.urandom(6).hex()}.bundle"
        git("bundle", "create", "-q", path / name, "--all", folder=self.served(url))
        return f"{self.url}/bundles/{name}"

    def served(self, url: str) -> Path:
        """Where the bare repository of a URL lies."""
        return self.root / "served" / url.rpartition("/")[2]

    def push(self, source: Path, url: str) -> float:
        """Seconds of one push of `main`."""
        return run(["git", *QUIET, "push", "-q", url, "main"], source, ENVIRONMENT).seconds

    def clone(self, url: str, into: Path, *options: str) -> float:
        """Seconds of one clone with its working tree."""
        words = ["git", *QUIET, "clone", "-q", *options, url, str(into)]
        return run(words, None, ENVIRONMENT).seconds

    def pull(self, folder: Path) -> float:
        """Seconds of one pull into a clone."""
        return run(["git", *QUIET, "pull", "-q", "--ff-only"], folder, ENVIRONMENT).seconds

    def fetch(self, folder: Path) -> float:
        """Seconds of one fetch into a clone."""
        return run(["git", *QUIET, "fetch", "-q"], folder, ENVIRONMENT).seconds

    def commit(self, folder: Path) -> None:
        """Commits what changed."""
        git("commit", "-qam", "one more", folder=folder)

    def ways(self, url: str) -> dict[str, tuple[str, ...]]:
        """The ways to clone, by name: from the server, and from a bundle that it points to."""
        return {self.name: (), "git bundle-uri": (f"--bundle-uri={self.bundle(url)}",)}

    def check_pushed(self, source: Path, url: str) -> None:
        """Raises unless the remote's `main` is the source's."""
        ours = git("rev-parse", "main", folder=source)
        if git("rev-parse", "main", folder=self.served(url)) != ours:
            raise WrongResult("git's remote is not at what was pushed")


@dataclass(slots=True, weakref_slot=True)
class Dulwich(Git):
    """The same repositories and server, pushed and cloned by a git client written in Python."""

    name = "dulwich"

    def ways(self, url: str) -> dict[str, tuple[str, ...]]:
        """The one way to clone."""
        return {self.name: ()}

    def push(self, source: Path, url: str) -> float:
        """Seconds of one push of `main`."""
        code = "import sys; from dulwich import porcelain as p; p.push(*sys.argv[1:4])"
        words = [sys.executable, "-c", code, str(source), url, "refs/heads/main"]
        return run(words, None, ENVIRONMENT).seconds

    def clone(self, url: str, into: Path, *options: str) -> float:
        """Seconds of one clone with its working tree."""
        code = "import sys; from dulwich import porcelain as p; p.clone(*sys.argv[1:3]).close()"
        return run([sys.executable, "-c", code, url, str(into)], None, ENVIRONMENT).seconds

    def pull(self, folder: Path) -> float:
        """Seconds of one pull into a clone."""
        code = "import sys; from dulwich import porcelain as p; p.pull('.')"
        return run([sys.executable, "-c", code], folder, ENVIRONMENT).seconds

    def fetch(self, folder: Path) -> float:
        """Seconds of one fetch into a clone."""
        code = "import sys; from dulwich import porcelain as p; p.fetch('.')"
        return run([sys.executable, "-c", code], folder, ENVIRONMENT).seconds


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The URL of a git server for the bare repositories under `root`."""
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = [sys.executable, git_server.__file__, str(root), str(port)]
    process = subprocess.Popen(words)
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def version() -> str:
    """git's version, or why it is not here."""
    try:
        return git("--version").strip()
    except CouldNotRun as problem:
        raise CouldNotRun(f"git: {problem}") from None
