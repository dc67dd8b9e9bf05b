"""What the server under measurement runs on: parts of its own, containers, or what is there."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .budgets import requirement
from .commands import MUSEKIT, SOURCES, CouldNotRun

COVERS = requirement("K2")
POSTGRES_IMAGE = "postgres:18"
MINIO_IMAGE = "minio/minio:latest"
READY_SECONDS = 90.0
INSECURE = ("--insecure",)
"""For the client, where presigned URLs lead to a container's address without TLS."""


@dataclass(frozen=True, slots=True)
class Options:
    """Which stack, and where its parts are."""

    stack: str = "embedded"
    url: str | None = None
    postgres: str | None = None
    objects: str | None = None
    serve: Sequence[str] = (*MUSEKIT, "serve")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Options:
        """From command line words; the command that serves may be another than ours."""
        serve = values.get("serve")
        words = tuple(shlex.split(serve)) if serve else (*MUSEKIT, "serve")
        return cls(values["stack"], values["url"], values["postgres"], values["objects"], words)


@dataclass(slots=True)
class Stack:
    """A running server and what is known about it."""

    name: str
    url: str
    options: Options
    data: Path | None = None
    process: int | None = None
    postgres: str | None = None
    objects: str | None = None
    allies: list[int] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    images: dict[str, str] = field(default_factory=dict)


@contextmanager
def running(options: Options, work: Path) -> Iterator[Stack]:
    """The stack that the options ask for, gone again afterwards."""
    with ExitStack() as stack:
        if options.stack == "containers":
            yield stack.enter_context(_containers(options, work))
        elif options.stack == "external" and options.url:
            yield Stack("external", options.url.rstrip("/"), options, allies=_listener(options.url))
        elif options.stack == "external":
            if not options.postgres or not options.objects:
                raise CouldNotRun("the external stack needs --url, or --postgres and --objects")
            yield stack.enter_context(
                served("external", options, work / "data", options.postgres, options.objects)
            )
        else:
            yield stack.enter_context(served("embedded", options, work / "data"))


@contextmanager
def served(
    name: str,
    options: Options,
    data: Path,
    postgres: str | None = None,
    objects: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """A server process of our own; with nothing given it brings its database and its files."""
    words = [*options.serve, "--data", str(data), "--port", "0", "--quiet"]
    words += ["--postgres", postgres] if postgres else []
    words += ["--objects", objects] if objects else []
    env = {**os.environ, "PYTHONPATH": str(SOURCES), **(environment or {})}
    errors = data.with_suffix(".log")
    with errors.open("wb") as log:
        process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=log)
    try:
        url = _ready(process, errors)
        own = postgres or f"postgresql://postgres@/musekit?host={data / 'postgres'}"
        yield Stack(
            name,
            url,
            options,
            data,
            process.pid,
            own,
            objects,
            [process.pid],
            dict(environment or {}),
        )
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _ready(process: subprocess.Popen[bytes], errors: Path) -> str:
    """The URL of the ready line, which has to come in time."""
    output = process.stdout
    assert output is not None
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.append(output.readline()), daemon=True)
    reader.start()
    reader.join(READY_SECONDS)
    try:
        return str(json.loads(lines[0])["url"])
    except (IndexError, ValueError, KeyError, TypeError):
        said = errors.read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise CouldNotRun(f"the server did not start: {said[-1][:300]}") from None


@contextmanager
def _containers(options: Options, work: Path) -> Iterator[Stack]:
    """PostgreSQL and MinIO in containers, the server beside them."""
    images = {
        "postgres": os.environ.get("MUSEKIT_POSTGRES_IMAGE", POSTGRES_IMAGE),
        "minio": os.environ.get("MUSEKIT_MINIO_IMAGE", MINIO_IMAGE),
    }
    # All that is started here is stopped here; the reaper would be one more image to pull.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    try:
        from testcontainers.community.minio import MinioContainer
        from testcontainers.community.postgres import PostgresContainer
        from testcontainers.core.exceptions import ContainerStartException
    except ImportError as problem:
        raise CouldNotRun(f"testcontainers: {problem}") from None
    from docker.errors import DockerException  # type: ignore[import-untyped]  # it has no types

    user, secret = "musekit", os.urandom(12).hex()
    with ExitStack() as stack:
        try:
            postgres = PostgresContainer(
                images["postgres"],
                username="postgres",
                password=secret,
                dbname="musekit",
                driver=None,
            )
            stack.enter_context(postgres)
            minio = MinioContainer(images["minio"], access_key=user, secret_key=secret)
            minio.with_env("MINIO_ROOT_USER", user).with_env("MINIO_ROOT_PASSWORD", secret)
            stack.enter_context(minio)
            minio.get_client().make_bucket("musekit")
        except (DockerException, ContainerStartException, OSError, TimeoutError) as problem:
            raise CouldNotRun(f"containers of {', '.join(images.values())}: {problem}") from None
        endpoint = minio.get_config()["endpoint"]
        keys = {"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": secret}
        objects = f"s3://musekit/perf?endpoint=http://{endpoint}"
        made = stack.enter_context(
            served(
                "containers",
                options,
                work / "data",
                postgres.get_connection_url(),
                objects,
                keys,
            )
        )
        made.images = images
        made.flags = INSECURE
        for container in (postgres, minio):
            wrapped = container.get_wrapped_container()
            wrapped.reload()
            made.allies.append(int(wrapped.attrs["State"]["Pid"]))
        yield made


def _listener(url: str) -> list[int]:
    """The process on this machine that listens at a loopback URL, if there is one to be seen."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1") or parts.port is None:
        return []
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == parts.port:
                inodes.add(f"socket:[{fields[9]}]")
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                links = os.listdir(f"/proc/{entry}/fd")
                if any(os.readlink(f"/proc/{entry}/fd/{link}") in inodes for link in links):
                    found.append(int(entry))
            except OSError:
                continue  # another user's, or gone
    return found


def free_port() -> int:
    """A port that nothing listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Returns once something accepts connections there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise CouldNotRun("a peer's server did not start") from None
            time.sleep(0.02)  # nobody tells when a port is listened on
        else:
            return
