"""A repository to write into."""

from pathlib import Path

import pytest

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
