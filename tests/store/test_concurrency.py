"""Many threads and processes at once: each write lands whole, and only compare-and-swap refuses."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from reference.store import durable, loose, refs, state
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from tests import oracle
from tests.store.writers import commit_record

COUNTER = """
import sys
from hashlib import sha256
from reference.store import refs
from reference.wire.errors import ProtocolError
dot, who, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
done = 0
while done < count:
    seen = refs.read(dot, "main")
    moved = "sha256:" + sha256(f"{who} {done}".encode()).hexdigest()
    try:
        refs.write(dot, "main", moved, expect=seen)
    except ProtocolError as problem:
        assert problem.code == "conflict", problem
        continue
    print(seen, moved)
    done += 1
"""

PUTTER = """
import sys
from reference.store import loose, refs, state
dot, who = sys.argv[1], sys.argv[2]
for n in range(40):
    loose.put_blob(dot, b"shared %d" % n)
    loose.put_blob(dot, f"{who} {n}".encode())
    refs.write(dot, f"agents/{who}", "sha256:" + f"{n:064x}")
    if n % 4 == 0:
        refs.delete(dot, f"agents/{who}")
    refs.write_head(dot, branch=f"agents/{who}")
    state.set_state(dot, "merge", None, {"by": who, "n": n, "pad": who * 2000})
    state.set_state(dot, "reservation", f"{who}-{n}", {"n": n})
"""


def at_once(work: Sequence[Callable[[], object]]) -> None:
    """Runs all of it in threads that start together; a failure of one is raised."""
    barrier = threading.Barrier(len(work))

    def run(job: Callable[[], object]) -> None:
        barrier.wait(timeout=60)
        job()

    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(run, job) for job in work]:
            done.result(timeout=60)


def run_all(script: str, *arguments: Sequence[str]) -> list[str]:
    """Runs a process for each row of arguments at once and returns what they print."""
    children = [
        subprocess.Popen([sys.executable, "-c", script, *row], stdout=subprocess.PIPE, text=True)
        for row in arguments
    ]
    try:
        printed = [child.communicate(timeout=60)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0] * len(children)
    return printed


def no_temps(root: Path) -> bool:
    """Whether no temp file is left anywhere."""
    return not any(".muse-tmp-" in name for _, _, names in os.walk(root) for name in names)


@pytest.mark.requirement("FS4", "STORE-022")
def test_200_threads_write_distinct_objects(root: Path, dot: str) -> None:
    """Each is there, whole, when its writer goes on."""

    def put(n: int) -> None:
        content = b"concurrent object %d" % n
        assert loose.get_blob(dot, loose.put_blob(dot, content)) == content

    at_once([partial(put, n) for n in range(200)])
    assert len(list(loose.iter_ids(dot, "objects"))) == 200
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-022")
def test_100_threads_write_distinct_commits(root: Path) -> None:
    """As agents do that share one store."""
    records = [commit_record(b"commit %d" % n) for n in range(100)]

    def put(n: int) -> None:
        repository = Repository(str(root))
        repository.put_commit(records[n])
        assert repository.commit(records[n]["commit_id"]) == records[n]

    at_once([partial(put, n) for n in range(100)])
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-018", "STORE-022")
def test_50_threads_write_one_object(root: Path, dot: str) -> None:
    """All of them succeed, and one file is there."""
    content = b"the same from everybody"
    at_once([partial(loose.put_blob, dot, content)] * 50)
    assert list(loose.iter_ids(dot, "objects")) == [oracle.blob_id(content)]
    assert loose.get_blob(dot, oracle.blob_id(content)) == content
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-022")
def test_50_threads_write_one_text_file(tmp_path: Path) -> None:
    """The last one wins; no reader ever sees a mixture."""
    path = tmp_path / "shared"
    texts = {b"value-%04d" % n * 1000 for n in range(50)}

    def write(text: bytes) -> None:
        durable.write(str(path), text)
        assert path.read_bytes() in texts

    at_once([partial(write, text) for text in texts])
    assert no_temps(tmp_path)


@pytest.mark.requirement("FS4", "STORE-022")
def test_100_threads_write_distinct_text_files(tmp_path: Path) -> None:
    """In a folder that none of them has seen before."""
    paths = [tmp_path / f"new/folder/ref-{n:03d}" for n in range(100)]
    at_once([partial(durable.write, str(path), path.name.encode()) for path in paths])
    assert [path.read_text() for path in paths] == [path.name for path in paths]
    assert no_temps(tmp_path)


@pytest.mark.requirement("FS4", "STORE-001", "STORE-022")
def test_50_threads_switch_head(root: Path, dot: str) -> None:
    """HEAD is readable at every moment."""

    def switch(n: int) -> None:
        refs.write_head(dot, branch=f"feat-{n:03d}")
        branch, commit = refs.read_head(dot)
        assert commit is None
        assert str(branch).startswith("feat-")

    at_once([partial(switch, n) for n in range(50)])
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-022")
def test_50_threads_write_one_ref(root: Path, dot: str) -> None:
    """Without an expectation nobody is refused, and the ref is one of the values."""
    ids = [oracle.blob_id(b"race %d" % n) for n in range(50)]

    def write(object_id: str) -> None:
        refs.write(dot, "main", object_id)
        assert refs.read(dot, "main") in ids

    at_once([partial(write, object_id) for object_id in ids])
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-022")
def test_50_threads_write_distinct_refs(root: Path, dot: str) -> None:
    """Half of them in a folder that has to be made."""
    wanted = {
        f"{'agents/' if n % 2 else ''}agent-{n:04d}": oracle.blob_id(b"%d" % n) for n in range(50)
    }
    at_once([partial(refs.write, dot, *row) for row in wanted.items()])
    assert refs.list_refs(dot) == wanted
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-021")
def test_of_50_threads_that_expect_the_same_one_moves_the_ref(dot: str) -> None:
    """Compare-and-swap between threads of one process."""
    refs.write(dot, "main", oracle.blob_id(b"start"))
    moved: list[str] = []

    def swap(n: int) -> None:
        mine = oracle.blob_id(b"%d" % n)
        try:
            refs.write(dot, "main", mine, expect=oracle.blob_id(b"start"))
        except ProtocolError as problem:
            if problem.code != "conflict":
                raise
        else:
            moved.append(mine)

    at_once([partial(swap, n) for n in range(50)])
    assert [refs.read(dot, "main")] == moved


@pytest.mark.requirement("FS4", "FS6", "STORE-022")
def test_20_threads_reserve(root: Path, dot: str) -> None:
    """One file each, in a folder that none of them had."""
    at_once(
        [
            partial(state.set_state, dot, "reservation", f"r{n}", {"run_id": f"run-{n}"})
            for n in range(20)
        ]
    )
    assert len(list((root / ".muse/coordination/reservations").iterdir())) == 20
    assert [state.get_state(dot, "reservation", f"r{n}")["run_id"] for n in range(20)] == [
        f"run-{n}" for n in range(20)
    ]
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-022")
def test_10_threads_write_the_configuration(root: Path, dot: str) -> None:
    """It is one of theirs, whole."""
    values = [{"remotes": {f"remote-{n}": {"url": f"http://host-{n}:9000"}}} for n in range(10)]
    at_once([partial(state.set_state, dot, "config", None, value) for value in values])
    assert state.get_state(dot, "config") in values
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-021")
def test_processes_that_compare_and_swap_form_a_chain(root: Path, dot: str) -> None:
    """Each acknowledged move replaced the value that it had seen; none is lost."""
    printed = run_all(COUNTER, *[(dot, f"process-{n}", "25") for n in range(4)])
    moves = dict(line.split() for text in printed for line in text.splitlines())
    assert len(moves) == 100
    at, length = "None", 0
    while at in moves:
        at, length = moves[at], length + 1
    assert length == 100
    assert refs.read(dot, "main") == at
    assert no_temps(root)


@pytest.mark.requirement("FS4", "STORE-022", "STORE-053")
def test_processes_share_everything_else_too(root: Path, dot: str) -> None:
    """Objects, nested branches that come and go, HEAD, states: nobody fails, all is whole."""
    run_all(PUTTER, *[(dot, who) for who in "abcd"])
    assert len(list(loose.iter_ids(dot, "objects"))) == 40 * 5
    for object_id in loose.iter_ids(dot, "objects"):
        loose.get_blob(dot, object_id)
    assert refs.list_refs(dot) == {f"agents/{who}": "sha256:" + f"{39:064x}" for who in "abcd"}
    assert state.get_state(dot, "merge")["n"] == 39
    assert len(list((root / ".muse/coordination/reservations").iterdir())) == 160
    assert no_temps(root)
