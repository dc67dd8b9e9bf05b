"""When something breaks in the middle: said by its code, nothing half-written, well again after."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from reference.core import verification
from reference.server import bodies, writing
from reference.server.database import Database
from reference.server.objects import pack_key
from reference.server.objects_files import FileIncoming, FileObjects
from reference.server.service import Service
from reference.store import durable
from reference.wire import frames, provenance, reader, writer
from reference.wire.errors import ProtocolError
from reference.wire.ids import blob_id, mpack_key

from .forge import Forge
from .peer import Peer, code
from .state import dump, packs

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
    assert sum(query.startswith("COPY") for query in asked) == 4


@pytest.mark.requirement("HTTP-016")
async def test_a_full_disk_is_said_of_a_body_too(
    service: Service, alice: Peer, repo: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pack of a push lies in a file of the server's while it is read, unless it is small."""
    monkeypatch.setattr(bodies, "HELD_BYTES", 0)
    head = forge.line(1)[0]
    before = await dump(service)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    target, pack = f"{repo}/push/unpack?branch=main&head={head}", forge.pack()
    for where, step in ((durable.Draft, "write"), (os, "makedirs")):
        with monkeypatch.context() as patch:
            patch.setattr(where, step, full)
            refused = await alice.post(target, raw=pack)
        assert code(refused) == (507, "storage_full")
    assert await dump(service) == before
    assert (await alice.post(target, raw=pack)).is_success


@pytest.mark.requirement("PUSH-007", "PUSH-011")
@pytest.mark.parametrize("step", ["check_commits", "verify_all"])
@pytest.mark.parametrize("problem", [MemoryError, ImportError, RuntimeError])
async def test_what_was_not_looked_at_is_not_accepted(
    service: Service,
    alice: Peer,
    repo: str,
    forge: Forge,
    step: str,
    problem: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check that breaks, for whatever reason, is a check that nobody passed."""
    head = forge.line(3)[-1]
    key = await alice.upload(repo, forge.pack())
    before = await dump(service)

    def broken(*_: object) -> None:
        raise problem("not your day")

    with monkeypatch.context() as patch:
        patch.setattr(verification if step == "check_commits" else provenance, step, broken)
        with pytest.raises(problem):
            await alice.unpack(repo, key, head)
    assert await dump(service) == before
    assert (await alice.unpack(repo, key, head)).is_success


@pytest.mark.requirement("HTTP-017")
@pytest.mark.parametrize("form", ["framed", "plain"])
@pytest.mark.parametrize("flipped", [-3, 4, 6], ids=["content", "header", "size"])
async def test_a_damaged_pack_is_the_servers_trouble(
    service: Service, alice: Peer, repo: str, forge: Forge, form: str, flipped: int
) -> None:
    """A clone of it is 503, and nothing of it is kept to be given to the next one."""
    line = forge.line(3)
    pack = forge.pack([line[0]])
    await alice.push(repo, pack, line[0])
    await alice.push(repo, forge.pack(line[1:]), line[-1])
    frame = reader.read([pack]).frames[0]
    assert isinstance(service.objects, FileObjects)
    path = service.objects.path(pack_key(mpack_key(pack)))
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(frame.offset + flipped % frame.length)
        was = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([was ^ 0xC0]))
    before = packs(service)
    for _ in range(2):
        body = {"want": [line[-1]], "have": [], "capabilities": [form]}
        assert code(await alice.post(f"{repo}/fetch/mpack", body)) == (503, "storage_down")
    assert packs(service) == before
    blob = reader.read([pack]).blob_ids[0]
    assert code(await alice.get(f"{repo}/o/{blob}")) == (503, "storage_down")


@pytest.mark.requirement("HTTP-033")
async def test_a_small_blob_of_a_large_frame_costs_little(
    alice: Peer, repo: str, forge: Forge
) -> None:
    """Of a frame of 64 MiB that a few kilobytes stand for, no more is held than the blob."""
    large = bytes(64 << 20)
    head = forge.commit({"a": b"x", "large": large})
    assert (await alice.push(repo, _one_frame(forge, [b"x", large]), head)).is_success
    tracemalloc.start()
    try:
        found = await alice.get(f"{repo}/o/{blob_id(b'x')}")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.content == b"x"
    assert most < 16 << 20


def _one_frame(forge: Forge, contents: list[bytes]) -> bytes:
    ids, sizes = [blob_id(content) for content in contents], [len(each) for each in contents]
    payload, stored = frames.compress(contents)
    parts: list[bytes] = []
    plan = writer.FramePlan(ids, sizes, stored, len(payload))
    commits, snapshots = list(forge.commits.values()), list(forge.snapshots.values())
    writer.write_framed(parts.append, commits, snapshots, [plan], [payload])
    return b"".join(parts)
