"""What was asked of durable writes in public, demand by demand, at the sizes that were named."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reference.store import durable, loose, refs, state, worktree
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from tests import oracle
from tests.faults import Disk
from tests.store.writers import commit_record, sharded

SOME_ID = oracle.blob_id(b"some commit")

STREAM = """
import sys
from reference.store import loose
for n in range(100_000):
    print(loose.put_blob(sys.argv[1], b"streamed %d" % n), flush=True)
"""


def refused(code: str, text: str) -> "pytest.RaisesExc[ProtocolError]":
    """A refusal with this code, whose detail has this text."""
    return pytest.raises(
        ProtocolError, check=lambda problem: problem.code == code and text in problem.detail
    )


def contents(root: Path) -> dict[str, bytes | None]:
    """Every file and folder below `root`, to compare before and after."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


@pytest.mark.requirement("FS5", "STORE-001", "STORE-003", "STORE-005")
def test_the_files_hold_exactly_what_is_promised(root: Path, dot: str) -> None:
    """HEAD in its two forms, a ref without a newline, an object that sha256sum would name."""
    head = root / ".muse/HEAD"
    assert head.read_bytes() == b"ref: refs/heads/main\n"
    refs.write_head(dot, branch="feat/x")
    assert head.read_bytes() == b"ref: refs/heads/feat/x\n"
    refs.write_head(dot, commit=SOME_ID)
    assert head.read_bytes() == f"commit: {SOME_ID}\n".encode()
    refs.write(dot, "feat/x", SOME_ID)
    assert (root / ".muse/refs/heads/feat/x").read_bytes() == SOME_ID.encode()
    for content in (b"", b"hello\n", bytes(range(256)) * 1000):
        object_id = loose.put_blob(dot, content)
        assert object_id == oracle.blob_id(content)
        stored = root / sharded("objects/sha256", object_id)
        assert stored.read_bytes() == oracle.stored_blob(content)
    assert loose.put_blob(dot, b"") == oracle.EMPTY_BLOB


@pytest.mark.parametrize(
    "bad",
    [
        "../escape",
        "bad/../../traversal",
        "",
        "/abs",
        "x/",
        "a//b",
        ".hidden",
        "a\\b",
        "a\nb",
        "a/./b",
    ],
)
@pytest.mark.requirement("FS5", "STORE-019")
def test_a_bad_branch_changes_nothing(root: Path, dot: str, bad: str) -> None:
    """Neither as a ref nor in HEAD; no folder is made on the way."""
    before = contents(root.parent)
    with refused("invalid_branch", "branch"):
        refs.write(dot, bad, SOME_ID)
    with refused("invalid_branch", "branch"):
        refs.write_head(dot, branch=bad)
    with refused("invalid_branch", "branch"):
        refs.read(dot, bad)
    assert contents(root.parent) == before


BAD_IDS = ["", "abc123", "z" * 64, SOME_ID[7:], SOME_ID[:-1], SOME_ID + "\n", SOME_ID.upper()]
BAD_IDS += ["sha256:" + "z" * 64, "sha256:" + "A" * 64, "sha256:../../../../etc/passwd"]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.requirement("FS5", "STORE-019")
def test_a_bad_id_is_refused_by_an_error_that_names_sha256(root: Path, dot: str, bad: str) -> None:
    """Short, not hexadecimal, in capitals, with a newline, a path: nothing is written."""
    before = contents(root)
    for attempt in (
        lambda: refs.write(dot, "main", bad),
        lambda: refs.write_head(dot, commit=bad),
        lambda: loose.put_blob(dot, b"content", bad),
    ):
        with refused("invalid_id", "sha256"):
            attempt()
    assert contents(root) == before


@pytest.mark.requirement("FS6", "STORE-012")
def test_states_come_back_as_they_were_written(root: Path, dot: str) -> None:
    """With the fields that Muse puts into them, and those that nobody knows."""
    merge = {
        "base_commit": SOME_ID,
        "ours_commit": SOME_ID,
        "theirs_commit": SOME_ID,
        "conflict_paths": ["a.py", "b.py"],
    }
    rebase = {"original_branch": "main", "onto": SOME_ID, "remaining": [], "squash": False}
    state.set_state(dot, "merge", None, merge)
    state.set_state(dot, "rebase", None, rebase)
    assert state.get_state(dot, "merge")["conflict_paths"] == ["a.py", "b.py"]
    assert state.get_state(dot, "merge") == merge
    assert state.get_state(dot, "rebase") == rebase
    for kind, folder in (("reservation", "reservations"), ("intent", "intents")):
        for n in range(3):
            state.set_state(dot, kind, f"r{n}", {"run_id": f"run-{n}", "operation": "write"})
        names = sorted(path.name for path in (root / ".muse/coordination" / folder).iterdir())
        assert names == ["r0.json", "r1.json", "r2.json"]
        assert state.get_state(dot, kind, "r1") == {"run_id": "run-1", "operation": "write"}
    state.set_state(dot, "checkpoint", "session", {"anything": [1, None, {"ü": 0.5}]})
    assert state.get_state(dot, "checkpoint", "session") == {"anything": [1, None, {"ü": 0.5}]}
    assert (root / ".muse/op_log/session/checkpoint.json").is_file()


@pytest.mark.requirement("FS7", "STORE-023")
def test_a_restored_file_is_as_new_as_the_call(root: Path, dot: str) -> None:
    """Its time is neither that of the stored object nor older than what an editor has seen."""
    object_id = loose.put_blob(dot, b"from the other branch\n")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(root / sharded("objects/sha256", object_id), (two_days_ago, two_days_ago))
    dest = root / "watched.py"
    dest.write_bytes(b"what the editor shows\n")
    seen = time.time_ns()
    os.utime(dest, ns=(seen, seen))
    worktree.restore_file(str(dest), [loose.get_blob(dot, object_id)])
    assert seen <= dest.stat().st_mtime_ns <= time.time_ns()
    assert dest.read_bytes() == b"from the other branch\n"


@pytest.mark.requirement("FS7", "STORE-023")
def test_a_restored_file_never_goes_back_in_time(root: Path) -> None:
    """Not even where the file it replaces is from the future."""
    dest = root / "watched.py"
    dest.write_bytes(b"old")
    future = time.time_ns() + 3600 * 10**9
    os.utime(dest, ns=(future, future))
    worktree.restore_file(str(dest), [b"new"])
    assert dest.stat().st_mtime_ns >= future


@pytest.mark.parametrize("damage", ["zeroed", "halved", "emptied", "lengthened", "of another"])
@pytest.mark.requirement("FS8", "STORE-013")
def test_a_damaged_object_is_never_served(root: Path, dot: str, damage: str) -> None:
    """Whatever a power cut made of its file."""
    content = b"page cache simulation " * 10
    object_id = loose.put_blob(dot, content)
    path = root / sharded("objects/sha256", object_id)
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(
        {
            "zeroed": bytes(len(good)),
            "halved": good[: len(good) // 2],
            "emptied": b"",
            "lengthened": good + b"\0",
            "of another": oracle.stored_blob(b"another"),
        }[damage]
    )
    with refused("integrity", "integrity check"):
        loose.get_blob(dot, object_id)


@pytest.mark.parametrize("kind", ["snapshot", "commit", "blob 3", "blob 05", "Blob"])
@pytest.mark.requirement("STORE-005", "STORE-013")
def test_only_a_blob_is_served_as_a_blob(root: Path, dot: str, kind: str) -> None:
    """A file that hashes to its name, but whose header is another, is no blob."""
    raw = f"{kind} 5\0hello".encode() if " " not in kind else f"{kind}\0hello".encode()
    name = oracle.mpack_key(raw)
    durable.write(str(root / sharded("objects/sha256", name)), raw)
    with refused("integrity", "integrity check"):
        loose.get_blob(dot, name)


@pytest.mark.parametrize("present", [False, True], ids=["absent", "present"])
@pytest.mark.requirement("FS9", "STORE-017")
def test_wrong_bytes_for_an_id_are_refused(root: Path, dot: str, present: bool) -> None:
    """And what is stored under it is as it was."""
    object_id = oracle.blob_id(b"canonical content")
    if present:
        loose.put_blob(dot, b"canonical content")
    before = contents(root)
    with refused("integrity", object_id):
        loose.put_blob(dot, b"wrong content that hashes differently", object_id)
    assert contents(root) == before
    assert loose.put_blob(dot, b"canonical content", object_id) == object_id


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.nightly)])
@pytest.mark.requirement("FS11")
def test_commits_one_after_the_other_are_all_readable(root: Path, count: int) -> None:
    """An import writes thousands; none is lost and nothing else is left."""
    repository = Repository(str(root))
    records = [commit_record(b"commit %d" % n) for n in range(count)]
    for record in records:
        repository.put_commit(record)
    afresh = Repository(str(root))
    assert [afresh.commit(record["commit_id"]) for record in records] == records
    files = [name for _, _, names in os.walk(root / ".muse/commits") for name in names]
    assert sorted(files) == sorted(record["commit_id"][9:] + ".json" for record in records)


@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("number", [None, errno.EIO], ids=["unsupported", "failing"])
@pytest.mark.requirement("FS11", "DUR-016", "DUR-017")
def test_one_fsync_in_five_goes_wrong(root: Path, count: int, number: int | None) -> None:
    """Seed 42. What is merely unsupported stops no commit; what fails is told, and done again."""
    dice = random.Random(42)
    repository = Repository(str(root))
    records = [commit_record(b"commit %d" % n) for n in range(count)]
    refusals = 0
    with Disk(root) as disk:
        disk.fail(
            lambda call: call.name == "fsync" and dice.random() < 0.2, number, times=sys.maxsize
        )
        for record in records:
            while True:
                disk.calls.clear()
                try:
                    repository.put_commit(record)
                except OSError:
                    refusals += 1
                else:
                    syncs = disk.named("fsync")
                    assert number is None or not [call for call in syncs if call.failed]
                    break
    assert (refusals > 0) == (number is not None)
    afresh = Repository(str(root))
    assert [afresh.commit(record["commit_id"]) for record in records] == records
    assert [name for _, _, names in os.walk(root) for name in names if ".muse-tmp-" in name] == []


@pytest.mark.parametrize("delay", [0.01, 0.02, 0.03, 0.04, 0.05])
@pytest.mark.requirement("FS12", "DUR-012", "DUR-027", "STORE-063")
def test_a_killed_writer_takes_nothing_with_it(root: Path, dot: str, delay: float) -> None:
    """SIGKILL in a stream of writes: what was acknowledged is there, and what is there verifies."""
    prior = [loose.put_blob(dot, b"pre-kill %d" % n) for n in range(20)]
    command = [sys.executable, "-c", STREAM, dot]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.readline()
        time.sleep(delay)
        child.kill()
        said += child.stdout.read()
    assert child.returncode == -signal.SIGKILL
    acknowledged = said.split("\n")[:-1]
    assert acknowledged
    present = set(loose.iter_ids(dot, "objects"))
    assert present >= {*prior, *acknowledged}
    for n, object_id in enumerate(prior):
        assert loose.get_blob(dot, object_id) == b"pre-kill %d" % n
    for object_id in present:
        loose.get_blob(dot, object_id)
    durable.sweep(str(root))
    assert [name for _, _, names in os.walk(root) for name in names if ".muse-tmp-" in name] == []
