"""What the run made on the subject, written down before it is made, and removed at the end."""

from __future__ import annotations

import json
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

    def created(self, id: str, name: str) -> None:
        """A repository was made."""
        self._write({"created": id, "name": name})

    def deleted(self, id: str) -> None:
        """A check deleted its repository itself."""
        self._write({"deleted": id})

    def _write(self, event: dict[str, str]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def left(self) -> dict[str, str]:
        """The repositories that were made and not deleted: id → name."""
        names: dict[str, str] = {}
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ()
        for line in lines:
            event = json.loads(line)
            if "created" in event:
                names[event["created"]] = event["name"]
            else:
                names.pop(event["deleted"], None)
        return names


def clean_up(ledger: Ledger, *clients: Client) -> list[str]:
    """Deletes every repository that is left; the names of those that could not be removed."""

    def remove(item: tuple[str, str]) -> str | None:
        id, name = item
        owner = name.partition("/")[0]
        client = next((c for c in clients if c.identity and c.identity.handle == owner), clients[0])
        try:
            answer = client.ask("DELETE", f"/api/repos/{quote(id, safe='')}")
        except Unmet as problem:
            return f"{name} ({id}): {problem.actual}"
        return None if answer.status in (204, 404) else f"{name} ({id}): {answer}"

    with ThreadPoolExecutor(4) as pool:
        return [kept for kept in pool.map(remove, ledger.left().items()) if kept]
