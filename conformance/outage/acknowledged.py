"""One ledger of what was answered: on the client's disk, in the object store, in the database."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance.adapter import Store
from conformance.histories import Commit, commit
from conformance.outcomes import CouldNotRun, Unmet
from conformance.repository import Repository
from conformance.world import World

_ROUNDS = 6  # pushes to one repository: all of it is read again after each
_SIZES = {"small.txt": 60, "folder/middle.bin": 9_000, "folder/large.bin": 200_000}


@dataclass(slots=True)
class Ledger:
    """Everything that was promised so far, and who has to have it."""

    world: World
    with_client: bool = True
    repo: Repository = field(init=False)
    head: Commit = field(init=False)
    promised: list[tuple[Repository, Commit]] = field(default_factory=list)
    client: Store | None = None
    committed: list[Commit] = field(default_factory=list)
    rounds: int = 0
    left: int = 0  # until the next repository

    def __post_init__(self) -> None:
        if self.with_client and self.world.subject.store:
            self.client = self.world.store()

    def close(self) -> None:
        """Ends the client and removes its disk."""
        if self.client is not None:
            self.client.close()
            shutil.rmtree(self.client.folder, ignore_errors=True)

    def next(self) -> list[Commit]:
        """Two commits to push, committed on the client's disk first."""
        if not self.left:
            self.left = _ROUNDS
            self.repo = self.world.repository()
            first = self._made("first")
            self.repo.given(first)
            self.took([first])
        self.rounds += 1
        self.left -= 1
        one = self._made("one", self.head)
        return [one, self._made("two", one)]

    def _made(self, word: str, *on: Commit) -> Commit:
        dice = random.Random(f"{self.world.namespace} {self.rounds} {word}")
        files = {path: dice.randbytes(size) for path, size in _SIZES.items()}
        made = commit(f"{word} {self.rounds}", on=on, files=files)
        if self.client is not None:
            names = ("message", "author", "committed_at")
            given = {name: made.record[name] for name in names}
            id, _ = self.client.commit(self.repo.slug, files=files, **given)
            if id != made.id:
                raise Unmet(f"the client commits {made.id}", id)
            self.committed.append(made)
        return made

    def took(self, links: Sequence[Commit]) -> None:
        """The push of these was answered with success."""
        self.head = links[-1]
        self.repo.accepted += [link for link in links if link not in self.repo.accepted]
        self.promised.append((self.repo, self.head))

    def turn_page(self) -> None:
        """A promise was broken: what was made of it is not asked for again."""
        self.left = 0
        self.promised = [kept for kept in self.promised if kept[0].id != self.repo.id]

    def die(self) -> None:
        """The client dies with everything else."""
        if self.client is not None:
            self.client.batch.kill()

    # What has to hold afterwards; each raises `Unmet` with the first thing that does not.

    def look(self, links: Sequence[Commit], *, answered: bool) -> bool:
        """After a death in a push of `links`: whether it happened, all of it having or none."""
        happened = settled(self.repo, self.head, links)
        if answered and not happened:
            raise Unmet("a push that was answered is there", "the branch is where it was before")
        if answered:
            self.stored(links[-1])
        if self.repo.fetch(self.head).pack.commits.keys() < {self.head.id}:
            raise Unmet("a clone of the old head", "a pack without it")
        self.kept(self.committed[-3:])
        return happened

    def all(self) -> None:
        """Everything that was ever promised, by whomever."""
        last = {repo.id: (repo, head) for repo, head in self.promised}
        for repo, head in last.values():
            if repo.heads() != {"main": head.id}:
                raise Unmet(f"main at {head.id}", str(repo.heads()))
            repo.holds(head)
        self.kept(self.committed)
        if self.client is not None:
            self.client.sound()

    def kept(self, links: Sequence[Commit]) -> None:
        """What the client's own disk acknowledged."""
        for link in links if self.client is not None else ():
            assert self.client is not None
            record = self.client.do("get_commit", id=link.id)["record"]
            if record.get("snapshot_id") != link.snapshot:
                raise Unmet(f"the client's commit {link.id}", str(record))
            for blob, content in link.blobs.items():
                if self.client.get(blob) != content:
                    raise Unmet(f"the client's blob {blob}", "other bytes")

    def stored(self, tip: Commit) -> None:
        """Both sides of the server, where it shows them: rows, and the objects they name."""
        inspect = self.world.inspect
        if not inspect.subject.postgres:
            return
        try:
            found = {blob: inspect.storage_uris("blob", blob) for blob in tip.blobs}
            keys = " ".join(inspect.objects()) if inspect.subject.objects else None
        except CouldNotRun:
            return  # it does not show this; what it serves was looked at
        for blob, uris in found.items():
            if not uris:
                raise Unmet(f"a row for blob {blob} in the database", "none")
            packs = [str(uri).removeprefix("mpack://") for uri in uris]
            if keys is not None and not any(pack in keys for pack in packs):
                raise Unmet(f"an object for blob {blob}: one of {packs}", f"only {keys}")


def settled(repo: Repository, old: Commit, links: Sequence[Commit]) -> bool:
    """Whether the push of `links` on `old` happened; fails when it happened in part."""
    new = links[-1]
    head = repo.heads()["main"]
    if head == new.id:
        repo.holds(new)
        return True
    if head != old.id:
        raise Unmet("the old head or the new", head)
    repo.holds(old)
    for read in repo.reads_of_new(*links):
        answer = read()
        if answer.status != 404:
            raise Unmet(
                "all of the push or none of it",
                f"the old head, and yet {answer.target} is answered with {answer.status}",
            )
    return False
