"""A small store adapter: correct, or correct in an unusual way, or with one flaw.

    toy.py [--style NAME] [--flaw NAME] init|batch DIR

Every flaw is one changed line of thought, named where it is.  It is one long file of the standard
library alone because it is started thousands of times: compiled, and with as few imports as can be.
"""

from __future__ import annotations

import binascii
import fcntl
import json
import os
import sys
import time

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the time it takes to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Fields = dict[str, Any]

try:
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:  # before Python 3.12
    from _sha256 import sha256  # type: ignore[import-not-found]

STYLE = FLAW = ""
TOLERATED = {22, 38, 95}  # EINVAL, ENOSYS, ENOTSUP
NOTHING = "sha256:" + "0" * 64


class Refused(Exception):
    """An answer that is not ok: its word, and a detail."""


def has(flaw: str) -> bool:
    return flaw == FLAW


def syncfs(descriptor: int) -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
        raise OSError(ctypes.get_errno(), "syncfs")


class Files:
    """Durable writes below one folder."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.known: set[str] = set()  # folders whose own entry this process has seen synced
        self.suspect: set[str] = set()  # paths whose folder failed to sync: to be written anew
        self.counter = 0

    def sync(self, descriptor: int) -> None:
        if STYLE == "sync":
            os.sync()
            return
        call = {"fdatasync": os.fdatasync, "syncfs": syncfs}.get(STYLE, os.fsync)
        try:
            call(descriptor)
        except OSError as error:
            if error.errno in TOLERATED or has("swallowed-sync-error"):
                return
            if not has("second-fsync-trusted"):
                raise
            call(descriptor)

    def sync_folder(self, folder: str) -> None:
        if has("no-folder-fsync"):
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(descriptor)
        except OSError:
            if has("swallowed-folder-sync-error"):
                return
            raise
        finally:
            os.close(descriptor)

    def folder(self, path: str) -> None:
        if path in self.known:
            return
        if path != os.path.dirname(self.root):
            self.folder(os.path.dirname(path))
        made = False
        try:
            os.mkdir(path)
            made = True
        except FileExistsError:
            pass
        trusted = has("no-parent-fsync") or (has("no-parent-heal") and not made)
        if not trusted and path != os.path.dirname(os.path.dirname(self.root)):
            self.sync_folder(os.path.dirname(path))
        self.known.add(path)

    def write_all(self, descriptor: int, data: bytes) -> None:
        if has("swallowed-write-error"):
            try:
                os.write(descriptor, data)
            except OSError:
                pass
            return
        if has("swallowed-short-write"):
            os.write(descriptor, data)
            return
        view = memoryview(data)
        at = 0
        while view:
            if STYLE == "pwrite":
                done = os.pwrite(descriptor, view, at)
            elif STYLE == "writev":
                done = os.writev(descriptor, [view[:3], view[3:]])
            else:
                done = os.write(descriptor, view)
            view, at = view[done:], at + done

    def temp(self, folder: str, name: str) -> tuple[str, int]:
        if has("fixed-temp-name"):
            return os.path.join(folder, name + ".tmp"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY
        self.counter += 1
        unique = f".tmp-{os.getpid()}-{self.counter}-{time.monotonic_ns()}"
        where = folder
        if STYLE == "cross-folder" or has("cross-folder-source-only"):
            where = os.path.join(self.root, "tmp")
        return os.path.join(where, unique), os.O_CREAT | os.O_EXCL | os.O_WRONLY

    def put(self, path: str, data: bytes, mode: int = 0o644, what: str = "") -> None:
        if STYLE == "child":
            self.in_child(path, data, mode, what)
        elif STYLE == "thread":
            self.in_thread(path, data, mode, what)
        else:
            self.replace(path, data, mode, what)

    def in_child(self, path: str, data: bytes, mode: int, what: str) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self.replace(path, data, mode, what)
                os._exit(0)
            except OSError as error:
                os._exit(error.errno or 5)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            raise OSError(code, "child")

    def in_thread(self, path: str, data: bytes, mode: int, what: str) -> None:
        import threading

        failure: list[OSError] = []

        def run() -> None:
            try:
                self.replace(path, data, mode, what)
            except OSError as error:
                failure.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    def replace(self, path: str, data: bytes, mode: int, what: str) -> None:
        folder, name = os.path.split(path)
        self.folder(folder)
        if has(f"in-place-{what}"):
            descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
            self.write_all(descriptor, data)
            self.sync(descriptor)
            os.close(descriptor)
            self.sync_folder(folder)
            return
        if STYLE == "tmpfile" and not os.path.lexists(path):
            try:
                self.unnamed(path, data, mode)
                return
            except FileExistsError:
                pass  # another process was first: replace what it made
        temp, flags = self.temp(folder, name)
        if STYLE == "osync":
            flags |= os.O_SYNC
        if STYLE == "odsync":
            flags |= os.O_DSYNC
        descriptor = os.open(temp, flags, 0o644)
        try:
            try:
                self.fill(descriptor, data, what)
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)
            self.install(temp, path)
        except OSError:
            if not has("temp-left") and os.path.lexists(temp):
                os.unlink(temp)
            raise
        where = os.path.dirname(temp) if has("cross-folder-source-only") else folder
        if has(f"no-folder-fsync-{what}"):
            return
        try:
            self.sync_folder(where)
            if STYLE == "cross-folder":
                self.sync_folder(os.path.dirname(temp))
        except OSError:
            self.suspect.add(path)
            raise
        self.suspect.discard(path)

    def fill(self, descriptor: int, data: bytes, what: str) -> None:
        if has("buffered-tail"):  # fsync of a descriptor whose buffer was not flushed
            self.write_all(descriptor, data[:-1])
            self.sync(descriptor)
            os.write(descriptor, data[-1:])
            return
        if has("fsync-first"):
            self.sync(descriptor)
        self.write_all(descriptor, data)
        missing = ("no-file-fsync", f"no-file-fsync-{what}", "fsync-after-rename", "fsync-first")
        if has("fsync-wrong-file"):
            self.sync_folder(self.root)
        elif FLAW not in missing and STYLE not in ("osync", "odsync"):
            self.sync(descriptor)

    def install(self, temp: str, path: str) -> None:
        if STYLE == "link" and not os.path.lexists(path):
            try:
                os.link(temp, path)
                os.unlink(temp)
            except FileExistsError:
                os.replace(temp, path)
        elif has("unlink-then-rename") and os.path.lexists(path):
            os.unlink(path)
            os.rename(temp, path)
        else:
            os.replace(temp, path)
        if has("fsync-after-rename"):
            descriptor = os.open(path, os.O_RDONLY)
            self.sync(descriptor)
            os.close(descriptor)

    def unnamed(self, path: str, data: bytes, mode: int) -> None:
        folder = os.path.dirname(path)
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
        try:
            self.write_all(descriptor, data)
            self.sync(descriptor)
            os.fchmod(descriptor, mode)
            source = f"/proc/self/fd/{descriptor}"
            os.link(source, path, src_dir_fd=descriptor, follow_symlinks=True)
        finally:
            os.close(descriptor)
        try:
            self.sync_folder(folder)
        except OSError:
            self.suspect.add(path)
            raise

    def confirm(self, path: str) -> None:
        """Syncs something found on disk, of which nothing is known."""
        if has("no-heal-on-retry"):
            return
        self.folder(os.path.dirname(path))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)
        self.sync_folder(os.path.dirname(path))

    def remove(self, path: str) -> None:
        os.unlink(path)
        if not has("no-fsync-on-clear"):
            self.sync_folder(os.path.dirname(path))


class Store:
    def __init__(self, root: str) -> None:
        self.root = os.path.join(os.path.abspath(root), ".muse")
        self.files = Files(self.root)

    def path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def named(self, kind: str, name: str, suffix: str = "") -> str:
        digest = name.partition(":")[2]
        return self.path(kind, digest[:2], digest[2:] + suffix)

    def init(self) -> None:
        folders = ("objects", "commits", "snapshots", "packs", "refs", "state", "tmp")
        head = self.path("HEAD")
        if os.path.exists(head) and has("init-heals-nothing"):
            return
        if os.path.exists(head):
            self.files.confirm(head)
        for name in folders:
            self.files.folder(self.path(name))
        if not os.path.exists(head):
            self.files.put(head, b"ref: refs/heads/main\n", what="head")

    def lock(self) -> int:
        """A descriptor that holds the lock until it is closed."""
        if has("lost-compare-and-swap"):
            return os.open(self.root, os.O_RDONLY)
        descriptor = os.open(self.path("lock"), os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    # objects

    def put(self, kind: str, name: str, payload: bytes, suffix: str = "") -> None:
        path = self.named(kind, name, suffix)
        if path not in self.files.suspect or has("found-is-trusted"):
            try:
                with open(path, "rb") as file:
                    whole = file.read() == payload
            except FileNotFoundError:
                whole = False
            if whole or (has("no-heal-on-retry") and os.path.exists(path)):
                self.files.confirm(path)
                return
        self.files.put(path, payload, 0o444, "object")

    def put_blob(self, data: bytes) -> str:
        payload = b"blob %d\0" % len(data) + data
        name = address(payload)
        self.put("objects", name, payload)
        return name

    def get_blob(self, name: str) -> bytes:
        try:
            with open(self.named("objects", name), "rb") as file:
                payload = file.read()
        except FileNotFoundError:
            payload = self.packed(name)
        if address(payload) != name:
            raise Refused("integrity", f"integrity check: {name}")
        return payload.partition(b"\0")[2]

    def packed(self, name: str) -> bytes:
        for index in self.listed("packs", ".index"):
            with open(index) as file:
                place = json.load(file).get(name)
            if place is not None:
                with open(index.removesuffix(".index"), "rb") as file:
                    file.seek(place[0])
                    data = file.read(place[1])
                return b"blob %d\0" % len(data) + data
        raise Refused("not_found", name)

    def has_blob(self, name: str) -> bool:
        try:
            self.get_blob(name)
        except (Refused, OSError):
            return False
        return True

    def listed(self, kind: str, suffix: str = "") -> Iterator[str]:
        for folder, _, names in os.walk(self.path(kind)):
            for name in names:
                if name.endswith(suffix) and not name.startswith(".tmp-"):
                    yield os.path.join(folder, name)

    def record(self, kind: str, name: str) -> Fields:
        try:
            with open(self.named(kind, name, ".json"), "rb") as file:
                value: Fields = json.loads(file.read())
        except FileNotFoundError:
            raise Refused("not_found", name) from None
        except ValueError:
            raise Refused("integrity", name) from None
        made = snapshot_id(value) if kind == "snapshots" else commit_id(value)
        if made != name:
            raise Refused("integrity", name)
        return value

    def put_record(self, kind: str, name: str, value: Fields) -> None:
        self.put(kind, name, json.dumps(value).encode(), ".json")

    def commit(self, request: Fields) -> Fields:
        lock = self.lock()
        try:
            return self.commit_locked(request)
        finally:
            os.close(lock)

    def commit_locked(self, request: Fields) -> Fields:
        branch = request["branch"]
        manifest: dict[str, str] = {}
        for path, data in request["files"].items():
            manifest[path] = self.put_blob(binascii.a2b_base64(data))
        snapshot: Fields = {
            "delta_upsert": manifest,
            "delta_remove": [],
            "directories": request.get("directories") or [],
        }
        snapshot["snapshot_id"] = snapshot_id(snapshot)
        record: Fields = {
            "snapshot_id": snapshot["snapshot_id"],
            "parent_commit_id": self.ref(branch),
            "message": request["message"],
            "author": request["author"],
            "committed_at": request["committed_at"],
        }
        record["commit_id"] = commit_id(record)
        steps: list[Callable[[], None]] = [
            lambda: self.put_record("snapshots", snapshot["snapshot_id"], snapshot),
            lambda: self.put_record("commits", record["commit_id"], record),
            lambda: self.set_ref(branch, record["commit_id"]),
        ]
        if has("reference-before-referent"):
            steps = [steps[0], steps[2], steps[1]]
        if has("commit-before-snapshot"):
            steps = [steps[1], steps[0], steps[2]]
        for step in steps:
            step()
        return {"commit_id": record["commit_id"], "snapshot_id": record["snapshot_id"]}

    # references

    def ref(self, branch: str) -> str | None:
        try:
            with open(self.path("refs", *branch.split("/"))) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def set_ref(self, branch: str, name: str) -> None:
        path = self.path("refs", *branch.split("/"))
        self.files.put(path, name.encode(), what="ref")

    def refs(self) -> dict[str, str]:
        root = self.path("refs")
        found = {}
        for path in self.listed("refs"):
            if not path.endswith(".tmp"):
                with open(path) as file:
                    found[os.path.relpath(path, root)] = file.read()
        return found

    def head(self) -> Fields:
        with open(self.path("HEAD")) as file:
            line = file.read()
        kind, _, rest = line.rstrip("\n").partition(": ")
        if kind == "ref":
            return {"branch": rest.removeprefix("refs/heads/")}
        if kind != "commit":
            raise Refused("integrity", "HEAD")
        return {"commit": rest}

    def state_path(self, request: Fields) -> str:
        kind = request["kind"]
        if kind == "config":
            return self.path("config.json")
        return self.path("state", kind, (request.get("name") or "default") + ".json")

    # packs

    def receive_pack(self, path: str) -> Fields:
        with open(path, "rb") as file:
            raw = file.read()
        pack = Reader(raw).value()
        digest = address(raw)[7:]
        index: dict[str, list[int]] = {}
        for blob in pack["blobs"]:
            start, size = blob["content"]
            data = raw[start : start + size]
            name = address(b"blob %d\0" % size + data)
            if name != blob["object_id"]:
                raise Refused("integrity", name)
            index[name] = [start, size]
        packed, listed = self.path("packs", digest), self.path("packs", digest + ".index")
        steps: list[Callable[[], None]] = [
            lambda: self.files.put(packed, raw, 0o444, "pack"),
            lambda: self.files.put(listed, json.dumps(index).encode(), 0o444, "index"),
        ]
        for step in reversed(steps) if has("index-before-pack") else steps:
            step()
        for snapshot in pack["snapshots"]:
            self.put_record("snapshots", snapshot["snapshot_id"], snapshot)
        for record in pack["commits"]:
            self.put_record("commits", record["commit_id"], record)
        return {name: len(pack[name]) for name in ("commits", "snapshots", "blobs")}

    # upkeep

    def reachable(self) -> set[str]:
        pending = [*self.refs().values(), *self.head().values()]
        for path in [*self.listed("state"), self.path("config.json")]:
            if os.path.exists(path):
                with open(path) as file:
                    words = file.read().replace('"', " ").split()
                pending += [word for word in words if word.startswith("sha256:")]
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name in found or not os.path.exists(self.named("commits", name, ".json")):
                continue
            record = self.record("commits", name)
            snapshot = self.record("snapshots", record["snapshot_id"])
            found |= {name, record["snapshot_id"], *snapshot["delta_upsert"].values()}
            if not has("gc-of-the-reachable"):
                pending.append(record["parent_commit_id"] or name)
        return found

    def gc(self, grace: float) -> int:
        kept, removed, now = self.reachable(), 0, time.time()
        kinds = ("objects", "snapshots", "commits")
        for kind in kinds if has("gc-blobs-first") else reversed(kinds):
            folders = {os.path.dirname(path) for path in self.listed(kind)}
            folders |= {entry.path for entry in os.scandir(self.path(kind)) if entry.is_dir()}
            for path in list(self.listed(kind)):
                name = "sha256:" + os.path.relpath(path, self.path(kind)).replace("/", "")[:64]
                if name not in kept and now - os.stat(path).st_mtime >= grace:
                    os.unlink(path)
                    removed += 1
            if not has("gc-unordered"):
                for folder in folders:
                    self.files.sync_folder(folder)
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.startswith(".tmp-"):
                    os.unlink(os.path.join(folder, name))
        return removed

    def fsck(self) -> list[str]:
        problems = []
        for path in self.listed("objects"):
            name = "sha256:" + os.path.relpath(path, self.path("objects")).replace("/", "")
            if not path.endswith(".tmp") and not self.has_blob(name):
                problems.append(f"corrupt blob {name}")
        for index in self.listed("packs", ".index"):
            with open(index) as file:
                missing = [name for name in json.load(file) if not self.has_blob(name)]
            problems += [f"index names a missing blob {name}" for name in missing]
        for path in self.listed("commits", ".json"):
            name = "sha256:" + os.path.relpath(path, self.path("commits")).replace("/", "")[:64]
            problems += self.closure(name)
        for branch, name in self.refs().items():
            try:
                self.record("commits", name)
            except (Refused, OSError):
                problems.append(f"ref {branch} leads to nothing")
        return problems

    def closure(self, name: str) -> list[str]:
        try:
            record = self.record("commits", name)
            snapshot = self.record("snapshots", record["snapshot_id"])
            if record["parent_commit_id"]:
                self.record("commits", record["parent_commit_id"])
        except Refused as refused:
            return [f"commit {name}: {refused.args[1]} is missing or corrupt"]
        absent = [blob for blob in snapshot["delta_upsert"].values() if not self.has_blob(blob)]
        return [f"commit {name}: blob {blob} is missing" for blob in absent]


def address(payload: bytes) -> str:
    return f"sha256:{sha256(payload).hexdigest()}"


def typed(kind: bytes, parts: list[str]) -> str:
    payload = "\0".join(parts).encode()
    return address(b"%s %d\0" % (kind, len(payload)) + payload)


def snapshot_id(record: Fields) -> str:
    parts: list[str] = []
    for path, name in sorted(record["delta_upsert"].items()):
        parts += [path, name[7:]]
    for path in sorted(record.get("directories") or []):
        parts += [path, "dir"]
    return typed(b"snapshot", parts)


def commit_id(record: Fields) -> str:
    parent = (record["parent_commit_id"] or "")[7:]
    fields = [record[name] for name in ("message", "committed_at", "author")]
    return typed(b"commit", [parent, record["snapshot_id"][7:], *fields, ""])


class Reader:
    """msgpack as plain packs use it; bytes are given as (offset, length)."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.raw[self.at - size : self.at]

    def value(self) -> Any:
        tag = self.take(1)[0]
        if tag < 128:
            return tag
        if tag == 0xC0:
            return None
        size = int.from_bytes(self.take(4), "big")
        if tag == 0xDB:
            return self.take(size).decode()
        if tag == 0xC6:
            self.at += size
            return (self.at - size, size)
        if tag == 0xDD:
            return [self.value() for _ in range(size)]
        return {self.value(): self.value() for _ in range(size)}


def op_set_ref(store: Store, request: Fields) -> Fields:
    lock = store.lock()
    try:
        now = store.ref(request["branch"])
        if "expect" in request and request["expect"] != now:
            raise Refused("conflict", str(now))
        if has("lost-compare-and-swap"):
            time.sleep(0.001)  # the window in which the race is lost
        store.record("commits", request["id"])
        store.set_ref(request["branch"], request["id"])
    finally:
        os.close(lock)
    return {}


def op_get_ref(store: Store, request: Fields) -> Fields:
    found = store.ref(request["branch"])
    if found is None:
        raise Refused("not_found", request["branch"])
    if len(found) != len(NOTHING):
        raise Refused("integrity", request["branch"])
    return {"id": found}


def op_set_head(store: Store, request: Fields) -> Fields:
    if request.get("branch"):
        line = f"ref: refs/heads/{request['branch']}\n"
    else:
        line = f"commit: {request['commit']}\n"
    store.files.put(store.path("HEAD"), line.encode(), what="head")
    return {}


def op_set_state(store: Store, request: Fields) -> Fields:
    path = store.state_path(request)
    if has("overwritten-state") and request.get("value") is not None:
        overwrite(store.files, path, request["value"])
    elif request.get("value") is not None:
        store.files.put(path, json.dumps(request["value"]).encode(), what="state")
    elif os.path.exists(path):
        store.files.remove(path)
    else:
        store.files.folder(os.path.dirname(path))
        store.files.sync_folder(os.path.dirname(path))
    return {}


def overwrite(files: Files, path: str, value: Any) -> None:
    """In place, in one write of the size it had: whole in every model but a torn write."""
    bare = len(json.dumps([value, "", value]))
    data = json.dumps([value, " " * (8192 - bare), value]).encode()
    if not os.path.exists(path):
        files.put(path, data)
        return
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, data, 0)
    os.fsync(descriptor)
    os.close(descriptor)


def op_get_state(store: Store, request: Fields) -> Fields:
    try:
        with open(store.state_path(request)) as file:
            value = json.load(file)
        if has("overwritten-state"):
            if value[0] != value[2]:
                raise Refused("integrity", request["kind"])
            value = value[0]
        return {"value": value}
    except FileNotFoundError:
        raise Refused("not_found", request["kind"]) from None
    except ValueError:
        raise Refused("integrity", request["kind"]) from None


def op_restore(store: Store, request: Fields) -> Fields:
    data = store.get_blob(request["id"])
    files = Files(store.root)
    files.known.add(os.path.dirname(os.path.dirname(store.root)))
    files.put(request["dest"], data, what="restore")
    return {}


def op_put_blob(store: Store, request: Fields) -> Fields:
    data = binascii.a2b_base64(request["data"])
    return {"id": store.put_blob(data)}


def op_put_blob_file(store: Store, request: Fields) -> Fields:
    with open(request["path"], "rb") as file:
        return {"id": store.put_blob(file.read())}


OPS: dict[str, Callable[[Store, Fields], Fields]] = {
    "put_blob": op_put_blob,
    "put_blob_file": op_put_blob_file,
    "get_blob": lambda s, r: {
        "data": binascii.b2a_base64(s.get_blob(r["id"]), newline=False).decode()
    },
    "restore": op_restore,
    "commit": lambda s, r: s.commit(r),
    "get_commit": lambda s, r: {"record": s.record("commits", r["id"])},
    "get_snapshot": lambda s, r: {"record": s.record("snapshots", r["id"])},
    "set_ref": op_set_ref,
    "get_ref": op_get_ref,
    "list_refs": lambda s, r: {"refs": s.refs()},
    "set_head": op_set_head,
    "get_head": lambda s, r: s.head(),
    "set_state": op_set_state,
    "get_state": op_get_state,
    "receive_pack": lambda s, r: s.receive_pack(r["path"]),
    "fsck": lambda s, r: {"problems": s.fsck()},
    "gc": lambda s, r: {"removed": s.gc(r.get("grace_seconds", 1209600))},
}
EARLY: dict[str, tuple[str, Fields]] = {
    "early-answer-blob": ("put_blob", {"id": NOTHING}),
    "early-answer-ref": ("set_ref", {}),
    "early-answer-state": ("set_state", {}),
}


def answer(value: Fields) -> None:
    os.write(1, json.dumps(value).encode() + b"\n")


def serve(store: Store, request: Fields) -> None:
    op = OPS.get(str(request.get("op")))
    if op is None:
        answer({"ok": False, "error": "invalid", "detail": "no such op"})
        return
    name, early = EARLY.get(FLAW, ("", {}))
    if name == request["op"]:
        answer({"ok": True, **early})
        op(store, request)
        return
    try:
        answer({"ok": True, **op(store, request)})
    except Refused as refused:
        answer({"ok": False, "error": refused.args[0], "detail": refused.args[1]})
    except OSError as error:
        if has("dies-on-error"):
            raise
        answer({"ok": False, "error": "io", "detail": str(error)})


def main(arguments: list[str]) -> int:
    global STYLE, FLAW
    while arguments[0].startswith("--"):
        if arguments[0] == "--style":
            STYLE = arguments[1]
        else:
            FLAW = arguments[1]
        arguments = arguments[2:]
    store = Store(arguments[1])
    if arguments[0] == "init":
        store.init()
        return 0
    if not os.path.exists(store.path("HEAD")):
        return 4
    for line in sys.stdin:
        if has("hangs"):
            time.sleep(600)  # the flaw itself
        serve(store, json.loads(line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
