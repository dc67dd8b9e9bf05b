"""What checks are given: the subject through three clients, repositories, a store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from conformance.adapter import Store, fresh
from conformance.client import Client
from conformance.expectations import prepared
from conformance.inspection import Inspection
from conformance.outcomes import CouldNotRun, NotApplicable
from conformance.plugin import WORLD
from conformance.repository import Repository
from conformance.world import World

NewRepository = Callable[..., Repository]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    """The subject and this run."""
    return request.config.stash[WORLD]


@pytest.fixture
def owner(world: World) -> Client:
    """Whoever may write to the check's repositories."""
    world.require_writes()
    return world.owner


@pytest.fixture
def other(world: World) -> Client:
    """A registered stranger."""
    world.require_writes()
    return world.other


@pytest.fixture
def anyone(world: World) -> Client:
    """Somebody without a key."""
    return world.anyone


@pytest.fixture
def new_repo(world: World) -> NewRepository:
    """Makes repositories of the check's own."""

    def make(client: Client | None = None, **fields: object) -> Repository:
        with prepared("POST /api/repos"):
            return world.repository(client, **fields)

    return make


@pytest.fixture
def repo(new_repo: NewRepository) -> Repository:
    """An empty public repository."""
    return new_repo()


@pytest.fixture
def private_repo(new_repo: NewRepository) -> Repository:
    """An empty private repository."""
    return new_repo(visibility="private")


@pytest.fixture
def framed_repo(repo: Repository) -> Repository:
    """An empty repository on a server that takes framed packs."""
    with prepared("GET refs"):
        capabilities = repo.refs()["capabilities"]
    if "framed" not in capabilities:
        raise NotApplicable("the subject does not announce the capability framed")
    return repo


@pytest.fixture
def inspect(world: World) -> Inspection:
    """The subject's insides."""
    return world.inspect


@pytest.fixture
def store(world: World) -> Iterator[Store]:
    """An empty local store behind the subject's adapter."""
    if not world.subject.store:
        raise CouldNotRun('needs [store] command = ["…"] in the subject file')
    made = fresh(world.subject.store)
    yield made
    made.close()
    shutil.rmtree(made.folder, ignore_errors=True)
