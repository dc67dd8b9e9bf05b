"""Who may do what: private, public, and what knowing an id is worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conformance import oracle, packs
from conformance.checks.conftest import NewRepository
from conformance.client import Answer, Client
from conformance.expectations import check_refusal, fail, refused, requirement, unchanged
from conformance.histories import Commit, altered, child_of, commit
from conformance.repository import Repository

WRITES: dict[str, Any] = {
    "push/mpack-presign": {"mpack_key": oracle.ABSENT},
    "push/unpack-mpack": {"mpack_key": oracle.ABSENT, "branch": "main", "head": oracle.ABSENT},
    "push/unpack?branch=main": None,
    "merge": {"source": "a", "target": "b"},
}


def calls(repo: Repository, client: Client, tip: Commit) -> Iterator[tuple[str, Answer]]:
    """Every call on a repository, as this client, with ids that exist."""
    ids = [f"commits/{tip.id}", f"snapshots/{tip.snapshot}", f"o/{next(iter(tip.blobs))}"]
    for route in ["refs", *ids]:
        yield route, client.ask("GET", f"{repo.path}/{route}")
    for route in ("negotiate", "fetch/mpack", "fetch", "fetch/presign"):
        yield route, client.ask("POST", f"{repo.path}/{route}", {"want": [tip.id]})


@requirement("AUTH-010")
@pytest.mark.parametrize("route", list(WRITES))
def test_an_anonymous_write_is_401(
    repo: Repository, private_repo: Repository, anyone: Client, route: str
) -> None:
    """Without signature, whether the repository is public, private or not there."""
    for path in (repo.path, private_repo.path, "/nobody/nothing"):
        answer = anyone.ask("POST", f"{path}/{route}", WRITES[route])
        check_refusal(answer, 401, "unauthenticated")


@requirement("AUTH-011", "HTTP-012")
@pytest.mark.parametrize("who", ["other", "anyone"])
def test_a_private_repository_does_not_exist_for_strangers(
    private_repo: Repository, other: Client, anyone: Client, who: str
) -> None:
    """Every route says what it says of a repository that is not there."""
    tip = private_repo.given(commit("a"))
    client = other if who == "other" else anyone
    nowhere = Repository(client, "nobody", "nothing", "none")
    for (route, hidden), (_, missing) in zip(
        calls(private_repo, client, tip), calls(nowhere, client, tip), strict=True
    ):
        check_refusal(hidden, 404, "unknown_repo")
        if hidden.fields["error"].keys() != missing.fields["error"].keys():
            fail(f"{route}: the same as where nothing is", str(hidden))
    for route, answer in calls(private_repo, private_repo.client, tip):
        assert (route, answer.status) in ((route, 200), ("fetch/presign", 404))


@requirement("AUTH-011")
def test_a_strangers_write_to_a_private_repository_is_404(
    private_repo: Repository, other: Client
) -> None:
    """403 would tell that it exists."""
    tip = private_repo.given(commit("a"))
    with unchanged(private_repo):
        for route, value in WRITES.items():
            answer = other.ask("POST", f"{private_repo.path}/{route}", value)
            check_refusal(answer, 404, "unknown_repo")
        with refused(404, "unknown_repo"):
            private_repo.seen_by(other).delete()
    private_repo.holds(tip)


@requirement("AUTH-012", "HTTP-013")
def test_a_strangers_write_to_a_public_repository_is_403(repo: Repository, other: Client) -> None:
    """Everybody may read, the owner alone may write."""
    tip = repo.given(commit("a"))
    stranger = repo.seen_by(other)
    with unchanged(repo):
        for route, value in WRITES.items():
            check_refusal(other.ask("POST", f"{repo.path}/{route}", value), 403, "forbidden")
        with refused(403, "forbidden"):
            stranger.push(child_of(tip))
        with refused(403, "forbidden"):
            stranger.push_body(stranger.pack(child_of(tip)), child_of(tip).id)
    repo.push(child_of(tip))


@requirement("AUTH-013", "HTTP-036", "BP3")
def test_knowing_an_id_gives_no_access(
    repo: Repository, private_repo: Repository, new_repo: NewRepository
) -> None:
    """What a private repository has is not served by another, of the same owner even."""
    tip = private_repo.given(commit("a"))
    repo.given(commit("b"))
    for read in repo.reads(tip):
        check_refusal(read(), 404)
    check_refusal(repo.ask("POST", "fetch/mpack", {"want": [tip.id]}), 404, "unknown_commit")


@requirement("AUTH-013", "PUSH-007", "SNAP-013")
def test_a_blob_cannot_be_claimed_by_its_id(
    private_repo: Repository, new_repo: NewRepository, other: Client
) -> None:
    """A stranger's commit that names a private blob without sending it is refused."""
    secret = private_repo.given(commit("secret"))
    theirs = new_repo(other)
    claim = commit("claim", files=secret.files)
    whole = packs.plain(claim)
    with unchanged(theirs, claim), refused(422, "missing_object"):
        theirs.push_body(packs.encode({**whole, "blobs": []}), claim.id)
    theirs.push_body(packs.encode(whole), claim.id)


@requirement("AUTH-013", "PUSH-008")
def test_a_head_cannot_be_claimed_by_its_id(repo: Repository, new_repo: NewRepository) -> None:
    """A branch cannot be put on a commit that only another repository has."""
    elsewhere = new_repo()
    tip = elsewhere.given(commit("a"))
    empty = packs.encode(packs.plain())
    with unchanged(repo, tip), refused(422, "unknown_head"):
        repo.push_body(empty, tip.id)
    repo.push(tip)


@requirement("PUSH-018")
def test_records_belong_to_their_repository(repo: Repository, new_repo: NewRepository) -> None:
    """The same id with other metadata in two repositories: each serves its own."""
    elsewhere = new_repo()
    tip = commit("a")
    mine, theirs = altered(tip, agent_id="mine"), altered(tip, agent_id="theirs")
    assert mine.id == theirs.id
    elsewhere.push(theirs)
    repo.push(mine)
    assert repo.commit(tip.id)["agent_id"] == "mine"
    assert elsewhere.commit(tip.id)["agent_id"] == "theirs"
    assert repo.fetch(mine).pack.commits[tip.id]["agent_id"] == "mine"
    assert elsewhere.fetch(theirs).pack.commits[tip.id]["agent_id"] == "theirs"
