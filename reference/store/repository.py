"""A repository's objects, wherever they lie: loose files and packs, read as one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from reference.wire import snapshots
from reference.wire.errors import ProtocolError
from reference.wire.ids import Manifest, commit_id, snapshot_id
from reference.wire.names import check_path, check_tree
from reference.wire.records import Commit, Snapshot

from . import durable, kept, loose, refs, state
from .pack_folder import list_packs

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:  # packs and what reads them are for who meets one
    from typing import Any

    from reference.core.closure import Lookups
    from reference.wire.pack import Limits, Pack

    from .intake import Intake
    from .packs import PackFile

CHAIN = 64
"""How many deltas a loose snapshot may stand on before it is written in full."""
CACHED_DELTAS = 4096
Tree = tuple[Manifest, Sequence[str]]


def _json(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


class Repository:
    """The store of one working tree, `root`/.muse."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.dot = f"{root}/.muse"
        if not os.path.isfile(f"{self.dot}/HEAD"):
            begun = state.unfinished_clone(root) or "no finished repository: run musekit init"
            raise ProtocolError("not_found", f"{root!r} holds {begun}")
        kept.check_format(f"{self.dot}/repo.json")
        self._packs: list[PackFile] | None = None
        self._commits: dict[str, tuple[PackFile, int]] = {}
        self._snapshots: dict[str, tuple[PackFile, int]] = {}
        self._trees: dict[str, Tree] = {}
        self._deltas: dict[str, Snapshot] = {}
        self._shards: dict[str, frozenset[str]] = {}

    @staticmethod
    def init(root: str) -> Repository:
        """An empty repository, or the one that is there, finished if it was half made."""
        dot = f"{root}/.muse"
        if begun := state.unfinished_clone(root):
            raise ProtocolError("conflict", f"{root!r} holds {begun}")
        if os.path.exists(f"{dot}/repo.json"):
            kept.check_format(f"{dot}/repo.json")
        for name in ("objects/sha256", "objects/pack", "commits", "snapshots", "refs/heads"):
            durable.make_folder(f"{dot}/{name}")
        for name, content in (("repo.json", b'{"format":1}\n'), ("config.toml", b"")):
            if not os.path.exists(f"{dot}/{name}"):
                durable.write(f"{dot}/{name}", content)
        if not os.path.exists(f"{dot}/HEAD"):
            refs.write_head(dot, branch="main")
        return Repository(root)

    # Packs.

    def packs(self, again: bool = False) -> list[PackFile]:
        """The packs, listed once and looked at again when something is not found."""
        if self._packs is None or again:
            known = {pack.path: pack for pack in self._packs or ()}
            self._packs = []
            for found in list_packs(self.dot):
                pack = known.get(found.path, found)
                if pack is not found or self._can_learn(pack):
                    self._packs.append(pack)
        return self._packs

    def _can_learn(self, pack: PackFile) -> bool:
        """Whether a pack tells what it holds; a damaged one hides nothing else.  [STORE-015]"""
        try:
            self._learn(pack)
        except (ProtocolError, FileNotFoundError):
            return False  # fsck names it, or another process collected it since it was listed
        return True

    def _learn(self, pack: PackFile) -> None:
        self._shards.clear()  # beside a pack that came, a record may lie that counts before its own
        for n, record in enumerate(pack.pack.commits):
            self._commits.setdefault(record["commit_id"], (pack, n))
        for n, record in enumerate(pack.pack.snapshots):
            self._snapshots.setdefault(record["snapshot_id"], (pack, n))

    def _pack_of_blob(self, object_id: str) -> PackFile | None:
        for again in (False, True):
            for pack in self.packs(again):
                if object_id in pack.places:
                    return pack
        return None

    def _packed(
        self, where: dict[str, tuple[PackFile, int]], object_id: str
    ) -> tuple[PackFile, int] | None:
        self.packs()
        if object_id not in where:
            self.packs(again=True)
        return where.get(object_id)

    # Blobs.

    def has_blob(self, object_id: str) -> bool:
        """Whether the blob is here, without reading it."""
        return loose.has(self.dot, object_id) or self._pack_of_blob(object_id) is not None

    def blob(self, object_id: str) -> bytes:
        """A blob's content, rehashed."""
        damage: ProtocolError | OSError | None = None
        try:
            content = loose.find_blob(self.dot, object_id)
            if content is not None:
                return content
        except (ProtocolError, OSError) as problem:
            damage = problem
        for again in (False, True):
            for pack in self.packs(again):
                if object_id in pack.places:
                    try:
                        return pack.read(object_id)
                    except FileNotFoundError:
                        continue  # another process collected the pack
                    except (ProtocolError, OSError) as problem:  # hides no sound copy  [STORE-015]
                        damage = problem
        raise damage or ProtocolError("not_found", f"no object {object_id} here")

    # Commits and snapshots.

    def _loose(
        self, kind: str, object_id: str, packed: Mapping[str, tuple[PackFile, int]]
    ) -> bytes | None:
        """A loose record's bytes; for what a pack has too, no file is tried where no folder is.

        A clone's history is one long chain in one pack: a thousand files would be tried in vain.
        """
        if object_id in packed:
            if kind not in self._shards:
                self._shards[kind] = loose.shards(self.dot, kind)
            if object_id[7:9] not in self._shards[kind]:
                return None
        return loose.read_record(self.dot, kind, object_id)

    def find_commit(self, object_id: str) -> Commit | None:
        """A commit, rehashed, or nothing."""
        try:
            raw = self._loose("commits", object_id, self._commits)
            if raw is not None:
                return kept.commit_from(object_id, raw)
        except (ProtocolError, OSError):
            if not self._packed(self._commits, object_id):
                raise
        place = self._packed(self._commits, object_id)
        if place is None:
            return None
        pack, n = place
        record = pack.pack.commits[n]
        if commit_id(record) != object_id:
            raise ProtocolError("integrity", f"integrity check: commit {object_id} does not match")
        return record

    def commit(self, object_id: str) -> Commit:
        """A commit, rehashed."""
        found = self.find_commit(object_id)
        if found is None:
            raise ProtocolError("not_found", f"no commit {object_id} here")
        return found

    def find_snapshot(self, object_id: str) -> Snapshot | None:
        """A snapshot's record as it is kept, a delta or a root, or nothing."""
        if object_id in self._deltas:
            return self._deltas[object_id]
        try:
            raw = self._loose("snapshots", object_id, self._snapshots)
            if raw is not None:
                record = kept.snapshot_from(object_id, raw)
                if len(self._deltas) < CACHED_DELTAS:
                    self._deltas[object_id] = record
                return record
        except (ProtocolError, OSError):
            if not self._packed(self._snapshots, object_id):
                raise
        place = self._packed(self._snapshots, object_id)
        return place[0].pack.snapshots[place[1]] if place else None

    def snapshot(self, object_id: str) -> Snapshot:
        """A snapshot's record as it is kept; only `tree` proves it."""
        found = self.find_snapshot(object_id)
        if found is None:
            raise ProtocolError("not_found", f"no snapshot {object_id} here")
        return found

    def tree(self, object_id: str) -> Tree:
        """A snapshot's full manifest and directories, rehashed."""
        chain: list[Snapshot] = []
        at: str | None = object_id
        seen = {at}
        manifest: dict[str, str] = {}
        directories: Sequence[str] = ()
        while at is not None:
            if at in self._trees:
                manifest, directories = dict(self._trees[at][0]), self._trees[at][1]
                break
            record = self.snapshot(at) if at == object_id else self._base(object_id, at)
            chain.append(record)
            at = record["parent_snapshot_id"]
            if at in seen:
                raise ProtocolError("integrity", f"integrity check: {at} stands on itself")
            seen.add(at)
        for record in reversed(chain):
            for path in record["delta_remove"]:
                manifest.pop(path, None)
            manifest.update(record["delta_upsert"])
            directories = snapshots.directories_of(record, directories)
        if snapshot_id(manifest, directories) != object_id:
            raise ProtocolError(
                "integrity", f"integrity check: snapshot {object_id} does not match"
            )
        if len(self._trees) >= 16:
            del self._trees[next(iter(self._trees))]
        self._trees[object_id] = (manifest, directories)
        return manifest, directories

    def _base(self, object_id: str, base: str) -> Snapshot:
        found = self.find_snapshot(base)
        if found is None:
            raise ProtocolError(
                "integrity", f"integrity check: {object_id} stands on {base}, which is missing"
            )
        return found

    def lookups(self) -> Lookups:
        """How `core.closure` reads this repository."""
        from reference.core.closure import Lookups

        return Lookups(self.find_commit, self.snapshot, self.tree)

    # Writing.

    def put_snapshot(
        self, manifest: Manifest, directories: Sequence[str], parent: str | None = None
    ) -> str:
        """Keeps a snapshot as a delta on `parent`, in full at the end of a long chain."""
        for path in manifest:
            check_path(path)
        check_tree(manifest, directories)
        new = snapshot_id(manifest, directories)
        there = loose.read_record(self.dot, "snapshots", new)
        if there is None and self._packed(self._snapshots, new):
            self.keep("snapshots", new)
            return new
        if there is not None and self._is_sound(new, there):
            raw = there  # others may stand on it: on another base it might stand on itself
        else:
            if there is not None or parent == new or self._chain_length(parent) >= CHAIN:
                parent = None
            base: Tree = self.tree(parent) if parent else ({}, ())
            raw = _json(snapshots.between(new, manifest, directories, parent, *base))
        loose.put_record(self.dot, "snapshots", new, raw, self._prove)
        return new

    def _prove(self, object_id: str, raw: bytes) -> None:
        self._trees.pop(object_id, None)
        self._deltas.pop(object_id, None)
        kept.snapshot_from(object_id, raw)
        self.tree(object_id)

    def _is_sound(self, object_id: str, raw: bytes) -> bool:
        try:
            self._prove(object_id, raw)
        except ProtocolError:
            return False
        return True

    def _chain_length(self, object_id: str | None) -> int:
        length = 0
        while object_id is not None and length < CHAIN:
            object_id = self.snapshot(object_id)["parent_snapshot_id"]
            length += 1
        return length

    def put_commit(self, record: Commit) -> str:
        """Keeps a commit whose id was computed; what is there already wins."""
        object_id: str = record["commit_id"]
        path = loose.path_of(self.dot, "commits", object_id)
        if not os.path.exists(path) and self._packed(self._commits, object_id):
            self.keep("commits", object_id)
        else:
            raw = _json(record)
            loose.put_record(self.dot, "commits", object_id, raw, kept.commit_from)
        return object_id

    def keep(self, kind: str, object_id: str) -> None:
        """Makes something that is there durable: how far its writer got, nobody knows.

        Whatever is acknowledged because it stands on something calls this first.  [DUR-005]
        """
        path = loose.path_of(self.dot, kind, object_id)
        if not os.path.exists(path):
            pack = self._pack_of_blob(object_id) if kind == "objects" else None
            where = self._commits if kind == "commits" else self._snapshots
            if pack is None and object_id in where:
                pack = where[object_id][0]
            if pack is None:
                raise OSError(f"another process collected {object_id}: try again")
            path = pack.path
        if not durable.settle(path):
            with open(path, "rb") as file:
                chunks = iter(lambda: file.read(loose.CHUNK_BYTES), b"")
                durable.write(path, chunks, mode=loose.FILE_MODE)

    def keep_first(self, commits: Iterable[Commit]) -> None:
        """Writes out the record of each commit of which a pack that comes has another.  [STORE-018]

        Which of two packs was the first, nothing tells later; a loose record is read before both.
        """
        self.packs(again=True)
        for record in commits:
            object_id = record["commit_id"]
            if object_id in self._commits and (first := self.commit(object_id)) != record:
                self.keep("commits", object_id)
                loose.put_record(self.dot, "commits", object_id, _json(first), kept.commit_from)

    def receive(self, chunks: Iterable[bytes], key: str | None = None) -> Pack:
        """Takes in a pack: everything is verified before its file gets its name."""
        with self.intake() as intake:
            for chunk in chunks:
                intake.write(chunk)
            return intake.install(key)

    def intake(self, limits: Limits | None = None) -> AbstractContextManager[Intake]:
        """A place for a pack's bytes, gone again unless they are installed."""
        from .intake import intake

        return intake(self, limits)

    def installed(self, path: str, pack: Pack) -> None:
        """Takes notice of a pack that was written; its index comes after it, and may be lost."""
        from .packs import PackFile, encode_index

        index = encode_index(pack, path)
        durable.write(PackFile(path).index_path, index, mode=loose.FILE_MODE)
        self._packs = [known for known in self.packs() if known.path != path] + [PackFile(path)]
        self._learn(self._packs[-1])

    def forget(self) -> None:
        """Drops what is cached, after things were removed."""
        self._packs = None
        self._commits.clear()
        self._snapshots.clear()
        self._trees.clear()
        self._deltas.clear()
        self._shards.clear()

    def ids(self, kind: str) -> Iterator[str]:
        """Every id of a kind: objects, commits or snapshots, each once."""
        seen = set(loose.iter_ids(self.dot, kind))
        yield from seen
        for pack in self.packs(again=True):
            more = set(loose.PACKED_IDS[kind](pack)) - seen
            yield from more
            seen |= more
