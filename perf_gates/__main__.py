"""`python -m perf_gates`: measures, judges, reports; the exit code is what a release hangs on."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from . import budgets, calibration, diff, measuring, profiling, stacks, verdicts
from .commands import CouldNotRun, WrongResult
from .contests import Bench
from .neighbours import Neighbours
from .peers import PEERS
from .report import files, terminal
from .report.document import Document, document
from .sources import Sources
from .subject import Subject

USAGE, COULD_NOT_RUN = 2, 3
PROFILES = Path("profile")
Tell = Callable[[str], object]


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    more = "`python -m perf_gates diff OLD NEW` compares two results: see its --help."
    parser = argparse.ArgumentParser("python -m perf_gates", description=__doc__, epilog=more)
    parser.add_argument("--quick", action="store_true", help="the quick rows, fewer runs")
    parser.add_argument("--stack", choices=budgets.STACKS, default="embedded")
    parser.add_argument("--url", help="external: a server that runs already")
    parser.add_argument("--postgres", metavar="DSN", help="external: a database for our server")
    parser.add_argument("--objects", metavar="URL", help="external: its object store, s3://…")
    parser.add_argument("--serve", metavar="COMMAND", help="starts another server than the kit's")
    names = [*PEERS, "none"]
    parser.add_argument("--compare", action="append", choices=names, help="default: git")
    parser.add_argument("--id", action="append", metavar="ROW", help="only rows that begin so")
    parser.add_argument("--runs", type=int, help="runs of each scenario")
    parser.add_argument("--report", type=Path, metavar="DIR", help="perf.json, perf.md, perf.html")
    parser.add_argument("--budgets", type=Path, default=budgets.BUDGETS, metavar="FILE")
    flames = "flame graphs of client and server for the rows of --id; nothing is measured"
    parser.add_argument(
        "--profile", type=Path, nargs="?", const=PROFILES, metavar="DIR", help=flames
    )
    parser.add_argument("--list", action="store_true", help="the rows, and nothing else")
    parser.add_argument("--work", type=Path, help="where to write (default: a temporary folder)")
    return parser.parse_args(words)


def chosen(
    rows: Sequence[budgets.Row], stack: str, quick: bool, ids: Sequence[str]
) -> list[budgets.Row]:
    """The rows to measure: those named, else those of the tier that the stack has the means for."""
    if ids:
        return [row for row in rows if row.id.startswith(tuple(ids))]
    here = [row for row in rows if stack in row.stacks]
    return [row for row in here if row.tier == "quick" or not quick]


def main(words: Sequence[str] | None = None) -> int:
    """One run; 0 every gate passes, 1 one fails, 2 usage, 3 too noisy or could not run."""
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["diff"]:
        return diff.main(words[1:])
    arguments = _arguments(words)
    try:
        found = budgets.load(arguments.budgets)
        measuring.check(found.rows)
        rows = chosen(found.rows, arguments.stack, arguments.quick, arguments.id or [])
    except budgets.BudgetError as problem:
        print(problem, file=sys.stderr)
        return USAGE
    if not rows or (arguments.runs is not None and arguments.runs < 1):
        print("no row begins with such an id, or no runs: see --list", file=sys.stderr)
        return USAGE
    if arguments.profile and not arguments.id:
        print("--profile takes the rows to look at: --id clone-simple", file=sys.stderr)
        return USAGE
    if arguments.list:
        for row in rows:
            print(f"{row.id:28}{row.source:10}{row.tier:7}{row.what}")
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if arguments.report:
            files.prepare(arguments.report)
    except OSError as problem:
        print(f"--report {arguments.report}: {problem.strerror}", file=sys.stderr)
        return USAGE
    try:
        if arguments.profile:
            return _profile(arguments, rows)
        made = run(arguments, rows, found.sources)
    except CouldNotRun as problem:
        print(f"could not run: {problem}", file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        print("interrupted: nothing was reported", file=sys.stderr)
        return COULD_NOT_RUN
    print("\n".join(terminal.lines(made)))
    if arguments.report:
        files.write(made, arguments.report)
        print(f"report: {arguments.report / 'perf.html'}")
    ended = [row["verdict"] and verdicts.Verdict(row["verdict"]) for row in made["rows"]]
    return verdicts.exit_code(ended)


def run(
    arguments: argparse.Namespace, rows: Sequence[budgets.Row], sources: Mapping[str, str]
) -> Document:
    """Starts the stack, measures the rows, cleans up."""
    tell = _teller()
    tier = "quick" if arguments.quick else "full"
    started = time.monotonic()
    with _opened(arguments, tell) as bench:
        machine = calibration.describe(bench.work)
        everything = Neighbours(lambda: bench.stack.allies)
        measured = measuring.measure(rows, bench, tier, arguments.runs, tell)
        cores = everything.cores()
    seconds = round(time.monotonic() - started)
    tell(f"{len(rows)} rows of the {tier} tier on {bench.stack.name} took {seconds} s")
    about = {
        "tier": tier,
        "neighbour_cores": round(cores, 2),
        "seconds": seconds,
        "images": bench.stack.images,
    }
    return document(measured, machine, bench.stack.name, sources, about)


def _profile(arguments: argparse.Namespace, rows: Sequence[budgets.Row]) -> int:
    """Flame graphs instead of figures."""
    tell = _teller()
    profiling.program()
    with _opened(arguments, tell) as bench:
        made = profiling.profile(rows, bench, arguments.profile, tell)
    for path in made:
        print(path)
    return 0 if made else COULD_NOT_RUN


def _teller() -> Tell:
    """Says what is going on, and since when."""
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", file=sys.stderr, flush=True)

    return tell


@contextmanager
def _opened(arguments: argparse.Namespace, tell: Tell) -> Iterator[Bench]:
    """A stack with a server that answers, and a folder to work in; both are gone afterwards."""
    alone = arguments.profile is not None  # then nobody else is looked at
    peers = [name for name in arguments.compare or ["git"] if name != "none" and not alone]
    with tempfile.TemporaryDirectory(
        prefix="perf-", dir=arguments.work, ignore_cleanup_errors=True
    ) as name:
        work = Path(name)
        work.chmod(0o711)  # a database that we start as root runs as somebody else
        (work / "sources").mkdir()
        tell(f"starting the {arguments.stack} stack")
        with stacks.running(stacks.Options.of(vars(arguments)), work) as stack:
            home = Path(os.environ.get("MUSEKIT_HOME") or work / "home")
            subject = Subject(stack.url, home)
            try:
                subject.wait()
                yield Bench(stack, subject, Sources(work / "sources"), work, peers)
            finally:
                for kept in subject.close():
                    tell(f"could not remove the repository {kept}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WrongResult as problem:
        sys.exit(f"the server cannot be measured: {problem}")
