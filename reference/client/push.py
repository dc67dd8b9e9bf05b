"""Push: what the server lacks, in one pack, and the branch moved in one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from reference.wire.errors import ProtocolError

from .address import quoted
from .progress import Steps, bar
from .remote import Remote, texts

if TYPE_CHECKING:
    from reference.store.repository import Repository

    from .parcel import Parcel

BODY_BYTES = 1 << 20
"""A pack up to this size is the body of one call; a larger one goes to where it is stored."""
_COUNTED = ("commits", "snapshots", "blobs")


class Pushed(NamedTuple):
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


def push(
    repository: Repository, remote: Remote, branch: str, head: str, force: bool, steps: Steps
) -> Pushed:
    """Brings `head` and all it needs to the server and moves its branch there."""

    def prepare() -> None:
        from reference.store import packing  # noqa: F401  # what packing and signing take

        remote.ready_to_sign()

    with steps.step("negotiate"):
        refs = remote.refs(prepare)
        had = _had(repository, remote, head, refs.heads)
    current = refs.heads.get(branch)
    if current == head:
        return Pushed(True, f"{branch} is up to date", branch, head, refs.heads)
    if current is not None and not force:
        _check_fast_forward(repository, branch, head, current)
    with ExitStack() as stack:
        from .parcel import parcel

        with steps.step("pack"):
            made = stack.enter_context(parcel(repository, head, had, refs.framed, refs.limits))
        answer = None
        if made.size <= BODY_BYTES:
            with steps.step("unpack"):
                answer = _in_one_call(remote, made, branch, head, force)
        if answer is None:
            answer = _in_three_calls(remote, made, branch, head, force, steps)
    stored = {f"stored_{name}": answer.get(f"{name}_written", 0) for name in _COUNTED}
    if answer.get("ok") is not True or not all(type(n) is int for n in stored.values()):
        raise remote.nonsense("an answer to unpack that is not ok, or counts that are none")
    return Pushed(
        True,
        f"{branch} is at {head}",
        branch,
        head,
        {**refs.heads, branch: head},
        **stored,
        already_present=_named(repository, head, had, made.blobs) - stored["stored_blobs"],
        pack_bytes=made.size,
    )


def _in_one_call(
    remote: Remote, made: Parcel, branch: str, head: str, force: bool
) -> dict[str, Any] | None:
    """The pack as a body; nothing where a server does not take it so."""
    parts: list[bytes] = []
    made.send(parts.append)
    query = f"branch={quoted(branch)}&head={quoted(head)}&force={str(force).lower()}"
    try:
        return remote.write(f"push/unpack?{query}", b"".join(parts))
    except ProtocolError as problem:
        if problem.code not in ("not_found", "method_not_allowed"):
            raise
        return None


def _in_three_calls(
    remote: Remote, made: Parcel, branch: str, head: str, force: bool, steps: Steps
) -> dict[str, Any]:
    """A link, the upload, and the word that it is there."""
    with steps.step("presign"):
        fields = {"mpack_key": made.key, "size_bytes": made.size}
        link = remote.write("push/mpack-presign", fields)
    with steps.step("upload"), bar("pushing", made.size) as shown:
        url = link.get("upload_url") or link.get("uploadUrl")
        remote.upload(url, made.size, lambda write: made.send(shown.watch(write)))
    with steps.step("unpack"):
        move = {"mpack_key": made.key, "branch": branch, "head": head, "force": force}
        return remote.write("push/unpack-mpack", move)


def _named(repository: Repository, head: str, had: Sequence[str], sent: int) -> int:
    """How many blobs `head` needs: all that were sent, or where some were had, those it names."""
    if not had:
        return sent
    manifest, _ = repository.tree(repository.commit(head)["snapshot_id"])
    return max(sent, len(set(manifest.values())))


def _had(repository: Repository, remote: Remote, head: str, heads: Mapping[str, str]) -> list[str]:
    """Commits that both sides have.

    A head that is not here hides which of ours lie below it: only then is there more to ask.
    """
    known = [commit for commit in dict.fromkeys(heads.values()) if repository.find_commit(commit)]
    if len(known) < len(set(heads.values())):
        from .fetch import sample

        have = sample(repository, [head])
        answer = remote.read("negotiate", {"want": [head], "have": have})
        acknowledged = set(texts(answer, "ack"))
        known += [commit for commit in have if commit in acknowledged]
    return known


def _check_fast_forward(repository: Repository, branch: str, head: str, current: str) -> None:
    from reference.core.history import is_ancestor
    from reference.wire.records import parents

    here = repository.find_commit(current) is not None
    if not here or not is_ancestor(lambda oid: parents(repository.commit(oid)), current, head):
        why = f"{branch} is at {current} there, which is not in your history: pull first"
        raise ProtocolError("not_fast_forward", why, remote=True)
