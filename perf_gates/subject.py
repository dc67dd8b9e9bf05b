"""The server under measurement, spoken to over plain HTTP: each call timed by itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import httpx

from reference.wire import msign, provenance

from .commands import CouldNotRun, WrongResult, musekit

P = ParamSpec("P")
T = TypeVar("T")


def timed(call: Callable[P, T], *words: P.args, **named: P.kwargs) -> tuple[float, T]:
    """How many seconds a call took, and what it returned."""
    started = time.perf_counter()
    result = call(*words, **named)
    return time.perf_counter() - started, result


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs requests: the same key that the command line uses."""

    handle: str
    seed: bytes

    @classmethod
    def of(cls, home: Path) -> Identity:
        """The key in a configuration folder, made there if there is none yet."""
        path = home / "identity.json"
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            musekit("keygen", "--handle", f"perf-{os.urandom(4).hex()}", home=home)
        stored = json.loads(path.read_text())
        return cls(stored["handle"], provenance.from_base64url(stored["seed"], 32))

    @property
    def public_key(self) -> str:
        """The public half, as text."""
        return provenance.public_key(self.seed)


@dataclass(slots=True)
class Subject:
    """One server and the repositories that a run made on it."""

    url: str
    home: Path
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=120, trust_env=False))
    made: dict[str, str] = field(default_factory=dict)
    settles: bool = True
    _identity: Identity | None = None

    @property
    def identity(self) -> Identity:
        """The signer, registered where the server lets one."""
        if self._identity is None:
            self._identity = Identity.of(self.home)
            fields = {"handle": self._identity.handle, "public_key": self._identity.public_key}
            answer = self.client.post(f"{self.url}/api/identities", json=fields)
            if answer.status_code not in (200, 201, 403, 404, 405):
                raise WrongResult(f"registering a key: {answer.status_code} {answer.text[:200]}")
        return self._identity

    def create(self) -> Repository:
        """A new, empty repository with a name of its own."""
        name = f"perf-{os.urandom(6).hex()}"
        fields = {"owner": self.identity.handle, "name": name, "visibility": "public"}
        made = self.call("POST", "/api/repos", {**fields, "initialize": False})
        slug = str(made["slug"])
        self.made[slug] = str(made["repoId"])
        return Repository(self, slug)

    def delete(self, repository: Repository) -> None:
        """Removes a repository that `create` made."""
        repo_id = self.made.pop(repository.slug, None)
        if repo_id is not None:
            self.call("DELETE", f"/api/repos/{repo_id}", None)

    def close(self) -> list[str]:
        """Removes what is left; the names of what could not be removed."""
        kept = []
        for slug in list(self.made):
            try:
                self.delete(Repository(self, slug))
            except (httpx.HTTPError, WrongResult):
                kept.append(slug)
        self.client.close()
        return kept

    def call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """One signed call in JSON; `WrongResult` unless it succeeds."""
        raw = b"" if body is None else json.dumps(body).encode()
        return self.send(method, path, raw, "application/json")

    def send(self, method: str, path: str, raw: bytes, kind: str) -> dict[str, Any]:
        """One signed call with a body as it is."""
        headers = {"content-type": kind, "authorization": self.sign(method, path, raw)}
        answer = self.client.request(method, self.url + path, content=raw, headers=headers)
        if answer.status_code >= 300:
            text = answer.text[:200]
            raise WrongResult(f"{method} {path.partition('?')[0]}: {answer.status_code} {text}")
        return dict(answer.json()) if answer.content else {}

    def sign(self, method: str, path: str, raw: bytes) -> str:
        """The Authorization header of one request."""
        host = urlsplit(self.url).netloc
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        identity, now = self.identity, int(time.time())
        return msign.authorization(identity.handle, identity.seed, method, host, path, digest, now)

    def wait(self, seconds: float = 30) -> None:
        """Returns once the server answers."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if self.client.get(f"{self.url}/healthz").status_code in (200, 404):
                    return
            if time.monotonic() > deadline:
                raise CouldNotRun(f"nothing answers at {self.url} within {seconds:.0f} s")
            time.sleep(0.1)  # nobody tells when a server begins to answer


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository on the subject."""

    subject: Subject
    slug: str

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{self.subject.url}{self.path}"

    @property
    def path(self) -> str:
        """The path of its calls."""
        return f"/{self.subject.identity.handle}/{self.slug}"

    def refs(self) -> dict[str, Any]:
        """Its branches and limits; read without a signature, as anybody may."""
        answer = self.subject.client.get(self.url + "/refs")
        if answer.status_code != 200:
            raise WrongResult(f"refs: {answer.status_code} {answer.text[:200]}")
        return dict(answer.json())

    def post(self, call: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One call below the repository."""
        return self.subject.call("POST", f"{self.path}/{call}", body)

    def presign(self, key: str, size: int) -> str:
        """Where the pack of this key goes."""
        answer = self.post("push/mpack-presign", {"mpack_key": key, "size_bytes": size})
        return str(answer.get("upload_url") or answer["uploadUrl"])

    def upload(self, url: str, pack: bytes) -> None:
        """Puts a pack to its upload URL."""
        headers = {"content-type": "application/octet-stream"}
        answer = self.subject.client.put(url, content=pack, headers=headers)
        if answer.status_code not in (200, 204):
            raise WrongResult(f"upload: {answer.status_code} {answer.text[:200]}")

    def unpack(self, key: str, head: str, branch: str = "main") -> dict[str, Any]:
        """Has an uploaded pack taken in."""
        body = {"mpack_key": key, "branch": branch, "head": head}
        return self.post("push/unpack-mpack", body)

    def push(self, pack: bytes, head: str, branch: str = "main") -> dict[str, Any]:
        """A whole push of a pack, not timed."""
        key = "sha256:" + hashlib.sha256(pack).hexdigest()
        self.upload(self.presign(key, len(pack)), pack)
        return self.unpack(key, head, branch)

    def is_cached(self, tip: str, capabilities: Sequence[str] = ("framed",)) -> bool:
        """Whether a clone of this tip would be answered at once."""
        body = {"want": [tip], "capabilities": list(capabilities)}
        raw = json.dumps(body).encode()
        path = f"{self.path}/fetch/presign"
        headers = {"content-type": "application/json"}
        answer = self.subject.client.post(self.subject.url + path, content=raw, headers=headers)
        if answer.status_code not in (200, 404):
            raise WrongResult(f"fetch/presign: {answer.status_code} {answer.text[:200]}")
        return answer.status_code == 200

    def wait_until_cached(self, tips: Sequence[str], seconds: float = 60) -> float:
        """Seconds until each tip is answered from the cache."""
        started = time.perf_counter()
        waiting = list(tips)
        while waiting:
            waiting = [tip for tip in waiting if not self.is_cached(tip)]
            passed = time.perf_counter() - started
            if waiting and passed > seconds:
                raise WrongResult(f"{len(waiting)} tips are not cached after {passed:.0f} s")
            if waiting:
                time.sleep(0.01)  # a server does not tell when a pack is there
        return time.perf_counter() - started

    def settle(self, head: str, seconds: float = 30) -> None:
        """Lets the server end what a push left it to do, or it would disturb what is timed next."""
        deadline = time.monotonic() + seconds
        while self.subject.settles and not self.is_cached(head, ()):
            if time.monotonic() > deadline:
                self.subject.settles = False  # it prepares nothing: never wait for it again
            time.sleep(0.01)  # nor here

    def check_head(self, head: str, branch: str = "main") -> None:
        """Raises unless a branch is at `head`."""
        found = self.refs()["branch_heads"].get(branch)
        if found != head:
            raise WrongResult(f"{branch} is at {found}, not at {head}")
