"""The words that checks are written in: what ends one, and what a refusal must look like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NoReturn, TypeVar

import pytest

from reference.wire.errors import STATUS

from . import packs
from .client import Answer, Refused
from .histories import Commit, ancestry, commit
from .outcomes import Unmet, prepared
from .repository import Fetched, Repository

__all__ = [
    "accepted",
    "exactly",
    "exclusive",
    "fail",
    "long",
    "only_if_right",
    "prepared",
    "refused",
    "requirement",
    "unchanged",
]

requirement = pytest.mark.requirement
C = TypeVar("C", bound=Callable[..., object])


def exclusive(check: C) -> C:
    """Marks a check that disturbs the subject: it runs alone, before the others."""
    marked: C = pytest.mark.exclusive(check)
    return marked


def long(check: C) -> C:
    """Marks a check that takes many seconds: it is started first."""
    marked: C = pytest.mark.long(check)
    return marked


def fail(expected: str, actual: str, detail: str = "") -> NoReturn:
    """Ends the check as failed."""
    raise Unmet(expected, actual, detail)


@contextmanager
def refused(status: int, *codes: str) -> Iterator[list[dict[str, Any]]]:
    """The call inside is refused, with this status and one of these codes; gives the error."""
    errors: list[dict[str, Any]] = []
    try:
        yield errors
    except Refused as refusal:
        errors.append(check_refusal(refusal.answer, status, *codes))
    else:
        raise Unmet(f"{status} {' or '.join(codes)}", "the call succeeded")


def check_refusal(answer: Answer, status: int, *codes: str) -> dict[str, Any]:
    """The error of an answer that must be a refusal with this status and one of these codes."""
    wanted = f"{status} {' or '.join(codes)}".strip()
    if answer.status != status:
        raise Unmet(wanted, str(answer))
    error = error_of(answer)
    if codes and error["code"] not in codes:
        raise Unmet(wanted, str(answer))
    return error


def error_of(answer: Answer) -> dict[str, Any]:
    """The error in a refusal's body, which has the form and the status of the table [HTTP-009]."""
    if answer.status < 400:
        raise Unmet("a refusal", str(answer))
    value = answer.value
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("detail"), str):
        raise Unmet('a body {"error": {"code", "detail", …}}', str(answer))
    code = error.get("code")
    if STATUS.get(str(code)) != answer.status:
        raise Unmet("a code of the table with its status", f"{answer.status} with code {code!r}")
    return error


@contextmanager
def unchanged(repo: Repository, *absent: Commit) -> Iterator[None]:
    """What the repository shows is the same afterwards, and these commits are still unknown to it.

    `absent` are commits of a history: neither they, their snapshots nor their blobs may be there,
    save what was there before.
    """
    before = repo.seen(lately=True)
    unknown = repo.reads_of_new(*absent)
    yield
    after = repo.seen()
    if before != after:
        raise Unmet(f"a refused call changes nothing: {before}", str(after))
    for read in unknown:
        answer = read()
        if answer.status != 404:
            raise Unmet("nothing of a refused push is there", f"{answer.target} is {answer.status}")


def only_if_right(
    repo: Repository,
    tip: Commit,
    bend: Callable[[packs.Value], object],
    *codes: str,
    status: int = 422,
) -> None:
    """The pack of `tip`, bent, is refused and changes nothing; as it was, it is accepted."""
    sound = packs.plain(tip, known=repo.accepted)
    bent = deepcopy(sound)
    bend(bent)
    with unchanged(repo, tip), refused(status, *codes):
        repo.push_body(packs.encode(bent), tip.id)
    accepted(repo, packs.encode(sound), tip)


def accepted(repo: Repository, raw: bytes, tip: Commit) -> None:
    """The pack as it was is accepted; where none is, a refusal of the bent one shows nothing."""
    try:
        repo.push_body(raw, tip.id)
    except Refused:
        least = commit("least")
        with prepared("a pack of one commit"):
            repo.push_body(packs.encode(packs.plain(least)), least.id, branch="least")
        raise
    repo.accepted.append(tip)


def exactly(fetched: Fetched, want: Iterable[Commit], have: Iterable[Commit] = ()) -> None:
    """Fails unless the pack is the closure of `want` without that of `have`, and nothing else."""
    had = ancestry(*have)
    new = ancestry(*want, without=[commit.id for commit in had])
    pack = fetched.pack
    commits = {commit.id for commit in new}
    snapshots = {commit.snapshot for commit in new} - {commit.snapshot for commit in had}
    blobs = {b for c in new for b in c.blobs} - {b for c in had for b in c.blobs}
    for what, found, wanted in (
        ("commits", set(pack.commits), commits),
        ("snapshots", set(pack.snapshots), snapshots),
        ("blobs", set(pack.blobs), blobs),
    ):
        if found != wanted:
            more, less = len(found - wanted), len(wanted - found)
            fail(f"{len(wanted)} {what}, no more and no less", f"{more} too many, {less} missing")
    trees = pack.trees(had)
    for node in new:
        if trees[node.snapshot] != (node.manifest, trees[node.snapshot][1]):
            fail("the manifest as pushed", str(trees[node.snapshot][0])[:200])
        if set(trees[node.snapshot][1]) != set(node.directories):
            fail(f"the directories {node.directories}", str(trees[node.snapshot][1]))
        record = pack.commits[node.id]
        lost = {k: v for k, v in node.record.items() if k not in record or record[k] != v}
        if lost:
            fail(f"the record as pushed: {lost}", str({k: record.get(k) for k in lost}))
