"""Rebuilding manifests: the patched tree against a plain dictionary hashed from the start."""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.wire import manifests
from reference.wire.errors import ProtocolError
from reference.wire.manifests import BUCKET, Change, ManifestTree, walk
from reference.wire.names import check_tree
from tests import oracle

from .histories import History
from .strategies import histories

ONE, TWO, THREE = ("sha256:" + digit * 64 for digit in "123")
BLOBS = (ONE, TWO, THREE)


def no_external(snapshot_id: str) -> tuple[dict[str, str], list[str]]:
    """A receiver that has nothing."""
    raise AssertionError(f"asked for {snapshot_id}")


def assert_is(tree: ManifestTree, files: dict[str, str], folders: list[str]) -> None:
    """The tree is the model: files, directories, id and the size that is hashed."""
    assert tree.files == files
    assert sorted(tree.directories) == sorted(folders)
    assert tree.snapshot_id() == oracle.snapshot_id(files, folders)
    size = sum(len(path.encode()) + 65 for path in files)
    size += sum(len(path.encode()) + 4 for path in folders)
    assert tree.payload_size() == max(size + len(files) + len(folders) - 1, 0)


class Counted:
    """A digest that counts what is hashed."""

    def __init__(self, digest: Any, total: list[int]) -> None:
        self._digest = digest
        self._total = total

    def update(self, data: bytes) -> None:
        """Hashes, and counts."""
        self._total[0] += len(data)
        self._digest.update(data)

    def copy(self) -> Counted:
        """Another one in the same state."""
        return Counted(self._digest.copy(), self._total)

    def hexdigest(self) -> str:
        """As of a digest."""
        return str(self._digest.hexdigest())


def path_of(number: int) -> str:
    """One of many paths; neighbours in number are far apart in order."""
    return f"{number * 7919 % 10007:05}/{number % 3}"


@pytest.mark.requirement("SNAP-004", "SNAP-009")
@pytest.mark.parametrize("seed", range(8))
def test_a_tree_is_a_sorted_dictionary(seed: int) -> None:
    """After any run of deltas the id is that of a dictionary, and undoing them leads back."""
    random = Random(seed)
    files = {path_of(n): random.choice(BLOBS) for n in range(random.choice([0, 1, BUCKET, 700]))}
    folders: list[str] = []
    tree = ManifestTree(files, folders)
    trail: list[tuple[dict[str, str], list[str], Change]] = []
    for _ in range(30):
        removed = random.sample(sorted(files), min(len(files), random.choice([0, 0, 2, 40, 400])))
        upsert = {path_of(random.randrange(2000)): random.choice(BLOBS) for _ in range(40)}
        upsert = {path: oid for path, oid in upsert.items() if path not in removed}
        listed = [f"d{n}" for n in range(random.randrange(4))] if random.random() < 0.3 else None
        before = files, folders
        files = {path: oid for path, oid in {**files, **upsert}.items() if path not in removed}
        folders = folders if listed is None else listed
        trail.append((*before, tree.apply(Change(upsert, removed, listed))))
        assert_is(tree, files, folders)
        while trail and random.random() < 0.3:
            files, folders, undo = trail.pop()
            tree.apply(undo)
            assert_is(tree, files, folders)
    while trail:
        files, folders, undo = trail.pop()
        tree.apply(undo)
    assert_is(tree, files, folders)


def test_a_tree_grows_bucket_by_bucket_from_nothing() -> None:
    """Single insertions in any order, then single removals down to nothing."""
    tree = ManifestTree()
    files: dict[str, str] = {}
    numbers = list(range(3 * BUCKET))
    Random(1).shuffle(numbers)
    for step, number in enumerate(numbers):
        files[path_of(number)] = ONE
        tree.apply(Change({path_of(number): ONE}, [], None))
        if step % 37 == 0:
            assert_is(tree, files, [])
    for step, number in enumerate(reversed(numbers)):
        del files[path_of(number)]
        tree.apply(Change({}, [path_of(number)], None))
        if step % 37 == 0:
            assert_is(tree, files, [])
    assert_is(tree, {}, [])
    tree.apply(Change({"a": TWO}, [], ["b"]))
    assert_is(tree, {"a": TWO}, ["b"])


@pytest.mark.requirement("SNAP-005")
def test_what_is_not_there_cannot_be_removed() -> None:
    """Whatever else the tree holds, nothing included."""
    for files in ({}, {"a": ONE}, {path_of(n): ONE for n in range(300)}):
        with pytest.raises(ProtocolError) as caught:
            ManifestTree(files).apply(Change({}, ["zzz"], None))
        assert caught.value.code == "delta_removes_unknown_path"


FEW_PATHS = st.sampled_from(["a", "a-b", "a.b", "a/b", "a/b/c", "a/c", "b", "ab", "a/b-c", "b/a/d"])


@pytest.mark.requirement("SNAP-008", "ID-022", "ID-023")
@settings(max_examples=200)
@given(
    st.sets(FEW_PATHS),
    st.sets(FEW_PATHS),
    st.sets(FEW_PATHS),
    st.none() | st.lists(FEW_PATHS, unique=True, max_size=3),
    st.integers(0, 2 * BUCKET),
)
def test_a_tree_refuses_what_the_plain_rule_refuses(
    before: set[str], upsert: set[str], remove: set[str], folders: list[str] | None, padding: int
) -> None:
    """Files inside files and directories named like files, found among neighbours only."""
    try:
        check_tree(before, [])
    except ProtocolError:
        before = {path for path in before if "/" not in path and path != "a"}
    files = dict.fromkeys(before, ONE) | {f"a-{n:03}": ONE for n in range(padding)}
    change = Change(dict.fromkeys(upsert - remove, TWO), sorted(remove & before), folders)
    after = {p: oid for p, oid in {**files, **change.upsert}.items() if p not in change.remove}
    try:
        check_tree(after, folders or [])
    except ProtocolError:
        with pytest.raises(ProtocolError) as caught:
            ManifestTree(files).apply(change)
        assert caught.value.code == "path_conflict"
    else:
        tree = ManifestTree(files)
        undo = tree.apply(change)
        assert_is(tree, after, folders or [])
        tree.apply(undo)
        assert_is(tree, files, [])


def walked(made: History, keep: int) -> dict[str, int]:
    """Walks all snapshots but the first `keep`, which are known; how often each came."""
    outside = made.snapshots[:keep]
    inside = made.snapshots[keep:]
    known = {record["snapshot_id"] for record in outside}
    times = dict.fromkeys([record["snapshot_id"] for record in inside], 0)

    def external(snapshot_id: str) -> tuple[dict[str, str], list[str]]:
        assert snapshot_id in known
        return made.manifests[snapshot_id], made.directories[snapshot_id]

    for index, tree in walk(inside, external):
        name = inside[index]["snapshot_id"]
        times[name] += 1
        assert_is(tree, made.manifests[name], made.directories[name])
    return times


@pytest.mark.requirement("SNAP-010", "SNAP-012")
@settings(max_examples=60)
@given(histories(), st.integers(0, 7))
def test_each_snapshot_is_rebuilt_once_from_whatever_it_stands_on(made: History, keep: int) -> None:
    """Roots, chains, branches, and bases that the receiver has."""
    assert set(walked(made, keep).values()) <= {1}


def test_a_wide_and_deep_forest_is_walked() -> None:
    """A thousand snapshots on random earlier ones, every manifest hashed against the oracle."""
    random = Random(7)
    made: list[dict[str, str]] = []
    records = []
    for number in range(1000):
        base = random.randrange(number) if number and random.random() < 0.97 else None
        before = {} if base is None else made[base]
        removed = random.sample(sorted(before), min(len(before), random.choice([0, 0, 1, 5])))
        upsert = {f"{random.randrange(400)}/{random.randrange(3)}": random.choice(BLOBS)}
        upsert = {path: oid for path, oid in upsert.items() if path not in removed}
        manifest = {p: oid for p, oid in {**before, **upsert}.items() if p not in removed}
        made.append(manifest)
        records.append(
            {
                "snapshot_id": f"{number}",
                "parent_snapshot_id": None if base is None else f"{base}",
                "delta_upsert": upsert,
                "delta_remove": removed,
            }
        )
    seen = []
    for index, tree in walk(records, no_external):
        seen.append(index)
        assert tree.files == made[index]
        assert tree.snapshot_id() == oracle.snapshot_id(made[index])
    assert sorted(seen) == list(range(1000))


@pytest.mark.requirement("MPACK-026")
def test_a_snapshot_given_twice_is_rebuilt_twice() -> None:
    """Both are judged; children stand on the first."""
    root: dict[str, Any] = {"snapshot_id": "r", "parent_snapshot_id": None, "delta_remove": []}
    one, two = {**root, "delta_upsert": {"a": ONE}}, {**root, "delta_upsert": {"a": TWO}}
    child = {**one, "snapshot_id": "c", "parent_snapshot_id": "r", "delta_upsert": {"b": ONE}}
    found = [(index, dict(tree.files)) for index, tree in walk([one, two, child], no_external)]
    assert sorted(found) == [(0, {"a": ONE}), (1, {"a": TWO}), (2, {"a": ONE, "b": ONE})]


@pytest.mark.requirement("SNAP-010")
@pytest.mark.parametrize("base", ["later", "itself"])
def test_a_base_that_does_not_stand_earlier_is_looked_up_outside(base: str) -> None:
    """A later snapshot, or the snapshot itself, is no base: the receiver is asked."""
    record = {
        "snapshot_id": "itself",
        "parent_snapshot_id": base,
        "delta_upsert": {"b": ONE},
        "delta_remove": [],
    }
    later = {**record, "snapshot_id": "later", "parent_snapshot_id": None}
    asked: list[str] = []

    def external(snapshot_id: str) -> tuple[dict[str, str], list[str]]:
        asked.append(snapshot_id)
        return {"a": TWO}, ["d"]

    trees = {index: dict(tree.files) for index, tree in walk([record, later], external)}
    assert asked == [base]
    assert trees[0] == {"a": TWO, "b": ONE}


def test_a_chain_costs_what_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is hashed from the first bucket that changed; no delta is undone that need not be."""
    paths = [f"{number:04}" for number in range(4 * BUCKET)]
    root: dict[str, Any] = {"delta_remove": [], "parent_snapshot_id": None, "snapshot_id": "0"}
    records = [{**root, "delta_upsert": dict.fromkeys(paths, ONE)}]
    for number in range(1, 101):
        own = {"snapshot_id": f"{number}", "parent_snapshot_id": f"{number - 1}"}
        records.append({**root, **own, "delta_upsert": {paths[-number]: TWO}})
    hashed, undone = [0], [0]

    def counting(data: bytes) -> Counted:
        return Counted(sha256(data), hashed)

    def applied(tree: ManifestTree, change: Change) -> Change:
        undone[0] += 1
        return apply(tree, change)

    apply = ManifestTree.apply
    monkeypatch.setattr(manifests, "sha256", counting)
    monkeypatch.setattr(ManifestTree, "apply", applied)
    whole = 0
    for _, tree in walk(records, no_external):
        tree.snapshot_id()
        whole += tree.payload_size()
    assert hashed[0] < whole * 0.27
    assert undone[0] == 0
    sibling = {**records[-1], "snapshot_id": "s", "parent_snapshot_id": "98"}
    assert sum(1 for _ in walk([*records, sibling], no_external)) == 102
    assert undone[0] == 2


@pytest.mark.requirement("SNAP-003")
def test_directories_are_inherited_along_a_chain() -> None:
    """Absent is the parent's, empty is none, and a sibling is not affected."""
    root: dict[str, Any] = {"parent_snapshot_id": None, "delta_upsert": {}, "delta_remove": []}
    records = [
        {**root, "snapshot_id": "0", "directories": ["x"]},
        {**root, "snapshot_id": "1", "parent_snapshot_id": "0", "directories": []},
        {**root, "snapshot_id": "2", "parent_snapshot_id": "1"},
        {**root, "snapshot_id": "3", "parent_snapshot_id": "0"},
        {**root, "snapshot_id": "4"},
    ]
    found = {index: list(tree.directories) for index, tree in walk(records, no_external)}
    assert found == {0: ["x"], 1: [], 2: [], 3: ["x"], 4: []}
