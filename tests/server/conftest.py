"""One PostgreSQL a session, one service a test, peers that talk to it in process."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from reference.server import jobs
from reference.server.app import build
from reference.server.embedded import Embedded
from reference.server.service import Service, opened

from .forge import Forge
from .peer import Peer

BASE = "http://musekit.test"


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="musekit-"))
    os.chmod(folder, 0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def dsn(scratch: Path) -> Iterator[str]:
    """The PostgreSQL of this session."""
    embedded = Embedded(str(scratch / "data"), fsync="off", full_page_writes="off")
    embedded.start()
    yield embedded.dsn
    pid = int((scratch / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGQUIT)  # nothing of it is worth a checkpoint
    embedded.stop()


@pytest.fixture
async def service(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """A service with tables and an object store of its own."""
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    import asyncpg

    admin = await asyncpg.connect(dsn)
    await admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await admin.close()
    async with opened(dsn, f"file://{tmp_path}/objects", str(tmp_path)) as made:
        yield made


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in process."""
    transport = httpx.ASGITransport(build(service))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
async def alice(http: httpx.AsyncClient) -> Peer:
    """Somebody with a key."""
    return await Peer(http, "alice").register()


@pytest.fixture
async def mallory(http: httpx.AsyncClient) -> Peer:
    """Somebody else."""
    return await Peer(http, "mallory").register()


@pytest.fixture
async def repo(alice: Peer) -> str:
    """The path of an empty public repository of alice's."""
    return await alice.create()


@pytest.fixture
def forge() -> Forge:
    """Where histories are made."""
    return Forge()
