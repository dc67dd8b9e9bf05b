"""Clone: everything verified, one pack file, the working tree, and HEAD as the very last thing.

A folder without HEAD is not yet a repository, so what an interruption leaves never looks whole.
What fails is removed again; what is killed can be finished by running the same clone once more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from reference.core import verification
from reference.core.closure import Tree, rebuilt
from reference.core.verification import Known
from reference.store import durable, refs
from reference.store.loose import FILE_MODE
from reference.store.pack_folder import folder
from reference.store.packs import PackFile, encode_index
from reference.wire import frames, provenance
from reference.wire.errors import ProtocolError
from reference.wire.ids import blob_id
from reference.wire.names import ancestors
from reference.wire.pack import Limits, Pack
from reference.wire.reader import PackReader
from reference.wire.records import Commit, Snapshot

from .aside import aside
from .fetch import Fetched, Offer, distrust, download, request, track
from .progress import Steps
from .remote import Refs, Remote

REMOTE = "origin"
_FOLDERS = ("objects/sha256", "objects/pack", "commits", "snapshots", "refs/heads")


class Received:
    """What has come so far: packs, each of which may stand on those before it."""

    def __init__(self, dot: str, limits: Limits) -> None:
        self.dot = dot
        self._limits = limits
        self.packs: list[tuple[str, Pack]] = []
        self.commits: dict[str, Commit] = {}
        self.snapshots: dict[str, Snapshot] = {}

    def take(self, remote: Remote, offer: Offer) -> Pack:
        """Receives one pack, durable under its key; only its blobs are verified by then."""
        path = f"{folder(self.dot)}/{offer.mpack_id[7:]}.mpack"
        if os.path.exists(path) and durable.settle(path):
            pack = PackFile(path).verified(self._limits)
        else:
            pack = _receive(remote, offer, path, self._limits)
        index = encode_index(pack, path)  # not synced: one that is lost is made again
        durable.write(PackFile(path).index_path, index, mode=FILE_MODE, sync=False)
        self.packs.append((path, pack))
        self.commits.update((record["commit_id"], record) for record in pack.commits)
        self.snapshots.update((record["snapshot_id"], record) for record in pack.snapshots)
        return pack

    def verify(self) -> None:
        """Commit ids, signatures, manifests, and that nothing is missing.  [FETCH-020]"""
        commits: set[str] = set()
        snapshots: set[str] = set()
        objects: set[str] = set()
        for _, pack in self.packs:
            verification.check_commits(pack.commits)
            provenance.verify_all(pack.commits)
            known = Known(commits, snapshots, objects, self.tree)
            verification.check_pack(pack, known, self._limits)
            commits.update(record["commit_id"] for record in pack.commits)
            snapshots.update(record["snapshot_id"] for record in pack.snapshots)
            objects.update(pack.blob_ids)

    def tree(self, snapshot_id: str) -> Tree:
        """A snapshot's manifest and directories, as its deltas say."""
        return rebuilt(self._snapshot, snapshot_id, lambda _: None)

    def _snapshot(self, snapshot_id: str) -> Snapshot:
        if snapshot_id not in self.snapshots:
            raise ProtocolError("missing_snapshot", f"snapshot {snapshot_id} was not sent")
        return self.snapshots[snapshot_id]

    def contents(self, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
        """Each wanted blob, by opening once each frame that holds one; rehashed."""
        for path, pack in self.packs:
            with open(path, "rb") as file:
                first = 0
                for frame in pack.frames:
                    ids = pack.blob_ids[first : first + frame.blobs]
                    sizes = pack.blob_sizes[first : first + frame.blobs]
                    first += frame.blobs
                    if wanted.isdisjoint(ids):
                        continue
                    file.seek(frame.offset)
                    raw = file.read(frame.length)
                    if not frame.stored:
                        raw = frames.decompress(raw, sum(sizes))
                    at = 0
                    for object_id, size in zip(ids, sizes, strict=True):
                        if object_id in wanted:
                            wanted.remove(object_id)
                            content = raw[at : at + size]
                            if blob_id(content) != object_id:
                                why = f"integrity check: {object_id} was damaged in {path}"
                                raise ProtocolError("integrity", why)
                            yield object_id, content
                        at += size


def _receive(remote: Remote, offer: Offer, path: str, limits: Limits) -> Pack:
    reader = PackReader(limits)
    with durable.draft(os.path.dirname(path)) as draft:

        def take(data: bytes) -> None:
            reader.feed(data)
            draft.write(data)

        download(remote, offer, take)
        pack = reader.close()
        if reader.key != offer.mpack_id:
            why = f"pack {offer.mpack_id} hashes to {reader.key}"
            raise ProtocolError("digest_mismatch", why)
        draft.keep(path, mode=FILE_MODE)
    return pack


def clone(remote: Remote, root: str, steps: Steps) -> Fetched:
    """Makes `root` a copy of the remote, whole when it returns."""
    config = f"[remotes.{REMOTE}]\nurl = {json.dumps(remote.url)}\n".encode()
    unfinished = _check_place(root, config)
    with steps.step("refs"):
        known = remote.refs()
    made = _first_missing(root)
    try:
        durable.write(f"{root}/.muse/config.toml", config)
        for name in _FOLDERS:
            durable.make_folder(f"{root}/.muse/{name}")
        return _clone(remote, root, known, unfinished, steps)
    except BaseException as problem:
        if not unfinished:
            _remove(root, made)
        if isinstance(problem, ProtocolError):
            raise distrust(remote, problem) from None
        raise


def _clone(remote: Remote, root: str, known: Refs, again: bool, steps: Steps) -> Fetched:
    result = Fetched(known.heads)
    dot, heads = f"{root}/.muse", known.heads
    if again:
        durable.sweep(dot)
    branch = known.default if known.default in heads else min(heads, default="main")
    refs.check_holdable(dot, branch, conflicts=False)
    received = Received(dot, known.takes)
    # the default branch first: alone it comes from the server's cache
    for wanted in ([heads[branch]] if heads else [], dict.fromkeys(heads.values())):
        want = [commit for commit in wanted if commit not in received.commits]
        if want:
            with steps.step("request"):
                have = [heads[branch]] if received.commits else []
                offer = request(remote, want, have, lambda: None)
            with steps.step("download"):
                result.add(offer, received.take(remote, offer))
    for head in heads.values():
        if head not in received.commits:
            raise ProtocolError("missing_parent", f"{head} was promised and not sent")
    with steps.step("checkout"), aside(received.verify):
        if heads:
            tree = received.tree(received.commits[heads[branch]]["snapshot_id"])
            if again:
                _refuse_edited(root, received, tree)
            _check_out(root, received, tree, again)
    with steps.step("refs"):
        if heads:
            refs.write(dot, branch, heads[branch])
        track(dot, REMOTE, result)
        durable.write(f"{dot}/repo.json", b'{"format":1}\n')
        refs.write_head(dot, branch=branch)
    return result


def _refuse_edited(root: str, received: Received, tree: Tree) -> None:
    """What the clone that was killed wrote is a file's content or the start of it.

    Anything else in a file's place is somebody's own, and nothing is written over it.
    """
    manifest, directories = tree
    above = {name for path in (*manifest, *directories) for name in ancestors(path)}
    for name in sorted({*directories, *above}):
        at = f"{root}/{name}"
        if os.path.islink(at) or (os.path.lexists(at) and not os.path.isdir(at)):
            raise _edited(name)
    doubtful: dict[str, list[tuple[str, bytes]]] = {}
    for path, object_id in manifest.items():
        at = f"{root}/{path}"
        if not os.path.lexists(at):
            continue
        if os.path.islink(at) or not os.path.isfile(at):
            raise _edited(path)
        with open(at, "rb") as file:
            found = file.read()
        if blob_id(found) != object_id:
            doubtful.setdefault(object_id, []).append((path, found))
    for object_id, content in received.contents(set(doubtful)):
        for path, found in doubtful[object_id]:
            if not content.startswith(found):
                raise _edited(path)


def _edited(path: str) -> ProtocolError:
    why = f"{path!r} was changed since the clone was interrupted: move it away, then clone again"
    return ProtocolError("conflict", why)


def _check_out(root: str, received: Received, tree: Tree, again: bool) -> None:
    """Writes the working tree; not synced, for the pack holds it all."""
    from reference.store import worktree

    manifest, directories = tree
    paths: dict[str, list[str]] = {}
    for path, object_id in manifest.items():
        paths.setdefault(object_id, []).append(path)
    made = {root}
    for object_id, content in received.contents(set(paths)):
        for path in paths[object_id]:
            at = f"{root}/{path}"
            parent = os.path.dirname(at)
            if parent not in made and not again:
                os.makedirs(parent, exist_ok=True)
                made.add(parent)
            if again:
                worktree.write_path(root, path, content)
                continue
            try:
                durable.write_new(at, content)
            except FileExistsError:  # this file system takes two paths for one
                why = f"{path!r} and another path are one file here"
                raise ProtocolError("conflict", why) from None
    for path in directories:
        worktree.write_folder(root, path)


def _check_place(root: str, config: bytes) -> bool:
    """Whether this very clone was begun there; anything else but nothing is refused."""
    if not os.path.lexists(root):
        return False
    names = os.listdir(root) if os.path.isdir(root) else [root]
    if names and not os.path.exists(f"{root}/.muse/HEAD"):
        try:
            with open(f"{root}/.muse/config.toml", "rb") as file:
                begun = file.read() == config
        except (FileNotFoundError, NotADirectoryError):
            begun = names == [".muse"]
        if begun:
            return True
    if names:
        why = f"{root!r} is not empty: name a folder that is not there"
        raise ProtocolError("conflict", why)
    return False


def _first_missing(root: str) -> str | None:
    """The outermost folder that making `root` will make."""
    missing = None
    at = os.path.abspath(root)
    while not os.path.lexists(at):
        missing, at = at, os.path.dirname(at)
    return missing


def _remove(root: str, made: str | None) -> None:
    """Leaves nothing of a clone that failed: what it made goes, an empty folder is empty again."""
    import shutil

    if made is not None:
        shutil.rmtree(made, ignore_errors=True)
        return
    for entry in os.scandir(root):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
