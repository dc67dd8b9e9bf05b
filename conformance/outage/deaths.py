"""kill -9 of a server's whole process tree at each durable step of a push, one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.crash.host import Host
from conformance.crash.steps import Step, Steps
from conformance.outcomes import CouldNotRun, Unmet
from conformance.world import World

from .acknowledged import Ledger
from .life import begin, push, settle
from .places import Place

EVERYWHERE = 10_000
_OVER = 3  # deaths after a push was over: more of them would be the same
ENOUGH = 5  # broken promises: more of them teach nothing
UNHURT = "every push was over before a step of it at which the server could die"


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that a death broke."""

    moment: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.moment}: expected {self.expected}, got {self.actual}"


@dataclass(slots=True)
class Deaths:
    """One server that dies again and again, on the same data."""

    world: World
    command: Sequence[str]
    log: Path
    places: Sequence[Place]
    say: Callable[[str], None] = lambda line: None
    with_client: bool = True
    steps: Steps = field(init=False)
    ledger: Ledger = field(init=False)
    host: Host | None = None
    killed: list[Step] = field(default_factory=list)
    unreached: int = 0
    broken: list[Broken] = field(default_factory=list)

    def __post_init__(self) -> None:
        folders = {place.name: str(place.folder) for place in self.places}
        self.steps = Steps(folders, ignored=(str(self.log),))
        self.ledger = Ledger(self.world, self.with_client)

    def close(self) -> None:
        """Ends the server and the client."""
        if self.host is not None:
            self.host.kill()
        self.steps.close()
        self.ledger.close()

    def start(self) -> None:
        """The server under the tracer, once it answers."""
        self.host = begin(self.world, self.command, self.steps, self.log)

    @property
    def gone(self) -> bool:
        """Whether the server did not come back."""
        return self._living().over()

    def _living(self) -> Host:
        assert self.host is not None
        return self.host

    def count(self) -> int:
        """Sees one push to its end, background work included; the steps before its answer."""
        links = self.ledger.next()
        settle(self._living(), self.steps)
        self.steps.arm(0)
        push(self.ledger.repo, links)
        answered = len(self.steps.seen)
        self.ledger.took(links)
        settle(self._living(), self.steps)
        return answered

    def die_at(self, nth: int) -> None:
        """A push that is killed at its nth step; then a restart, a look, and the push again."""
        host = self._living()
        links = self.ledger.next()
        settle(self._living(), self.steps)
        self.steps.arm(nth)
        try:
            push(self.ledger.repo, links)
            answered = True
        except Unmet:
            answered = False
        if answered:
            settle(self._living(), self.steps)
        reached = host.over(5.0 if not answered else 0.0)
        host.kill()
        self.ledger.die()
        moment = f"after {nth} steps, the push over"
        if reached and self.steps.seen:
            step = self.steps.seen[nth - 1]
            self.killed.append(step)
            moment = f"killed at step {nth}, {step}"
        self.unreached += not reached
        self.say(f"{moment}, {'' if answered else 'not '}answered")
        self.steps.arm(0)
        try:
            self.start()
            self.ledger.look(links, answered=answered)
            push(self.ledger.repo, links)  # answered or not, it can be repeated
            self.ledger.took(links)
            self.ledger.repo.holds(links[-1])
        except Unmet as unmet:
            self.broken.append(Broken(moment, unmet.expected, f"{unmet.actual} {unmet.detail}"))
            self.ledger.turn_page()

    def end(self) -> None:
        """Looks at everything that was promised on the way."""
        try:
            self.ledger.all()
        except Unmet as unmet:
            self.broken.append(Broken("at the end", unmet.expected, unmet.actual))


def choose(steps: Sequence[Step], answered: int, most: int, seed: int) -> list[int]:
    """At most so many numbers of steps to die at, those around the answer before any others.

    The last names and the last syncs before it, and the first step after it: there the stores can
    differ.  (Two each, for when the answer arrives the server may have gone on.)  Then one of each
    kind, for of several writes to the same file the first will do.
    """
    if most > len(steps):
        return [*range(1, len(steps) + 2)]
    chosen = [answered + 1]
    for word in ("rename", "sync"):
        chosen += [n for n in range(1, answered + 1) if word in steps[n - 1].call][-2:]
    chosen = chosen[:most]
    kinds = [(step.call, step.path) for step in steps]
    turns = [n for n in range(1, len(steps) + 1) if n == 1 or kinds[n - 1] != kinds[n - 2]]
    others = [number for number in turns if number not in chosen]
    return sorted([*chosen, *(others[n] for n in spread(len(others), most - len(chosen), seed))])


def spread(total: int, most: int, seed: int) -> list[int]:
    """At most so many of the numbers below `total`, evenly, from a place that the seed decides."""
    if most <= 0:
        return []
    if most >= total:
        return list(range(total))
    start = random.Random(seed).random()
    return sorted({int((number + start) * total / most) for number in range(most)})


def kill_everywhere(
    world: World,
    command: Sequence[str],
    log: Path,
    places: Sequence[Place] = (),
    most: int = EVERYWHERE,
    enough: int = ENOUGH,
    say: Callable[[str], None] = lambda line: None,
    with_client: bool = True,
) -> Deaths:
    """The matrix: at most so many of the steps of a push, all of them and one more if it may be."""
    deaths = Deaths(world, command, log, places, say, with_client)
    try:
        deaths.start()
        answered = deaths.count()
        if not answered:
            raise CouldNotRun("no process of the server was seen to write a file")
        for nth in choose(deaths.steps.seen.copy(), answered, most, world.seed):
            deaths.die_at(nth)
            if deaths.gone or len(deaths.broken) >= enough:
                return deaths
            if deaths.unreached >= _OVER:
                break  # pushes that begin on a server just started are shorter
        deaths.end()
    finally:
        deaths.close()
    return deaths
