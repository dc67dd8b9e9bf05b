"""A Locust scenario with a ledger: `locust -f perf_gates/load.py --headless --host URL`.

Each user has a repository of its own, pushes commits to it, fetches it as a clone would and reads
blobs back.  What a push was acknowledged for is written down; when the test stops, every entry is
looked for, and one that is missing makes Locust exit with 1.  Locust's own distributed mode takes
more than one machine; each worker checks its own ledger.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from locust import HttpUser, between, events, task
from locust.env import Environment

from fixtures.history import HistoryBuilder
from fixtures.packing import to_bytes
from perf_gates.ledger import Ledger
from reference.wire import msign, provenance
from reference.wire.ids import blob_id
from reference.wire.records import Commit

LEDGER = Ledger()
BLOB_BYTES = 2048


class Pusher(HttpUser):
    """Somebody who works: pushes most of the time, clones and reads now and then."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """A key and an empty repository."""
        self.handle, self.seed = f"load-{os.urandom(6).hex()}", os.urandom(32)
        self.at: Commit | None = None
        self.tree: tuple[dict[str, str], list[str]] = {}, []
        self.blobs: list[str] = []
        key = {"handle": self.handle, "public_key": provenance.public_key(self.seed)}
        self.client.post("/api/identities", json=key, name="identities").raise_for_status()
        fields = {"owner": self.handle, "name": "load", "visibility": "public"}
        self.path = f"/{self.handle}/{self.call('/api/repos', fields, 'repos')['slug']}"

    @task(5)
    def push(self) -> None:
        """One commit more; it is in the ledger once the server has said that it is there."""
        builder = HistoryBuilder("load")
        if self.at is not None:
            builder.stand_on(self.at, self.tree)
        path = f"src/file_{random.randrange(100):04d}.bin"
        blob = builder.blob(path, os.urandom(BLOB_BYTES))
        builder.commit(f"commit {len(self.blobs)}", {path: blob})
        history = builder.history()
        pack = to_bytes(history)
        key = "sha256:" + hashlib.sha256(pack).hexdigest()
        fields = {"mpack_key": key, "size_bytes": len(pack)}
        url = self.call(f"{self.path}/push/mpack-presign", fields, "presign")["upload_url"]
        self.client.put(url, data=pack, name="upload").raise_for_status()
        move = {"mpack_key": key, "branch": "main", "head": history.head}
        self.call(f"{self.path}/push/unpack-mpack", move, "unpack")
        self.at, self.tree = builder.at, builder.tree()
        self.blobs.append(blob)
        LEDGER.add(f"{self.host}{self.path}", history.head, blob)

    @task(2)
    def clone(self) -> None:
        """The pack of the head, whole; its digest has to be its name."""
        if self.at is None:
            return
        body = {"want": [self.at["commit_id"]], "have": [], "capabilities": ["framed"]}
        answer = self.call(f"{self.path}/fetch/mpack", body, "fetch")
        with self.client.get(answer["mpack_url"], name="download", catch_response=True) as got:
            digest = "sha256:" + hashlib.sha256(got.content or b"").hexdigest()
            if digest != answer["mpack_id"]:
                got.failure("the pack is not what its name says")

    @task(3)
    def read(self) -> None:
        """A blob by its id, which its bytes have to hash to."""
        if not self.blobs:
            return
        wanted = random.choice(self.blobs)
        where = f"{self.path}/o/{wanted}"
        with self.client.get(where, name="blob", catch_response=True) as got:
            if got.status_code != 200 or blob_id(got.content or b"") != wanted:
                got.failure(f"blob {wanted}: {got.status_code}")

    def call(self, path: str, fields: dict[str, Any], name: str) -> dict[str, Any]:
        """One signed call; `name` is the line of Locust's statistics that it counts in."""
        raw = json.dumps(fields).encode()
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        host = urlsplit(str(self.host)).netloc
        now = int(time.time())
        signed = msign.authorization(self.handle, self.seed, "POST", host, path, digest, now)
        headers = {"content-type": "application/json", "authorization": signed}
        answer = self.client.post(path, data=raw, headers=headers, name=name)
        answer.raise_for_status()
        return dict(answer.json())


def check_ledger(environment: Environment, **_: object) -> None:
    """Looks for everything that was acknowledged; what is missing decides the exit code."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with httpx.Client(timeout=60) as client:
        missing = list(LEDGER.missing(client))
    for sentence in missing:
        print(sentence)
    print(f"{len(LEDGER.entries)} pushes acknowledged, {len(missing)} things missing")
    if missing:
        environment.process_exit_code = 1


events.quitting.add_listener(check_ledger)  # type: ignore[no-untyped-call]  # Locust has no type
