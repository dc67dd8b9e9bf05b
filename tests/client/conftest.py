"""One server a session; for each test a proxy in front of it and somebody with a key."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures import folder, shapes
from reference import keys
from reference.client import push, transport
from reference.client.remote import Remote
from reference.keys import Identity
from reference.store.repository import Repository

from .meddler import Meddler, meddling
from .workspace import Workspace

SERVE = "import sys; from reference.server.main import serve; serve(sys.argv[1:])"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a reference server with its own database and files."""
    data = tempfile.mkdtemp(prefix="musekit-")
    os.chmod(data, 0o711)  # PostgreSQL's user has to pass through
    command = [sys.executable, "-c", SERVE, "--port", "0", "--data", data, "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        shutil.rmtree(data)


@pytest.fixture
def hub(server: str) -> Iterator[Meddler]:
    """The server behind a proxy that tells, and spoils what a test chooses."""
    with meddling(server) as meddler:
        yield meddler


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are part of the wire's manners, not of what is tested here."""
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.001)


@pytest.fixture
def by_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs are uploaded, whatever their size."""
    monkeypatch.setattr(push, "BODY_BYTES", -1)


@pytest.fixture
def alice() -> Identity:
    """Somebody with a key that no server knows yet."""
    return keys.generate("u" + os.urandom(6).hex())


@pytest.fixture
def connect(hub: Meddler, alice: Identity) -> Iterator[Callable[..., Remote]]:
    """Connects to a repository of alice's; it is made on the first push."""
    opened: list[Remote] = []

    def open_remote(name: str = "demo", insecure: bool = False, **takes: int) -> Remote:
        remote = Remote(f"{hub.url}/{alice.handle}/{name}", keys.load, insecure, takes)
        opened.append(remote)
        return remote

    yield open_remote
    for remote in opened:
        remote.close()


@pytest.fixture
def remote(connect: Callable[..., Remote], hub: Meddler) -> Remote:
    """An empty repository on the server."""
    made = connect()
    made.create()
    hub.seen.clear()
    return made


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    """An empty local repository."""
    root = tmp_path / "work"
    root.mkdir()
    return Workspace(Repository.init(str(root)))


@pytest.fixture(scope="session")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    """A fixture repository, built once."""
    made: dict[tuple[str, bool], Path] = {}

    def build(name: str, loose: bool = False) -> Path:
        if (name, loose) not in made:
            root = tmp_path_factory.mktemp("shapes") / name
            folder.build(shapes.build(name), str(root), loose)
            made[name, loose] = root
        return made[name, loose]

    return build
