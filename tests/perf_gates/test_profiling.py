"""Flame graphs on demand: of the server that runs, of each command as it starts."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from perf_gates import commands, profiling
from perf_gates.__main__ import main
from perf_gates.budgets import Row
from perf_gates.commands import CouldNotRun, musekit, wrapping
from perf_gates.contests import OURS, Bench, Contest
from perf_gates.sources import Sources
from perf_gates.stacks import Options, Stack
from perf_gates.subject import Subject

STAND_IN = """#!/bin/sh
echo "py-spy> Sampling process 500 times a second."
while [ "$1" != -- ] && [ "$1" != --pid ]; do
  [ "$1" = --output ] && out=$2
  shift
done
echo '<svg><text id="title" x="1">'"$out"'</text><text>stacks</text></svg>' > "$out"
if [ "$1" = --pid ]; then
  trap 'exit 0' INT
  while :; do sleep 0.02; done  # until it is told to stop, as the real one
fi
shift
exec "$@"
"""
REFUSING = "#!/bin/sh\necho 'Error: Permission Denied: try running again as root' >&2\nexit 1\n"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Something that answers to py-spy's name."""
    folder.mkdir()
    (folder / "py-spy").write_text(script)
    (folder / "py-spy").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))


def bench(folder: Path, process: int | None) -> Bench:
    """Nothing but a process to look at."""
    stack = Stack("none", "http://127.0.0.1:9", Options(), process=process)
    return Bench(stack, Subject(stack.url, folder), Sources(folder), folder)


def row() -> Row:
    """A row whose scenario pushes once a run."""
    words = ("a", "BG2", "push", "push", "what", "ms", "check")
    return Row(*words, options={"shape": "simple"})


@contextmanager
def pushing(bench: Bench, shape: str) -> Iterator[Contest]:
    """A scenario of two commands, of which one goes over the network."""

    def trial() -> Mapping[str, float]:
        musekit("log")
        return {"push": float(musekit("push").output)}

    yield Contest({OURS: trial})


@pytest.fixture
def _quick_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit's commands print a number."""
    monkeypatch.setattr(commands, "MUSEKIT", (sys.executable, "-c", "print(1)"))


@pytest.mark.usefixtures("_quick_commands")
def test_a_graph_for_the_server_and_one_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by scenario and command; commands that only prepare are not looked at."""
    install(tmp_path / "bin", monkeypatch, STAND_IN)
    told: list[str] = []
    scenarios = {"push": pushing}
    made = profiling.profile(
        [row()], bench(tmp_path, os.getpid()), tmp_path / "out", told.append, scenarios
    )
    assert [path.name for path in made] == ["push-simple.client-push.svg", "push-simple.server.svg"]
    texts = [path.read_text() for path in made]
    assert all("stacks" in text and str(tmp_path) not in text for text in texts)
    assert ">push simple: musekit push</text>" in texts[0]
    assert ">push simple: server</text>" in texts[1]
    assert told == ["profiling push simple"]


@pytest.mark.usefixtures("_quick_commands")
def test_a_refusal_could_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what py-spy said, and no graph."""
    install(tmp_path / "bin", monkeypatch, REFUSING)
    told: list[str] = []
    scenarios = {"push": pushing}
    made = profiling.profile(
        [row()], bench(tmp_path, os.getpid()), tmp_path / "out", told.append, scenarios
    )
    assert made == []
    assert "could not run: push simple: py-spy may not look at process" in told[-1]
    assert "Permission Denied" in told[-1]


def test_without_py_spy_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, and where to find it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--id", "clone-simple", "--profile"]) == 3
    assert "py-spy is not installed" in capsys.readouterr().err


def test_a_profile_is_of_something() -> None:
    """All rows at once would be one graph of everything."""
    assert main(["--profile"]) == 2


def test_a_wrapped_command_gives_its_own_output(tmp_path: Path) -> None:
    """What the wrapper says of itself is left out, and outside the block nothing is wrapped."""
    script = tmp_path / "watcher"
    script.write_text('#!/bin/sh\necho "watcher> looking"\necho\nexec "$@"\n')
    script.chmod(0o755)
    with wrapping(lambda name: [str(script)] if name == "hash-object" else []):
        wrapped = musekit("hash-object", __file__).output
    assert wrapped.strip() == musekit("hash-object", __file__).output.strip()
    assert wrapped.startswith("sha256:")


def test_py_spy_draws_a_process_at_work(tmp_path: Path) -> None:
    """The real one, where it is installed and allowed to look."""
    if shutil.which("py-spy") is None and not Path(sys.executable).with_name("py-spy").exists():
        pytest.skip("py-spy is not installed: it is in the dependency group perf")
    code = "def at_work():\n  while True: print(sum(range(10**6)), flush=True)\nat_work()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            with profiling.watching(busy.pid, tmp_path / "busy.svg"):
                for _ in range(30):
                    busy.stdout.readline()
        except CouldNotRun as problem:
            pytest.skip(str(problem))
        finally:
            busy.kill()
    assert "at_work" in (tmp_path / "busy.svg").read_text()
