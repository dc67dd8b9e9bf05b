"""What is recorded is what happened: replayed, it gives the tree that is on disk."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.crash.requests import Request
from conformance.crash.sandbox import Sandbox, sandbox, sweep
from conformance.crash.session import Session, in_turn
from conformance.crash.states import State, Timeline
from conformance.crash.tree import scan

HERE = Path(__file__).parent / "subjects"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox() as made:
        yield made


def program(tmp_path: Path, body: str) -> list[str]:
    """A subject that runs some lines, with its folder as `root`."""
    path = tmp_path / "program.py"
    path.write_text(f"import mmap, os, sys\nroot = sys.argv[2]\nos.makedirs(root)\n{body}\n")
    return [sys.executable, "-I", "-S", str(path)]


def recorded(box: Sandbox, command: list[str]) -> Session:
    session = Session(command, box)
    assert session.init(), (box.root / "stderr").read_text()
    return session


def test_every_kind_of_call_replays_to_the_same_tree(box: Sandbox) -> None:
    """Names, links, exchanges, unnamed files, vectors, copies, threads and children."""
    session = recorded(box, [sys.executable, "-I", "-S", str(HERE / "calls.py")])
    recording = session.recording
    assert scan(session.folder)[0].listing() == recording.live.listing()
    end = State("kill", len(recording.ops))
    assert Timeline(recording).tree(end).listing() == recording.live.listing()
    assert not recording.doubts
    assert {"sync", "sync-data", "sync-all"} <= {op.kind for op in recording.ops}


def test_an_answer_stands_after_the_calls_it_confirms(box: Sandbox, tmp_path: Path) -> None:
    """The trace is in the order: request, calls, answer, next request."""
    body = (
        "for line in sys.stdin:\n"
        "    open(root + '/file', 'a').write(line)\n"
        "    print('{\"ok\": true}', flush=True)"
    )
    session = Session(program(tmp_path, body), box)
    session.batch(in_turn([Request("one"), Request("two")]))
    kinds = [op.kind for op in session.recording.ops if op.kind in ("send", "write", "ack")]
    assert kinds == ["send", "write", "ack"] * 2


def test_a_write_through_memory_makes_the_recording_doubtful(box: Sandbox, tmp_path: Path) -> None:
    """A shared writable mapping of a file in the folder is noticed, not missed."""
    body = (
        "file = open(root + '/mapped', 'w+b')\nfile.truncate(4096)\n"
        "mmap.mmap(file.fileno(), 4096)[:3] = b'abc'"
    )
    session = recorded(box, program(tmp_path, body))
    assert any("mmap" in doubt for doubt in session.recording.doubts)


def test_io_uring_is_refused(box: Sandbox, tmp_path: Path) -> None:
    """It would act out of sight, so it is not there."""
    body = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "result = libc.syscall(425, 4, ctypes.create_string_buffer(200))\n"
        "open(root + '/errno', 'w').write(f'{result} {ctypes.get_errno()}')"
    )
    session = recorded(box, program(tmp_path, body))
    assert (session.store / "errno").read_text() == "-1 38"


def test_what_is_written_elsewhere_is_noted(box: Sandbox, tmp_path: Path) -> None:
    """Durability of a file outside the folder is not examined, and the report says so."""
    body = f"open({str(tmp_path / 'elsewhere')!r}, 'w').write('x')"
    session = recorded(box, program(tmp_path, body))
    assert session.recording.notes == [f"writes elsewhere: {tmp_path / 'elsewhere'}"]


def test_a_subject_is_contained(box: Sandbox, tmp_path: Path) -> None:
    """One that hangs, one that forks without end, one that leaves a daemon: all are gone after."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = set(children.read_text().split())  # a server that other tests share
    hanging = Session(program(tmp_path, "import time\ntime.sleep(60)"), box, seconds=0.5)
    assert not hanging.init()
    assert "did not end within" in hanging.recording.problems[0]
    forking = Session(program(tmp_path, "while True:\n    os.fork()"), box)
    assert not forking.init()
    assert "more processes" in forking.recording.problems[0]
    assert set(children.read_text().split()) <= before


def test_garbage_is_called_garbage(box: Sandbox, tmp_path: Path) -> None:
    """An answer that is no JSON object ends the run with a problem that quotes it."""
    session = Session(program(tmp_path, "input()\nprint('what?', flush=True)"), box)
    assert not session.batch(in_turn([Request("fsck")]))
    assert session.recording.problems == ["answered garbage: 'what?'"]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """The sandbox's folder goes, and with it a daemon that the subject started."""
    body = "if os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(60)"  # a daemon
    start = time.monotonic()
    with sandbox() as box:
        root = box.root
        Session(program(tmp_path, body), box, seconds=1).init()
    assert not root.exists()
    assert time.monotonic() - start < 20


def test_what_a_killed_exploration_left_is_swept(tmp_path: Path) -> None:
    """A folder whose owner is gone is removed by the next one; that of a living one is not."""
    for owner in (os.getpid(), 1 << 22):
        (tmp_path / f"crash-{owner}-x").mkdir()
    sweep(tmp_path)
    assert [place.name for place in tmp_path.iterdir()] == [f"crash-{os.getpid()}-x"]
