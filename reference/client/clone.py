"""Clone: everything verified, one pack file, the working tree, and HEAD as the very last thing.

A folder without HEAD is not yet a repository, so what an interruption leaves never looks whole.
What fails is removed again; what is killed can be finished by running the same clone once more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from reference.core import verification
from reference.core.verification import Known
from reference.store import durable, refs, state, worktree
from reference.store.packs import FILE_MODE, PackFile, encode_index, folder
from reference.wire import frames, provenance
from reference.wire.errors import ProtocolError
from reference.wire.ids import Manifest, blob_id
from reference.wire.pack import DEFAULT_LIMITS, Pack
from reference.wire.reader import PackReader
from reference.wire.records import Commit, Snapshot
from reference.wire.snapshots import directories_of

from .fetch import Fetched, Offer, distrust, download, request
from .progress import Steps
from .push import branch_heads
from .remote import Remote

REMOTE = "origin"
_FOLDERS = ("objects/sha256", "objects/pack", "commits", "snapshots", "refs/heads")
Tree = tuple[Manifest, list[str]]


class Received:
    """What a clone has so far: packs of which each stands on those before it."""

    def __init__(self, dot: str) -> None:
        self.dot = dot
        self.packs: list[tuple[str, Pack]] = []
        self.commits: dict[str, Commit] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.objects: set[str] = set()

    def take(self, remote: Remote, offer: Offer) -> Pack:
        """Receives one pack, verified whole and durable under its name."""
        path = f"{folder(self.dot)}/{offer.mpack_id[7:]}.mpack"
        try:
            if os.path.exists(path) and durable.settle(path):
                pack = PackFile(path).verified()
                self._verify(pack)
            else:
                pack = self._download(remote, offer, path)
        except ProtocolError as problem:
            raise distrust(remote, problem) from None
        # its own name for the index is all a reader needs: lost in a crash, it is remade
        index = PackFile(path).index_path
        durable.write(index, encode_index(pack), mode=FILE_MODE, sync=False)
        self.packs.append((path, pack))
        self.commits.update((record["commit_id"], record) for record in pack.commits)
        self.snapshots.update((record["snapshot_id"], record) for record in pack.snapshots)
        self.objects.update(pack.blob_ids)
        return pack

    def _download(self, remote: Remote, offer: Offer, path: str) -> Pack:
        reader = PackReader(DEFAULT_LIMITS)
        with durable.draft(folder(self.dot)) as draft:

            def take(data: bytes) -> None:
                reader.feed(data)
                draft.write(data)

            download(remote, offer, take)
            pack = reader.close()
            if reader.key != offer.mpack_id:
                why = f"pack {offer.mpack_id} hashes to {reader.key}"
                raise ProtocolError("digest_mismatch", why)
            self._verify(pack)
            draft.keep(path, mode=FILE_MODE)
        return pack

    def _verify(self, pack: Pack) -> None:
        verification.check_commits(pack.commits)
        provenance.verify_all(pack.commits)
        known = Known(
            self.commits.keys(), self.snapshots.keys(), self.objects, lambda oid: self.tree(oid)
        )
        verification.check_pack(pack, known)

    def tree(self, snapshot_id: str) -> Tree:
        """A snapshot's manifest and directories, all of whose deltas were verified."""
        chain: list[Snapshot] = []
        at: str | None = snapshot_id
        while at is not None:
            chain.append(self.snapshots[at])
            at = chain[-1]["parent_snapshot_id"]
        manifest: dict[str, str] = {}
        directories: list[str] = []
        for record in reversed(chain):
            for path in record["delta_remove"]:
                del manifest[path]
            manifest.update(record["delta_upsert"])
            directories = list(directories_of(record, directories))
        return manifest, directories

    def contents(self, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
        """Each wanted blob, once, by opening each frame that holds one; rehashed."""
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
                                why = f"integrity check: {object_id} in {path} does not match"
                                raise ProtocolError("integrity", why)
                            yield object_id, content
                        at += size


def clone(remote: Remote, root: str, steps: Steps) -> Fetched:
    """Makes `root` a copy of the remote, whole when it returns."""
    unfinished = _check_place(root, remote.url)
    with steps.step("refs"):
        answer = remote.refs()
        heads = branch_heads(remote, answer)
    made = _first_missing(root)
    try:
        return _clone(remote, root, str(answer.get("default_branch")), heads, unfinished, steps)
    except BaseException:
        if not unfinished:
            _remove(root, made)
        raise


def _clone(
    remote: Remote, root: str, default: str, heads: dict[str, str], again: bool, steps: Steps
) -> Fetched:
    result = Fetched(heads)
    branch = default if default in heads else min(heads, default="main")
    refs.check_holdable(f"{root}/.muse", branch, conflicts=False)
    dot = _make_store(root, remote.url)
    received = Received(dot)
    for want in ([heads[branch]] if heads else [], list(dict.fromkeys(heads.values()))):
        # the default branch first: alone it comes from the server's cache
        want = [oid for oid in want if oid not in received.commits]
        if want:
            with steps.step("request"):
                have = [heads[branch]] if received.commits else []
                offer = request(remote, want, have)
            with steps.step("download"):
                result.add(offer, received.take(remote, offer))
    for head in heads.values():
        if head not in received.commits:
            raise ProtocolError("integrity", f"integrity check: {remote.url} did not send {head}")
    if heads:
        with steps.step("checkout"):
            tree = received.tree(received.commits[heads[branch]]["snapshot_id"])
            _check_out(root, received, tree, again)
    with steps.step("refs"):
        if heads:
            refs.write(dot, branch, heads[branch])
        for name, head in sorted(heads.items()):
            try:
                refs.write(dot, f"{REMOTE}/{name}", head)
            except ProtocolError as problem:
                if problem.code not in ("conflict", "invalid", "invalid_branch"):
                    raise
                result.notes.append(f"left out branch {name!r}: {problem.detail}")
        refs.write_head(dot, branch=branch)
    return result


def _check_place(root: str, url: str) -> bool:
    """Whether an unfinished clone of `url` is there; anything else but nothing is refused."""
    if not os.path.lexists(root):
        return False
    if os.path.isdir(root):
        names = os.listdir(root)
        if not names:
            return False
        dot = f"{root}/.muse"
        if ".muse" in names and not os.path.exists(f"{dot}/HEAD"):
            try:
                config = state.get_state(dot, "config")
            except ProtocolError:
                config = {}
            if config.get("remotes", {}).get(REMOTE, {}).get("url") == url:
                return True
    raise ProtocolError("conflict", f"{root!r} is not empty: name a folder that is not there")


def _make_store(root: str, url: str) -> str:
    dot = f"{root}/.muse"
    for name in _FOLDERS:
        durable.make_folder(f"{dot}/{name}")
    state.set_state(dot, "config", None, {"remotes": {REMOTE: {"url": url}}})
    durable.write(f"{dot}/repo.json", b'{"format":1}\n')
    durable.sweep(dot)
    return dot


def _check_out(root: str, received: Received, tree: Tree, again: bool) -> None:
    """Writes the working tree; not synced, for the pack holds it all."""
    manifest, directories = tree
    paths: dict[str, list[str]] = {}
    for path, object_id in manifest.items():
        paths.setdefault(object_id, []).append(path)
    made = {root}
    for object_id, content in received.contents(set(paths)):
        for path in paths[object_id]:
            if again:
                worktree.write_path(root, path, content)
                continue
            at = f"{root}/{path}"
            parent = os.path.dirname(at)
            if parent not in made:
                os.makedirs(parent, exist_ok=True)
                made.add(parent)
            if os.path.lexists(at):  # this file system takes two paths for one
                raise ProtocolError("conflict", f"{path!r} and another path are one file here")
            durable.write(at, content, sync=False)
    for path in directories:
        worktree.write_folder(root, path)


def _first_missing(root: str) -> str | None:
    """The outermost folder that making `root` will make."""
    missing = None
    at = os.path.abspath(root)
    while not os.path.lexists(at):
        missing, at = at, os.path.dirname(at)
    return missing


def _remove(root: str, made: str | None) -> None:
    """Leaves nothing of a clone that failed."""
    if made is not None:
        shutil.rmtree(made, ignore_errors=True)
        return
    for name in os.listdir(root):
        at = os.path.join(root, name)
        with contextlib.suppress(OSError):
            shutil.rmtree(at) if os.path.isdir(at) and not os.path.islink(at) else os.unlink(at)
