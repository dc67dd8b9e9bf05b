"""Ancestry, against sets computed by brute force on random graphs."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core.history import is_ancestor, merge_base, newest_first, parents_first, reachable

Graph = dict[str, list[str]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to ten commits with up to two earlier parents, their names in no order."""
    names = draw(st.permutations("abcdefghij"))[: draw(st.integers(1, 10))]
    graph: Graph = {}
    for number, name in enumerate(names):
        earlier = st.sampled_from(names[:number]) if number else st.nothing()
        graph[name] = draw(st.lists(earlier, max_size=2, unique=True)) if number else []
    return graph


def closure(graph: Graph, starts: Sequence[str]) -> set[str]:
    """Every commit that the starts reach, by adding parents until nothing changes."""
    found = set(starts)
    while more := {parent for commit in found for parent in graph[commit]} - found:
        found |= more
    return found


@settings(max_examples=120)
@given(graphs(), st.data())
def test_reachable_is_the_closure_parents_first(graph: Graph, data: st.DataObject) -> None:
    """Each commit once, behind its parents, and nothing that the stop set holds."""
    pick = st.lists(st.sampled_from(sorted(graph)), max_size=3)
    starts, had = data.draw(pick), data.draw(pick)
    stop = closure(graph, had)
    order = reachable(graph.__getitem__, starts, frozenset(stop))
    assert len(order) == len(set(order))
    assert set(order) == closure(graph, starts) - stop
    for number, commit in enumerate(order):
        assert set(graph[commit]) <= set(order[:number]) | stop


@settings(max_examples=120)
@given(graphs(), st.data())
def test_ancestors_and_bases_are_those_of_the_closures(graph: Graph, data: st.DataObject) -> None:
    """The best common ancestors are those that no other one descends from; the smallest counts."""
    ours, theirs = (data.draw(st.sampled_from(sorted(graph))) for _ in range(2))
    assert is_ancestor(graph.__getitem__, ours, theirs) == (ours in closure(graph, [theirs]))
    common = closure(graph, [ours]) & closure(graph, [theirs])
    best = {
        commit
        for commit in common
        if not any(commit in closure(graph, [other]) for other in common - {commit})
    }
    assert merge_base(graph.__getitem__, ours, theirs) == min(best, default=None)


@pytest.mark.requirement("STORE-069")
def test_of_several_bases_the_smallest_id() -> None:
    """A criss-cross merge has two."""
    graph = {"r": [], "x": ["r"], "b": ["r"], "m": ["x", "b"], "n": ["b", "x"]}
    assert merge_base(graph.__getitem__, "m", "n") == "b"
    assert merge_base(graph.__getitem__, "m", "x") == "x"


@pytest.mark.requirement("STORE-069")
def test_strangers_have_no_base() -> None:
    """Two roots share nothing."""
    assert merge_base({"a": [], "b": []}.__getitem__, "a", "b") is None


@given(graphs(), st.data())
def test_the_newest_comes_first(graph: Graph, data: st.DataObject) -> None:
    """Each reachable commit once; one comes after another only if it was not waiting before."""
    times = {name: data.draw(st.integers(0, 5)) for name in sorted(graph)}
    start = data.draw(st.sampled_from(sorted(graph)))
    order = list(newest_first(graph.__getitem__, lambda name: float(times[name]), [start, start]))
    assert len(order) == len(set(order))
    assert set(order) == closure(graph, [start])
    for number, commit in enumerate(order):
        waiting = {p for done in order[:number] for p in graph[done]} - set(order[:number])
        assert times[commit] == max((times[name] for name in waiting), default=times[commit])


def test_long_and_wide_histories_need_no_stack() -> None:
    """A hundred thousand commits in a line, and a merge at each of some thousands."""
    line = {str(n): [str(n - 1)] if n else [] for n in range(100_000)}
    assert reachable(line.__getitem__, ["99999"]) == list(line)
    assert is_ancestor(line.__getitem__, "0", "99999")
    random = Random(1)
    wide = {str(n): [str(random.randrange(n)) for _ in range(2)] if n else [] for n in range(5000)}
    order = reachable(wide.__getitem__, ["4999", "4998"])
    place = {commit: number for number, commit in enumerate(order)}
    assert all(place[parent] < place[commit] for commit in order for parent in wide[commit])


@given(graphs(), st.data())
def test_parents_come_first_whatever_the_order(graph: Graph, data: st.DataObject) -> None:
    """What comes in order stays in it; a parent that is not among the keys does not count."""
    order = parents_first({name: graph[name] for name in data.draw(st.permutations([*graph]))})
    assert sorted(order) == sorted(graph)
    for at, name in enumerate(order):
        assert set(graph[name]) & graph.keys() <= set(order[:at])
    above = {name: [*graph[name], "elsewhere"] for name in order}
    assert parents_first(above) == order
