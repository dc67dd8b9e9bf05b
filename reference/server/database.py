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
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection for a few statements."""
        assert self._pool is not None, "the database is not open"
        with _translated():
            async with asyncio.timeout(WAIT_SECONDS):  # one of the pool's own would start a task
                connection = await self._pool.acquire()
            try:
                yield connection
            finally:
                await self._pool.release(connection, timeout=WAIT_SECONDS)

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
