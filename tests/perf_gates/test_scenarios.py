"""Parts of scenarios that can be looked at without a server."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from perf_gates.commands import WrongResult
from perf_gates.contests import Bench
from perf_gates.scenarios import growing, library, syncing
from perf_gates.sources import Sources
from perf_gates.stacks import Options, Stack
from perf_gates.subject import Subject
from reference.wire.reader import read


def test_the_library_is_where_the_program_looks_for_it() -> None:
    """A part of the client that was renamed is seen here, before a whole run is in vain."""
    words = [sys.executable, "-c", library.PROGRAM, "http://127.0.0.1:9/alice/demo", "secure"]
    ended = subprocess.run(words, input="", capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_a_call_that_comes_to_another_head_is_wrong() -> None:
    """Its time means nothing; neither does that of a program that has died."""
    answer = json.dumps({"seconds": 0.5, "head": "sha256:1"}).encode() + b"\n"
    asked = io.BytesIO()
    client = library.Library(asked, io.BytesIO(answer * 2))
    assert client.call(Path("/repo"), "push") == (0.5, "sha256:1")
    assert json.loads(asked.getvalue()) == ["/repo", "push"]
    with pytest.raises(WrongResult, match="came to sha256:1, not to sha256:2"):
        client.call(Path("/repo"), "pull", "sha256:2")
    with pytest.raises(WrongResult, match="the library's fetch failed"):
        client.call(Path("/repo"), "fetch")


def test_syncs_are_counted_once_each(tmp_path: Path) -> None:
    """A call that is interrupted by another thread's takes two lines of a log."""
    log = tmp_path / "log"
    log.write_text(
        "7 fsync(3 <unfinished ...>\n8 fdatasync(4) = 0\n7 <... fsync resumed>) = 0\n"
        '7 openat(AT_FDCWD, "fsync.py", O_RDONLY) = 5\n9 +++ exited with 0 +++\n'
    )
    assert syncing._taken(log) == 2
    assert not log.exists()


@pytest.mark.parametrize(("of", "blobs", "size"), [("files", 700, 64), ("bytes", 32, 65536)])
def test_new_work_is_as_much_as_it_says(tmp_path: Path, of: str, blobs: int, size: int) -> None:
    """In one commit, and thirty times as much of it is."""
    stack = Stack("none", "http://127.0.0.1:9", Options())
    bench = Bench(stack, Subject(stack.url, tmp_path), Sources(tmp_path), tmp_path)
    for times in (1, 30):
        pack, head = growing._new(bench, of, times)
        contents = read([pack])
        assert [commit["commit_id"] for commit in contents.commits] == [head]
        assert list(contents.blob_sizes) == [size] * (blobs * times)
