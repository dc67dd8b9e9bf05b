"""Blobs read ahead by another process: the same frames, whatever becomes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reference.store import loose
from reference.store.repository import Repository

PROGRAM = """
import os, signal, sys
from reference.store import ahead, loose, packing
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError

repository, case = Repository(sys.argv[1]), sys.argv[2]
ids = sorted(loose.iter_ids(repository.dot, "objects"))[::-1]
here = []
blob = repository.blob
repository.blob = lambda oid: here.append(oid) or blob(oid)
if case == "too much":
    ahead.MEMORY_BYTES = 1000
with ahead.read_ahead(repository) as make:
    if case == "killed":
        os.kill(int(open(f"/proc/self/task/{os.getpid()}/children").read()), 9)
    try:
        made = list(make(ids))
    except ProtocolError as problem:
        print(problem.code)
        sys.exit()
assert [oid for plan, _ in made for oid in plan.blob_ids] == ids
assert made == list(packing.new_frames(blob, ids))
assert len(made) > 1
print("here" if here else "ahead")
"""


def frames(root: Path, case: str = "") -> str:
    """What comes of all loose blobs, made in a process without threads."""
    words = [sys.executable, "-c", PROGRAM, str(root), case]
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def filled(root: Path) -> Repository:
    """A store with loose blobs, small ones and one that fills a frame alone."""
    repository = Repository(str(root))
    contents = [b"", b"x" * 20_000, os.urandom(300_000), *(b"%d" % n * 999 for n in range(99))]
    loose.put_blobs(repository.dot, contents)
    return repository


def test_frames_are_the_same(root: Path, filled: Repository) -> None:
    """None of the blobs is read by who asked for them."""
    assert frames(root) == "ahead"


@pytest.mark.parametrize("case", ["too much", "killed"])
def test_what_is_not_made_ahead_is_made_here(root: Path, filled: Repository, case: str) -> None:
    """More than is held in memory, or a process that is gone."""
    assert frames(root, case) == "here"


def test_strange_files_are_passed_over(root: Path, filled: Repository) -> None:
    """A temp file, a folder and a file of another name hinder nobody."""
    folder = root / ".muse/objects/sha256/00"
    folder.mkdir(exist_ok=True)
    (folder / ".muse-tmp-0123456789abcdef").write_bytes(b"blob 1")
    (folder / "folder").mkdir()
    (root / ".muse/objects/sha256/file").write_bytes(b"blob 0\0")
    assert frames(root) == "ahead"


@pytest.mark.requirement("STORE-013")
def test_damage_is_an_integrity_error(root: Path, filled: Repository) -> None:
    """As where the blob is read without another process."""
    damaged = Path(
        loose.path_of(filled.dot, "objects", next(loose.iter_ids(filled.dot, "objects")))
    )
    damaged.chmod(0o644)
    damaged.write_bytes(b"blob 3\0abd")
    assert frames(root) == "integrity"


def test_a_small_blob_is_opened_read_and_closed(
    filled: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is asked of the system for it: a push reads thousands."""
    called: list[str] = []
    paths = {
        loose.path_of(filled.dot, "objects", oid) for oid in loose.iter_ids(filled.dot, "objects")
    }
    small = [path for path in paths if os.path.getsize(path) < 10_000]

    class Counted:
        def __getattr__(self, name: str) -> object:
            called.append(name)
            return getattr(os, name)

    monkeypatch.setattr(loose, "os", Counted())
    for path in small:
        loose.get_blob(filled.dot, "sha256:" + path[-65:].replace("/", ""))
    assert called == ["open", "O_RDONLY", "read", "close"] * len(small)
