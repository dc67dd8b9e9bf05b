"""Fetch: what the server has and this repository lacks, verified, then the branches it is for.

What a remote's branch was last seen at is the local branch `<remote>/<branch>`: it keeps what
was fetched from being collected, and merges like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from reference.store import refs
from reference.wire.errors import STATUS, ProtocolError
from reference.wire.ids import is_id

from .progress import Steps, bar
from .remote import Meanwhile, Remote

if TYPE_CHECKING:
    from reference.store.repository import Repository
    from reference.wire.pack import Pack

SAMPLE = 32
"""How many of the newest commits are named as had; older ones ever more sparsely."""


class Offer(NamedTuple):
    """The pack that answers a fetch, and where it lies."""

    mpack_id: str
    url: str
    cache: str


class Fetched:
    """What a fetch or a clone brought."""

    def __init__(self, heads: dict[str, str]) -> None:
        self.heads = heads
        self.commits = self.snapshots = self.blobs = self.pack_bytes = 0
        self.cache = ""
        self.notes: list[str] = []

    def add(self, offer: Offer, pack: Pack) -> None:
        """Counts a pack in."""
        self.commits += len(pack.commits)
        self.snapshots += len(pack.snapshots)
        self.blobs += len(pack.blob_ids)
        self.pack_bytes += pack.size
        self.cache = self.cache or offer.cache


def sample(repository: Repository, starts: Sequence[str]) -> list[str]:
    """The newest commits reachable from `starts`, then ever fewer of the older ones."""
    from reference.core.history import reachable
    from reference.wire.records import parents

    line = reachable(lambda oid: parents(repository.commit(oid)), starts)[::-1]
    chosen, at, step = line[:SAMPLE], SAMPLE, 1
    while at < len(line):
        chosen.append(line[at])
        at, step = at + step, step * 2
    return chosen


def _have(repository: Repository, name: str) -> list[str]:
    """What the remote had last time and our newest commits; a sample of all where it is new."""
    from reference.core.history import instant, newest_first
    from reference.wire.records import parents

    known = refs.list_refs(repository.dot)
    tracked = {head for branch, head in known.items() if branch.startswith(f"{name}/")}
    others = set(known.values()) - tracked
    if not tracked:
        return sample(repository, sorted(others))
    newest = newest_first(
        lambda oid: parents(repository.commit(oid)),
        lambda oid: instant(repository.commit(oid)["committed_at"])[0],
        others,
    )
    return [*sorted(tracked), *islice(newest, SAMPLE)]


def request(
    remote: Remote, want: Sequence[str], have: Sequence[str], meanwhile: Meanwhile
) -> Offer:
    """Asks for a pack; one that a server has ready is asked for first.  [FETCH-023]"""
    body = {"want": list(want), "have": list(have), "capabilities": ["framed"]}
    answer: dict[str, Any] | None = None
    if len(want) == 1 and not have:
        try:
            answer = remote.read("fetch/presign", body, meanwhile)
        except ProtocolError as problem:
            if problem.code not in ("not_cached", "not_found"):
                raise
    if answer is None:
        answer = remote.read("fetch/mpack", body, meanwhile)
    mpack_id, url = answer.get("mpack_id"), answer.get("mpack_url")
    if not is_id(mpack_id) or not isinstance(url, str):
        raise remote.nonsense("an answer to fetch without mpack_id and mpack_url")
    return Offer(str(mpack_id), url, str(answer.get("cache", ""))[:20])


def download(remote: Remote, offer: Offer, take: Callable[[bytes], object]) -> None:
    """Streams the offered pack into `take`, with a bar."""
    with bar("fetching") as shown:
        remote.download(offer.url, shown.watch(take))


def distrust(remote: Remote, problem: ProtocolError) -> ProtocolError:
    """A pack that breaks a rule, as what it is to whoever asked for it."""
    if problem.extra.get("remote") or STATUS.get(problem.code) not in (413, 422):
        return problem
    if problem.code == "too_large":
        why = f"{remote.url} sent more than is taken: {problem.detail} (--limit NAME=N takes more)"
        return ProtocolError("too_large", why, problem.requirement, remote=True)
    why = f"integrity check: what {remote.url} sent was refused: {problem}"
    return ProtocolError("integrity", why, problem.requirement)


def _ready_to_take_in() -> None:
    import reference.store.intake  # noqa: F401  # for what comes after the answer


def fetch(
    repository: Repository,
    remote: Remote,
    name: str,
    steps: Steps,
    meanwhile: Meanwhile = _ready_to_take_in,
) -> Fetched:
    """Brings all branches of a remote up to date as `name`/branch; moves no other."""
    with steps.step("refs"):
        said = remote.refs()
        result = Fetched(said.heads)
        moved = [h for b, h in said.heads.items() if not _is_at(repository.dot, f"{name}/{b}", h)]
    if not moved:
        return result  # a branch is never at what is not here
    want = [oid for oid in dict.fromkeys(moved) if repository.find_commit(oid) is None]
    if want:
        with steps.step("request"):
            offer = request(remote, want, _have(repository, name), meanwhile)
        with steps.step("download"), repository.intake(said.takes) as intake:
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
        track(repository.dot, name, result, refs.read_head(repository.dot)[0])
    return result


def _is_at(dot: str, branch: str, head: str) -> bool:
    try:
        return refs.read(dot, branch) == head
    except ProtocolError:
        return False  # `track` tells why


def track(dot: str, name: str, result: Fetched, current: str | None = None) -> None:
    """Moves `name`/branch to what was fetched; what cannot be held costs no other branch."""
    for branch, head in sorted(result.heads.items()):
        tracked = f"{name}/{branch}"
        try:
            if refs.read(dot, tracked) == head:
                continue
            if tracked == current:
                raise ProtocolError("conflict", "it is checked out")
            refs.write(dot, tracked, head)
        except ProtocolError as problem:
            if problem.code not in ("conflict", "invalid", "invalid_branch"):
                raise
            result.notes.append(f"branch {branch!r} is left out: {problem.detail}")
