"""A small store adapter: correct, or correct in an unusual way, or with one flaw.

    toy.py [--style NAME] [--flaw NAME] init|batch DIR

Every flaw is one changed line of thought, named where it is.  Nothing but the standard library.
"""

from __future__ import annotations

import base64
import ctypes
import fcntl
import hashlib
import json
import os
import sys
import threading
import time
from contextlib import contextmanager, suppress

STYLE = FLAW = ""
TOLERATED = {22, 38, 95}  # EINVAL, ENOSYS, ENOTSUP
NOTHING = "sha256:" + "0" * 64


class Refused(Exception):
    pass


def has(flaw):
    return flaw == FLAW


class Files:
    """Durable writes below one folder."""

    def __init__(self, root):
        self.root = root
        self.known = set()  # folders whose own entry this process has seen synced
        self.suspect = set()  # paths whose folder failed to sync: to be written anew
        self.counter = 0

    def sync(self, descriptor, path=""):
        if STYLE == "syncfs":
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
                raise OSError(ctypes.get_errno(), "syncfs")
            return
        if STYLE == "sync":
            return os.sync()
        call = os.fdatasync if STYLE == "fdatasync" else os.fsync
        try:
            call(descriptor)
        except OSError as error:
            if error.errno in TOLERATED or has("swallowed-sync-error"):
                return
            if has("second-fsync-trusted"):
                return call(descriptor)
            raise

    def sync_folder(self, folder):
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

    def folder(self, path):
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
        if has("no-parent-fsync"):
            pass
        elif has("no-parent-heal") and not made:
            pass
        elif path != os.path.dirname(os.path.dirname(self.root)):
            self.sync_folder(os.path.dirname(path))
        self.known.add(path)

    def write_all(self, descriptor, data):
        if has("swallowed-write-error"):
            with suppress(OSError):
                os.write(descriptor, data)
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

    def temp(self, folder, name):
        if has("fixed-temp-name"):
            return os.path.join(folder, name + ".tmp"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY
        self.counter += 1
        unique = f".tmp-{os.getpid()}-{self.counter}-{time.monotonic_ns()}"
        where = folder
        if STYLE == "cross-folder" or has("cross-folder-source-only"):
            where = os.path.join(self.root, "tmp")
        return os.path.join(where, unique), os.O_CREAT | os.O_EXCL | os.O_WRONLY

    def put(self, path, data, mode=0o644, what=""):
        if STYLE == "child":
            return self.in_child(self.replace, path, data, mode, what)
        if STYLE == "thread":
            return self.in_thread(self.replace, path, data, mode, what)
        return self.replace(path, data, mode, what)

    def in_child(self, call, *arguments):
        pid = os.fork()
        if pid == 0:
            try:
                call(*arguments)
                os._exit(0)
            except OSError as error:
                os._exit(error.errno or 5)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            raise OSError(code, "child")

    def in_thread(self, call, *arguments):
        failure = []

        def run():
            try:
                call(*arguments)
            except OSError as error:
                failure.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    def replace(self, path, data, mode, what):
        folder, name = os.path.split(path)
        self.folder(folder)
        if has(f"in-place-{what}"):
            descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
            self.write_all(descriptor, data)
            self.sync(descriptor)
            os.close(descriptor)
            return self.sync_folder(folder)
        if STYLE == "tmpfile" and not os.path.lexists(path):
            return self.unnamed(path, data, mode)
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
            self.install(temp, path, what)
        except OSError:
            if not has("temp-left") and os.path.lexists(temp):
                os.unlink(temp)
            raise
        where = os.path.dirname(temp) if has("cross-folder-source-only") else folder
        if has(f"no-folder-fsync-{what}"):
            return None
        try:
            self.sync_folder(where)
            if STYLE == "cross-folder":
                self.sync_folder(os.path.dirname(temp))
        except OSError:
            self.suspect.add(path)
            raise
        self.suspect.discard(path)

    def fill(self, descriptor, data, what):
        if has("buffered-tail"):  # fsync of a descriptor whose buffer was not flushed
            self.write_all(descriptor, data[:-1])
            self.sync(descriptor)
            return os.write(descriptor, data[-1:])
        if has("fsync-first"):
            self.sync(descriptor)
            return self.write_all(descriptor, data)
        self.write_all(descriptor, data)
        if has("no-file-fsync") or has(f"no-file-fsync-{what}") or has("fsync-after-rename"):
            return None
        if STYLE in ("osync", "odsync"):
            return None
        if has("fsync-wrong-file"):
            return self.sync_folder(self.root)
        self.sync(descriptor)

    def install(self, temp, path, what):
        if STYLE == "link" and not os.path.lexists(path):
            os.link(temp, path)
            os.unlink(temp)
        elif has("unlink-then-rename") and os.path.lexists(path):
            os.unlink(path)
            os.rename(temp, path)
        else:
            os.replace(temp, path)
        if has("fsync-after-rename"):
            descriptor = os.open(path, os.O_RDONLY)
            self.sync(descriptor)
            os.close(descriptor)

    def unnamed(self, path, data, mode):
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

    def confirm(self, path):
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

    def remove(self, path):
        os.unlink(path)
        if not has("no-fsync-on-clear"):
            self.sync_folder(os.path.dirname(path))


class Store:
    def __init__(self, root):
        self.root = os.path.join(os.path.abspath(root), ".muse")
        self.files = Files(self.root)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def named(self, kind, name, suffix=""):
        digest = name.partition(":")[2]
        return self.path(kind, digest[:2], digest[2:] + suffix)

    def init(self):
        first = [lambda: self.files.put(self.path("HEAD"), b"ref: refs/heads/main\n", what="head")]
        folders = ("objects", "commits", "snapshots", "packs", "refs", "state", "tmp")
        rest = [lambda name=name: self.files.folder(self.path(name)) for name in folders]
        head_first = has("head-first")
        if os.path.exists(self.path("HEAD")) and not has("init-heals-nothing") and not head_first:
            self.files.confirm(self.path("HEAD"))
        elif os.path.exists(self.path("HEAD")):
            return
        for step in [*first, *rest] if head_first else rest:
            step()
        if not os.path.exists(self.path("HEAD")):
            first[0]()

    @contextmanager
    def locked(self):
        if has("lost-compare-and-swap"):
            yield
            return
        descriptor = os.open(self.path("lock"), os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    # objects

    def put(self, kind, name, payload, suffix=""):
        path = self.named(kind, name, suffix)
        if path not in self.files.suspect:
            try:
                with open(path, "rb") as file:
                    whole = file.read() == payload
            except FileNotFoundError:
                whole = False
            if whole or (has("no-heal-on-retry") and os.path.exists(path)):
                return self.files.confirm(path)
        self.files.put(path, payload, 0o444, "object")

    def put_blob(self, data):
        payload = b"blob %d\0" % len(data) + data
        name = "sha256:" + hashlib.sha256(payload).hexdigest()
        self.put("objects", name, payload)
        return name

    def get_blob(self, name):
        try:
            with open(self.named("objects", name), "rb") as file:
                payload = file.read()
        except FileNotFoundError:
            payload = self.packed(name)
        if "sha256:" + hashlib.sha256(payload).hexdigest() != name:
            raise Refused("integrity", f"integrity check: {name}")
        return payload.partition(b"\0")[2]

    def packed(self, name):
        for index in self.listed("packs", ".index"):
            with open(index) as file:
                place = json.load(file).get(name)
            if place is not None:
                with open(index.removesuffix(".index"), "rb") as file:
                    file.seek(place[0])
                    data = file.read(place[1])
                return b"blob %d\0" % len(data) + data
        raise Refused("not_found", name)

    def has_blob(self, name):
        try:
            self.get_blob(name)
        except (Refused, OSError):
            return False
        return True

    def listed(self, kind, suffix=""):
        for folder, _, names in os.walk(self.path(kind)):
            for name in names:
                if name.endswith(suffix) and not name.startswith(".tmp-"):
                    yield os.path.join(folder, name)

    def record(self, kind, name):
        try:
            with open(self.named(kind, name, ".json"), "rb") as file:
                value = json.loads(file.read())
        except FileNotFoundError:
            raise Refused("not_found", name) from None
        except ValueError:
            raise Refused("integrity", name) from None
        made = snapshot_id(value) if kind == "snapshots" else commit_id(value)
        if made != name:
            raise Refused("integrity", name)
        return value

    def put_record(self, kind, name, value):
        self.put(kind, name, json.dumps(value).encode(), ".json")

    def commit(self, request):
        branch = request["branch"]
        manifest = {}
        with self.locked():
            blobs = {path: base64.b64decode(data) for path, data in request["files"].items()}
            for path, data in blobs.items():
                manifest[path] = self.put_blob(data)
            snapshot = {
                "delta_upsert": manifest,
                "delta_remove": [],
                "directories": request.get("directories") or [],
            }
            snapshot["snapshot_id"] = snapshot_id(snapshot)
            record = {
                "snapshot_id": snapshot["snapshot_id"],
                "parent_commit_id": self.ref(branch),
                "message": request["message"],
                "author": request["author"],
                "committed_at": request["committed_at"],
            }
            record["commit_id"] = commit_id(record)
            steps = [
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

    def ref(self, branch):
        try:
            with open(self.path("refs", *branch.split("/"))) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def set_ref(self, branch, name):
        path = self.path("refs", *branch.split("/"))
        self.files.put(path, name.encode(), what="ref")

    def refs(self):
        root = self.path("refs")
        found = {}
        for path in self.listed("refs"):
            if not path.endswith(".tmp"):
                with open(path) as file:
                    found[os.path.relpath(path, root)] = file.read()
        return found

    def head(self):
        with open(self.path("HEAD")) as file:
            line = file.read()
        kind, _, rest = line.rstrip("\n").partition(": ")
        if kind == "ref":
            return {"branch": rest.removeprefix("refs/heads/")}
        if kind != "commit":
            raise Refused("integrity", "HEAD")
        return {"commit": rest}

    def state_path(self, request):
        kind = request["kind"]
        if kind == "config":
            return self.path("config.json")
        return self.path("state", kind, (request.get("name") or "default") + ".json")

    # packs

    def receive_pack(self, path):
        with open(path, "rb") as file:
            raw = file.read()
        pack = Reader(raw).value()
        digest = hashlib.sha256(raw).hexdigest()
        index, blobs = {}, {}
        for blob in pack["blobs"]:
            start, size = blob["content"]
            data = raw[start : start + size]
            name = "sha256:" + hashlib.sha256(b"blob %d\0" % size + data).hexdigest()
            if name != blob["object_id"]:
                raise Refused("integrity", name)
            index[name], blobs[name] = [start, size], data
        packed, listed = self.path("packs", digest), self.path("packs", digest + ".index")
        steps = [
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

    def reachable(self):
        pending = [*self.refs().values(), *self.head().values()]
        for path in [*self.listed("state"), self.path("config.json")]:
            if os.path.exists(path):
                with open(path) as file:
                    words = file.read().replace('"', " ").split()
                pending += [word for word in words if word.startswith("sha256:")]
        found = set()
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

    def gc(self, grace):
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

    def fsck(self):
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

    def closure(self, name):
        try:
            record = self.record("commits", name)
            snapshot = self.record("snapshots", record["snapshot_id"])
            if record["parent_commit_id"]:
                self.record("commits", record["parent_commit_id"])
        except Refused as refused:
            return [f"commit {name}: {refused.args[1]} is missing or corrupt"]
        absent = [blob for blob in snapshot["delta_upsert"].values() if not self.has_blob(blob)]
        return [f"commit {name}: blob {blob} is missing" for blob in absent]


def typed(kind, parts):
    payload = "\0".join(parts).encode()
    return "sha256:" + hashlib.sha256(b"%s %d\0" % (kind, len(payload)) + payload).hexdigest()


def snapshot_id(record):
    parts = []
    for path, name in sorted(record["delta_upsert"].items()):
        parts += [path, name[7:]]
    for path in sorted(record.get("directories") or []):
        parts += [path, "dir"]
    return typed(b"snapshot", parts)


def commit_id(record):
    parent = (record["parent_commit_id"] or "")[7:]
    fields = [record[name] for name in ("message", "committed_at", "author")]
    return typed(b"commit", [parent, record["snapshot_id"][7:], *fields, ""])


class Reader:
    """msgpack as plain packs use it; bytes are given as (offset, length)."""

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, size):
        self.at += size
        return self.raw[self.at - size : self.at]

    def value(self):
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


def op_set_ref(store, request):
    with store.locked():
        now = store.ref(request["branch"])
        if "expect" in request and request["expect"] != now:
            raise Refused("conflict", str(now))
        if has("lost-compare-and-swap"):
            time.sleep(0.001)
        store.record("commits", request["id"])
        store.set_ref(request["branch"], request["id"])
    return {}


def op_get_ref(store, request):
    found = store.ref(request["branch"])
    if found is None:
        raise Refused("not_found", request["branch"])
    if len(found) != len(NOTHING):
        raise Refused("integrity", request["branch"])
    return {"id": found}


def op_set_head(store, request):
    if request.get("branch"):
        line = f"ref: refs/heads/{request['branch']}\n"
    else:
        line = f"commit: {request['commit']}\n"
    store.files.put(store.path("HEAD"), line.encode(), what="head")
    return {}


def op_set_state(store, request):
    path = store.state_path(request)
    if request.get("value") is not None:
        store.files.put(path, json.dumps(request["value"]).encode(), what="state")
    elif os.path.exists(path):
        store.files.remove(path)
    else:
        store.files.folder(os.path.dirname(path))
        store.files.sync_folder(os.path.dirname(path))
    return {}


def op_get_state(store, request):
    try:
        with open(store.state_path(request)) as file:
            return {"value": json.load(file)}
    except FileNotFoundError:
        raise Refused("not_found", request["kind"]) from None
    except ValueError:
        raise Refused("integrity", request["kind"]) from None


def op_restore(store, request):
    data = store.get_blob(request["id"])
    files = Files(store.root)
    files.known.add(os.path.dirname(os.path.dirname(store.root)))
    files.put(request["dest"], data, what="restore")
    return {}


def op_put_blob(store, request):
    data = base64.b64decode(request["data"])
    return {"id": store.put_blob(data)}


def op_put_blob_file(store, request):
    with open(request["path"], "rb") as file:
        return {"id": store.put_blob(file.read())}


OPS = {
    "put_blob": op_put_blob,
    "put_blob_file": op_put_blob_file,
    "get_blob": lambda s, r: {"data": base64.b64encode(s.get_blob(r["id"])).decode()},
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
EARLY = {
    "early-answer-blob": ("put_blob", {"id": NOTHING}),
    "early-answer-ref": ("set_ref", {}),
    "early-answer-state": ("set_state", {}),
}


def answer(value):
    os.write(1, json.dumps(value).encode() + b"\n")


def serve(store, request):
    op = OPS.get(request.get("op"))
    if op is None:
        return answer({"ok": False, "error": "invalid", "detail": "no such op"})
    name, early = EARLY.get(FLAW, ("", {}))
    if name == request["op"]:
        answer({"ok": True, **early})
        return op(store, request)
    try:
        answer({"ok": True, **op(store, request)})
    except Refused as refused:
        answer({"ok": False, "error": refused.args[0], "detail": refused.args[1]})
    except OSError as error:
        if has("dies-on-error"):
            raise
        answer({"ok": False, "error": "io", "detail": str(error)})


def misbehave():
    if has("hangs"):
        time.sleep(600)
    if has("garbage"):
        os.write(1, b"what?\n")
    if has("elsewhere"):
        with open(os.environ["ELSEWHERE"], "w") as file:
            file.write("x")
    while has("forks-forever"):
        os.fork()


def main(arguments):
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
        misbehave()
        serve(store, json.loads(line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
