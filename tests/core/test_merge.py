"""Three-way merge by path: who changed what, against the rule applied path by path."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core.merge import Tree, three_way
from reference.wire.errors import ProtocolError
from reference.wire.names import check_tree

PATHS = ["a", "a/b", "a/c", "a-b", "b", "b/c/d"]


def is_tree(manifest: dict[str, str], directories: list[str]) -> bool:
    """Whether one snapshot can hold both."""
    try:
        check_tree(manifest, directories)
    except ProtocolError:
        return False
    return True


trees = st.tuples(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from("123")),
    st.lists(st.sampled_from([*PATHS, "d"]), unique=True, max_size=3).map(sorted),
).filter(lambda tree: is_tree(*tree))


@pytest.mark.requirement("STORE-066")
@settings(max_examples=200)
@given(trees, trees, trees)
def test_each_path_goes_with_the_side_that_changed_it(base: Tree, ours: Tree, theirs: Tree) -> None:
    """A side that did not change yields; equal changes are one; the rest are conflicts."""
    merged = three_way(base, ours, theirs)
    conflicts = set()
    for path in {*base[0], *ours[0], *theirs[0]}:
        before, mine, other = (tree[0].get(path) for tree in (base, ours, theirs))
        changed_by = {side for side, value in (("us", mine), ("them", other)) if value != before}
        expected = other if changed_by == {"them"} else mine
        assert merged.manifest.get(path) == expected
        if changed_by == {"us", "them"} and mine != other:
            conflicts.add(path)
    for path in {*base[1], *ours[1], *theirs[1]}:
        there = [path in tree[1] for tree in (base, ours, theirs)]
        expected_there = all(there) if there[0] else any(there)
        assert (path in merged.directories) == expected_there
    assert conflicts <= set(merged.conflicts)
    if not merged.conflicts:
        assert is_tree(merged.manifest, merged.directories)
    elif not conflicts:
        assert not is_tree(merged.manifest, merged.directories)
    rest = set(merged.conflicts) - conflicts
    assert all(
        any(
            name.startswith(path + "/") or name == path
            for name in (*(set(merged.manifest) - {path}), *merged.directories)
        )
        for path in rest
    )


@pytest.mark.requirement("STORE-066")
@given(trees, trees)
def test_one_side_alone_is_taken_as_it_is(base: Tree, changed: Tree) -> None:
    """Merging a change into what did not change, either way round, gives the change."""
    for merged in (three_way(base, changed, base), three_way(base, base, changed)):
        assert (merged.manifest, merged.directories) == (changed[0], sorted(changed[1]))
        assert merged.conflicts == []


@pytest.mark.requirement("STORE-066", "HTTP-040")
@pytest.mark.parametrize(
    ("ours", "theirs", "conflicts"),
    [
        ({"x": "2", "k": "1"}, {"x": "3", "k": "1"}, ["x"]),
        ({"k": "1"}, {"x": "2", "k": "1"}, ["x"]),
        ({"x": "2", "k": "1"}, {"k": "1"}, ["x"]),
        ({"x": "1", "k": "1", "n": "1"}, {"x": "1", "k": "1", "n/m": "1"}, ["n"]),
        ({"x": "1", "k": "1", "n": "1"}, {"x": "1", "k": "1", "n": "2"}, ["n"]),
        ({"k": "1"}, {"k": "1"}, []),
        ({"x": "2", "k": "1"}, {"x": "2", "k": "1"}, []),
        ({"x": "2", "k": "1"}, {"x": "1", "k": "3"}, []),
        ({"k/1": "1", "x": "1"}, {"k": "2", "x": "1"}, ["k"]),
        ({"\uff5e": "1", "😀": "1"}, {"\uff5e": "2", "😀": "2"}, ["k", "x", "\uff5e", "😀"]),
    ],
)
def test_conflicts_by_example(
    ours: dict[str, str], theirs: dict[str, str], conflicts: list[str]
) -> None:
    """Both edited, delete against edit, file against folder; in path order."""
    found = three_way(({"x": "1", "k": "1"}, []), (ours, []), (theirs, [])).conflicts
    if "\uff5e" in ours:  # deleted on both sides is no conflict
        conflicts = conflicts[2:]
    assert found == conflicts


@pytest.mark.requirement("STORE-066")
def test_directories_merge_as_sets() -> None:
    """Added by one is there, removed by one is gone, and one that a file takes is a conflict."""
    base: Tree = ({}, ["kept", "we remove", "they remove"])
    ours: Tree = ({}, ["kept", "they remove", "we add"])
    theirs: Tree = ({"we add": "1"}, ["kept", "we remove", "they add"])
    merged = three_way(base, ours, theirs)
    assert merged.directories == ["kept", "they add", "we add"]
    assert merged.conflicts == ["we add"]
