"""`musekit commit` ended at any moment, by Ctrl-C or by kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reference.store import durable, fsck, working
from reference.store.repository import Repository

FIELDS = {"message": "m", "author": "a", "committed_at": "2026-01-01T00:00:00Z"}
COMMIT = """
import sys
from reference import cli
from reference.store import working
from reference.wire import writer
print("ready", flush=True)
sys.exit(cli.run(["commit", "-m", "one"]))
"""
POINTS = 4


def repository(root: Path, files: int) -> None:
    """A commit, and a working tree with as many new files in a few folders."""
    made = Repository.init(str(root))
    (root / "kept").write_text("before")
    working.commit(made, FIELDS)
    for number in range(files):
        path = root / f"folder{number % 3}" / f"{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content {number}" * 50)


def commit(root: Path, how: signal.Signals | None = None, after: float = 0.0) -> tuple[int, float]:
    """Runs the command and ends it so long after it began to work; exit code and seconds."""
    child = subprocess.Popen(
        [sys.executable, "-c", COMMIT],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    began = time.monotonic()
    if how is not None:
        time.sleep(after)  # any moment will do: none may be a bad one
        child.send_signal(how)
    child.communicate(timeout=30)
    return child.returncode, time.monotonic() - began


@pytest.mark.requirement("DUR-027", "DUR-012", "STORE-025")
@pytest.mark.parametrize("files", [20, working.PACK_BEYOND + 6], ids=["loose", "packed"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_commit_ended_at_any_moment_leaves_a_sound_store(
    tmp_path: Path, files: int, how: signal.Signals
) -> None:
    """All of it is there or the old state is; the next commit works; Ctrl-C leaves no temp file."""
    repository(tmp_path / "whole", files)
    code, seconds = commit(tmp_path / "whole")
    assert code == 0
    ended = 0
    for point in range(POINTS):
        root = tmp_path / f"ended {point}"
        repository(root, files)
        code, _ = commit(root, how, seconds * point / POINTS)
        ended += code in (130, -how)
        assert code in (0, 130, -how)
        assert fsck.problems(Repository(str(root))) == []
        left = [path for path in root.rglob("*") if durable.is_temp(path.name)]
        assert how == signal.SIGKILL or left == []
        (root / "next").write_text("after")
        working.commit(Repository(str(root)), FIELDS)
        assert working.status(Repository(str(root))).clean
        assert fsck.problems(Repository(str(root))) == []
    assert ended
