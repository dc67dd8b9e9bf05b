"""`python -m conformance.sql DSN STATEMENT…`: runs statements, for the commands of a subject file.

Rows go to standard output, one line of JSON each; a statement that fails exits 1.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

import asyncpg


async def run(dsn: str, statements: Sequence[str]) -> None:
    """Runs the statements in one transaction and prints what they return."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            for statement in statements:
                for row in await connection.fetch(statement):
                    print(json.dumps(list(row), default=str))
    finally:
        await connection.close()


def main() -> int:
    """The command."""
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        asyncio.run(run(sys.argv[1], sys.argv[2:]))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
