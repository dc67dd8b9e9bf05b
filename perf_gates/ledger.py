"""What a server has acknowledged, and whether it is still there: the other half of a load test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from reference.wire.ids import blob_id, commit_id

UNACKNOWLEDGED = 16
"""Pushes on top of the last acknowledged one that are looked through at most."""


class Entry(NamedTuple):
    """One acknowledged push."""

    repository: str
    head: str
    blob: str


@dataclass(slots=True)
class Ledger:
    """Acknowledged pushes in order; appended to only after the answer came."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, repository: str, head: str, blob: str) -> None:
        """Notes a push that was acknowledged."""
        self.entries.append(Entry(repository, head, blob))

    def missing(self, client: httpx.Client) -> Iterator[str]:
        """One sentence for each thing that was acknowledged and is not there as it was."""
        newest = {entry.repository: entry.head for entry in self.entries}
        for repository, head in newest.items():
            answer = client.get(f"{repository}/refs")
            found = answer.json()["branch_heads"].get("main") if answer.is_success else None
            if not _descends(client, repository, found, head):
                yield f"{repository}: main is at {found}, not at or after {head}"
        for repository, head, blob in self.entries:
            answer = client.get(f"{repository}/commits/{head}")
            if not answer.is_success or commit_id(answer.json()) != head:
                yield f"{repository}: commit {head}: {answer.status_code}"
            answer = client.get(f"{repository}/o/{blob}")
            if not answer.is_success or blob_id(answer.content) != blob:
                yield f"{repository}: blob {blob}: {answer.status_code}"


def _descends(client: httpx.Client, repository: str, at: str | None, head: str) -> bool:
    """Whether `at` is `head` or on top of it: a push may have happened whose answer was lost."""
    for _ in range(UNACKNOWLEDGED):
        if at is None or at == head:
            break
        answer = client.get(f"{repository}/commits/{at}")
        at = answer.json()["parent_commit_id"] if answer.is_success else None
    return at == head
