"""A repository to write into."""

from pathlib import Path

import pytest

from fixtures import packing, shapes
from fixtures.history import History
from reference.store import refs
from reference.store.repository import Repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of an empty repository."""
    folder = tmp_path / "repository"
    Repository.init(str(folder))
    return folder


@pytest.fixture
def dot(root: Path) -> str:
    """The folder of an empty store."""
    return f"{root}/.muse"


@pytest.fixture(scope="session")
def dag() -> History:
    """Merges, removals, directories, awkward paths, empty and identical blobs."""
    return shapes.build("dag")


@pytest.fixture
def packed(root: Path, dag: History) -> Repository:
    """A store that received `dag` as one framed pack."""
    repository = Repository(str(root))
    repository.receive([packing.to_bytes(dag)])
    for branch, head in dag.branches.items():
        refs.write(repository.dot, branch, head)
    return repository
