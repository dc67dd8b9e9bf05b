"""When something breaks in the middle: said by its code, nothing half-written, well again after."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from reference.server import writing
from reference.server.database import Database
from reference.server.objects_files import FileIncoming
from reference.server.service import Service
from reference.store import durable
from reference.wire.errors import ProtocolError

from .forge import Forge
from .peer import Peer, code
from .state import dump

if TYPE_CHECKING:
    from reference.server.database import Connection

STEPS = ("begin", "move_branch", "copy", "enqueue_push_jobs", "add_pack", "cache_pack")


def breaking(problem: Exception) -> Callable[..., Any]:
    """A step that fails."""

    async def step(*_: object) -> None:
        raise problem

    return step


@pytest.mark.requirement("PUSH-011", "HTTP-016", "BP5")
@pytest.mark.parametrize("name", STEPS)
async def test_a_database_that_goes_at_any_step(
    service: Service,
    alice: Peer,
    repo: str,
    forge: Forge,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection drops at one step: 503, nothing written, and the retry is a whole push."""
    head = forge.line(3)[-1]
    key = await alice.upload(repo, forge.pack())
    before = await dump(service)
    with monkeypatch.context() as patch:
        gone = asyncpg.ConnectionDoesNotExistError("gone")
        patch.setattr(writing, name, breaking(gone))
        assert code(await alice.unpack(repo, key, head)) == (503, "database_down")
    assert await dump(service) == before
    assert (await alice.unpack(repo, key, head)).json()["commits_written"] == 3


@pytest.mark.requirement("HTTP-016", "PUSH-011")
async def test_an_object_store_that_goes_at_the_last_step(
    service: Service, alice: Peer, repo: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verified bytes cannot be kept: nothing counts until they are."""
    head = forge.line(3)[-1]
    key = await alice.upload(repo, forge.pack())
    before = await dump(service)

    def gone(*_: object) -> None:
        raise ProtocolError("storage_down", "gone")

    for step in ("seal", "accept"):
        with monkeypatch.context() as patch:
            patch.setattr(FileIncoming, step, gone)
            assert code(await alice.unpack(repo, key, head)) == (503, "storage_down")
        assert await dump(service) == before
    assert (await alice.unpack(repo, key, head)).is_success


@pytest.mark.requirement("HTTP-016")
async def test_a_full_disk_is_said(
    service: Service, alice: Peer, repo: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """507 for the upload and for unpacking, nothing left behind; with room again both pass."""
    head = forge.line(3)[-1]
    pack = forge.pack()
    key = await alice.upload(repo, pack)
    found = await alice.post(f"{repo}/push/mpack-presign", {"mpack_key": key})
    before = await dump(service)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(durable.Draft, "write", full)
        put = await alice.http.put(found.json()["upload_url"], content=pack)
        assert code(put) == (507, "storage_full")
        assert code(await alice.unpack(repo, key, head)) == (507, "storage_full")
    with monkeypatch.context() as patch:
        patch.setattr(writing, "copy", breaking(asyncpg.DiskFullError("full")))
        assert code(await alice.unpack(repo, key, head)) == (507, "storage_full")
    assert await dump(service) == before
    assert (await alice.unpack(repo, key, head)).is_success


@pytest.mark.requirement("STORAGE-009", "BG8", "BG10")
async def test_a_push_costs_a_constant_number_of_statements(
    service: Service, alice: Peer, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many commits and blobs it brings."""
    asked: list[str] = []
    session, copy = Database.session, writing._copy

    @asynccontextmanager
    async def counted(database: Database) -> AsyncIterator[Connection]:
        def note(record: Any) -> None:
            asked.append(record.query)

        async with session(database) as db:
            db.add_query_logger(note)
            yield db
            db.remove_query_logger(note)

    async def copied(db: Connection, table: str, *rest: Any) -> int:
        asked.append(f"COPY {table}")
        return await copy(db, table, *rest)

    monkeypatch.setattr(Database, "session", counted)
    monkeypatch.setattr(writing, "_copy", copied)
    used = []
    for length in (100, 200, 400):  # the first also looks up the types of its connection
        forge = Forge()
        head = forge.line(length, name=f"n{length}")[-1]
        key = await alice.upload(repo, forge.pack())
        asked.clear()
        assert (await alice.unpack(repo, key, head, f"b{length}")).is_success
        used.append(len(asked))
    assert used[1] == used[2] <= used[0] <= 30, used
    assert sum(query.startswith("COPY") for query in asked) == 5
