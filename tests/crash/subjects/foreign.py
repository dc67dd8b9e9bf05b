"""Adapters in front of stores that nobody here wrote: blobs and refs of the contract, no more.

    foreign.py STORE init|batch DIR

STORE is git, git-all, sqlite-off, sqlite-full, sqlite-extra, lmdb or diskcache.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from typing import Any, Protocol

Answer = dict[str, Any]


class Missing(Exception):
    """Nothing under that name."""


class Corrupt(Exception):
    """Something, but not what the name says."""


class Store(Protocol):
    """What each of them can do; a key is `blob/<hex>` or `ref/<branch>`."""

    def put(self, key: str, data: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def check(self) -> list[str]: ...


class Git:
    """A sha256 repository: its blob ids are those of the contract."""

    def __init__(self, folder: str, fsync: str) -> None:
        self.git = ["git", "-C", folder, "-c", f"core.fsync={fsync}"]
        self.folder = folder

    def make(self) -> None:
        """`git init` promises nothing, so it is synced for it: what counts comes after."""
        self.run_plain(["git", "init", "--quiet", "--object-format=sha256", self.folder])
        os.sync()

    def run_plain(self, command: list[str], data: bytes = b"") -> bytes:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode()
            raise (Corrupt if "corrupt" in said or "mismatch" in said else Missing)(said)
        return done.stdout

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        return self.run_plain([*self.git, *arguments], data)

    def put(self, key: str, data: bytes) -> None:
        kind, _, name = key.partition("/")
        if kind == "blob":
            self.run("hash-object", "-w", "--stdin", data=data)
        else:
            self.run("update-ref", f"refs/kept/{name}", data.decode())

    def get(self, key: str) -> bytes:
        kind, _, name = key.partition("/")
        if kind == "blob":
            return self.run("cat-file", "blob", name)
        return self.run("rev-parse", "--verify", f"refs/kept/{name}").strip()

    def check(self) -> list[str]:
        done = subprocess.run([*self.git, "fsck", "--full"], capture_output=True, check=False)
        return [done.stderr.decode()[:200]] if done.returncode else []


class Sqlite:
    """One table in rollback-journal mode, a transaction a request."""

    def __init__(self, folder: str, synchronous: str) -> None:
        self.base = sqlite3.connect(os.path.join(folder, "store.db"), isolation_level=None)
        self.base.execute(f"PRAGMA synchronous={synchronous}")
        self.base.execute("CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, data BLOB)")

    def put(self, key: str, data: bytes) -> None:
        self.base.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (key, data))

    def get(self, key: str) -> bytes:
        row = self.base.execute("SELECT data FROM kept WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise Missing(key)
        return bytes(row[0])

    def check(self) -> list[str]:
        (said,) = self.base.execute("PRAGMA integrity_check").fetchone()
        return [] if said == "ok" else [str(said)]


class Lmdb:
    """An environment without its lock file, which is shared memory and no part of the data."""

    def __init__(self, folder: str) -> None:
        import lmdb

        self.base: Any = lmdb.open(os.path.join(folder, "lmdb"), lock=False, map_size=1 << 24)

    def put(self, key: str, data: bytes) -> None:
        with self.base.begin(write=True) as transaction:
            transaction.put(key.encode(), data)

    def get(self, key: str) -> bytes:
        with self.base.begin() as transaction:
            found: bytes | None = transaction.get(key.encode())
        if found is None:
            raise Missing(key)
        return found

    def check(self) -> list[str]:
        with self.base.begin() as transaction:
            return [] if sum(1 for _ in transaction.cursor()) >= 0 else ["unreadable"]


class Diskcache:
    """A cache with its default durability; a rollback journal instead of shared memory."""

    def __init__(self, folder: str) -> None:
        import diskcache

        place = os.path.join(folder, "cache")
        self.base: Any = diskcache.Cache(
            place, sqlite_journal_mode="delete", eviction_policy="none", disk_min_file_size=4096
        )

    def put(self, key: str, data: bytes) -> None:
        self.base[key] = data

    def get(self, key: str) -> bytes:
        found = self.base.get(key)
        if found is None:
            raise Missing(key)
        return bytes(found)

    def check(self) -> list[str]:
        return [str(warning.message) for warning in self.base.check()]


def open_store(kind: str, folder: str) -> Store:
    name, _, option = kind.partition("-")
    if name == "git":
        return Git(folder, option or "default")
    if name == "sqlite":
        return Sqlite(folder, option)
    return Lmdb(folder) if name == "lmdb" else Diskcache(folder)


def blob_key(data: bytes) -> str:
    return "blob/" + hashlib.sha256(b"blob %d\0" % len(data) + data).hexdigest()


def answer(store: Store, request: dict[str, Any]) -> Answer:
    op = request["op"]
    if op in ("put_blob", "put_blob_file"):
        if op == "put_blob":
            data = base64.b64decode(request["data"])
        else:
            with open(request["path"], "rb") as file:
                data = file.read()
        key = blob_key(data)
        store.put(key, data)
        return {"ok": True, "id": f"sha256:{key[5:]}"}
    if op == "get_blob":
        found = store.get(f"blob/{request['id'][7:]}")
        if blob_key(found)[5:] != request["id"][7:]:
            raise Corrupt(request["id"])
        return {"ok": True, "data": base64.b64encode(found).decode()}
    if op == "set_ref" and "expect" not in request:
        store.get(f"blob/{request['id'][7:]}")
        store.put(f"ref/{request['branch']}", request["id"][7:].encode())
        return {"ok": True}
    if op == "get_ref":
        return {"ok": True, "id": "sha256:" + store.get(f"ref/{request['branch']}").decode()}
    if op == "fsck":
        return {"ok": True, "problems": store.check()}
    return {"ok": False, "error": "invalid", "detail": "not in this store"}


def main(kind: str, verb: str, folder: str) -> int:
    if verb == "init":
        os.makedirs(folder, exist_ok=True)
        for place in (folder, os.path.dirname(folder)):  # the folder itself is not what is tested
            descriptor = os.open(place, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
    elif not os.path.isdir(folder):
        return 4
    store = open_store(kind, folder)
    if verb == "init":
        if isinstance(store, Git):
            store.make()
        return 0
    for line in sys.stdin:
        try:
            said = answer(store, json.loads(line))
        except Missing as error:
            said = {"ok": False, "error": "not_found", "detail": str(error)}
        except Corrupt as error:
            said = {"ok": False, "error": "integrity", "detail": str(error)}
        except (OSError, sqlite3.Error) as error:
            said = {"ok": False, "error": "io", "detail": str(error)}
        print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
