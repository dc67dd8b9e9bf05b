"""The kit's commands with one thing made slow: `python -m tests.perf_gates.slowed NAME WORDS…`.

Each is what somebody could do in good faith, and what one gate is there to catch.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from reference.__main__ import main as musekit


def _replace(module: str, name: str, make: Callable[[Any], Any]) -> None:
    """Puts what `make` makes of something in its place."""
    found: Any = import_module(module)
    setattr(found, name, make(getattr(found, name)))


def sleep_in_unpack() -> None:
    """The server does something for half a second while a push waits."""

    def slow(take_in: Any) -> Any:
        async def after_a_while(*words: Any) -> Any:
            await asyncio.sleep(0.5)
            return await take_in(*words)

        return after_a_while

    _replace("reference.server.push", "_take_in", slow)


def statement_a_commit() -> None:
    """The server asks the database something about each commit that it wrote."""

    def slow(copy: Any) -> Any:
        async def and_ask(db: Any, table: str, *words: Any) -> int:
            written: int = await copy(db, table, *words)
            if table.endswith("commits"):
                for number in range(written):
                    await db.execute(f"SELECT {number}")
            return written

        return and_ask

    _replace("reference.server.writing", "_copy", slow)


def insert_by_insert() -> None:
    """The server writes row by row."""

    def slow(copy: Any) -> Any:
        async def one_by_one(db: Any, table: str, columns: tuple[str, ...], data: bytes) -> int:
            names = ", ".join(f'"{column}"' for column in columns)
            aside = f"slow_{table}"
            await db.execute(f"CREATE TEMP TABLE {aside} (LIKE {table}) ON COMMIT DROP")
            await copy(db, aside, columns, data)
            rows = await db.fetch(f"SELECT ctid::text AS at FROM {aside}")
            for row in rows:
                chosen = f"SELECT {names} FROM {aside} WHERE ctid = '{row['at']}'"
                await db.execute(f"INSERT INTO {table} ({names}) {chosen}")
            return len(rows)

        return one_by_one

    _replace("reference.server.writing", "_copy", slow)


def frames_in_commit_order() -> None:
    """The client packs blobs as commits name them, so that versions of a file are far apart."""

    def slow(find: Any) -> Any:
        def reordered(*words: Any) -> Any:
            found = find(*words)
            named = [oid for s in found.snapshots for oid in s["delta_upsert"].values()]
            return found._replace(objects=list(dict.fromkeys(named)))

        return reordered

    for name in ("closure", "difference"):
        _replace("reference.client.parcel", name, slow)


def sync_each_file() -> None:
    """The client syncs every file of a working tree, which could be written again at any time."""

    def slow(close: Any) -> Any:
        def after_sync(fd: int) -> None:
            try:
                os.fsync(fd)
            except OSError:
                pass  # a pipe or a socket
            close(fd)

        return after_sync

    _replace("os", "close", slow)


SLOWED: dict[str, Callable[[], None]] = {
    "sleep-in-unpack": sleep_in_unpack,
    "statement-a-commit": statement_a_commit,
    "insert-by-insert": insert_by_insert,
    "frames-in-commit-order": frames_in_commit_order,
    "sync-each-file": sync_each_file,
}


def main(words: Sequence[str]) -> int:
    """Makes one thing slow, then runs the command."""
    SLOWED[words[0]]()
    sys.argv[1:] = words[1:]
    return int(musekit() or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
