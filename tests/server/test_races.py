"""Many at once: every acknowledged push is in history, and what loses changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from reference.server import schema, writing
from reference.server.collection import collect
from reference.server.database import Database
from reference.server.service import Repo, Service
from reference.wire.errors import ProtocolError
from reference.wire.ids import mpack_key, to_raw
from reference.wire.records import parents

from .forge import Forge
from .peer import Peer, code
from .state import packs


@pytest.mark.requirement("PUSH-012", "PUSH-013", "BP9")
async def test_of_two_pushes_one_wins(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """Siblings racing for a branch: one is answered 200, the other 409, and it left nothing."""
    base = forge.line(1)[0]
    await alice.push(repo, forge.pack(), base)
    for n in range(6):
        siblings = [forge.commit({f"{n}{s}": b"1"}, base) for s in "ab"]
        keys = [await alice.upload(repo, forge.pack([head])) for head in siblings]
        both = zip(keys, siblings, strict=True)
        answers = await asyncio.gather(*(alice.unpack(repo, key, head) for key, head in both))
        lost = {code(answer) for answer in answers if not answer.is_success}
        assert sorted(answer.is_success for answer in answers) == [False, True]
        assert lost <= {(409, "not_fast_forward"), (409, "ref_moved")}
        winner = siblings[[answer.is_success for answer in answers].index(True)]
        loser = next(head for head in siblings if head != winner)
        assert (await alice.get(f"{repo}/refs")).json()["branch_heads"]["main"] == winner
        assert code(await alice.get(f"{repo}/commits/{loser}")) == (404, "unknown_commit")
        assert mpack_key(forge.pack([loser]))[7:] not in packs(service)
        base = winner


@pytest.mark.requirement("PUSH-013")
async def test_fifty_clients_push_to_ten_branches(service: Service, alice: Peer, repo: str) -> None:
    """Whoever loses builds on the new head and tries again; no acknowledged head is lost."""
    acknowledged: list[tuple[str, str]] = []

    async def client(n: int) -> None:
        forge, branch = Forge(), f"b{n % 10}"
        head: str | None = None
        for _ in range(12):
            heads = (await alice.get(f"{repo}/refs")).json()["branch_heads"]
            on = heads.get(branch)
            if on is not None and on not in forge.commits:
                record = (await alice.get(f"{repo}/commits/{on}")).json()
                forge.commits[on] = record
                tree = (await alice.get(f"{repo}/snapshots/{record['snapshot_id']}")).json()
                forge.trees[record["snapshot_id"]] = (tree["delta_upsert"], [])
            head = forge.commit({f"client-{n}": f"{on}".encode()}, *filter(None, [on]))
            answer = await alice.push(repo, forge.pack([head]), head, branch)
            if answer.is_success:
                acknowledged.append((branch, head))
                return
            assert answer.status_code == 409, answer.text
        pytest.fail(f"client {n} never got through")

    await asyncio.gather(*(client(n) for n in range(50)))
    assert len(acknowledged) == 50
    heads = (await alice.get(f"{repo}/refs")).json()["branch_heads"]
    for branch, head in heads.items():
        line, waiting = set[str](), [head]
        while waiting:
            commit_id = waiting.pop()
            line.add(commit_id)
            waiting += parents((await alice.get(f"{repo}/commits/{commit_id}")).json())
        assert {own for where, own in acknowledged if where == branch} == line


@pytest.mark.requirement("STORAGE-010", "PUSH-016")
async def test_one_pack_pushed_to_many_repositories_at_once(
    service: Service, alice: Peer, forge: Forge
) -> None:
    """Shared rows meet in the database; everybody gets all of theirs."""
    head = forge.line(8)[-1]
    pack = forge.pack()
    paths = [await alice.create(f"r{n}") for n in range(6)]
    answers = await asyncio.gather(*(alice.push(path, pack, head) for path in paths))
    for path, answer in zip(paths, answers, strict=True):
        assert answer.json()["commits_written"] == 8, answer.text
        assert answer.json()["blobs_written"] == 8
        assert (await alice.fetch(path, head))["blob_count"] == 8


@pytest.mark.requirement("STORAGE-015")
async def test_a_collection_beside_pushes_loses_nothing(
    service: Service, alice: Peer, forge: Forge
) -> None:
    """Repositories come and go around one that shares their pack, while collection runs."""
    head = forge.line(4)[-1]
    pack = forge.pack()
    done = False

    async def collecting() -> None:
        while not done:
            await collect(service)

    collector = asyncio.create_task(collecting())
    for n in range(8):
        path = await alice.create(f"short-{n}")
        assert (await alice.push(path, pack, head)).is_success
        for object_id, content in forge.blobs.items():
            assert (await alice.get(f"{path}/o/{object_id}")).content == content
        assert (await alice.fetch(path, head))["commit_count"] == 4
        repo_id = (await alice.get(f"{path}/refs")).json()["repo_id"]
        assert (await alice.request("DELETE", f"/api/repos/{repo_id}")).status_code == 204
    done = True
    await collector


@pytest.mark.requirement("STORAGE-010", "FMC_01", "FMC_02", "FMC_03")
async def test_servers_that_start_at_once_migrate_once(dsn: str, service: Service) -> None:
    """Each migration is applied by one of them; the tables have their keys."""
    async with service.database.session() as db:
        await db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    databases = [Database(dsn) for _ in range(4)]

    async def start(database: Database) -> bytes:
        await database.open(2)
        async with database.session() as db:
            await schema.migrate(db)
            return await schema.secret(db, "links", repr(database).encode())

    secrets = await asyncio.gather(*map(start, databases))
    assert len(set(secrets)) == 1
    async with databases[0].session() as db:
        assert await db.fetchval("SELECT count(*) FROM migrations") == len(schema.MIGRATIONS)
        await db.execute("INSERT INTO migrations VALUES (99)")
        with pytest.raises(ProtocolError, match="another version of the kit"):
            await schema.migrate(db)
        unique = await db.fetchval(
            "SELECT count(*) FROM pg_indexes WHERE tablename = 'fetch_mpack_cache'"
            " AND indexdef LIKE 'CREATE UNIQUE%(repo_id, tip_commit_id, form)'"
        )
        assert unique == 1
    for database in databases:
        await database.close()


@pytest.mark.requirement("FETCH-009", "FMC_02")
async def test_a_pack_that_several_build_at_once_is_cached_once(
    dsn: str, service: Service, alice: Peer, repo: str
) -> None:
    """A fetch and the job beside it end with the same row: neither fails, whoever is first."""
    owner, _, slug = repo.strip("/").partition("/")
    async with service.database.session() as db:
        row = await db.fetchrow("SELECT * FROM repos WHERE owner = $1 AND slug = $2", owner, slug)
    assert row is not None
    here, size = Repo.of(row), 8
    database = Database(dsn)
    await database.open(size)

    async def build(tip: str) -> None:
        async with database.transaction() as db:
            await writing.cache_pack(db, here, tip, "framed", tip, 1, 1)

    tips = [mpack_key(b"%d" % n) for n in range(150)]
    for tip in tips:
        await asyncio.gather(*(build(tip) for _ in range(size)))
    rows = "SELECT count(*) FROM fetch_mpack_cache WHERE tip_commit_id = ANY($1)"
    async with database.session() as db:
        assert await db.fetchval(rows, [*map(to_raw, tips)]) == len(tips)
    await database.close()
