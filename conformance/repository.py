"""One repository on the subject, and the calls on it; every call raises `Refused` when refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from . import oracle, packs
from .client import Answer, Client, Connection, Refused, succeeded
from .histories import Commit, ancestry
from .outcomes import Fields, Unmet, prepared

OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to a fetch, and the pack behind its URL."""

    answer: Fields
    raw: bytes
    pack: packs.Contents


@dataclass(slots=True)
class Repository:
    """A repository as one client sees it."""

    client: Client
    owner: str
    slug: str
    id: str
    accepted: list[Commit] = field(default_factory=list)
    look: tuple[int, Fields] | None = None

    @property
    def path(self) -> str:
        """Where its routes begin."""
        return f"/{self.owner}/{self.slug}"

    def seen_by(self, client: Client) -> Repository:
        """The same repository through another client's eyes."""
        return replace(self, client=client)

    def ask(self, method: str, route: str, value: Any = None, **how: Any) -> Answer:
        """Any call on this repository, whatever is answered."""
        return self.client.ask(method, f"{self.path}/{route}", value, **how)

    def call(self, method: str, route: str, value: Any = None, **how: Any) -> Fields:
        """Any call on this repository that must succeed."""
        return succeeded(self.ask(method, route, value, **how)).fields

    # What is there.

    def refs(self, *, lately: bool = False) -> Fields:
        """The answer of GET refs; `lately`: the last one will do, if no write was sent since."""
        writes = Connection.writes
        if lately and self.look is not None and self.look[0] == writes:
            return self.look[1]
        value = self.call("GET", "refs")
        if not isinstance(value, dict) or not isinstance(value.get("branch_heads"), dict):
            raise Unmet("refs with branch_heads", repr(value)[:200])
        self.look = writes, value
        return value

    def heads(self) -> dict[str, str]:
        """The head of each branch."""
        heads: Fields = self.refs()["branch_heads"]
        return heads

    def takes_framed(self) -> bool:
        """Whether the server announces that it takes framed packs."""
        capabilities = self.refs(lately=True)["capabilities"]
        if not isinstance(capabilities, list):
            raise Unmet("a list of capabilities", repr(capabilities)[:200])
        return "framed" in capabilities

    def limit(self, name: str) -> int:
        """A limit that the server announces."""
        limits = self.refs(lately=True)["limits"]
        number = limits.get(name) if isinstance(limits, dict) else None
        if type(number) is not int:
            raise Unmet(f"limits with a number of {name}", repr(limits)[:200])
        return number

    def seen(self, *, lately: bool = False) -> Any:
        """What a refused call must leave as it was."""
        refs = self.refs(lately=lately)
        return {name: refs.get(name) for name in ("branch_heads", "default_branch")}

    def commit(self, id: str) -> Fields:
        """A commit record as the server has it."""
        return self.call("GET", f"commits/{id}")

    def snapshot(self, id: str) -> Fields:
        """A snapshot record as the server has it."""
        return self.call("GET", f"snapshots/{id}")

    def blob(self, id: str, **headers: str) -> Answer:
        """A blob's answer, refusals included."""
        return self.client.send("GET", f"{self.path}/o/{id}", headers=headers)

    def reads(self, *commits: Commit) -> list[Callable[[], Answer]]:
        """A read for each of the commits, their snapshots and their blobs, each once."""
        return [partial(self.ask, "GET", route) for route in _routes(commits)]

    def reads_of_new(self, *commits: Commit) -> list[Callable[[], Answer]]:
        """The same for what these commits have and no accepted push brought."""
        here = _routes(ancestry(*self.accepted))
        return [partial(self.ask, "GET", route) for route in _routes(commits) if route not in here]

    def holds(self, *tips: Commit) -> None:
        """Fails unless everything that the tips reach can be read, under its id, as it was."""
        read: set[str] = set()
        for commit in ancestry(*tips):
            self._holds_record(commit)
            if commit.snapshot not in read:
                self._holds_tree(commit)
            for blob, content in commit.blobs.items():
                answer = self.blob(blob) if blob not in read else None
                if answer and (answer.status != 200 or answer.body != content):
                    raise Unmet(f"the {len(content)} bytes of {blob}", str(answer))
            read |= {commit.snapshot, *commit.blobs}

    def _holds_record(self, commit: Commit) -> None:
        record = self.commit(commit.id)
        lost = {n: v for n, v in commit.record.items() if n not in record or record[n] != v}
        if lost:
            raise Unmet(f"the commit as pushed: {lost}", str({n: record.get(n) for n in lost}))

    def _holds_tree(self, commit: Commit) -> None:
        tree = self.snapshot(commit.snapshot)
        if tree.get("delta_upsert") != commit.manifest:
            raise Unmet("the manifest as pushed", f"{tree.get('delta_upsert')}")
        if tree.get("directories") != sorted(commit.directories, key=str.encode):
            raise Unmet(f"the directories {commit.directories}", f"{tree.get('directories')}")

    # Pushing.

    def pack(self, *tips: Commit, framed: bool = False) -> bytes:
        """The bytes of what `tips` reach and this repository was not seen to accept."""
        value = packs.plain(*tips, known=self.accepted)
        return packs.written(value) if framed else packs.encode(value)

    def presign(self, raw: bytes) -> str:
        """An upload URL for a pack."""
        value = {"mpack_key": oracle.digest(raw), "size_bytes": len(raw)}
        answer = self.call("POST", "push/mpack-presign", value)
        if not isinstance(answer.get("upload_url"), str):
            raise Unmet("an upload_url", repr(answer)[:200])
        return str(answer["upload_url"])

    def put(self, url: str, raw: bytes) -> Answer:
        """Uploads bytes to a presigned URL, without credentials."""
        headers = {"content-type": OCTETS}
        answer = succeeded(self.client.send("PUT", url, raw, headers, signed=False))
        if answer.status not in (200, 204):
            raise Unmet("200 or 204", str(answer))
        return answer

    def upload(self, raw: bytes) -> str:
        """Presigns and uploads; gives the pack's key."""
        self.put(self.presign(raw), raw)
        return oracle.digest(raw)

    def unpack(
        self, key: str, head: str, branch: str = "main", force: bool | None = None
    ) -> Fields:
        """Asks for an uploaded pack to be taken in."""
        value: dict[str, Any] = {"mpack_key": key, "branch": branch, "head": head}
        if force is not None:
            value["force"] = force
        return self.call("POST", "push/unpack-mpack", value)

    def push(
        self,
        *commits: Commit,
        branch: str = "main",
        force: bool | None = None,
        framed: bool = False,
        raw: bytes | None = None,
    ) -> Fields:
        """Presign, PUT, unpack: the last commit becomes the branch's head."""
        body = self.pack(*commits, framed=framed) if raw is None else raw
        answer = self.unpack(self.upload(body), commits[-1].id, branch, force)
        self.accepted += commits
        return answer

    def push_body(
        self, raw: bytes, head: str | None = None, branch: str | None = "main", **query: str
    ) -> Fields:
        """A push whose pack is the request's body."""
        named = {"branch": branch, "head": head} if head is not None else {}
        route = f"push/unpack?{urlencode({**named, **query})}".rstrip("?")
        headers = {"content-type": OCTETS}
        answer = self.client.send("POST", f"{self.path}/{route}", raw, headers)
        return succeeded(answer).fields

    def given(self, *commits: Commit, branch: str = "main", force: bool = False) -> Commit:
        """A push that the check needs and is not about; gives its head.

        In one request; where that is refused, by the other way: each is for checks of its own.
        """
        raw, head = self.pack(*commits), commits[-1].id
        with prepared("a push"):
            try:
                self.push_body(raw, head, branch, **({"force": "true"} if force else {}))
            except Refused:
                self.push(*commits, branch=branch, force=force or None, raw=raw)
            else:
                self.accepted += commits
        return commits[-1]

    # Everything else.

    def negotiate(self, want: Iterable[str], have: Iterable[str] = ()) -> Fields:
        """The answer of negotiate."""
        return self.call("POST", "negotiate", {"want": list(want), "have": list(have)})

    def fetch(
        self,
        *want: Commit,
        have: Iterable[Commit] = (),
        framed: bool = False,
        route: str = "fetch/mpack",
    ) -> Fetched:
        """Fetches and reads the pack; what it leans on must lie below `have`."""
        value: dict[str, Any] = {"want": [commit.id for commit in want]}
        value |= {"have": [commit.id for commit in have]}
        if framed:
            value["capabilities"] = ["framed"]
        answer = self.call("POST", route, value)
        raw = self.download(answer)
        return Fetched(answer, raw, packs.read(raw))

    def download(self, answer: Fields) -> bytes:
        """The bytes behind the URL of a fetch's answer, verified against its id."""
        url = str(answer.get("mpack_url"))
        if "://" not in url:
            raise Unmet("an absolute mpack_url", repr(answer)[:200])
        raw = succeeded(self.client.send("GET", url, signed=False)).body
        if oracle.digest(raw) != answer.get("mpack_id"):
            raise Unmet(f"bytes that hash to {answer.get('mpack_id')}", oracle.digest(raw))
        return raw

    def merge(self, source: str, target: str = "main") -> Fields:
        """A merge on the server."""
        return self.call("POST", "merge", {"source": source, "target": target})

    def delete(self) -> None:
        """Deletes the repository."""
        answer = self.client.ask("DELETE", f"/api/repos/{quote(self.id, safe='')}")
        if answer.status != 204:
            raise Refused(answer) if answer.status >= 400 else Unmet("204", str(answer))


def _routes(commits: Iterable[Commit]) -> dict[str, None]:
    routes: dict[str, None] = {}
    for commit in commits:
        routes |= dict.fromkeys((f"commits/{commit.id}", f"snapshots/{commit.snapshot}"))
        routes |= {f"o/{blob}": None for blob in commit.blobs}
    return routes
