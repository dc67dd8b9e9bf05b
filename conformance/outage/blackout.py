"""The power cut in a push: whatever no sync carried is gone, from both stores at once.

One push is recorded, in the object store's folder and in the database's; the disk after the cut is
built from it in place of the folders, and the server is started on that.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.crash.host import Host
from conformance.crash.ptrace import Entered
from conformance.crash.recorder import Recorder
from conformance.crash.states import State, Timeline
from conformance.crash.steps import Steps
from conformance.crash.tasks import Arguments
from conformance.crash.tree import Tree, scan
from conformance.histories import Commit
from conformance.outcomes import CouldNotRun, NotApplicable, Unmet
from conformance.world import World

from .acknowledged import Ledger
from .deaths import ENOUGH, EVERYWHERE, Broken, spread
from .life import Watcher, begin, push, settle
from .places import Place

AFTER = "after the answer"
Moment = tuple[int, ...]  # how many ops of each place lie before it


@dataclass(slots=True)
class Films:
    """The listener of a tracer that records several folders, and where each sync stood in all."""

    places: Sequence[Place]
    recorders: list[Recorder] = field(init=False)
    moments: dict[Moment, str] = field(default_factory=dict)
    last: float = 0.0

    def __post_init__(self) -> None:
        self.recorders = [Recorder(place.folder) for place in self.places]
        for recorder in self.recorders:
            recorder.elsewhere_allowed = ("/",)

    @property
    def now(self) -> Moment:
        """This moment."""
        return tuple(len(recorder.recording.ops) for recorder in self.recorders)

    def entered(self, task: int, call: str, arguments: Arguments) -> Entered | None:
        for place, recorder in zip(self.places, self.recorders, strict=True):
            if (entered := recorder.entered(task, call, arguments)) is not None:
                self.last = time.monotonic()
                if "sync" in call:
                    self.moments.setdefault(self.now, f"before {place.name}: {call}")
                return entered
        return None

    def executed(self, task: int) -> None:
        for recorder in self.recorders:
            recorder.executed(task)

    def gone(self, task: int, status: int) -> None:
        for recorder in self.recorders:
            recorder.gone(task, status)

    def foreign(self, task: int) -> None:
        for recorder in self.recorders:
            recorder.foreign(task)

    def close(self) -> None:
        for recorder in self.recorders:
            recorder.close()

    def doubts(self) -> list[str]:
        """Why the recording may not be the whole story; to be asked once the server is dead."""
        found = [doubt for recorder in self.recorders for doubt in recorder.recording.doubts]
        for place, recorder in zip(self.places, self.recorders, strict=True):
            disk, ours = scan(place.folder)[0].listing(), recorder.recording.live.listing()
            sockets = {path for path in disk if (place.folder / path).is_socket()}
            differ = [p for p in disk.keys() | ours.keys() if disk.get(p) != ours.get(p)]
            if odd := sorted(set(differ) - sockets):
                found.append(f"{place.name}: the recorded calls do not give {odd[0]}")
        return found


@dataclass(slots=True)
class Blackout:
    """A recorded push, and the server started on what cuts in it would leave."""

    world: World
    command: Sequence[str]
    log: Path
    places: Sequence[Place]
    say: Callable[[str], None] = lambda line: None
    with_client: bool = True
    ledger: Ledger = field(init=False)
    steps: Steps = field(default_factory=Steps)
    films: Films | None = None
    host: Host | None = None
    links: list[Commit] = field(default_factory=list)
    answered: Moment = ()
    cuts: int = 0
    moments: int = 0  # there were
    broken: list[Broken] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.places:
            raise CouldNotRun(
                "needs [inspect] objects = file://… and postgres on this machine in the subject"
                " file, both served by processes that [process] start starts"
            )
        self.ledger = Ledger(self.world, self.with_client)

    def close(self) -> None:
        """Ends the server and the client."""
        if self.host is not None:
            self.host.kill()
        if self.films is not None:
            self.films.close()
        self.steps.close()
        self.ledger.close()

    def record(self) -> list[tuple[Moment, str]]:
        """Records one push; the moments at which a cut would lose the most, in order."""
        self._start(self.steps)
        self.links = self.ledger.next()
        self._living().stop()  # in good order: what is on disk now is there for good
        self.films = films = Films(self.places)
        self._start(films)
        settle(self._living(), films)
        films.moments.clear()
        push(self.ledger.repo, self.links)
        self.answered = films.now
        settle(self._living(), films)
        self._living().kill()
        for place, recorder in zip(self.places, films.recorders, strict=True):
            if not recorder.recording.ops:
                why = f"what serves the {place.name} is not started by [process] start"
                raise NotApplicable(why)
        if doubts := films.doubts():
            raise CouldNotRun(f"inconclusive: {doubts[0]}")
        moments = [*films.moments.items(), (self.answered, AFTER)]
        self.moments = len(moments)
        return sorted(moments, key=lambda item: sum(item[0]))

    def cut(self, moment: Moment, what: str) -> None:
        """The power cut at one moment: a restart on what is left, a look, the push again."""
        assert self.films is not None
        answered = sum(moment) >= sum(self.answered)
        self.cuts += 1
        for place, recorder, point in zip(self.places, self.films.recorders, moment, strict=True):
            timeline = Timeline(recorder.recording)
            lost = tuple(timeline.pending(point))
            put_back(timeline.tree(State("strict", point, lost)), place.folder)
        self.ledger.die()
        self.say(f"power cut {what}, {'' if answered else 'not '}answered")
        try:
            self._start(self.steps)
            self.ledger.look(self.links, answered=answered)
            push(self.ledger.repo, self.links)
            self.ledger.repo.holds(self.links[-1])
        except Unmet as unmet:
            self.broken.append(Broken(f"power cut {what}", unmet.expected, unmet.actual))
        finally:
            self._living().kill()

    def _start(self, watcher: Watcher) -> None:
        self.host = begin(self.world, self.command, watcher, self.log)

    def _living(self) -> Host:
        assert self.host is not None
        return self.host


def put_back(tree: Tree, folder: Path) -> None:
    """Makes a folder hold just this tree; everything in it belongs to the folder's owner."""
    owner = folder.stat()
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    tree.materialise(folder)
    for path, _ in tree.walk():
        os.chown(folder / path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def cut_everywhere(
    world: World,
    command: Sequence[str],
    log: Path,
    places: Sequence[Place],
    most: int = EVERYWHERE,
    enough: int = ENOUGH,
    say: Callable[[str], None] = lambda line: None,
    with_client: bool = True,
) -> Blackout:
    """Cuts at most so many times during one push, and always right after its answer."""
    blackout = Blackout(world, command, log, places, say, with_client)
    try:
        moments = blackout.record()
        answer = next(n for n, (_, what) in enumerate(moments) if what == AFTER)
        others = [number for number in range(len(moments)) if number != answer]
        chosen = [others[number] for number in spread(len(others), most - 1, world.seed)]
        for number in [answer, *chosen]:
            blackout.cut(*moments[number])
            if len(blackout.broken) >= enough:
                break
    finally:
        blackout.close()
    return blackout
