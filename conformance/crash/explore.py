"""Builds the states of a recording, judges each once, and keeps the smallest proof of each flaw."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from . import advice
from .checks import Symptom
from .findings import Finding, merge
from .oracle import Oracle
from .promises import owed
from .requests import Request
from .states import State, Timeline
from .trace import Recording
from .tree import Tree

_WORKERS = 2
_GROUPS = 40
_CHUNK = 30
_READERS = ("get_", "list_", "fsck")

Key = tuple[str, int]  # what is on disk, and what was said last


@dataclass(slots=True)
class Explorer:
    """One recording and the oracle that judges what a crash leaves of it."""

    recording: Recording
    oracle: Oracle
    seed: int = 0
    retries: bool = True
    timeline: Timeline = field(init=False)
    built: dict[str, int] = field(default_factory=dict)  # states of each model
    judged: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)  # states that the cap left out
    bad: dict[str, int] = field(default_factory=dict)
    harmed: dict[str, set[str]] = field(default_factory=dict)  # operation -> models
    _seen: dict[Key, list[Symptom]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.recording)

    def explore(self, model: str, most: int, bound: int, enough: int) -> list[Finding]:
        """The findings of one model, judging at most so many states that no weaker one had."""
        telling = _telling(self.recording)
        states = [
            replace(state, rank=3 * state.rank + telling.get(state.point, 2))
            for state in self.timeline.states(model, bound, self.seed)
        ]
        self.built[model] = len(states)
        chosen = self._choose(model, states, most)
        groups: dict[tuple[str, str], list[tuple[State, Symptom]]] = {}
        for state, symptoms in self._judge_all(chosen):
            self.judged[model] = self.judged.get(model, 0) + 1
            self.bad[model] = self.bad.get(model, 0) + bool(symptoms)
            for symptom in symptoms:
                self._harm(state, symptom)
                group = (self._culprit(state), symptom.kind)
                groups.setdefault(group, []).append((state, symptom))
            if self.bad[model] >= enough:
                break
        return self._findings(model, groups)

    def _choose(self, model: str, states: list[State], most: int) -> list[tuple[Key, State]]:
        """The best by rank, no two alike; of the rank that does not fit whole, some of it.

        What is beyond that rank is not even built.
        """
        chosen: dict[Key, State] = {}
        self.left[model] = 0
        for rank in sorted({state.rank for state in states}):
            same = [state for state in states if state.rank == rank]
            if len(chosen) == most:
                self.left[model] += len(same)
                continue
            fresh: dict[Key, State] = {}
            for state in same:
                key = self._key(state)
                if key not in self._seen and key not in chosen:
                    fresh.setdefault(key, state)
            some = _spread(list(fresh.items()), most - len(chosen))
            self.left[model] += len(fresh) - len(some)
            chosen.update(some)
        return list(chosen.items())

    def judge(self, state: State) -> list[Symptom]:
        """The symptoms of one state, from memory when its like was judged before."""
        key = self._key(state)
        if key not in self._seen:
            self._seen[key] = self._judge(state, self.timeline.tree(state))
        return self._seen[key]

    def retry(self, point: int) -> Request | None:
        """What a client would send again: the unanswered request, else the last one answered."""
        due = owed(self.recording, point)
        if not self.retries:
            return None
        numbers = due.unanswered or [due.last]
        request = self.recording.requests[numbers[0]] if numbers[0] >= 0 else None
        return None if request is None or request.op.startswith(_READERS) else request

    def _harm(self, state: State, symptom: Symptom) -> None:
        answered = advice.promised(self.timeline, state, symptom)
        if answered >= 0:
            name = self.recording.requests[self.recording.ops[answered].request].name
            self.harmed.setdefault(name, set()).add(state.model)

    def _culprit(self, state: State) -> str:
        lost = [*state.dropped, *(number for number, *_ in state.torn)]
        at = self.timeline.units[lost[0]].at if lost else state.point - 1
        return advice.operation_at(self.timeline, at)

    def _key(self, state: State) -> Key:
        ops = self.recording.ops[: state.point]
        talk = (at for at in range(len(ops) - 1, -1, -1) if ops[at].kind in ("send", "ack"))
        return self.timeline.tree(state).digest(), next(talk, -1)

    def _judge_all(self, chosen: list[tuple[Key, State]]) -> Iterable[tuple[State, list[Symptom]]]:
        """Trees are built in order by one thread; the subject runs in a few at once."""
        with ThreadPoolExecutor(_WORKERS) as pool:
            for start in range(0, len(chosen), _CHUNK):
                part = sorted(chosen[start : start + _CHUNK], key=lambda item: item[1].point)
                jobs = [
                    (key, state, pool.submit(self._judge, state, self.timeline.tree(state)))
                    for key, state in part
                ]
                for key, state, job in jobs:
                    self._seen[key] = job.result()
                    yield state, self._seen[key]

    def _judge(self, state: State, tree: Tree) -> list[Symptom]:
        due = owed(self.recording, state.point)
        return self.oracle.judge(tree, due, self.retry(state.point))

    def _findings(
        self, model: str, groups: dict[tuple[str, str], list[tuple[State, Symptom]]]
    ) -> list[Finding]:
        found = []
        for cases in list(groups.values())[:_GROUPS]:
            proofs: dict[str, tuple[State, Symptom]] = {}
            for state, symptom in sorted(cases, key=lambda case: _size(case[0])):
                proofs.setdefault(self.explain(state, symptom)[1], (state, symptom))
            for state, symptom in list(proofs.values())[:3]:
                found.append(self.finding(model, *self.shrink(state, symptom)))
        return merge(found)

    def explain(self, state: State, symptom: Symptom) -> tuple[str, str, str]:
        """Operation, flaw and place, from the first thing that was lost or the way it was cut."""
        timeline = self.timeline
        if state.torn or state.dropped:
            unit = timeline.units[state.torn[0][0] if state.torn else state.dropped[0]]
            tell = advice.torn_unit if state.torn else advice.lost_unit
            operation = advice.operation_at(timeline, unit.at)
            return operation, tell(timeline, unit, state.point), advice.place(unit)
        answered = advice.promised(timeline, state, symptom)
        if answered >= 0 and symptom.kind in ("lost", "wrong", "torn"):
            number = self.recording.ops[answered].request
            due = owed(self.recording, state.point).unanswered
            rivals = [n for n in due if symptom.about in self.recording.requests[n].promises]
            after = self.judge(State("kill", answered + 1))
            if not rivals and any(seen.about == symptom.about for seen in after):
                operation = self.recording.requests[number].name
                return operation, "answered before the work was done", ""
            if not rivals:
                operation = advice.operation_at(timeline, state.point - 1)
                return operation, "destroys what was acknowledged before", symptom.what
        operation = advice.operation_at(timeline, state.point - 1)
        lock = advice.left_lock(timeline, state.point) if symptom.kind == "retry" else ""
        if lock:
            return operation, "a lock file left by a dead process stops the retry", lock
        return operation, *advice.cut(timeline, state.point)

    def shrink(self, state: State, symptom: Symptom) -> tuple[State, Symptom]:
        """The state of the same model and point that loses least and still shows the symptom."""
        lost = set(state.dropped)
        if len(lost) < 2:
            return state, symptom
        smaller = {
            other.dropped: other
            for other in self.timeline.states(state.model, 4, self.seed)
            if other.point == state.point and set(other.dropped) < lost and other.dropped
        }
        for other in sorted(smaller.values(), key=_size)[:12]:
            for seen in self.judge(other):
                if seen.kind == symptom.kind:
                    return other, seen
        return state, symptom

    def finding(self, model: str, state: State, symptom: Symptom) -> Finding:
        whole = self.timeline.tree(State("kill", state.point)).listing()
        left = self.timeline.tree(state).listing()
        operation, flaw, where = self.explain(state, symptom)
        return Finding(
            model,
            operation,
            symptom.kind,
            symptom.what,
            flaw,
            where,
            advice.calls(self.timeline, state),
            [f"{path}  {what[:24]}" for path, what in whole.items() if left.get(path) != what],
            [f"{path}  {what[:24]}" for path, what in left.items() if whole.get(path) != what],
            f"--state {selector(state)}",
        )


def _telling(recording: Recording) -> dict[int, int]:
    """Points where an operation just did what it had not done before, but for folders and reading.

    Other states are judged after those: a flaw shows the first time already.  The likeliest (0) are
    those after an answer, when most is promised; just before it, the disk is the same.
    """
    points: dict[int, int] = {}
    seen: set[tuple[str, str, str]] = set()
    operation, is_new = "", False
    for at, op in enumerate(recording.ops):
        if op.request >= 0:
            operation = recording.requests[op.request].name
        kind = operation, op.call.split("(")[0], advice.shape(op.path)
        first = kind not in seen and "mkdir" not in kind[1] and not operation.startswith(_READERS)
        is_new = first or (is_new and op.kind != "send")
        if op.kind == "ack" and is_new:
            points.pop(at, None)
            points[at + 1] = 0
        elif first:
            points[at + 1] = 1
        seen.add(kind)
    return points


def _spread(states: list[tuple[Key, State]], most: int) -> list[tuple[Key, State]]:
    """So many of them at most, taken from everywhere."""
    room = min(most, len(states))
    return [states[number * len(states) // room] for number in range(room)]


def _size(state: State) -> tuple[int, int]:
    return len(state.dropped), state.point


def selector(state: State) -> str:
    """A state as text that --state understands."""
    torn = ",".join("-".join(map(str, span)) for span in state.torn)
    return f"{state.model}:{state.point}:{','.join(map(str, state.dropped))}:{torn}"


def select(text: str) -> State:
    """The state that a selector names."""
    model, point, dropped, torn = text.split(":")
    spans = [tuple(map(int, span.split("-"))) for span in torn.split(",") if span]
    return State(
        model,
        int(point),
        tuple(int(number) for number in dropped.split(",") if number),
        tuple((span[0], span[1], span[2]) for span in spans),
    )
