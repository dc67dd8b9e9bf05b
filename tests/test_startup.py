"""What a command imports before it works: a client that starts slowly is slow at everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COSTLY = ("asyncpg", "cryptography", "httpx", "minio", "nacl", "starlette", "uvicorn", "uvloop")


def _imported(folder: Path, *command: str) -> set[str]:
    """The top-level packages that one run of musekit imported, as `-X importtime` tells."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "reference", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one unsigned commit."""
    (tmp_path / "file").write_text("content\n")
    for command in (["init"], ["commit", "-m", "first", "--author", "a"]):
        subprocess.run(
            [sys.executable, "-m", "reference", *command],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=60,
        )
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["hash-object", "file"],
        ["status"],
        ["log"],
        ["branch"],
        ["fsck"],
        ["gc"],
        ["commit", "-m", "again", "--author", "a"],
    ],
    ids=lambda command: command[0],
)
def test_local_commands_import_nothing_costly(repository: Path, command: list[str]) -> None:
    """No network, server or signature library is imported by a command that needs none."""
    (repository / "file").write_text("other content\n")
    imported = _imported(repository, *command)
    assert "reference" in imported
    assert imported.isdisjoint(COSTLY)


def test_hash_object_imports_no_codec(repository: Path) -> None:
    """An id is computed without the packages that packs need."""
    assert _imported(repository, "hash-object", "file").isdisjoint({"msgpack", "zstandard"})


def test_a_worker_imports_the_web_only_for_jobs(tmp_path: Path) -> None:
    """A collection is a process of its own, started often; it answers no request."""
    imported = _imported(tmp_path, "work", "--help")
    assert "asyncpg" in imported
    assert imported.isdisjoint({"cryptography", "minio", "nacl", "starlette", "uvicorn", "uvloop"})


def test_a_store_adapter_imports_what_it_answers_with(tmp_path: Path) -> None:
    """It is started for each state that a crash could leave: nothing is there for types alone."""
    for command in ("init", "batch"):
        imported = _imported(tmp_path, "store", command, str(tmp_path))
        assert imported.isdisjoint({"argparse", "dataclasses", "datetime", "tomllib", "typing"})
