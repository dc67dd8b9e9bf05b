"""Somebody who talks to a server: signs what they send, and pushes in one call."""

from __future__ import annotations

import json
from hashlib import sha256
from time import time
from typing import Any

import httpx

from reference.wire import msign, provenance
from reference.wire.ids import mpack_key


class Peer:
    """One identity on one server."""

    def __init__(self, http: httpx.AsyncClient, handle: str, seed: bytes | None = None) -> None:
        self.http = http
        self.handle = handle
        self.seed = seed or sha256(handle.encode()).digest()

    async def register(self) -> Peer:
        """Makes the server know the key."""
        key = provenance.public_key(self.seed)
        body = {"handle": self.handle, "public_key": key}
        found = await self.http.post("/api/identities", json=body)
        assert found.status_code == 201, found.text
        return self

    async def request(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        ts: int | None = None,
        **headers: str,
    ) -> httpx.Response:
        """A signed request."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        url = self.http.base_url.join(target)
        host = url.netloc.decode()
        path = url.raw_path.decode()
        key = "sha256:" + sha256(content).hexdigest()
        when = int(time()) if ts is None else ts
        signed = msign.authorization(self.handle, self.seed, method, host, path, key, when)
        sent = {"authorization": signed, "host": host, **headers}
        return await self.http.request(method, target, content=content, headers=sent)

    async def post(self, target: str, body: Any = None, **options: Any) -> httpx.Response:
        """A signed POST."""
        return await self.request("POST", target, body, **options)

    async def get(self, target: str, **options: Any) -> httpx.Response:
        """A signed GET."""
        return await self.request("GET", target, **options)

    async def create(self, name: str = "demo", **fields: Any) -> str:
        """Makes a repository; returns its path."""
        body = {"owner": self.handle, "name": name, **fields}
        found = await self.post("/api/repos", body)
        assert found.status_code == 201, found.text
        return f"/{self.handle}/{found.json()['slug']}"

    async def upload(self, repo: str, pack: bytes) -> str:
        """Puts a pack to its upload link; returns its key."""
        key = mpack_key(pack)
        found = await self.post(f"{repo}/push/mpack-presign", {"mpack_key": key, "size_bytes": 1})
        assert found.status_code == 200, found.text
        put = await self.http.put(found.json()["upload_url"], content=pack)
        assert put.status_code in (200, 204), put.text
        return key

    async def unpack(
        self, repo: str, key: str, head: str, branch: str = "main", force: bool = False
    ) -> httpx.Response:
        """Asks for the unpacking of an upload."""
        body = {"mpack_key": key, "branch": branch, "head": head, "force": force}
        return await self.post(f"{repo}/push/unpack-mpack", body)

    async def push(
        self, repo: str, pack: bytes, head: str, branch: str = "main", force: bool = False
    ) -> httpx.Response:
        """Upload and unpack."""
        return await self.unpack(repo, await self.upload(repo, pack), head, branch, force)

    async def fetch(self, repo: str, *want: str, have: tuple[str, ...] = (), **more: Any) -> Any:
        """What a fetch answers, parsed."""
        body = {"want": list(want), "have": list(have), **more}
        found = await self.post(f"{repo}/fetch/mpack", body)
        assert found.status_code == 200, found.text
        return found.json()


def code(response: httpx.Response) -> tuple[int, str]:
    """A refusal's status and code."""
    return response.status_code, response.json()["error"]["code"]
