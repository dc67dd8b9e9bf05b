"""What checks are given: the subject through three clients, repositories, a store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from conformance import framing
from conformance.adapter import Store
from conformance.client import Client
from conformance.expectations import prepared
from conformance.inspection import Inspection
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
def announcing_repo(repo: Repository, world: World) -> Repository:
    """An empty repository on a server that says that it takes framed packs."""
    framing.require_announced(world, repo)
    return repo


@pytest.fixture
def framed_repo(request: pytest.FixtureRequest, repo: Repository, world: World) -> Repository:
    """One on a server that takes them; on any server where the case is the plain one."""
    case = getattr(request.node, "callspec", None)
    if case is None or case.params.get("framed") is not False:
        framing.require_framed(world, repo)
    return repo


@pytest.fixture
def inspect(world: World) -> Inspection:
    """The subject's insides."""
    return world.inspect


@pytest.fixture
def store(world: World) -> Iterator[Store]:
    """An empty local store behind the subject's adapter."""
    made = world.store()
    yield made
    made.close()
    shutil.rmtree(made.folder, ignore_errors=True)
