"""Goes through the rows, scenario by scenario, and judges what was measured."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx

from reference.wire.errors import ProtocolError

from . import verdicts
from .budgets import SCALES, BudgetError, Row
from .commands import CouldNotRun, WrongResult
from .contests import OURS, Bench, Contest, Samples, Scenario, hold
from .estimates import LEAST_RUNS, Estimate, estimate, ratio
from .neighbours import Neighbours
from .scenarios import SCENARIOS
from .verdicts import Verdict

RUNS = {"quick": 5, "full": 9}
FEWEST = {"quick": LEAST_RUNS, "full": 6}
"""However slow; of fewer than six runs even the whole range misses the median 1 time in 20."""
SECONDS = {"quick": 5.0, "full": 15.0}
"""How long a scenario may go on beyond the fewest runs."""
WRONG = (WrongResult, ProtocolError, httpx.HTTPError, KeyError)
"""What a scenario raises when the work was not done, or the answer was not one."""


@dataclass(slots=True)
class Outcome:
    """How one row ended; estimates are in the row's unit, peers' too unless that is a ratio."""

    row: Row
    verdict: Verdict | None
    detail: str = ""
    found: Estimate | None = None
    peers: dict[str, Estimate] = field(default_factory=dict)
    ratios: dict[str, Estimate] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Measured:
    """Everything that one run found out."""

    outcomes: list[Outcome] = field(default_factory=list)
    samples: list[tuple[Row, Samples]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def check(rows: Iterable[Row], scenarios: Mapping[str, Scenario] = SCENARIOS) -> None:
    """Raises one sentence for each row that names no scenario, or an option that it has not."""
    problems = []
    for row in rows:
        if row.scenario not in scenarios:
            problems.append(f"row {row.id}: no scenario {row.scenario!r}")
            continue
        parameters = list(inspect.signature(scenarios[row.scenario]).parameters.values())[1:]
        names = {parameter.name for parameter in parameters}
        needed = {p.name for p in parameters if p.default is inspect.Parameter.empty}
        problems += [
            f"row {row.id}: {row.scenario} has no option {name!r}"
            for name in sorted(row.options.keys() - names)
        ]
        problems += [
            f"row {row.id}: {row.scenario} needs the option {name!r}"
            for name in sorted(needed - row.options.keys())
        ]
    if problems:
        raise BudgetError("\n".join(problems))


def grouped(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that share their runs, in the order in which they first come up."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return list(groups.values())


def measure(
    rows: Sequence[Row],
    bench: Bench,
    tier: str,
    runs: int | None = None,
    tell: Callable[[str], object] = lambda text: None,
    scenarios: Mapping[str, Scenario] = SCENARIOS,
) -> Measured:
    """Measures all rows; one that cannot be measured says why and stops no other."""
    made = Measured()
    groups = grouped(rows)
    for number, group in enumerate(groups, 1):
        options = ", ".join(f"{value}" for value in group[0].options.values())
        tell(f"{number}/{len(groups)} {group[0].scenario} {options}".rstrip())
        started = time.monotonic()
        times = runs or max(row.runs or RUNS[tier] for row in group)
        seconds = math.inf if runs else SECONDS[tier]
        try:
            fewest = runs or FEWEST[tier]
            outcomes, samples = _measure(group, bench, times, seconds, fewest, scenarios)
        except CouldNotRun as problem:
            outcomes = [Outcome(row, Verdict.COULD_NOT_RUN, str(problem)) for row in group]
        except WRONG as problem:
            why = f"the result was wrong: {type(problem).__name__}: {problem}"
            outcomes = [Outcome(row, Verdict.FAIL, why) for row in group]
        except KeyboardInterrupt:  # what was measured so far is worth its report
            tell("interrupted")
            left = [row for rest in groups[number - 1 :] for row in rest]
            made.outcomes += [Outcome(row, Verdict.COULD_NOT_RUN, "interrupted") for row in left]
            break
        else:
            made.samples.append((group[0], samples))
        made.outcomes += outcomes
        made.seconds[group[0].id] = round(time.monotonic() - started, 1)
    order = {row.id: place for place, row in enumerate(rows)}
    made.outcomes.sort(key=lambda outcome: order[outcome.row.id])
    return made


def _measure(
    group: Sequence[Row],
    bench: Bench,
    runs: int,
    seconds: float,
    fewest: int,
    scenarios: Mapping[str, Scenario],
) -> tuple[list[Outcome], Samples]:
    with scenarios[group[0].scenario](bench, **group[0].options) as contest:
        watch = Neighbours(lambda: bench.stack.allies)
        deadline = time.monotonic() + seconds
        samples = hold(contest, runs, seconds, fewest)
        outcomes = [judge(row, contest, samples, watch.cores()) for row in group]
        spread = any(outcome.detail.startswith("spread") for outcome in outcomes)
        left = deadline - time.monotonic()
        if spread and left > 0:  # as many again may settle it
            again = hold(replace(contest, warm_ups=0), runs, left, least=1)
            for name, measures in again.items():
                for measure, values in measures.items():
                    samples[name][measure] += values
            outcomes = [judge(row, contest, samples, watch.cores()) for row in group]
    return outcomes, samples


def judge(row: Row, contest: Contest, samples: Samples, neighbours: float) -> Outcome:
    """One row's outcome from the samples of its group."""
    ours = samples[OURS].get(row.measure)
    if ours is None:
        return Outcome(row, Verdict.COULD_NOT_RUN, f"{row.measure} cannot be seen on this stack")
    peers = {
        name: theirs
        for name in samples
        if name != OURS and (theirs := samples[name].get(row.measure))
    }
    ratios = {name: ratio(ours, theirs) for name, theirs in peers.items()}
    if row.beside is None:
        unit = SCALES[row.unit]
        found = estimate(ours).scaled(unit)
    elif row.beside in ratios:
        unit = SCALES[row.of]
        found = ratios[row.beside]
    else:
        why = contest.absent.get(row.beside, "it takes no part in this run: --compare")
        return Outcome(row, Verdict.COULD_NOT_RUN, f"{row.beside}: {why}", absent=contest.absent)
    verdict, detail = verdicts.judge(row, found, neighbours)
    others = {name: estimate(theirs).scaled(unit) for name, theirs in peers.items()}
    return Outcome(row, verdict, detail, found, others, ratios, contest.absent)
