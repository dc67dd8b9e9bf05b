"""What the run made on the subject, written down before it is made, and removed at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .client import Client
from .outcomes import Unmet


@dataclass(frozen=True, slots=True)
class Ledger:
    """A file with one line an event, so that it outlives whichever process is interrupted."""

    path: Path

    def creating(self, owner: str, name: str) -> None:
        """A repository is about to be made; only its name is known."""
        self._write({"creating": f"{owner}/{slug_of(name)}"})

    def created(self, id: str, name: str) -> None:
        """A repository was made, or is not going to be."""
        self._write({"created": id, "name": name})

    def deleted(self, id: str) -> None:
        """A check deleted its repository itself."""
        self._write({"deleted": id})

    def _write(self, event: dict[str, str]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def _events(self) -> Iterator[dict[str, str]]:
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ()
        yield from map(json.loads, lines)

    def left(self) -> dict[str, str]:
        """The repositories that were made and not deleted: id → name."""
        names: dict[str, str] = {}
        for event in self._events():
            if "created" in event:
                names[event["created"]] = event["name"]
            names.pop(event.get("deleted", ""), None)
        return names

    def doubtful(self) -> set[str]:
        """Names of which it is not known whether a repository was made."""
        names = set[str]()
        for event in self._events():
            names |= {event["creating"]} if "creating" in event else set()
            names.discard(event.get("name", ""))
        return names


def slug_of(name: str) -> str:
    """The slug that a repository of this name gets [HTTP-018]."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:64].rstrip("-")


def clean_up(ledger: Ledger, *clients: Client) -> list[str]:
    """Deletes every repository that is left; the names of those that could not be removed."""

    def of(name: str) -> Client:
        owner = name.partition("/")[0]
        return next((c for c in clients if c.identity and c.identity.handle == owner), clients[0])

    def remove(item: tuple[str, str]) -> str | None:
        id, name = item
        client = of(name)
        try:
            answer = client.ask("DELETE", f"/api/repos/{quote(id, safe='')}")
        except Unmet as problem:
            return f"{name} ({id}): {problem.actual}"
        return None if answer.status in (204, 404) else f"{name} ({id}): {answer}"

    for name in ledger.doubtful():
        try:
            answer = of(name).ask("GET", f"/{name}/refs")
            if answer.status == 200:
                ledger.created(str(answer.fields["repo_id"]), name)
        except Unmet:
            continue  # a subject that does not say so has it, or has not: nobody can tell
    with ThreadPoolExecutor(4) as pool:
        return [kept for kept in pool.map(remove, ledger.left().items()) if kept]
