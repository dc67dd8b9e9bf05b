"""A MinIO of the tests' own, where its program is at hand."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

KEYS = {"AWS_ACCESS_KEY_ID": "musekit", "AWS_SECRET_ACCESS_KEY": "musekit-secret"}


def program() -> str | None:
    """Where MinIO's program is: `$MINIO_BIN`, the path, or where `go install` puts it."""
    places = [os.environ.get("MINIO_BIN"), shutil.which("minio"), Path.home() / "go/bin/minio"]
    return next((str(place) for place in places if place and os.path.exists(place)), None)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its URL, while it runs."""
    found = program()
    assert found is not None
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    root = {"MINIO_ROOT_USER": "musekit", "MINIO_ROOT_PASSWORD": "musekit-secret"}
    process = subprocess.Popen(
        [found, "server", "--quiet", "--address", f"127.0.0.1:{port}", str(folder)],
        env=os.environ | root | {"MINIO_BROWSER": "off"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while not _answers(url):
            assert process.poll() is None, "MinIO ended at once"
            assert time.monotonic() < deadline, "MinIO does not answer"
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/minio/health/cluster", timeout=1).is_success
    except httpx.TransportError:
        return False
