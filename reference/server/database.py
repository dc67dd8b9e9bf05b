"""PostgreSQL through asyncpg: one pool, and what its failures mean to a client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from reference.wire.errors import ProtocolError

if TYPE_CHECKING:  # generic only to the type checker
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

_DOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)


WAIT_SECONDS = 30
"""For a connection, when all are in use."""
SEND_BYTES = 1024 * 1024
"""What the kernel takes of rows ahead, so that copying them does not wait for our threads."""


class _Session(asyncpg.Connection):
    def __init__(self, protocol: Any, transport: asyncio.WriteTransport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)

    def get_reset_query(self) -> str:
        """Nothing to reset: no session state outlives a transaction here."""
        return ""


class Database:
    """A pool that survives its server: what fails while it is away is `database_down`."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._pool: Pool | None = None
        self._idle: list[Connection] = []
        self._waiting = 0

    async def open(self, size: int = 10) -> None:
        """Connects, or raises `database_down`."""
        with _translated():
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=1,
                max_size=size,
                timeout=10,
                connection_class=_Session,
                server_settings={"jit": "off"},  # compiling takes longer than any statement here
            )

    async def close(self) -> None:
        """Gives all connections back."""
        self._waiting += 1  # who still has one gives it to the pool
        if self._pool is not None:
            for connection in self._idle:
                await self._pool.release(connection)
            await self._pool.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection for a few statements.

        It goes back to the pool if something went wrong or somebody waits for one; what the pool
        does at each return, a task and two timers, costs as much as a statement.
        """
        assert self._pool is not None, "the database is not open"
        with _translated():
            connection = await self._take(self._pool)
            is_sound = False
            try:
                yield connection
                is_sound = not connection.is_closed()
            except ProtocolError as refusal:  # a failure of the database's has a cause
                is_sound = refusal.__cause__ is None and not connection.is_closed()
                raise
            finally:
                if is_sound and not self._waiting:
                    self._idle.append(connection)
                else:
                    await self._pool.release(connection, timeout=WAIT_SECONDS)

    async def _take(self, pool: Pool) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            await pool.release(connection)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):  # one of the pool's own would start a task
                return await pool.acquire()
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction."""
        async with self.session() as connection:
            with _translated():
                async with connection.transaction():
                    yield connection


class _translated:  # reads as a word in `with`
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, _FULL):
            raise ProtocolError("storage_full", "the database's disk is full") from problem
        if isinstance(problem, asyncpg.DeadlockDetectedError):
            raise ProtocolError("ref_moved", "another write was in the way") from problem
        closed = isinstance(problem, asyncpg.InterfaceError) and not isinstance(problem, ValueError)
        if closed or isinstance(problem, _DOWN):
            raise ProtocolError("database_down", "the database does not answer") from problem
