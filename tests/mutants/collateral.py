"""What else trips over a mutant: the whole functional suite against each."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.catalogue import Check
from conformance.subject import STORE_PROFILES
from conformance.verdicts import Verdict

from . import matrix, schedule
from .ground import Ground
from .mutant import Mutant
from .trial import Trial

MOST_ON_AVERAGE = 2.0
SECONDS = 900


def measure(prepared: Ground, chosen: dict[str, Mutant], checks: Sequence[Check], jobs: int) -> int:
    """Prints the further requirements that each mutant trips; 1 if they are too many."""
    quick = [check for check in checks if not check.long and check.profile != "crash-server"]
    trials = []
    for number, (key, mutant) in enumerate(chosen.items(), start=100):
        kinds = {check.profile in STORE_PROFILES for check in matrix.meant(mutant, checks)}
        used = tuple(check for check in quick if (check.profile in STORE_PROFILES) in kinds)
        trials.append(Trial(number, key, mutant.module, used, SECONDS, thorough=True))
    counts = []
    for ended in schedule.run(prepared, trials, jobs):
        mutant = chosen[ended.trial.key]
        further = further_requirements(mutant, checks, ended)
        counts.append(len(further))
        print(f"{ended.seconds:5.0f} s  {ended.trial.key}: {', '.join(further) or '-'}", flush=True)
        if ended.problem:
            print(f"         {ended.problem}", flush=True)
    average = sum(counts) / len(counts)
    print(f"{average:.1f} further requirements on average, over {len(counts)} mutants")
    return int(average > MOST_ON_AVERAGE)


def further_requirements(
    mutant: Mutant, checks: Sequence[Check], ended: schedule.Ended
) -> list[str]:
    """The first requirement of each check that failed and is not meant for the mutant."""
    meant = {check.id for check in matrix.meant(mutant, checks)}
    failed = [
        result
        for result in ended.results
        if result.verdict is Verdict.FAIL
        and result.id not in meant
        and mutant.flagged_by not in result.requirements
    ]
    return sorted({result.requirements[0] for result in failed})
