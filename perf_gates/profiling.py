"""Where the time goes: flame graphs of client and server while a scenario runs, by py-spy.

Nothing is measured meanwhile: sampling slows what it looks at.  Each graph is one SVG that needs
nothing else; in a browser its frames can be clicked and searched.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from .budgets import Row
from .commands import CouldNotRun, wrapping
from .contests import OURS, Bench, Scenario
from .measuring import WRONG, grouped
from .scenarios import SCENARIOS

RATE = 500
"""Samples a second: a command of a quarter of a second gives a hundred and more."""
RUNS = 3
NETWORK = ("push", "pull", "fetch", "clone")
"""The commands that are looked at; the others only prepare."""
END_SECONDS = 60.0
_TITLE = re.compile(r'(<text id="title"[^>]*>)[^<]*<')


def program() -> str:
    """Where py-spy is."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise CouldNotRun("py-spy is not installed: it is in the dependency group perf")
    return found


def recording(path: Path, *words: str) -> list[str]:
    """The command that writes a flame graph to `path` of what `words` name."""
    words = ("--output", str(path), *words)
    return [program(), "record", "--format", "flamegraph", "--rate", str(RATE), *words]


@contextmanager
def watching(pid: int, path: Path) -> Iterator[None]:
    """Samples a process that runs already, from now to the end of the block."""
    pipe = subprocess.PIPE
    words = recording(path, "--pid", str(pid))
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout.readline()  # "Sampling process…": from here on it looks
        if "Sampling" not in said:
            process.kill()
            why = (process.stderr.read() or said).strip().splitlines() or ["it said nothing"]
            raise CouldNotRun(f"py-spy may not look at process {pid}: {why[0][:200]}")
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    if not path.exists():
        raise CouldNotRun(f"py-spy wrote no graph of process {pid}: it was never at work")


def profile(
    rows: Sequence[Row],
    bench: Bench,
    folder: Path,
    tell: Callable[[str], object],
    scenarios: Mapping[str, Scenario] = SCENARIOS,
) -> list[Path]:
    """Flame graphs for the scenarios of some rows; a file for the server, one a client command."""
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for group in grouped(rows):
        name = " ".join((group[0].scenario, *map(str, group[0].options.values())))
        tell(f"profiling {name}")
        try:
            with scenarios[group[0].scenario](bench, **group[0].options) as contest:
                trial = contest.trials[OURS]
                trial()  # what is done once – checks, caches – is not what a graph should show
                made += _record(trial, bench.stack.process, folder, name)
        except CouldNotRun as problem:
            tell(f"could not run: {name}: {problem}")
        except (*WRONG, ValueError) as problem:  # a command that failed under py-spy says nothing
            tell(f"no profile of {name}: {type(problem).__name__}: {problem}")
    return made


def _record(
    trial: Callable[[], object], server: int | None, folder: Path, title: str
) -> Iterator[Path]:
    """The graphs of one scenario; of a command that comes again the last run's is kept."""
    name = title.replace(" ", "-")
    for old in folder.glob(f"{name}.*.svg"):
        old.unlink()

    def client(command: str) -> list[str]:
        path = folder / f"{name}.client-{command}.svg"
        return recording(path, "--") if command in NETWORK else []

    seen = watching(server, folder / f"{name}.server.svg") if server else nullcontext()
    with wrapping(client), seen:
        for _ in range(RUNS):
            trial()
    for path in sorted(folder.glob(f"{name}.*.svg")):
        what = path.stem.removeprefix(f"{name}.").replace("client-", "musekit ")
        _entitle(path, f"{title}: {what}")
        yield path


def _entitle(path: Path, title: str) -> None:
    """Says what is drawn, in place of py-spy's own command line."""
    text = path.read_text(encoding="utf-8")
    text = _TITLE.sub(lambda found: f"{found[1]}{title}<", text, count=1)
    path.write_text(text, encoding="utf-8")
