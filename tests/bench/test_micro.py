"""The smallest pieces that a push and a clone are made of, each by itself: `nox -s bench`.

These have no budget: they are compared with a saved baseline of the same machine, and say which
piece it was when a gate of the whole gets slower.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from fixtures import packing, shapes
from fixtures.history import History
from reference.server import schema, writing
from reference.server.embedded import Embedded
from reference.server.service import Repo
from reference.wire import frames, ids, manifests, msign, provenance, snapshots
from reference.wire.pack import FRAME_BYTES, Pack
from reference.wire.reader import read

if TYPE_CHECKING:
    from reference.server.database import Connection

pytestmark = [
    pytest.mark.bench,
    # pytest-benchmark warns about what it does not use on this platform
    pytest.mark.filterwarnings("ignore::pytest.PytestWarning"),
]
Database = tuple[asyncio.Runner, Any]
FOUR_KIB = bytes(range(256)) * 16
SEED = bytes(range(32))
KEY = "sha256:" + "1" * 64
REPO = Repo(bytes(32), "alice", "simple", False, "main")


@pytest.fixture(scope="module")
def simple() -> History:
    """1,031 commits of 700 files, 5 changed in each."""
    return shapes.build("simple")


@pytest.fixture(scope="module")
def pack(simple: History) -> Pack:
    """`simple` as a receiver has read it."""
    return read([packing.to_bytes(simple)])


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """An event loop and a connection to a PostgreSQL with the server's tables."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, asyncio.Runner() as runner:
        os.chmod(folder, 0o711)  # as root, PostgreSQL runs as somebody else
        embedded = Embedded(folder, fsync="off", full_page_writes="off")
        embedded.start()
        try:
            db = runner.run(asyncpg.connect(embedded.dsn))
            runner.run(schema.migrate(cast("Connection", db)))
            yield runner, db
            runner.run(db.close())
        finally:
            embedded.stop()


@pytest.fixture(scope="module")
def texts() -> list[bytes]:
    """Blobs of source text that fill a frame."""
    found, size = [], 0
    for blob in shapes.build("real").blobs:
        if size + len(blob.content) > FRAME_BYTES:
            break
        found.append(blob.content)
        size += len(blob.content)
    return found


class TestIds:
    """Hashing what a pack holds."""

    def test_blob_id_of_four_kib(self, benchmark: Any) -> None:
        """One blob."""
        assert ids.is_id(benchmark(ids.blob_id, FOUR_KIB))

    def test_commit_id(self, simple: History, benchmark: Any) -> None:
        """One commit."""
        commit = simple.commits[-1]
        assert benchmark(ids.commit_id, commit) == commit["commit_id"]

    def test_snapshot_id_of_700_files(self, simple: History, benchmark: Any) -> None:
        """One manifest, from nothing."""
        manifest, _ = simple.tree()
        assert benchmark(ids.snapshot_id, manifest) == simple.commits[-1]["snapshot_id"]


class TestDeltas:
    """Manifests by what changed."""

    def test_apply_one_delta(self, simple: History, benchmark: Any) -> None:
        """Ten paths of 700, in a new manifest."""
        base = dict(simple.snapshots[0]["delta_upsert"])
        delta = simple.snapshots[1]
        assert len(benchmark(snapshots.apply, base, delta)) == 700

    def test_patch_and_hash_a_hundred_deltas(self, simple: History, benchmark: Any) -> None:
        """The tree that a server keeps while it verifies, patched in place."""
        chain = simple.snapshots[:100]

        def verify() -> str:
            last = ""
            for _, tree in manifests.walk(chain, lambda _: ({}, ())):
                last = tree.snapshot_id()
            return last

        assert benchmark(verify) == chain[-1]["snapshot_id"]


class TestFrames:
    """Blobs, compressed together."""

    def test_compress_a_frame(self, texts: list[bytes], benchmark: Any) -> None:
        """256 KiB of source text at level 3."""
        payload, stored = benchmark(frames.compress, texts)
        assert not stored
        assert len(payload) < sum(map(len, texts))

    def test_decompress_a_frame(self, texts: list[bytes], benchmark: Any) -> None:
        """The same back."""
        payload, _ = frames.compress(texts)
        raw = b"".join(texts)
        assert benchmark(frames.decompress, payload, len(raw)) == raw

    def test_hash_the_blobs_of_a_frame(self, texts: list[bytes], benchmark: Any) -> None:
        """Each blob's id, out of one buffer."""
        sizes = [len(text) for text in texts]
        found = benchmark(frames.hash_blobs, b"".join(texts), sizes)
        assert found == [ids.blob_id(text) for text in texts]


class TestSignatures:
    """Ed25519: requests and commits."""

    def test_sign_a_request(self, benchmark: Any) -> None:
        """The Authorization header of one call."""
        words = ("alice", SEED, "POST", "127.0.0.1:8000", "/alice/demo/negotiate", "sha256:0", 1)
        assert benchmark(msign.authorization, *words).startswith("MSign ")

    def test_sign_a_commit(self, simple: History, benchmark: Any) -> None:
        """Its provenance."""
        assert len(benchmark(provenance.sign, simple.commits[0], SEED)) == 86

    def test_verify_a_hundred_commits(self, benchmark: Any) -> None:
        """On two threads, as a server does."""
        commits = shapes.build("signed").commits[:100]
        assert benchmark(provenance.verify_all, commits) is None


class TestCopy:
    """Rows on their way into PostgreSQL."""

    TABLES = ("mpack_index", "snapshots", "snapshot_refs", "commits")

    @pytest.mark.parametrize("table", TABLES)
    def test_encode(self, table: str, pack: Pack, benchmark: Any) -> None:
        """All rows of `simple` for one table, in the binary COPY format."""
        names = [make()[0] for make in writing.PackTables(REPO, KEY, pack).all()]
        assert set(names) == set(self.TABLES)
        at = names.index(table)  # each time anew: what was made once is kept
        _, _, data = benchmark(lambda: writing.PackTables(REPO, KEY, pack).all()[at]())
        assert data.startswith(b"PGCOPY")

    def test_intake(self, database: Database, pack: Pack, benchmark: Any) -> None:
        """All rows of `simple` made and copied into their tables, then rolled back."""
        runner, db = database

        async def take_in() -> dict[str, int]:
            transaction = db.transaction()
            await transaction.start()
            made = writing.making(writing.PackTables(REPO, KEY, pack).all())
            written = await writing.copy(db, made)
            await transaction.rollback()
            return written

        written = benchmark(lambda: runner.run(take_in()))
        assert written["commits"] == written["snapshots"] == 1031
        assert written["mpack_index"] == len(pack.blob_ids)
