"""The object store from behind: files and S3 alike are listed, damaged and put right."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio

from conformance.inspection import Inspection
from conformance.outcomes import NotApplicable
from conformance.subject import Subject
from tests.server import minio

BUCKET = "muse"


@pytest.fixture(scope="module", params=["file", "s3"])
def inspect(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Inspection]:
    """A store with the one object `packs/one`, under a prefix where there can be one."""
    folder = tmp_path_factory.mktemp("objects")
    if request.param == "file":
        (folder / "packs").mkdir()
        (folder / "packs" / "one").write_bytes(b"whole")
        yield Inspection(Subject(objects=f"file://{folder}"))
        return
    if minio.program() is None:
        pytest.skip("could not run: no MinIO here (MINIO_BIN=… names one)")
    with minio.running(folder) as url, pytest.MonkeyPatch.context() as patch:
        for name, value in minio.KEYS.items():
            patch.setenv(name, value)
        user, password = minio.KEYS.values()
        Minio(url.removeprefix("http://"), user, password, secure=False).make_bucket(BUCKET)
        one = Inspection(Subject(objects=f"s3://{BUCKET}/prefix/?endpoint={url}"))
        one.object("packs/one").write(b"whole")
        yield one


def test_what_lies_there_is_listed(inspect: Inspection) -> None:
    """Keys without the prefix, and sizes."""
    assert inspect.objects() == {"packs/one": 5}


def test_an_object_can_be_damaged_and_put_right(inspect: Inspection) -> None:
    """What is written is what is read."""
    one = inspect.object("packs/one")
    one.write(b"damaged")
    assert one.read() == b"damaged"
    one.write(b"whole")
    assert one.read() == b"whole"


def test_an_object_can_be_taken_away(inspect: Inspection) -> None:
    """And is then not there."""
    inspect.object("packs/one").remove()
    assert inspect.object("packs/one").read() is None
    assert inspect.objects() == {}
    inspect.object("packs/two").write(b"x")
    inspect.object("packs/two").remove()


@pytest.mark.parametrize("mode", [0o444, 0o600])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    """Even one that is not writable can be damaged."""
    path = tmp_path / "object"
    path.write_bytes(b"whole")
    path.chmod(mode)
    Inspection(Subject(objects=f"file://{tmp_path}")).object("object").write(b"damaged")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"damaged", mode)


def test_tables_that_a_subject_replaces_show_nothing() -> None:
    """Queries of its own say that it has others than the reference's."""
    one = Inspection(Subject(postgres="postgresql://nowhere", queries={"jobs": "SELECT"}))
    with pytest.raises(NotApplicable):
        one.tables("SELECT 1 FROM jobs")
