"""`python -m conformance.crash --server FILE`: the server that a subject file starts, killed."""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from conformance.crash.ptrace import Unsupported
from conformance.ledger import Ledger, clean_up
from conformance.lifecycle import Process, wait_for
from conformance.outcomes import CouldNotRun, NotApplicable, Unmet
from conformance.report import files
from conformance.report.model import Report
from conformance.subject import Subject, SubjectError, load
from conformance.verdicts import Result, Verdict
from conformance.world import RESTART_SECONDS, World, introduce

from .blackout import cut_everywhere
from .deaths import EVERYWHERE, UNHURT, Broken, kill_everywhere
from .places import Place, places

PROFILE = "crash-server"
_say = partial(print, flush=True)


@dataclass(frozen=True, slots=True)
class Tier:
    """How many deaths, and how many power cuts."""

    kills: int
    cuts: int


CI = Tier(kills=12, cuts=4)
NIGHTLY = Tier(kills=EVERYWHERE, cuts=EVERYWHERE)


def main(path: Path, tier: Tier, seed: int, report: Path | None) -> int:
    """Exit 0 sound, 1 a promise was broken, 2 usage, 3 could not run."""
    try:
        subject = load(path)
    except SubjectError as problem:
        print(problem, file=sys.stderr)
        return 2
    if "start" not in subject.commands:
        print(f'{path}: needs [process] start = ["…"]', file=sys.stderr)
        return 2
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="musekit-outage-") as folder:
        results = examine(subject, tier, seed, Path(folder))
    for result in results:
        _say(f"{result.verdict}: {result.title}: {result.actual}")
        _say("".join(f"  {line}\n" for line in result.detail.splitlines()), end="")
        result.reproduce = f"python -m conformance.crash --server {path} --seed {seed}"
    found = Report(subject.shown(), seed, results, seconds=time.monotonic() - begun)
    if report is not None:
        _say(f"report: {files.write(found, report)}")
    return found.exit_code


def examine(subject: Subject, tier: Tier, seed: int, folder: Path) -> list[Result]:
    """Both examinations of a server that nobody else uses."""
    process = Process(subject.commands["start"], folder / "subject.log")
    try:
        told = process.start(0.0 if subject.url else RESTART_SECONDS)
        subject.url = subject.url or str(told.get("url", "")).rstrip("/")
        silence = wait_for(subject.url + subject.ready, RESTART_SECONDS, process.exited)
        ledger = Ledger(folder / "ledger.jsonl")
        world = World(subject, secrets.token_hex(3), seed, ledger, process=process)
        world.begin("crash-server")
        if problem := silence or introduce(world):
            return [_result(name, Verdict.COULD_NOT_RUN, problem) for name in _TITLES]
        shown = places(world.inspect)  # while its database answers
        process.stop()
        killed = _judged("kill", partial(_kill, world, process, shown, tier.kills))
        cut = _judged("power", partial(_cut, world, process, shown, tier.cuts))
        if process.exited():
            process.start()
            wait_for(subject.url + subject.ready, RESTART_SECONDS, process.exited)
        world.connection.renew()
        for name in clean_up(ledger, world.owner):
            _say(f"left on the subject, please remove: {name}")
        return [killed, cut]
    finally:
        process.stop()


_TITLES = {
    "kill": ("kill -9 at each durable step of a push", ("DUR-030", "DUR-031", "DUR-032")),
    "power": ("a power cut at each sync of a push", ("DUR-031",)),
}
Examined = tuple[str, Sequence[Broken]]


def _kill(world: World, process: Process, shown: Sequence[Place], most: int) -> Examined:
    done = kill_everywhere(world, process.command, process.log, shown, most, say=_say)
    if not done.killed and not done.broken:
        raise CouldNotRun(UNHURT)
    counted = Counter(step.place or "files" for step in done.killed)
    where = ", ".join(f"{count} in the {name}" for name, count in sorted(counted.items()))
    return f"{len(done.killed)} deaths ({where}), {done.unreached} after the last step", done.broken


def _cut(world: World, process: Process, shown: Sequence[Place], most: int) -> Examined:
    done = cut_everywhere(world, process.command, process.log, shown, most, say=_say)
    return f"{done.cuts} power cuts in {done.moments} syncs", done.broken


def _judged(name: str, examination: Callable[[], Examined]) -> Result:
    begun = time.monotonic()
    try:
        told, broken = examination()
    except (CouldNotRun, Unsupported) as reason:
        return _result(name, Verdict.COULD_NOT_RUN, str(reason))
    except NotApplicable as reason:
        return _result(name, Verdict.NOT_APPLICABLE, str(reason))
    except Unmet as unmet:
        told, broken = "the server does not get as far", [Broken("", unmet.expected, unmet.actual)]
    result = _result(name, Verdict.FAIL if broken else Verdict.PASS, told)
    result.detail = "\n".join(map(str, broken))
    result.ms = round((time.monotonic() - begun) * 1000)
    return result


def _result(name: str, verdict: Verdict, actual: str) -> Result:
    title, requirements = _TITLES[name]
    expected = "what was answered is there, whole; what was not is whole or absent"
    return Result(f"crash-server-{name}", requirements, PROFILE, verdict, title, expected, actual)
