"""What a pack must prove before any of it is kept [PUSH-007].

The receiver reads the pack, asks `outside` what it leans on, looks those up, and calls
`check_pack`.  Nothing here trusts an id that was not recomputed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import chain
from typing import NamedTuple

from reference.wire.errors import ProtocolError
from reference.wire.ids import Manifest, commit_id
from reference.wire.manifests import walk
from reference.wire.pack import DEFAULT_LIMITS, Limits, Pack
from reference.wire.records import Commit, parents


class Needs(NamedTuple):
    """The ids that a pack names and does not carry, and how many blobs it names in all."""

    commits: set[str]
    snapshots: set[str]
    bases: set[str]
    objects: set[str]
    named: int


def _no_manifest(snapshot_id: str) -> tuple[Manifest, Sequence[str]]:
    raise ProtocolError("missing_snapshot", f"a delta's parent {snapshot_id} is not known")


class Known(NamedTuple):
    """What of a pack's `Needs` the receiving repository has."""

    commits: Set[str] = frozenset()
    snapshots: Set[str] = frozenset()
    objects: Set[str] = frozenset()
    manifest: Callable[[str], tuple[Manifest, Sequence[str]]] = _no_manifest


def outside(pack: Pack) -> Needs:
    """What the receiver must have for this pack to make sense."""
    carried = {commit["commit_id"] for commit in pack.commits}
    snapshots: set[str] = set()
    bases: set[str] = set()
    objects: set[str] = set()
    for record in pack.snapshots:
        base = record["parent_snapshot_id"]
        if base is not None and base not in snapshots:
            bases.add(base)
        snapshots.add(record["snapshot_id"])
        objects.update(record["delta_upsert"].values())
    return Needs(
        commits={parent for commit in pack.commits for parent in parents(commit)} - carried,
        snapshots={commit["snapshot_id"] for commit in pack.commits} - snapshots,
        bases=bases,
        objects=objects.difference(pack.blob_ids),
        named=len(objects),
    )


def check_commits(commits: Iterable[Commit]) -> None:
    """Every commit hashes to its id."""
    for commit in commits:
        computed = commit_id(commit)
        if computed != commit["commit_id"]:
            raise ProtocolError(
                "commit_mismatch", f"a commit named {commit['commit_id']} hashes to {computed}"
            )


def check_pack(
    pack: Pack, known: Known, limits: Limits = DEFAULT_LIMITS, needs: Needs | None = None
) -> None:
    """Everything that hangs together does; commit ids and signatures are checked apart."""
    needs = needs or outside(pack)
    for code, what, missing, requirement in (
        ("missing_parent", "parent", needs.commits - known.commits, "MPACK-028"),
        ("missing_snapshot", "a commit's snapshot", needs.snapshots - known.snapshots, "MPACK-028"),
        ("missing_snapshot", "a delta's parent", needs.bases - known.snapshots, "SNAP-010"),
        ("missing_object", "object", needs.objects - known.objects, "SNAP-013"),
    ):
        if missing:
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            detail = f"{what} {min(missing)}{others}: not in the pack, not here"
            raise ProtocolError(code, detail, requirement)
    _check_depth(pack, limits)
    rebuilt = 0
    for index, tree in walk(pack.snapshots, known.manifest):
        rebuilt += tree.payload_size()
        if rebuilt > limits.manifest_bytes:
            cap = limits.manifest_bytes
            raise ProtocolError("too_large", f"manifests of over {cap} bytes", "MPACK-043")
        named, computed = pack.snapshots[index]["snapshot_id"], tree.snapshot_id()
        if named != computed:
            raise ProtocolError(
                "snapshot_mismatch", f"a snapshot named {named} hashes to {computed}"
            )


def _check_depth(pack: Pack, limits: Limits) -> None:
    """Looking for files among a path's folders is work: for one of two thousand, megabytes."""
    listed = (
        (record["delta_upsert"], record["delta_remove"], record.get("directories", ()))
        for record in pack.snapshots
    )
    named = Counter(chain.from_iterable(chain.from_iterable(listed)))
    work = sum(times * len(path) * path.count("/") for path, times in named.items())
    if work // 2 > limits.manifest_bytes:
        cap = limits.manifest_bytes
        raise ProtocolError("too_large", f"folders of over {cap} bytes to look into", "MPACK-038")


def check_head(pack: Pack, head: str, known: bool) -> None:
    """The head that a branch is to move to is in the pack or already here."""
    if not known and all(commit["commit_id"] != head for commit in pack.commits):
        raise ProtocolError("unknown_head", f"head {head} is not in the pack and not here")
