"""The command: `python -m conformance`, and what is done with its reports afterwards."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from . import baseline, bundle, catalogue, diff, options, subject
from .baseline import Baseline
from .catalogue import Check
from .options import USAGE, Options
from .plugin import Suite
from .report import files, terminal
from .report.model import Report
from .runner import Run
from .subject import Subject
from .verdicts import Result


def main(arguments: Sequence[str]) -> int:
    """Runs what was asked for; the exit code."""
    if arguments[:1] == ["diff"]:
        return diff.main(arguments[1:])
    if arguments and arguments[0] in bundle.COMMANDS:
        return bundle.main(arguments)
    asked = options.parse(arguments)
    suite = Suite()
    return suite.hold(lambda: _main(asked, suite))


def _main(asked: Options, suite: Suite) -> int:
    found = suite.checks
    for problem in suite.problems:
        print(f"the suite cannot be read: {problem}", file=sys.stderr)
    if suite.problems:
        return 3
    if names := catalogue.unknown(asked.ids, found):
        print(f"--id {names[0]}: no check has this id or requirement", file=sys.stderr)
        return USAGE
    checks = catalogue.select(found, asked.ids, asked.profiles)
    if asked.list:
        show(checks)
        return 0
    try:
        about = _subject(asked)
        known = baseline.load(asked.baseline, found) if asked.baseline else Baseline({}, {})
    except (subject.SubjectError, baseline.BaselineError) as problem:
        print(problem, file=sys.stderr)
        return USAGE
    try:
        files.prepare(asked.report)
    except OSError as problem:
        print(f"--report {asked.report}: cannot be written: {problem.strerror}", file=sys.stderr)
        return USAGE
    return check(suite, asked, about, checks, known)


def _subject(asked: Options) -> Subject | None:
    if asked.url:
        return subject.at_url(asked.url, asked.profiles)
    return subject.load(asked.subject) if asked.subject else None


def show(checks: Sequence[Check]) -> None:
    """`--list`: each case with what it proves."""
    for item in checks:
        print(f"{item.profile:<18} {item.id:<60} {', '.join(item.requirements)}")
    print(f"{len(checks)} cases", file=sys.stderr)


def check(
    suite: Suite,
    asked: Options,
    about: Subject | None,
    checks: Sequence[Check],
    known: Baseline,
) -> int:
    """One run, reported in every form."""
    progress = terminal.Progress(len(checks), quiet=asked.quiet)
    started = datetime.now(UTC)
    begun = time.monotonic()
    run = Run(suite, asked, about, progress.add)
    try:
        run.run(checks)
    finally:
        progress.end()
    order = {item.id: number for number, item in enumerate(checks)}
    results: list[Result] = sorted(progress.results, key=lambda result: order[result.id])
    known.apply(results)
    report = Report(
        subject=run.subject.shown(),
        seed=asked.seed,
        results=results,
        stale=known.stale(results),
        left=run.left,
        seconds=time.monotonic() - begun,
        started=started.isoformat(timespec="seconds"),
    )
    code = report.exit_code
    try:
        place = str(files.write(report, asked.report))
    except OSError as problem:  # what was found is told all the same
        place, code = f"{asked.report}: cannot be written: {problem.strerror}", 3
    for line in terminal.lines(
        report, place, verbose=asked.verbose, quiet=asked.quiet, colour=sys.stdout.isatty()
    ):
        print(line)
    return code


def run() -> int:
    """The exit code of the command; whoever reads only its first lines gets no traceback."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 3
    return code


if __name__ == "__main__":
    sys.exit(run())
