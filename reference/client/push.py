"""Push: what the server lacks, in one pack, and the branch moved in one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from reference.core.closure import closure
from reference.core.history import is_ancestor, reachable
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from reference.wire.ids import is_id
from reference.wire.records import parents

from .parcel import parcel
from .progress import Steps, bar
from .remote import Remote, limits

_COUNTS = ("commits_written", "snapshots_written", "blobs_written")
SAMPLE = 32
"""How many of the newest commits are named in a negotiation; older ones ever more sparsely."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push came to.  [PUSH-024]"""

    ok: bool
    message: str
    branch: str
    head: str
    heads: dict[str, str]
    stored_commits: int = 0
    stored_snapshots: int = 0
    stored_blobs: int = 0
    already_present: int = 0
    pack_bytes: int = 0

    def fields(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return asdict(self)


def push(
    repository: Repository, remote: Remote, branch: str, head: str, force: bool, steps: Steps
) -> Pushed:
    """Brings `head` and all it needs to the server and moves its branch there."""
    with steps.step("negotiate"):
        refs = remote.refs()
        heads = branch_heads(remote, refs)
        had = _had(repository, remote, head, heads)
    current = heads.get(branch)
    if current == head:
        return Pushed(True, f"{branch} is up to date", branch, head, heads)
    if current is not None and not force:
        _check_fast_forward(repository, branch, head, current)
    with steps.step("closure"):
        wanted = closure(repository.lookups(), [head], had)
    framed = "framed" in (refs.get("capabilities") or ())
    with ExitStack() as stack:
        with steps.step("pack"):
            made = stack.enter_context(parcel(repository, wanted, framed, limits(refs)))
        with steps.step("presign"):
            fields = {"mpack_key": made.key, "size_bytes": made.size}
            link = remote.write("push/mpack-presign", fields)
        with steps.step("upload"), bar("pushing", made.size) as shown:
            url = link.get("upload_url") or link.get("uploadUrl")
            remote.upload(url, made.size, lambda write: made.send(shown.watch(write)))
        with steps.step("unpack"):
            move = {"mpack_key": made.key, "branch": branch, "head": head, "force": force}
            answer = remote.write("push/unpack-mpack", move)
    if answer.get("ok") is not True:
        raise remote.nonsense("an answer to unpack that is not ok")
    commits, snapshots, blobs = (_count(answer, name) for name in _COUNTS)
    present = max(len(wanted.objects) - blobs, 0)
    if had:
        manifest, _ = repository.tree(repository.commit(head)["snapshot_id"])
        present += len(set(manifest.values()).difference(wanted.objects))
    message = f"{branch} is at {head}"
    moved = {**heads, branch: head}
    return Pushed(True, message, branch, head, moved, commits, snapshots, blobs, present, made.size)


def branch_heads(remote: Remote, refs: Mapping[str, Any]) -> dict[str, str]:
    """The branches that refs name, each at an id."""
    heads: dict[str, str] = refs["branch_heads"]
    if not all(isinstance(name, str) and is_id(head) for name, head in heads.items()):
        raise remote.nonsense("a branch whose head is no id")
    return heads


def _had(repository: Repository, remote: Remote, head: str, heads: Mapping[str, str]) -> list[str]:
    """Commits that both sides have.

    A head that is not here hides which of ours lie below it: only then is there more to ask.
    """
    known = [commit for commit in dict.fromkeys(heads.values()) if repository.find_commit(commit)]
    if len(known) < len(set(heads.values())):
        body = {"want": [head], "have": sample(repository, [head])}
        acknowledged = remote.read("negotiate", body).get("ack") or []
        known += [commit for commit in acknowledged if commit in body["have"]]
    return known


def sample(repository: Repository, starts: Sequence[str]) -> list[str]:
    """The newest commits reachable from `starts`, then ever fewer of the older ones."""
    line = reachable(lambda oid: parents(repository.commit(oid)), starts)[::-1]
    chosen, at, step = line[:SAMPLE], SAMPLE, 1
    while at < len(line):
        chosen.append(line[at])
        at, step = at + step, step * 2
    return chosen


def _check_fast_forward(repository: Repository, branch: str, head: str, current: str) -> None:
    here = repository.find_commit(current) is not None
    if not here or not is_ancestor(lambda oid: parents(repository.commit(oid)), current, head):
        why = f"{branch} is at {current} there, which is not in your history: pull first"
        raise ProtocolError("not_fast_forward", why, remote=True)


def _count(answer: Mapping[str, Any], name: str) -> int:
    value = answer.get(name)
    return value if isinstance(value, int) else 0
