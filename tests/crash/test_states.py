"""The models, on traces written by hand."""

from __future__ import annotations

from conformance.crash.states import State, Timeline
from conformance.crash.trace import Op, Recording
from conformance.crash.tree import ROOT, Node, Tree

Names = set[frozenset[tuple[str, bytes]]]


def trace(*ops: Op, nodes: int = 4) -> Timeline:
    """A timeline over an empty root and some files that do not have a name yet."""
    recording = Recording(Tree(), Tree())
    recording.ops = list(ops)
    recording.nodes = {number: Node("file", 0o644) for number in range(1, nodes)}
    recording.nodes[9] = Node("folder", 0o755)
    return Timeline(recording)


def create(node: int, name: str, folder: int = ROOT) -> Op:
    return Op("create", f"open({name})", 1, node=node, binds=((folder, name, node),), path=name)


def write(node: int, data: bytes, offset: int = 0) -> Op:
    return Op("write", "write", 1, node=node, data=data, offset=offset)


def sync(node: int, error: str = "") -> Op:
    return Op("sync", "fsync", 1, node=node, error=error)


def rename(node: int, old: str, new: str, folder: int = ROOT, target: int = ROOT) -> Op:
    return Op("bind", "rename", 1, node=node, binds=((folder, old, None), (target, new, node)))


def outcomes(timeline: Timeline, model: str) -> Names:
    """The contents of every state, as sets of (path, data)."""
    found = set()
    for state in timeline.states(model):
        tree = timeline.tree(state)
        files = ((path, tree.nodes[node].data) for path, node in tree.walk())
        found.add(frozenset(files))
    return found


def end(timeline: Timeline, model: str) -> set[frozenset[str]]:
    """The names there can be when the crash comes after the last op."""
    last = len(timeline.recording.ops)
    return {
        frozenset(path for path, _ in timeline.tree(state).walk())
        for state in timeline.states(model)
        if state.point == last
    }


SAFE = (create(1, "t"), write(1, b"new"), sync(1), rename(1, "t", "f"), sync(ROOT))


def test_kill_leaves_every_prefix() -> None:
    """Nothing that was done is undone."""
    states = outcomes(trace(*SAFE), "kill")
    assert states == {
        frozenset({("t", b"")}),
        frozenset({("t", b"new")}),
        frozenset({("f", b"new")}),
    }


def test_a_synced_file_and_folder_lose_nothing() -> None:
    """After the two syncs of a safe replacement no model has anything left to drop."""
    timeline = trace(*SAFE)
    assert timeline.pending(len(SAFE)) == []


def test_journal_loses_data_under_the_new_name() -> None:
    """A rename that is carried by a sync of something else shows a file without its data."""
    timeline = trace(create(1, "t"), write(1, b"new"), rename(1, "t", "f"), sync(ROOT))
    assert frozenset({("f", b"")}) in outcomes(timeline, "journal")


def test_journal_keeps_metadata_in_order() -> None:
    """Any sync carries all earlier names; strict carries those of the folder only."""
    ops = (create(9, "d"), create(1, "f", folder=9), sync(9))
    assert end(trace(*ops), "journal") == set()
    assert frozenset() in end(trace(*ops), "strict")


def test_strict_needs_both_folders_of_a_rename() -> None:
    """With only the source synced the file can be gone altogether."""
    ops = (create(9, "d"), create(1, "f"), sync(ROOT), rename(1, "f", "g", target=9), sync(ROOT))
    assert frozenset({"d"}) in end(trace(*ops), "strict")


def test_a_file_sync_does_not_carry_its_name() -> None:
    """Strict: the data is durable, the entry is not."""
    timeline = trace(create(1, "f"), write(1, b"x"), sync(1))
    assert end(timeline, "strict") == {frozenset()}


def test_paranoid_tears_at_a_sector() -> None:
    """A pending write may keep its first 512 bytes and read as zeros after them."""
    timeline = trace(create(1, "f"), write(1, b"x" * 1000))
    torn = {dict(state).get("f") for state in outcomes(timeline, "paranoid")}
    assert b"x" * 512 + bytes(488) in torn
    assert bytes(1000) in torn


def test_a_failed_sync_dooms_what_it_was_for() -> None:
    """A second fsync that succeeds does not bring back what the first one dropped."""
    timeline = trace(create(1, "f"), sync(ROOT), write(1, b"x"), sync(1, "EIO"), sync(1))
    assert timeline.units[timeline.pending(5)[0]].doomed
    again = trace(
        create(1, "f"), sync(ROOT), write(1, b"x"), sync(1, "EIO"), write(1, b"x"), sync(1)
    )
    assert [unit.doomed for unit in again.units] == [False, True, False]


def test_a_sync_that_is_not_supported_counts() -> None:
    """EINVAL says that this file system needs none."""
    timeline = trace(create(1, "f"), sync(ROOT, "EINVAL"))
    assert timeline.pending(2) == []


def test_all_subsets_while_few_are_pending() -> None:
    """Three independent creations have eight outcomes."""
    timeline = trace(create(1, "a"), create(2, "b"), create(3, "c"))
    kept = end(timeline, "strict") | {frozenset("abc")}
    assert len(kept) == 8


def test_a_state_is_built_the_same_whatever_was_built_before() -> None:
    """The cached prefix is never changed by a state that stands on it."""
    timeline = trace(*SAFE)
    late = State("strict", 5, (0,))
    first = timeline.tree(late).listing()
    timeline.tree(State("kill", 1))
    assert timeline.tree(late).listing() == first
