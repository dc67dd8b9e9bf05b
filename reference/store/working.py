"""What a person does with a working tree: commit, status, switch, merge."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import zip_longest
from types import MappingProxyType
from typing import NamedTuple

from reference.core.history import Parents, merge_base
from reference.wire.errors import ProtocolError
from reference.wire.ids import blob_id, is_id
from reference.wire.names import ancestors
from reference.wire.records import Commit, parents

from . import loose, refs, state, worktree
from .repository import Repository, Tree

PACK_BEYOND = 64
"""How many new blobs a commit writes as one pack, with one sync, rather than one by one."""
EMPTY: Tree = ({}, ())


class Status:
    """How the working tree differs from the commit it stands on."""

    def __init__(self, branch: str | None, head: str | None, notes: list[str]) -> None:
        self.branch = branch
        self.head = head
        self.new: list[str] = []
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.notes = notes
        self.conflicts: list[str] = []

    @property
    def clean(self) -> bool:
        """Whether nothing would be lost by writing another tree."""
        return not (self.new or self.changed or self.gone)


def head_commit(repository: Repository) -> tuple[str | None, str | None]:
    """The branch that HEAD names, if any, and the commit it stands on, if any."""
    branch, commit = refs.read_head(repository.dot)
    return (branch, refs.read(repository.dot, branch)) if branch is not None else (None, commit)


def tree_of(repository: Repository, commit_id: str | None) -> Tree:
    """The tree of a commit; of none, the empty one."""
    if commit_id is None:
        return EMPTY
    return repository.tree(repository.commit(commit_id)["snapshot_id"])


def _hash_file(path: str) -> str:
    with open(path, "rb") as file:
        return blob_id(file.read())


def status(repository: Repository) -> Status:
    """Compares the working tree with HEAD, by content."""
    branch, head = head_commit(repository)
    manifest, _ = tree_of(repository, head)
    found = worktree.scan(repository.root)
    result = Status(branch, head, list(found.notes))
    for path in sorted(found.files, key=str.encode):
        if path not in manifest:
            result.new.append(path)
        elif _hash_file(f"{repository.root}/{path}") != manifest[path]:
            result.changed.append(path)
    result.gone = sorted(manifest.keys() - found.files.keys(), key=str.encode)
    result.conflicts = list((merge_state(repository) or {}).get("conflict_paths", []))
    return result


def merge_state(repository: Repository) -> state.Value | None:
    """The merge in progress, if there is one."""
    try:
        found = state.get_state(repository.dot, "merge")
    except ProtocolError as problem:
        if problem.code != "not_found":
            raise
        return None
    paths = found.get("conflict_paths", [])
    listed = isinstance(paths, list) and all(isinstance(path, str) for path in paths)
    if found and not (is_id(found.get("theirs_commit")) and listed):  # the adapter takes any object
        why = "MERGE_STATE.json names no commit to merge: clear the state merge, or remove the file"
        raise ProtocolError("integrity", f"integrity check: {why}")
    return found


def _store_files(
    repository: Repository, paths: Iterable[str], committed: Set[str]
) -> dict[str, str]:
    """Keeps the files' contents: a few one by one, many as one pack with one sync.

    What the parent holds is durable, since the branch names it; of anything else that is there
    nobody knows whether its writer got as far as syncing it, so it is written again.
    """
    manifest: dict[str, str] = {}
    fresh: dict[str, bytes] = {}
    for path in paths:
        with open(f"{repository.root}/{path}", "rb") as file:
            content = file.read()
        manifest[path] = object_id = blob_id(content)
        if object_id not in committed:
            fresh[object_id] = content
    if len(fresh) <= PACK_BEYOND:
        loose.put_blobs(repository.dot, list(fresh.values()))
        return manifest
    from reference.wire.writer import compress_frames, write_framed

    from .packs import OURS

    plans, payloads = compress_frames(list(fresh.items()))
    with repository.intake(OURS) as intake:
        write_framed(intake.write, [], [], plans, payloads)
        intake.install()
    return manifest


def commit(
    repository: Repository,
    fields: Mapping[str, str],
    finish: Callable[[Commit], Commit] = lambda record: record,
) -> tuple[Commit, list[str]]:
    """A commit of the working tree on the current branch, and notes on what was left out."""
    from .adapter import commit_on

    branch, head = head_commit(repository)
    if branch is None:
        raise ProtocolError("conflict", "HEAD names no branch: musekit switch BRANCH first")
    found = worktree.scan(repository.root)
    merging = merge_state(repository)
    before, directories = tree_of(repository, head)
    paths = sorted(found.files, key=str.encode)
    manifest = _store_files(repository, paths, frozenset(before.values()))
    same = before == manifest and sorted(directories) == sorted(found.directories)
    if same and head is not None and not merging:
        raise ProtocolError("conflict", "nothing to commit: the working tree is as committed")
    second = str(merging["theirs_commit"]) if merging else None
    record = commit_on(
        repository, branch, manifest, found.directories, dict(fields), second, finish, on=head
    )
    notes = list(found.notes)
    if merging:
        state.set_state(repository.dot, "merge", None, None)
        for path in merging.get("conflict_paths", []):
            if manifest.get(path) == before.get(path):
                notes.append(f"keeps our side of {path}")
    return record, notes


def write_tree(repository: Repository, before: Tree, after: Tree) -> None:
    """Brings the working tree from one committed tree to another, or refuses and changes nothing.

    A file in the way whose content is in neither tree would be lost: that is a conflict.  What
    fails after that, for want of room say, leaves a tree that is partly the one, partly the other.
    """
    root = repository.root
    changed, removed = _refuse_losses(root, before, after)
    for folder in sorted(set(before[1]) - set(after[1]), reverse=True):
        worktree.remove_folder(root, folder)
    for path in removed:
        worktree.remove_path(root, path)
    for path in sorted(changed, key=str.encode):
        worktree.write_path(root, path, repository.blob(after[0][path]))
    for folder in after[1]:
        worktree.write_folder(root, folder)


@contextmanager
def _written(repository: Repository, before: Tree, after: Tree) -> Iterator[None]:
    """The tree `after`, brought back to `before` if what it was written for is refused."""
    write_tree(repository, before, after)
    try:
        yield
    except (ProtocolError, OSError):
        write_tree(repository, after, before)
        raise


def _refuse_losses(root: str, before: Tree, after: Tree) -> tuple[list[str], list[str]]:
    """Which files to write and which to remove, once it is known that none would be lost."""
    changed = [path for path, oid in after[0].items() if before[0].get(path) != oid]
    removed = [path for path in before[0] if path not in after[0]]
    for path in (*changed, *removed):
        at = f"{root}/{path}"
        if os.path.isdir(at) and not os.path.islink(at):
            if path in changed:
                _refuse_lost_folder(root, path, before)
        else:
            _refuse_lost_file(root, path, {before[0].get(path), after[0].get(path)})
    above = {folder for path in (*changed, *after[1]) for folder in ancestors(path)}
    for folder in above.union(after[1]):
        if not os.path.isdir(f"{root}/{folder}") or os.path.islink(f"{root}/{folder}"):
            _refuse_lost_file(root, folder, {before[0].get(folder)})
    return changed, removed


def _refuse_lost_file(root: str, path: str, safe: Set[str | None]) -> None:
    at = f"{root}/{path}"
    if not os.path.lexists(at):
        return
    if os.path.islink(at) or not os.path.isfile(at):  # to open a pipe is to wait for its writer
        raise ProtocolError("conflict", f"{path!r} is no file and in the way: move it aside")
    if _hash_file(at) not in safe:
        raise ProtocolError("conflict", f"{path!r} has changes that would be lost: commit it first")


def _refuse_lost_folder(root: str, path: str, before: Tree) -> None:
    for folder, inner, names in os.walk(f"{root}/{path}"):
        links = (name for name in inner if os.path.islink(f"{folder}/{name}"))
        for name in (*names, *links):
            inside = os.path.relpath(f"{folder}/{name}", root)
            if inside not in before[0]:
                raise ProtocolError("conflict", f"{inside!r} is in the way of a file")


def switch(repository: Repository, branch: str, create: bool = False) -> None:
    """Goes to a branch, writing its tree; with `create`, a new branch from where HEAD stands."""
    _refuse_merging(repository)
    _, head = head_commit(repository)
    target = refs.read(repository.dot, branch)
    if create:
        if target is not None:
            raise ProtocolError("conflict", f"branch {branch!r} is there already")
        if head is not None:
            refs.write(repository.dot, branch, head, expect=None)
        refs.write_head(repository.dot, branch=branch)
        return
    if target is None:
        raise ProtocolError("not_found", f"no branch {branch!r}: musekit switch -c makes one")
    with _written(repository, tree_of(repository, head), tree_of(repository, target)):
        refs.write_head(repository.dot, branch=branch)


def _refuse_merging(repository: Repository) -> None:
    if merge_state(repository):
        raise ProtocolError("conflict", "a merge is in progress: commit it first")


class MergeOutcome(NamedTuple):
    """What a merge came to: up_to_date, fast_forward, merged, or the paths in conflict."""

    result: str
    commit_id: str | None
    conflicts: Sequence[str] = ()
    sides: Mapping[str, Sequence[str | None]] = MappingProxyType({})
    """Of each path in conflict the blob in the base, in ours and in theirs."""


def _standing(parents_of: Parents, ours: str, theirs: str) -> str | None:
    """Whether one of two commits stands on the other; they are mostly near, so neither goes far."""
    for mine, other in zip_longest(_below(parents_of, ours), _below(parents_of, theirs)):
        if mine == theirs:
            return "up_to_date"
        if other == ours:
            return "fast_forward"
    return None


def _below(parents_of: Parents, start: str) -> Iterator[str]:
    """A commit and what it descends from, the nearest first."""
    waiting, seen = deque([start]), {start}
    while waiting:
        commit_id = waiting.popleft()
        yield commit_id
        fresh = [parent for parent in parents_of(commit_id) if parent not in seen]
        seen.update(fresh)
        waiting.extend(fresh)


def merge(repository: Repository, source: str, fields: Mapping[str, str]) -> MergeOutcome:
    """Merges a branch into the current one; conflicts are left for a person to resolve."""
    _refuse_merging(repository)
    branch, ours = head_commit(repository)
    theirs = refs.read(repository.dot, source)
    if branch is None or theirs is None:
        raise ProtocolError("not_found", f"no branch {source!r} to merge, or HEAD is on none")

    def parents_of(commit_id: str) -> list[str]:
        return parents(repository.commit(commit_id))

    found = _standing(parents_of, ours, theirs) if ours is not None else "fast_forward"
    if found == "up_to_date":
        return MergeOutcome("up_to_date", ours)
    mine, other = tree_of(repository, ours), tree_of(repository, theirs)
    if ours is None or found == "fast_forward":
        with _written(repository, mine, other):
            refs.write(repository.dot, branch, theirs, expect=ours)
        return MergeOutcome("fast_forward", theirs)
    if not status(repository).clean:
        raise ProtocolError("conflict", "the working tree has changes: commit them first")
    from reference.core.merge import three_way

    from .adapter import commit_on

    base = merge_base(parents_of, ours, theirs)
    common = tree_of(repository, base)
    merged = three_way(common, mine, other)
    if merged.conflicts:
        kept = {p: oid for p, oid in merged.manifest.items() if p not in merged.conflicts}
        kept.update({path: mine[0][path] for path in merged.conflicts if path in mine[0]})
        ours_first = {p: oid for p, oid in kept.items() if not kept.keys() & set(ancestors(p))}
        _refuse_losses(repository.root, mine, (ours_first, mine[1]))
        value = {"base_commit": base, "ours_commit": ours, "theirs_commit": theirs}
        state.set_state(
            repository.dot, "merge", None, {**value, "conflict_paths": merged.conflicts}
        )
        write_tree(repository, mine, (ours_first, mine[1]))
        trees = (common[0], mine[0], other[0])
        sides = {path: [tree.get(path) for tree in trees] for path in merged.conflicts}
        return MergeOutcome("conflict", None, merged.conflicts, sides)
    after = merged.manifest, merged.directories
    with _written(repository, mine, after):
        record = commit_on(repository, branch, *after, dict(fields), theirs, on=ours)
    return MergeOutcome("merged", record["commit_id"])
