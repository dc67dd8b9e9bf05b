"""Sessions: few connections for many, and none that somebody left in disorder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from reference.server.database import Database
from reference.wire.errors import ProtocolError

WHO = "SELECT pg_backend_pid()"
SLEEPS = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1"


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """One that has a single connection."""
    made = Database(dsn)
    await made.open(size=1)
    yield made
    await made.close()


async def _who(database: Database) -> int:
    async with database.session() as db:
        pid: int = await db.fetchval(WHO)
        return pid


async def test_a_connection_serves_one_after_the_other(database: Database) -> None:
    """Whether they wait for it or come later."""
    async with asyncio.timeout(20):
        crowd = await asyncio.gather(*(_who(database) for _ in range(5)))
        assert {*crowd, await _who(database)} == {crowd[0]}


async def test_what_was_given_up_is_not_handed_on(database: Database, dsn: str) -> None:
    """Neither a statement that still runs nor a transaction that was left open."""
    pid = await _who(database)

    async def slow() -> None:
        async with database.session() as db:
            await db.execute("BEGIN")
            await db.execute("SELECT pg_sleep(60)")

    given_up = asyncio.create_task(slow())
    other = Database(dsn)
    await other.open(size=1)
    async with asyncio.timeout(20), other.session() as db:
        while not await db.fetchval(SLEEPS, pid):  # PostgreSQL cancels only what it has begun
            await asyncio.sleep(0.05)
    await other.close()
    given_up.cancel()
    await asyncio.wait([given_up])
    async with asyncio.timeout(20), database.session() as db:
        assert not db.is_in_transaction()
        assert await db.fetchval("SELECT 1") == 1


async def test_closing_waits_for_who_has_a_connection_and_no_longer(dsn: str) -> None:
    """Whoever gives one back while it closes does not keep it."""
    database = Database(dsn)
    await database.open(size=2)
    async with database.session() as db, asyncio.timeout(20):
        closing = asyncio.create_task(database.close())
        await db.fetchval("SELECT pg_sleep(0.1)")
    async with asyncio.timeout(20):
        await closing


async def test_a_connection_that_died_is_not_handed_on(database: Database, dsn: str) -> None:
    """One session at most is told that the database is away."""
    other = Database(dsn)
    await other.open(size=1)
    before = await _who(database)
    async with other.session() as db:
        await db.fetchval("SELECT pg_terminate_backend($1, 10000)", before)
    await other.close()
    with suppress(ProtocolError):  # where nobody noticed yet
        await _who(database)
    assert await _who(database) != before


async def test_a_refusal_keeps_its_connection_and_a_failure_does_not(database: Database) -> None:
    """What is refused has asked nothing wrong of the database; what it failed at may be broken."""
    first = await _who(database)
    with pytest.raises(ProtocolError):
        async with database.transaction() as db:
            raise ProtocolError("ref_moved", "as a check would say")
    assert [db.get_server_pid() for db in database._idle] == [first]
    with pytest.raises(ProtocolError):
        async with database.session() as db:
            await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert database._idle == []
    assert await _who(database) != first
