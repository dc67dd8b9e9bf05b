"""A local repository in few words: commit, read, compare."""

from __future__ import annotations

import os
from pathlib import Path

from reference.client.progress import Steps
from reference.client.push import Pushed, push
from reference.client.remote import Remote
from reference.store import loose, refs
from reference.store.adapter import commit_on
from reference.store.repository import Repository


class Workspace:
    """A repository and what a test does with it."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    @property
    def dot(self) -> str:
        """The store's folder."""
        return self.repository.dot

    def commit(self, branch: str = "main", **files: str) -> str:
        """A commit whose tree is `files`."""
        contents = [content.encode() for content in files.values()]
        ids = loose.put_blobs(self.dot, contents)
        fields = {"message": "m", "author": "a", "committed_at": "2026-01-01T00:00:00Z"}
        manifest = dict(zip(files, ids, strict=True))
        commit: str = commit_on(self.repository, branch, manifest, [], fields)["commit_id"]
        return commit

    def push(self, remote: Remote, branch: str = "main", force: bool = False) -> Pushed:
        """Pushes a branch as it stands."""
        head = refs.read(self.dot, branch)
        assert head is not None
        return push(self.repository, remote, branch, head, force, Steps())


def tree(root: Path | str) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, every folder with None; the store left out."""
    found: dict[str, bytes | None] = {}
    for at, folders, names in os.walk(root):
        if at == str(root) and ".muse" in folders:
            folders.remove(".muse")
        for name in folders:
            found[os.path.relpath(f"{at}/{name}", root)] = None
        for name in names:
            found[os.path.relpath(f"{at}/{name}", root)] = Path(at, name).read_bytes()
    return found
