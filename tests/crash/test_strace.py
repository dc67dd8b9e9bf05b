"""Where no filter may be installed strace watches instead; the trace has the same shape."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.crash import __main__ as command
from conformance.crash import examine as examination
from conformance.crash.examine import PTRACE, STRACE, examine, record
from conformance.crash.ptrace import Unsupported
from conformance.crash.sandbox import Sandbox, sandbox
from conformance.crash.states import State, Timeline
from conformance.crash.strace import StraceSession
from conformance.crash.tree import scan

from .subject import QUICK, toy

HERE = Path(__file__).parent / "subjects"
STYLES = ["", "osync", "syncfs", "link", "tmpfile", "child", "thread", "pwrite", "writev"]
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox() as made:
        yield made


@needs_strace
@pytest.mark.parametrize(
    "style",
    [pytest.param(s, marks=() if s in ("", "tmpfile") else pytest.mark.nightly) for s in STYLES],
)
def test_both_recorders_see_the_same_calls(box: Sandbox, style: str) -> None:
    """Of the same run: kinds, files and order of everything that changed or synced something."""

    def told(recorder: str) -> list[tuple[str, bool, int]]:
        recording = record(subject, box, recorder=recorder)
        assert not recording.doubts
        assert not recording.problems
        return [(op.kind, bool(op.error), len(op.data)) for op in recording.ops if quiet(op.kind)]

    def quiet(kind: str) -> bool:
        return kind not in ("start", "end")

    subject = toy(*(["--style", style] if style else []))
    assert told(STRACE) == told(PTRACE)


@needs_strace
def test_what_strace_cannot_follow_is_doubted(box: Sandbox) -> None:
    """Of every kind of call, those it shows give the tree on disk; the rest is said aloud."""
    with StraceSession([sys.executable, "-I", "-S", str(HERE / "calls.py")], box) as session:
        assert session.init(), session.recording.problems
        recording = session.recording
        doubted = " ".join(recording.doubts)
        assert "sendfile" in doubted
        assert "copy_file_range" in doubted
        disk, ours = scan(session.folder)[0].listing(), recording.live.listing()
        assert disk.keys() == ours.keys()
        end = State("kill", len(recording.ops))
        assert Timeline(recording).tree(end).listing() == ours


@needs_strace
def test_a_flaw_is_found_through_strace(capsys: pytest.CaptureFixture[str]) -> None:
    """The models are the same, whoever recorded."""
    outcome = examine(toy("--flaw", "no-file-fsync"), QUICK, parts=["journal"], recorder=STRACE)
    assert any("no fsync of the file before rename" in found.flaw for found in outcome.findings)


@needs_strace
def test_parts_that_change_calls_could_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, and each is named."""
    assert command.main(["--recorder", "strace", "--only", "killed", *toy()]) == 3
    assert "killed: could not run" in capsys.readouterr().out


@needs_strace
def test_a_subject_that_hangs_under_strace_is_ended(box: Sandbox) -> None:
    """It and strace are gone, and the problem says why."""
    with StraceSession([sys.executable, "-c", "import time; time.sleep(60)"], box, 0.5) as session:
        assert not session.init()
        assert "did not end within" in session.recording.problems[0]


def test_without_the_one_the_other_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither can be had the examination is inconclusive, not sound."""

    def refused() -> None:
        raise Unsupported("no filters here")

    monkeypatch.setattr(examination, "probe", refused)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert examination.best() == STRACE
    monkeypatch.setattr(shutil, "which", lambda name: None)
    outcome = examine(toy(), QUICK)
    assert outcome.exit_code == 3
    assert outcome.doubts == ["no filters here"]
