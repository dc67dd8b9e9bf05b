"""A server's life under the tracer: its steps are counted, and none of it outlives it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.crash.host import Host
from conformance.crash.steps import Step, Steps
from conformance.lifecycle import until


@contextmanager
def running(tmp_path: Path, body: str, steps: Steps) -> Iterator[Host]:
    """A program with `root` as its folder, under the tracer."""
    program = tmp_path / "program.py"
    program.write_text(f"import os, sys, time\nroot = sys.argv[1]\n{body}\n", encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(program), str(tmp_path / "root")]
    (tmp_path / "root").mkdir()
    host = Host(command, steps, tmp_path / "log")
    host.start()
    try:
        yield host
    finally:
        host.kill()
        steps.close()


def test_the_fatal_call_is_not_made(tmp_path: Path) -> None:
    """Killed at its third write, a program has made two."""
    body = (
        "out = os.open(root + '/f', os.O_CREAT | os.O_WRONLY)\n"
        "for line in b'abcdef': os.write(out, bytes([line]))"
    )
    steps = Steps({"here": str(tmp_path / "root")})
    steps.arm(4)  # the file's making is one, too
    with running(tmp_path, body, steps) as host:
        assert host.over(20)
    assert (tmp_path / "root" / "f").read_bytes() == b"ab"
    assert [step.call for step in steps.seen][-3:] == ["write"] * 3
    assert str(steps.seen[-1]) == "here: write(f)"


def test_only_what_changes_a_file_is_a_step(tmp_path: Path) -> None:
    """Not what is looked at, not a pipe, not another folder than the ones that are watched."""
    body = (
        "open(root + '/a', 'w').close(); os.stat(root); os.listdir(root)\n"
        "os.write(os.pipe()[1], b'x'); open(root + '/../b', 'w').write('b')\n"
        "os.rename(root + '/a', root + '/c'); os.fsync(os.open(root, os.O_RDONLY))"
    )
    steps = Steps({"here": str(tmp_path / "root")})
    with running(tmp_path, body, steps) as host:
        assert host.over(20)
    told = [(step.call, step.path) for step in steps.seen]
    assert told == [("openat", "a"), ("rename", "c"), ("fsync", ".")]


def test_without_folders_every_file_counts(tmp_path: Path) -> None:
    """A server of which nothing is known but its command; its log is left out."""
    steps = Steps(ignored=(str(tmp_path / "log"),))
    with running(tmp_path, "os.mkdir(root + '/d'); os.write(2, b'said')", steps) as host:
        assert host.over(20)
    assert (tmp_path / "log").read_text() == "said"
    assert steps.seen == [Step("mkdir", str(tmp_path / "root" / "d"), "")]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_daemon_of_the_server_ends_with_it(tmp_path: Path, how: str) -> None:
    """One that left its session and its parent, and has the id of no living process afterwards."""
    body = (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
        "    open(root + '/pid', 'w').write(str(os.getpid()))\n"
        "time.sleep(60)"  # there until somebody ends it
    )
    pid = tmp_path / "root" / "pid"
    with running(tmp_path, body, Steps()) as host:
        assert until(lambda: pid.exists() and pid.read_text() != "", 20, 0.01)
        begun = time.monotonic()
        getattr(host, how)()
        assert time.monotonic() - begun < 30
    assert not os.path.exists(f"/proc/{pid.read_text()}")
    assert not os.path.exists(f"/proc/{host.process}")
