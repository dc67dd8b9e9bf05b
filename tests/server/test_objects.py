"""One suite for both object stores: files, and S3 on a real MinIO."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from minio import Minio

from reference.server import jobs
from reference.server.app import build
from reference.server.objects import ObjectStore
from reference.server.objects_files import FileObjects
from reference.server.objects_s3 import S3Objects, S3Outgoing
from reference.server.service import Service, opened
from reference.store import durable
from reference.wire.errors import ProtocolError
from reference.wire.ids import mpack_key

from . import minio
from .forge import Forge
from .peer import Peer, code

KEY, OTHER = "packs/" + "1" * 64, "uploads/" + "2" * 64 + "/" + "3" * 64
BASE = "http://musekit.test"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a bucket."""
    if minio.program() is None:
        pytest.skip("could not run: no MinIO program ($MINIO_BIN, or `go install` of its module)")
    with (
        minio.running(tmp_path_factory.mktemp("minio")) as url,
        pytest.MonkeyPatch.context() as env,
    ):
        for name, value in minio.KEYS.items():
            env.setenv(name, value)
        client = Minio(
            url[7:],
            access_key=minio.KEYS["AWS_ACCESS_KEY_ID"],
            secret_key=minio.KEYS["AWS_SECRET_ACCESS_KEY"],
            secure=False,
            region="us-east-1",
        )
        client.make_bucket("packs")
        yield f"s3://packs/kit?endpoint={url}"


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Each kind of store, empty."""
    if request.param == "files":
        return FileObjects(str(tmp_path / "objects"), b"secret")
    found = S3Objects(request.getfixturevalue("s3"), str(tmp_path / "spool"))
    for key, _ in list(found.list("")):
        found.delete(key)
    return found


def keep(store: ObjectStore, key: str, *parts: bytes) -> None:
    """Writes an object."""
    outgoing = store.outgoing()
    for part in parts:
        outgoing.write(part)
    outgoing.keep(key)
    outgoing.close()


@pytest.mark.requirement("STORAGE-001")
def test_what_was_kept_can_be_read(store: ObjectStore) -> None:
    """All of it, a range, beyond the end; it is listed with its age until it is deleted."""
    store.check()
    assert not store.exists(KEY)
    with pytest.raises(FileNotFoundError):
        store.read(KEY)
    keep(store, KEY, b"0123", b"456789")
    assert store.read(KEY) == b"0123456789"
    assert store.read(KEY, 3, 4) == b"3456"
    assert store.read(KEY, 8, 10) == b"89"
    assert store.read(KEY, 10, 5) == b""
    assert store.read(KEY, 2, 0) == b""
    assert store.exists(KEY)
    [(key, age)] = store.list("packs/")
    assert key == KEY
    assert -5 < age < 60
    assert list(store.list("uploads/")) == []
    store.delete(KEY)
    store.delete(KEY)
    assert not store.exists(KEY)


def test_what_is_let_go_leaves_nothing(store: ObjectStore) -> None:
    """An object that was begun and not kept is not there."""
    outgoing = store.outgoing()
    outgoing.write(b"x" * 100_000)
    outgoing.close()
    assert list(store.list("packs/")) == []


@pytest.mark.requirement("PUSH-006")
def test_an_upload_is_accepted_as_it_was_read(store: ObjectStore) -> None:
    """Its bytes lie under the new key; one that is not accepted leaves nothing there."""
    with pytest.raises(FileNotFoundError):
        store.incoming(OTHER)
    content = bytes(range(256)) * 3000
    put(store, OTHER, content)
    refused = store.incoming(OTHER)
    assert b"".join(refused) == content
    refused.close()
    assert list(store.list("packs/")) == []
    taken = store.incoming(OTHER)
    assert b"".join(taken) == content
    taken.seal()
    taken.accept(KEY)
    taken.close()
    assert store.read(KEY) == content


@pytest.mark.requirement("PUSH-006")
def test_an_upload_that_is_swapped_is_never_accepted(store: ObjectStore) -> None:
    """Between reading and accepting: either the bytes that were read are kept, or none are."""
    put(store, OTHER, b"verified")
    taken = store.incoming(OTHER)
    assert b"".join(taken) == b"verified"
    put(store, OTHER, b"swapped!")
    taken.seal()
    if isinstance(store, S3Objects):
        with pytest.raises(ProtocolError, match="digest_mismatch"):
            taken.accept(KEY)
    else:
        taken.accept(KEY)
    taken.close()
    assert not store.exists(KEY) or store.read(KEY) == b"verified"


def put(store: ObjectStore, key: str, content: bytes) -> None:
    """What a client's PUT does."""
    if isinstance(store, S3Objects):
        answer = httpx.put(store.upload_url(BASE, key, 60), content=content)
        assert answer.status_code == 200, answer.text
    else:
        keep(store, "packs/" + "f" * 64, content)
        assert isinstance(store, FileObjects)
        path = Path(store.path(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(store.path("packs/" + "f" * 64)).rename(path)


@pytest.mark.requirement("AUTH-014")
def test_s3_links_are_for_one_use(s3: str, tmp_path: Path) -> None:
    """One key, one method, a while."""
    store = S3Objects(s3, str(tmp_path))
    keep(store, KEY, b"content")
    link = store.link(BASE, KEY, 60)
    assert httpx.get(link).content == b"content"
    assert httpx.put(link, content=b"x").status_code == 403
    assert httpx.get(link.replace("1" * 64, "2" * 64)).status_code == 403
    assert httpx.get(store.upload_url(BASE, KEY, 60)).status_code == 403


@pytest.fixture
async def on_s3(service: Service, dsn: str, s3: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A whole service on MinIO, on the tables of `service`."""
    async with opened(dsn, s3, str(tmp_path / "s3")) as made:
        yield made


@pytest.mark.requirement("STORAGE-009", "BG8", "PUSH-006", "FETCH-005")
async def test_a_push_and_a_clone_through_s3(
    on_s3: Service, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Straight to the bucket and from it; at most five calls by the server, whatever it holds."""
    assert isinstance(on_s3.objects, S3Objects)
    calls: list[str] = []
    execute = on_s3.objects._client._execute

    def counted(method: str, *arguments: object, **options: object) -> object:
        calls.append(method)
        return execute(method, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(on_s3.objects._client, "_execute", counted)
    transport = httpx.ASGITransport(build(on_s3))
    mounts = {BASE: transport}
    async with httpx.AsyncClient(mounts=mounts, base_url=BASE) as http:
        alice = await Peer(http, "alice").register()
        repo = await alice.create()
        used, head = [], ""
        for length in (1, 60):
            forge = Forge()
            head = forge.line(length, name=f"n{length}")[-1]
            calls.clear()
            pushed = await alice.push(repo, forge.pack(), head, branch=f"b{length}")
            assert pushed.status_code == 200, pushed.text
            used.append(len(calls))
        assert used[0] == used[1] <= 5, calls
        for object_id, content in forge.blobs.items():
            assert (await alice.get(f"{repo}/o/{object_id}")).content == content
        await jobs.run_until_idle(on_s3)
        for form in ([], ["framed"]):
            found = await alice.fetch(repo, head, capabilities=form)
            assert found["cache"] == "hit"
            raw = (await http.get(found["mpack_url"])).content
            assert mpack_key(raw) == found["mpack_id"]
        missing = await alice.unpack(repo, "sha256:" + "0" * 64, head)
        assert code(missing) == (404, "upload_missing")
        monkeypatch.undo()


async def test_a_bucket_that_does_not_answer_is_down(tmp_path: Path) -> None:
    """Not there, not reachable: storage_down, and never a crash."""
    store = S3Objects("s3://none?endpoint=http://127.0.0.1:9", str(tmp_path))
    for attempt in (store.check, lambda: store.read(KEY), lambda: store.incoming(KEY)):
        with pytest.raises(ProtocolError, match="storage_down"):
            attempt()


def test_what_waits_for_the_bucket_is_known_for_a_temp_file(tmp_path: Path) -> None:
    """So that the next collection removes what a killed server left of it."""
    seen = []

    class Bucket:
        def upload(self, key: str, path: str) -> None:
            seen.append((key, os.path.basename(path), Path(path).read_bytes()))

    going = S3Outgoing(Bucket(), str(tmp_path))  # type: ignore[arg-type]  # all that it needs
    going.write(b"content")
    going.keep("packs/a")
    going.close()
    [(key, name, content)] = seen
    assert (key, content) == ("packs/a", b"content")
    assert durable.is_temp(name)
    assert os.listdir(tmp_path) == []
