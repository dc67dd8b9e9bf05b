"""Builds the states of a recording, judges each once, and keeps the smallest proof of each flaw."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import advice
from .findings import Finding
from .oracle import Oracle, Symptom
from .promises import owed
from .requests import Request
from .states import State, Timeline
from .trace import Recording

_WORKERS = 2
_GROUPS = 40
_READERS = ("get_", "list_", "fsck")


@dataclass(slots=True)
class Explorer:
    """One recording and the oracle that judges what a crash leaves of it."""

    recording: Recording
    oracle: Oracle
    seed: int = 0
    timeline: Timeline = field(init=False)
    built: dict[str, int] = field(default_factory=dict)  # states of each model
    judged: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)  # states that the cap left out
    bad: dict[str, int] = field(default_factory=dict)
    _seen: dict[tuple[str, int], list[Symptom]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.recording)

    def explore(self, model: str, most: int, bound: int) -> list[Finding]:
        """The findings of one model, judging at most so many states that no weaker one had."""
        fresh: dict[tuple[str, int], State] = {}
        for state in self.timeline.states(model, bound, self.seed):
            self.built[model] = self.built.get(model, 0) + 1
            key = self._key(state)
            if key not in self._seen and (key not in fresh or state.rank < fresh[key].rank):
                fresh[key] = state
        chosen = sorted(fresh.items(), key=lambda item: (item[1].rank, item[1].point))[:most]
        self.left[model] = len(fresh) - len(chosen)
        groups: dict[tuple[str, str], list[tuple[State, Symptom]]] = {}
        for state, symptoms in self._judge_all(chosen):
            self.judged[model] = self.judged.get(model, 0) + 1
            self.bad[model] = self.bad.get(model, 0) + bool(symptoms)
            for symptom in symptoms:
                group = (advice.blame(self.timeline, state), symptom.kind)
                groups.setdefault(group, []).append((state, symptom))
        return self._findings(model, groups)

    def judge(self, state: State) -> list[Symptom]:
        """The symptoms of one state, from memory when its like was judged before."""
        key = self._key(state)
        if key not in self._seen:
            self._seen[key] = self.oracle.judge(
                self.timeline.tree(state),
                owed(self.recording, state.point),
                self.retry(state.point),
            )
        return self._seen[key]

    def retry(self, point: int) -> Request | None:
        """What a client would send again: the unanswered request, else the last one answered."""
        due = owed(self.recording, point)
        numbers = due.unanswered or [due.last]
        request = self.recording.requests[numbers[0]] if numbers[0] >= 0 else None
        return None if request is None or request.op.startswith(_READERS) else request

    def _key(self, state: State) -> tuple[str, int]:
        ops = self.recording.ops[: state.point]
        said = next((at for at in range(len(ops) - 1, -1, -1) if ops[at].kind in ("send", "ack")), -1)
        return self.timeline.tree(state).digest(), said

    def _judge_all(
        self, chosen: list[tuple[tuple[str, int], State]]
    ) -> Iterable[tuple[State, list[Symptom]]]:
        """Trees are built in order by one thread; the subject runs in a few at once."""
        with ThreadPoolExecutor(_WORKERS) as pool:
            jobs = [
                (
                    key,
                    state,
                    pool.submit(
                        self.oracle.judge,
                        self.timeline.tree(state),
                        owed(self.recording, state.point),
                        self.retry(state.point),
                    ),
                )
                for key, state in sorted(chosen, key=lambda item: item[1].point)
            ]
            for key, state, job in jobs:
                self._seen[key] = job.result()
                yield state, self._seen[key]

    def _findings(
        self, model: str, groups: dict[tuple[str, str], list[tuple[State, Symptom]]]
    ) -> list[Finding]:
        found: dict[tuple[str, str, str], Finding] = {}
        for cases in list(groups.values())[:_GROUPS]:
            proofs: dict[str, tuple[State, Symptom]] = {}
            for state, symptom in sorted(cases, key=lambda case: _size(case[0])):
                proofs.setdefault(advice.explain(self.timeline, state, symptom), (state, symptom))
            for state, symptom in list(proofs.values())[:3]:
                finding = self.finding(model, *self.shrink(state, symptom))
                found.setdefault(finding.key, finding)
        return list(found.values())

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
        return Finding(
            model,
            advice.blame(self.timeline, state),
            symptom.kind,
            symptom.what,
            advice.explain(self.timeline, state, symptom),
            advice.calls(self.timeline, state),
            [f"{path}  {what[:24]}" for path, what in whole.items() if left.get(path) != what],
            [f"{path}  {what[:24]}" for path, what in left.items() if whole.get(path) != what],
            selector(state),
        )


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
