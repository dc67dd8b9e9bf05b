"""The server as a process: over sockets, killed, without its database, with a large pack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from reference.server import embedded
from reference.server.embedded import Embedded
from reference.wire.errors import ProtocolError
from reference.wire.ids import mpack_key

from .forge import Forge
from .peer import Peer, code

START = "import sys; from reference.server.main import serve; sys.exit(serve(sys.argv[1:]))"


@dataclass
class Running:
    """A server process and where it answers."""

    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        """As the kernel would, without a word."""
        self.process.kill()
        self.process.wait()

    def peak(self) -> int:
        """The most memory it ever had, in bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            found = next(line for line in file if line.startswith("VmHWM"))
        return int(found.split()[1]) * 1024


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Running]:
    """A server on a free port, stopped by SIGTERM at the end if it still runs."""
    command = [sys.executable, "-c", START, "--port", "0", "--data", str(data), "--quiet", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Running(process, json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@asynccontextmanager
async def peer(server: Running, handle: str = "alice") -> AsyncIterator[Peer]:
    """Somebody who talks to a server over its socket."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        yield await Peer(http, handle).register()


@pytest.fixture
def data(scratch: Path) -> Path:
    """A data folder that PostgreSQL's user may enter."""
    folder = scratch / os.urandom(4).hex()
    folder.mkdir(mode=0o755)
    return folder


@pytest.mark.requirement("PUSH-011", "PUSH-014", "BP5")
async def test_a_killed_server_kept_all_of_a_push_or_none(data: Path) -> None:
    """Killed at points all along a push: afterwards it is whole or not there, answered ones are."""
    with serving(data) as server:
        async with peer(server) as alice:
            await alice.create()
    forge = Forge()
    head: str | None = None
    line: list[str] = []
    answered = False
    for delay in (0.005, 0.02, 0.05, 0.2, None):
        with serving(data) as server:
            async with peer(server) as alice:
                if head is not None:
                    before = forge.commits[line[0]]["parent_commit_id"]
                    whole = await _is_whole(alice, forge, line, before)
                    assert whole or not answered
                    again = await alice.push("/alice/demo", forge.pack(line), head)
                    assert again.json()["commits_written"] == (0 if whole else len(line))
                    assert await _is_whole(alice, forge, line, before)
                if delay is None:
                    break
                line = forge.line(60, *([head] if head else []), name=f"d{delay}")
                head = line[-1]
                key = await alice.upload("/alice/demo", forge.pack(line))
                push = asyncio.create_task(alice.unpack("/alice/demo", key, head))
                await asyncio.sleep(delay)
                server.kill()
                try:
                    answered = (await push).is_success
                except httpx.TransportError:
                    answered = False


async def _is_whole(alice: Peer, forge: Forge, line: list[str], before: str | None) -> bool:
    """Whether all of these commits are there; if not, none is."""
    refs = (await alice.get("/alice/demo/refs")).json()
    here = refs["branch_heads"].get("main")
    assert here in (line[-1], before)
    for commit_id in (line[0], line[-1]):
        found = await alice.get(f"/alice/demo/commits/{commit_id}")
        assert found.is_success == (here == line[-1])
        snapshot = forge.snapshots[forge.commits[commit_id]["snapshot_id"]]
        for object_id in snapshot["delta_upsert"].values():
            blob = await alice.get(f"/alice/demo/o/{object_id}")
            assert blob.is_success == (here == line[-1])
    return bool(here == line[-1])


@pytest.mark.requirement("HTTP-016")
async def test_a_database_that_dies_comes_back(data: Path) -> None:
    """While it is away calls say so; without a restart of the server they work again."""
    with serving(data) as server:
        async with peer(server) as alice:
            repo = await alice.create()
            forge = Forge()
            head = forge.line(2)[-1]
            key = await alice.upload(repo, forge.pack())
            pid = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
            refused = {
                code(await alice.get(f"{repo}/refs")),
                code(await alice.unpack(repo, key, head)),
            }
            assert refused == {(503, "database_down")}
            assert (await alice.http.get("/healthz")).json()["reasons"][0].startswith("database")
            async with asyncio.timeout(20):
                while not (await alice.get(f"{repo}/refs")).is_success:
                    await asyncio.sleep(0.1)
            assert (await alice.unpack(repo, key, head)).is_success
            async with asyncio.timeout(20):
                while not (await alice.http.get("/healthz")).is_success:
                    await asyncio.sleep(0.1)


@pytest.mark.requirement("STORAGE-010", "HTTP-024")
async def test_two_servers_are_one(data: Path) -> None:
    """What one answers the other shows; links of one are served by the other."""
    with serving(data) as first:
        options = "--postgres", f"postgresql://postgres@/musekit?host={data}/postgres"
        with serving(data, *options) as second:
            async with peer(first) as alice, peer(second) as again:
                repo = await alice.create()
                forge = Forge()
                head = forge.line(2)[-1]
                pack = forge.pack()
                key = await alice.upload(repo, pack)
                assert (await again.unpack(repo, key, head)).is_success
                assert (await alice.get(f"{repo}/refs")).json()["branch_heads"] == {"main": head}
                link = (await alice.fetch(repo, head, capabilities=["framed"]))["mpack_url"]
                other = link.replace(first.url, second.url)
                assert (await again.http.get(other)).content == pack


@pytest.mark.requirement("MPACK-038", "PUSH-022")
async def test_a_large_pack_takes_little_memory(data: Path) -> None:
    """128 MB go through in pieces: the peak stays below 128 MB above idle."""
    forge = Forge()
    files = {f"f{n}": os.urandom(200_000) for n in range(640)}
    head = forge.commit(files)
    pack = forge.pack()
    assert len(pack) > 128_000_000
    with serving(data, "--no-worker") as server:
        async with peer(server) as alice:
            repo = await alice.create()
            idle = server.peak()
            pushed = await alice.push(repo, pack, head)
            assert pushed.json()["blobs_written"] == 640, pushed.text
            assert server.peak() - idle < 128_000_000


@pytest.mark.requirement("HTTP-012", "HTTP-014", "PUSH-022")
async def test_a_refused_body_is_answered_over_the_socket(data: Path) -> None:
    """A client that sends megabytes where it may not still reads the refusal, and goes on."""
    with serving(data, "--limit", "pack_bytes=1000000") as server:
        async with peer(server) as alice:
            repo = await alice.create()
            large = b"x" * 3_000_000
            anonymous = await alice.http.post(f"{repo}/push/unpack", content=large)
            assert code(anonymous) == (401, "unauthenticated")
            assert code(await alice.post(f"{repo}/push/unpack", raw=large)) == (413, "too_large")
            key = {"mpack_key": mpack_key(large)}
            link = (await alice.post(f"{repo}/push/mpack-presign", key)).json()["upload_url"]
            assert code(await alice.http.put(link, content=large)) == (413, "too_large")
            assert code(await alice.http.put(link + "0", content=large)) == (403, "bad_url")
            assert (await alice.get(f"{repo}/refs")).json()["limits"]["pack_bytes"] == 1_000_000


def test_it_says_when_it_is_ready_and_stops_when_told(data: Path) -> None:
    """One line of JSON; after SIGTERM nothing of it is left, PostgreSQL included."""
    with serving(data) as server:
        assert httpx.get(f"{server.url}/healthz").json()["ready"]
        pid = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert time.monotonic() - started < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("after", [0.25, 0.6, 1.2])
def test_it_stops_when_told_while_it_starts(data: Path, after: float) -> None:
    """SIGTERM before the ready line is not lost either, whatever it came upon."""
    command = [sys.executable, "-m", "reference", "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        time.sleep(after)  # somewhere in its imports, initdb, PostgreSQL's start or its tables
        process.terminate()
        process.wait(10)
    with contextlib.suppress(FileNotFoundError):
        pid = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for PostgreSQL")
def test_as_root_no_folder_is_opened_to_others(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data folder in a closed place is refused; programs in one are copied beside the data."""
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ProtocolError, match="may not enter"):
        Embedded(str(closed / "data")).start()
    assert closed.stat().st_mode & 0o777 == 0o700
    reachable = embedded._reachable
    monkeypatch.setattr(
        embedded, "_reachable", lambda path, user: "pginstall" not in path and reachable(path, user)
    )
    server = Embedded(str(scratch / "copied"), fsync="off")
    server.start()
    server.stop()
    [programs] = (scratch / "copied").glob("postgres-programs-*")
    assert list(programs.glob("*/pginstall/bin/postgres"))


def test_sockets_lie_in_nobody_elses_folder(scratch: Path) -> None:
    """Where a data folder's name is too long for one, /tmp has them; a link there is a trap."""
    server = Embedded(str(scratch / ("long" * 20)))
    victim = scratch / "victim"
    victim.mkdir(mode=0o755)
    before = victim.stat()
    Path(server._sockets).symlink_to(victim)
    try:
        with pytest.raises(ProtocolError, match="is another user's"):
            server._make_sockets()
    finally:
        Path(server._sockets).unlink()
    assert (victim.stat().st_uid, victim.stat().st_mode) == (before.st_uid, before.st_mode)
    server._make_sockets()
    server._make_sockets()
    assert Path(server._sockets).stat().st_mode & 0o777 == 0o700
    Path(server._sockets).rmdir()
