"""Repositories: made, named, initialised, deleted."""

from __future__ import annotations

import json

import pytest

from conformance import oracle
from conformance.checks.conftest import NewRepository
from conformance.client import JSON, Client
from conformance.expectations import check_refusal, fail, refused, requirement
from conformance.histories import commit
from conformance.repository import Repository
from conformance.world import World
from reference.wire import records


@requirement("HTTP-018", "DP7")
@pytest.mark.parametrize(
    ("pattern", "slug"),
    [
        ("Plain {}", "plain-{}"),
        ("  --{}..x--  ", "{}-x"),
        ("A_b/C\\{}", "a-b-c-{}"),
        ("é {} ü", "{}"),
        ("{} x\u0130\u212ay", "{}-x-y"),
        ("{}" + "x" * 100, None),
        ("{}" + "x" * 200 + "!", None),
    ],
)
def test_a_slug_is_made_from_the_name(world: World, pattern: str, slug: str | None) -> None:
    """Lower case, runs of other characters one dash, none at the ends, 64 at most."""
    name = world.name()
    made = world.create(name=pattern.format(name))["slug"]
    wanted = slug.format(name) if slug else f"{name}{'x' * 100}"[:64].rstrip("-")
    assert made == wanted


@requirement("HTTP-018")
def test_a_dash_that_the_cut_leaves_is_cut_too(world: World) -> None:
    """The 64th character may be a dash, which then goes."""
    name = world.name()
    made = world.create(name=name + "x" * (63 - len(name)) + "-tail")["slug"]
    assert made == name + "x" * (63 - len(name))


@requirement("HTTP-018")
@pytest.mark.parametrize("name", ["", "---", "é", "!?", " ", "\u212a"])
def test_an_empty_slug_is_malformed(owner: Client, name: str) -> None:
    """A name with nothing for a slug in it is refused."""
    assert owner.identity is not None
    value = {"owner": owner.identity.handle, "name": name}
    check_refusal(owner.ask("POST", "/api/repos", value), 422, "malformed")


@requirement("HTTP-006", "HTTP-018")
@pytest.mark.parametrize("flaw", ["\0", "\ud800"], ids=["NUL", "surrogate"])
def test_a_text_that_no_row_can_hold_is_malformed(world: World, owner: Client, flaw: str) -> None:
    """As a name, and as an owner, which is not compared then."""
    assert owner.identity is not None
    value = {"owner": owner.identity.handle, "name": world.name()}
    for field in value:
        bent = json.dumps(value | {field: f"{value[field]}{flaw}x"})  # in escapes
        answer = owner.send("POST", "/api/repos", bent.encode(), {"content-type": JSON})
        check_refusal(answer, 422, "malformed")


@requirement("HTTP-019")
def test_the_owner_is_whoever_signs(world: World, owner: Client, other: Client) -> None:
    """Nobody makes repositories for somebody else."""
    assert other.identity is not None
    value = {"owner": other.identity.handle, "name": world.name()}
    check_refusal(owner.ask("POST", "/api/repos", value), 403, "forbidden")
    world.create(other, name=value["name"])


@requirement("HTTP-019", "AUTH-010")
def test_a_repository_needs_a_signature(world: World, anyone: Client, owner: Client) -> None:
    """Without a signature nothing is made."""
    assert owner.identity is not None
    value = {"owner": owner.identity.handle, "name": world.name()}
    check_refusal(anyone.ask("POST", "/api/repos", value), 401, "unauthenticated")
    world.create(name=value["name"])


@requirement("HTTP-019")
def test_a_repository_is_public_unless_told(new_repo: NewRepository, anyone: Client) -> None:
    """The default is public, `private` hides."""
    wanted = {None: 200, "public": 200, "private": 404}
    for visibility, status in wanted.items():
        repo = new_repo(visibility=visibility)
        assert anyone.ask("GET", f"{repo.path}/refs").status == status


@requirement("HTTP-019")
@pytest.mark.parametrize("fields", [{"visibility": "secret"}, {"initialize": "yes"}], ids=repr)
def test_other_values_are_malformed(world: World, owner: Client, fields: dict[str, str]) -> None:
    """Visibility is one of two words, initialize true or false."""
    assert owner.identity is not None
    value = {"owner": owner.identity.handle, "name": world.name()}
    check_refusal(owner.ask("POST", "/api/repos", value | fields), 422, "malformed")
    world.create(name=value["name"])


@requirement("HTTP-020")
def test_a_name_is_taken_once(world: World, other: Client) -> None:
    """A second repository of the same owner and slug is refused, however its name is written."""
    name = world.name()
    world.create(name=name)
    for again in (name, name.upper(), f"  {name}  ", name.replace("-", " ")):
        with refused(409, "repo_exists"):
            world.create(name=again)
    world.create(other, name=name)


@requirement("HTTP-021", "BOS7")
def test_initialize_makes_one_commit(new_repo: NewRepository, owner: Client) -> None:
    """Branch main, the empty snapshot, the message, the owner as author, unsigned, no parent."""
    assert owner.identity is not None
    repo = new_repo(initialize=True)
    heads = repo.heads()
    assert list(heads) == ["main"]
    record = repo.commit(heads["main"])
    assert oracle.commit_id(record) == heads["main"]
    made = {
        "commit_id": heads["main"],
        "branch": "main",
        "snapshot_id": oracle.snapshot_id({}),
        "message": "Initial commit",
        "author": owner.identity.handle,
        "committed_at": record["committed_at"],
    }
    wanted = records.check_commit(made)  # the rest by default: unsigned, without parents
    assert {name: record[name] for name in wanted} == wanted
    assert repo.snapshot(record["snapshot_id"])["delta_upsert"] == {}


@requirement("HTTP-021")
def test_without_initialize_there_is_nothing(repo: Repository) -> None:
    """A repository that is not initialised has no branch."""
    assert repo.heads() == {}


@requirement("HTTP-022", "DP7")
def test_a_deleted_repository_is_gone(repo: Repository, world: World, anyone: Client) -> None:
    """Every route, blobs by its id and a second deletion answer 404, at once."""
    tip = repo.given(commit("a"))
    repo.delete()
    world.ledger.deleted(repo.id)
    blob = next(iter(tip.blobs))
    check_refusal(repo.ask("GET", "refs"), 404, "unknown_repo")
    for read in repo.reads(tip):
        check_refusal(read(), 404, "unknown_repo")
    check_refusal(repo.ask("POST", "fetch/mpack", {"want": [tip.id]}), 404, "unknown_repo")
    check_refusal(repo.ask("POST", "push/mpack-presign", {"mpack_key": tip.id}), 404)
    check_refusal(anyone.ask("GET", f"/o/{blob}?repo_id={repo.id}"), 404)
    with refused(404, "unknown_repo"):
        repo.delete()


@requirement("HTTP-022", "PUSH-004")
def test_a_new_repository_has_nothing_of_the_old(world: World, owner: Client) -> None:
    """The same name made again has another id, no refs, no blobs, no uploads."""
    name = world.name()
    old = world.repository(name=name)
    tip = old.given(commit("a"))
    key = oracle.digest(old.pack(commit("left behind")))
    old.upload(old.pack(commit("left behind")))
    old.delete()
    world.ledger.deleted(old.id)
    new = world.repository(name=name)
    assert (new.id != old.id, new.slug, new.heads()) == (True, old.slug, {})
    for read in new.reads(tip):
        check_refusal(read(), 404)
    with refused(404, "upload_missing"):
        new.unpack(key, tip.id)
    new.push(tip)
    new.holds(tip)


@requirement("HTTP-022", "AUTH-012")
def test_only_its_owner_deletes_it(repo: Repository, other: Client, anyone: Client) -> None:
    """A stranger's deletion is refused, and nothing is gone."""
    tip = repo.given(commit("a"))
    with refused(403, "forbidden"):
        repo.seen_by(other).delete()
    with refused(401, "unauthenticated"):
        repo.seen_by(anyone).delete()
    if repo.heads() != {"main": tip.id}:
        fail("the repository as it was", str(repo.heads()))
    repo.holds(tip)


@requirement("HTTP-019", "HTTP-012")
def test_the_owner_is_compared_between_types_and_values(
    world: World, owner: Client, other: Client
) -> None:
    """After what is missing or of a wrong type, before what a value means."""
    assert other.identity is not None
    theirs = {"owner": other.identity.handle}
    check_refusal(owner.ask("POST", "/api/repos", theirs), 422, "missing_field")
    check_refusal(owner.ask("POST", "/api/repos", theirs | {"name": 7}), 422, "malformed")
    check_refusal(owner.ask("POST", "/api/repos", theirs | {"name": "---"}), 403, "forbidden")
    value = theirs | {"name": world.name(), "visibility": "secret"}
    check_refusal(owner.ask("POST", "/api/repos", value), 403, "forbidden")
