"""Fetch: what the server has and this repository lacks, verified, then the branches it is for.

What a remote's branch was last seen at is the local branch `<remote>/<branch>`: it keeps what
was fetched from being collected, and merges like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from reference.store import refs
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from reference.wire.ids import is_id
from reference.wire.pack import Pack

from .progress import Steps, bar
from .push import branch_heads, sample
from .remote import Remote


@dataclass(frozen=True, slots=True)
class Offer:
    """The pack that answers a fetch, and where it lies."""

    mpack_id: str
    url: str
    cache: str


@dataclass(slots=True)
class Fetched:
    """What a fetch or a clone brought."""

    heads: dict[str, str]
    commits: int = 0
    snapshots: int = 0
    blobs: int = 0
    pack_bytes: int = 0
    cache: str = ""
    notes: list[str] = field(default_factory=list)

    def add(self, offer: Offer, pack: Pack) -> None:
        """Counts a pack in."""
        self.commits += len(pack.commits)
        self.snapshots += len(pack.snapshots)
        self.blobs += len(pack.blob_ids)
        self.pack_bytes += pack.size
        self.cache = self.cache or offer.cache

    def fields(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return asdict(self)


def request(remote: Remote, want: Sequence[str], have: Sequence[str]) -> Offer:
    """Asks for a pack; one that a server has ready is asked for first.  [FETCH-023]"""
    body = {"want": list(want), "have": list(have), "capabilities": ["framed"]}
    answer: dict[str, Any] | None = None
    if len(want) == 1 and not have:
        try:
            answer = remote.read("fetch/presign", body)
        except ProtocolError as problem:
            if problem.code not in ("not_cached", "not_found"):
                raise
    if answer is None:
        answer = remote.read("fetch/mpack", body)
    mpack_id, url = answer.get("mpack_id"), answer.get("mpack_url")
    if not is_id(mpack_id) or not isinstance(url, str):
        raise remote.nonsense("an answer to fetch without mpack_id and mpack_url")
    return Offer(str(mpack_id), url, str(answer.get("cache", ""))[:20])


def download(remote: Remote, offer: Offer, take: Callable[[bytes], object]) -> None:
    """Streams the offered pack into `take`, with a bar."""
    with bar("fetching") as shown:
        remote.download(offer.url, shown.watch(take))


def distrust(remote: Remote, problem: ProtocolError) -> ProtocolError:
    """What is wrong with a pack is the server's fault; nothing of it was kept."""
    if problem.extra.get("remote") or problem.code == "io":
        return problem
    why = f"integrity check: the pack from {remote.url} was refused: {problem}"
    return ProtocolError("integrity", why, problem.requirement)


def fetch(repository: Repository, remote: Remote, name: str, steps: Steps) -> Fetched:
    """Brings all branches of a remote up to date as `name`/branch; moves no other."""
    with steps.step("refs"):
        heads = branch_heads(remote, remote.refs())
    result = Fetched(heads)
    want = [oid for oid in dict.fromkeys(heads.values()) if not repository.find_commit(oid)]
    if want:
        with steps.step("request"):
            known = sorted(set(refs.list_refs(repository.dot).values()))
            offer = request(remote, want, sample(repository, known))
        with steps.step("download"), repository.intake() as intake:
            try:
                download(remote, offer, intake.write)
                pack = intake.install(offer.mpack_id)
            except ProtocolError as problem:
                raise distrust(remote, problem) from None
        result.add(offer, pack)
        for oid in want:
            if repository.find_commit(oid) is None:
                raise ProtocolError("integrity", f"integrity check: {oid} was not sent")
    with steps.step("refs"):
        _track(repository, name, result)
    return result


def _track(repository: Repository, name: str, result: Fetched) -> None:
    current, _ = refs.read_head(repository.dot)
    for branch, head in sorted(result.heads.items()):
        tracked = f"{name}/{branch}"
        try:
            if refs.read(repository.dot, tracked) == head:
                continue
            if tracked == current:
                raise ProtocolError("conflict", f"{tracked} is checked out")
            refs.write(repository.dot, tracked, head)
        except ProtocolError as problem:  # a name this store cannot hold costs no other branch
            if problem.code not in ("conflict", "invalid", "invalid_branch"):
                raise
            result.notes.append(f"left out branch {branch!r}: {problem.detail}")
