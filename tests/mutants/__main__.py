"""`python -m tests.mutants`: tries every mutant and prints the kill matrix.

Fails on a mutant that survives or no longer applies, on a check that flags no mutant, and at once
when the unflawed reference does not pass the same checks.  What survives is tried once more, alone
on the machine, and the table tells what it took two tries to notice.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from conformance import plugin
from conformance.catalogue import Check
from conformance.subject import STORE_PROFILES
from conformance.verdicts import Verdict

from . import catalogue, collateral, ground, matrix, schedule
from .ground import Ground
from .matrix import Matrix, Row
from .mutant import Mutant
from .subject import UNPATCHED
from .trial import Trial

SECONDS = 120
LONG_SECONDS = 600
"""For a trial that explores crashes; twice as much for the many checks of the baseline."""
AT_MOST_AGAIN = 5
"""Mutants that get a second try, alone; of more than these, chance is not the reason."""

note = partial(print, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants; none: all")
    parser.add_argument("--id", action="append", default=[], help="those for a requirement")
    parser.add_argument("--topic", action="append", default=[], help="those of a catalogue file")
    parser.add_argument("--check", action="append", default=[], help="those for a check function")
    parser.add_argument("--jobs", type=int, default=3, help="trials at the same time")
    parser.add_argument("--collateral", action="store_true", help="all functional checks on each")
    parser.add_argument("--sample", type=int, help="so many mutants only, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-baseline", action="store_true", help="trust the unflawed reference")
    parser.add_argument("--report", type=Path, default=Path("reports/mutants"), metavar="DIR")
    return parser.parse_args(arguments)


def choose(asked: argparse.Namespace) -> dict[str, Mutant]:
    """The mutants that any of the options asks for; without one, all."""
    elsewhere = [*asked.names, *asked.id, *asked.check]

    def is_meant(key: str, mutant: Mutant) -> bool:
        return (
            not (elsewhere or asked.topic)
            or key.partition("/")[0] in asked.topic
            or key in asked.names
            or mutant.name in asked.names
            or mutant.flagged_by in asked.id
            or any(check in mutant.check for check in asked.check)
        )

    found = catalogue.load(() if elsewhere else asked.topic)
    chosen = {key: mutant for key, mutant in found.items() if is_meant(key, mutant)}
    if asked.sample is not None and asked.sample < len(chosen):
        keys = random.Random(asked.seed).sample(sorted(chosen), asked.sample)
        chosen = {key: chosen[key] for key in keys}
    return chosen


def unknown(names: Sequence[str]) -> list[str]:
    """The names that no mutant has."""
    found = catalogue.load(())
    known = {*found, *(mutant.name for mutant in found.values())}
    return [name for name in names if name not in known]


def main(arguments: Sequence[str]) -> int:
    """Runs what was asked for; the exit code."""
    asked = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # subjects are stopped then, too
    if names := unknown(asked.names):
        print(f"no mutant is named {names[0]!r}", file=sys.stderr)
        return 2
    chosen = choose(asked)
    checks, problems = plugin.collect()
    if problems or not chosen:
        print("\n".join(problems) or "no mutant is meant", file=sys.stderr)
        return 2
    with ground.prepared() as prepared:
        if not asked.no_baseline and not baseline(prepared, chosen, checks, asked):
            return 1
        if asked.collateral:
            return collateral.measure(prepared, chosen, checks, asked.jobs)
        rows = try_all(prepared, chosen, checks, asked.jobs)
    narrowed = asked.names or asked.id or asked.topic or asked.check or asked.sample is not None
    result = Matrix(rows, checks, complete=not narrowed)
    result.write(asked.report)
    for problem in result.problems:
        note(f"problem: {problem}")
    note(f"{result.summary()}: {asked.report / 'mutants.md'}")
    return 1 if result.problems else 0


def baseline(
    prepared: Ground, chosen: dict[str, Mutant], checks: Sequence[Check], asked: argparse.Namespace
) -> bool:
    """Whether the unflawed reference passes every check that a mutant is going to meet."""
    met = {check.id for mutant in chosen.values() for check in matrix.meant(mutant, checks)}
    used = [check for check in checks if check.id in met]
    halves = [
        [check for check in used if (check.profile in STORE_PROFILES) is is_store]
        for is_store in (False, True)
    ]
    shares = [half[start :: asked.jobs] for half in halves for start in range(asked.jobs)]
    passed = True
    trials = [
        Trial(number, UNPATCHED, "", tuple(share), 2 * LONG_SECONDS)
        for number, share in enumerate(shares)
        if share
    ]
    for ended in schedule.run(prepared, trials, asked.jobs):
        bad = [result for result in ended.results if result.verdict is not Verdict.PASS]
        missing = sorted({check.id for check in ended.trial.checks} - {r.id for r in ended.results})
        for result in bad:
            note(f"unflawed: {result.verdict}: {result.id}: {result.actual} {result.detail}")
        if missing or ended.problem:
            note(f"unflawed: {ended.problem} not run: {', '.join(missing[:5])}")
        passed = passed and not (bad or missing or ended.problem)
        note(f"unflawed: {len(ended.results)} checks in {ended.seconds:.1f} s")
    return passed


def try_all(
    prepared: Ground, chosen: dict[str, Mutant], checks: Sequence[Check], jobs: int
) -> list[Row]:
    """One row a mutant, in the order of the catalogue."""
    trials: dict[str, Trial] = {}
    rows: dict[str, Row] = {}
    for number, (key, mutant) in enumerate(chosen.items(), start=100):
        if wrong := matrix.misnamed(mutant, checks) or catalogue.misfit(mutant):
            rows[key] = Row(key, mutant, problem=wrong)
            continue
        meant = matrix.meant(mutant, checks)
        slow = any(check.long or check.profile == "crash-server" for check in meant)
        seconds = LONG_SECONDS if slow else SECONDS
        trials[key] = Trial(number, key, mutant.module, meant, seconds)
    for ended in schedule.run(prepared, list(trials.values()), jobs):
        key = ended.trial.key
        rows[key] = matrix.row(key, chosen[key], ended)
        note(f"{len(rows):>4}/{len(chosen)} {ended.seconds:5.1f} s  {rows[key]}")
    missed = [
        replace(trial, number=trial.number + len(chosen))
        for key, trial in trials.items()
        if not rows[key].is_flagged
    ]
    for ended in schedule.run(prepared, missed, 1) if len(missed) <= AT_MOST_AGAIN else ():
        key = ended.trial.key
        rows[key] = matrix.row(key, chosen[key], ended, first=str(rows[key]))
        note(f"   again {ended.seconds:5.1f} s  {rows[key]}")
    return [rows[key] for key in chosen]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
