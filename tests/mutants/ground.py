"""What all broken subjects stand on: one PostgreSQL, a database and a folder for each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from reference.server import schema
from reference.server.database import Database
from reference.server.embedded import Embedded

_TEMPLATE = "migrated"


@dataclass(frozen=True, slots=True)
class Ground:
    """A running PostgreSQL whose data nobody will miss."""

    folder: Path
    dsn: str = field(repr=False)

    def database(self, name: str) -> str:
        """How to connect to one of its databases."""
        return self.dsn.replace("/musekit?", f"/{name}?")

    @contextmanager
    def folder_for(self, number: int) -> Iterator[Path]:
        """A folder for one subject, removed afterwards."""
        folder = self.folder / f"subject-{number}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def database_for(self, number: int, *, migrated: bool) -> Iterator[str]:
        """A database for one subject, dropped afterwards."""
        name = f"subject_{number}"
        template = _TEMPLATE if migrated else "template1"
        asyncio.run(self._execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
        try:
            yield self.database(name)
        finally:
            asyncio.run(self._execute(f"DROP DATABASE {name} WITH (FORCE)"))

    async def _execute(self, statement: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.database(database), timeout=30)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def migrate(self) -> None:
        """Makes the template, so that a subject does not spend its time on tables."""
        await self._execute(f"CREATE DATABASE {_TEMPLATE}")
        database = Database(self.database(_TEMPLATE))
        await database.open()
        try:
            async with database.session() as session:
                await schema.migrate(session)
        finally:
            await database.close()


@contextmanager
def prepared() -> Iterator[Ground]:
    """A PostgreSQL that is gone afterwards, with everything on it."""
    folder = Path(tempfile.mkdtemp(prefix="musekit-mutants-"))
    folder.chmod(0o711)  # PostgreSQL may run as somebody else
    unsafe = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    server = Embedded(str(folder), **unsafe, max_connections="200")
    try:
        server.start()
        ground = Ground(folder, server.dsn)
        asyncio.run(ground.migrate())
        yield ground
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
