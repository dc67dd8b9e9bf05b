"""What is new, found from the end: against sets computed by brute force on random graphs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core.closure import difference
from reference.core.history import Sweep, merge_base
from tests.wire.histories import History, checked, framed, plain
from tests.wire.strategies import histories

from .test_closure import carried, holding, lookups, reach
from .test_history import Graph, closure, graphs


def arrivals(graph: Graph) -> list[str]:
    """The commits in an order in which they may have arrived, the last first."""
    order: list[str] = []
    while len(order) < len(graph):
        order += [own for own in graph if own not in order and set(graph[own]) <= set(order)]
    return order[::-1]


@settings(max_examples=150)
@given(graphs(), st.data())
def test_two_sides_are_told_apart(graph: Graph, data: st.DataObject) -> None:
    """What ours reach alone, and where they meet theirs first, is known once it is done."""
    pick = st.lists(st.sampled_from(sorted(graph)), max_size=3)
    ours, theirs = data.draw(pick), data.draw(pick)
    found = Sweep(ours, theirs)
    for commit in arrivals(graph):
        if found.done:
            break
        found.take(commit, graph[commit])
    assert found.done
    assert found.only.keys() == closure(graph, ours) - closure(graph, theirs)
    common = closure(graph, ours) & closure(graph, theirs)
    inner = {parent for commit in common for parent in graph[commit]}
    assert set(found.bases) == common - inner
    if set(ours) <= set(theirs):
        assert not found.only
    if len(ours) == len(theirs) == 1:
        assert min(found.bases, default=None) == merge_base(graph.__getitem__, *ours, *theirs)


@settings(max_examples=80)
@given(graphs(), st.data())
def test_what_is_met_is_told_where_it_is_met_first(graph: Graph, data: st.DataObject) -> None:
    """Of the commits to meet, those that ours reach and that none of the others descends from."""
    pick = st.lists(st.sampled_from(sorted(graph)), max_size=4)
    ours, met = data.draw(pick), set(data.draw(pick))
    found = Sweep(ours, met=met)
    for commit in arrivals(graph):
        found.take(commit, graph[commit])
    reached = closure(graph, ours) & met
    below = {other for one in reached for other in closure(graph, [one]) - {one}}
    assert set(found.bases) == reached - below


def test_nothing_is_asked_for_below_the_meeting_point() -> None:
    """A new commit on a long line is found after two."""
    line = {str(n): [str(n - 1)] if n else [] for n in range(1000)}
    found = Sweep(["999"], ["998"])
    asked = []
    for commit in reversed(line):
        if found.done:
            break
        asked.append(commit)
        found.take(commit, line[commit])
    assert (asked, list(found.only), found.bases) == (["999", "998"], ["999"], ["998"])


@settings(max_examples=80)
@given(histories(), st.data())
def test_a_difference_is_enough_and_starts_from_what_is_had(
    made: History, data: st.DataObject
) -> None:
    """Whatever is wanted and had, the packs verify against what is had, and bring what lacks."""
    names = [commit["commit_id"] for commit in made.commits]
    pick = st.lists(st.sampled_from(names), max_size=3) if names else st.just([])
    want, have = data.draw(pick), data.draw(pick)
    found = difference(lookups(made), want, have)
    had = reach(made, have)
    order = [commit["commit_id"] for commit in found.commits]
    assert set(order) | had >= reach(made, want)
    known = holding(made, had)
    for pack in (plain(carried(made, found)), framed(carried(made, found))):
        checked(pack, known=known)
