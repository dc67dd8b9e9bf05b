"""What a fetch carries: exactly what is wanted and not had, and what it leans on is had."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core.closure import Closure, Lookups, closure
from reference.core.verification import Known
from reference.wire.errors import ProtocolError
from reference.wire.records import check_snapshot, parents
from tests.wire.histories import SAMPLE, History, Version, checked, framed, history, plain
from tests.wire.strategies import histories


def lookups(made: History) -> Lookups:
    """A repository that has all of `made`."""
    commits = {commit["commit_id"]: commit for commit in made.commits}
    records = {record["snapshot_id"]: check_snapshot(record) for record in made.snapshots}
    return Lookups(
        commit=commits.get,
        snapshot=records.__getitem__,
        tree=lambda oid: (made.manifests[oid], made.directories[oid]),
    )


def reach(made: History, starts: list[str]) -> set[str]:
    """Every commit that the starts reach."""
    commits = {commit["commit_id"]: commit for commit in made.commits}
    found = set(starts) & commits.keys()
    while more := {parent for oid in found for parent in parents(commits[oid])} - found:
        found |= more
    return found


def holding(made: History, commit_ids: set[str]) -> Known:
    """A receiver that has these commits and what they need, and nothing else."""
    snapshots = {c["snapshot_id"] for c in made.commits if c["commit_id"] in commit_ids}

    def manifest(snapshot_id: str) -> tuple[dict[str, str], list[str]]:
        assert snapshot_id in snapshots
        return made.manifests[snapshot_id], made.directories[snapshot_id]

    objects = {oid for name in snapshots for oid in made.manifests[name].values()}
    return Known(commit_ids, snapshots, objects, manifest)


def carried(made: History, found: Closure) -> History:
    """The closure as something that can be packed."""
    blobs = {oid: made.blobs[oid] for oid in found.objects}
    return History(found.commits, found.snapshots, blobs, {}, {})


@pytest.mark.requirement("FETCH-006", "FETCH-007", "FETCH-008", "SNAP-013", "SNAP-014")
@settings(max_examples=60)
@given(histories(), st.data())
def test_a_closure_is_exactly_what_the_receiver_lacks(made: History, data: st.DataObject) -> None:
    """Whatever is wanted and had, the packs verify against what is had, and hold nothing more."""
    names = [commit["commit_id"] for commit in made.commits]
    pick = st.lists(st.sampled_from(names), max_size=3) if names else st.just([])
    want, have = data.draw(pick), data.draw(pick)
    found = closure(lookups(made), want, [*have, "sha256:" + "0" * 64])
    had, wanted = reach(made, have), reach(made, want)
    known = holding(made, had)
    order = [commit["commit_id"] for commit in found.commits]
    assert set(order) == wanted - had
    assert len(order) == len(set(order))
    for number, commit in enumerate(found.commits):
        assert set(parents(commit)) <= had | set(order[:number])
    lacking = {c["snapshot_id"] for c in found.commits} - known.snapshots
    assert sorted(record["snapshot_id"] for record in found.snapshots) == sorted(lacking)
    needed = {oid for name in lacking for oid in made.manifests[name].values()}
    assert sorted(found.objects) == sorted(needed - known.objects)
    for pack in (plain(carried(made, found)), framed(carried(made, found))):
        checked(pack, known=known)


@pytest.mark.requirement("MPACK-022")
def test_blobs_go_by_path_and_version() -> None:
    """Versions of one file stand together, the oldest first, where first seen."""
    contents = [b"a1", b"a2", b"a3"]
    versions = [
        Version({"z": content, "a": b"b" + content}, parents=(n - 1,) if n else (), base=n - 1)
        if n
        else Version({"z": content, "a": b"b" + content})
        for n, content in enumerate(contents)
    ]
    made = history(*versions)
    found = closure(lookups(made), [made.commits[-1]["commit_id"]])
    assert [made.blobs[oid] for oid in found.objects] == [b"ba1", b"ba2", b"ba3", *contents]


@pytest.mark.requirement("FETCH-006", "FETCH-007")
def test_a_base_that_is_not_had_gives_no_blobs() -> None:
    """The receiver has a tree from which a file was removed, not the tree that its delta names."""
    made = history(
        Version({"gone": b"x", "kept": b"y"}),
        Version({"kept": b"y"}, base=0),
        Version({"gone": b"x", "kept": b"y"}, parents=(1,), base=0),
    )
    found = closure(lookups(made), [made.commits[2]["commit_id"]], [made.commits[1]["commit_id"]])
    assert [made.blobs[oid] for oid in found.objects] == [b"x"]


@pytest.mark.requirement("SNAP-014")
def test_a_root_becomes_a_delta_where_the_parent_is_known() -> None:
    """A store keeps a full manifest now and then; on the wire the difference is enough."""
    made = history(
        Version({f"{n}": b"x" for n in range(50)}),
        Version({f"{n}": b"x" for n in range(51)}, parents=(0,)),
    )
    assert len(made.snapshots[1]["delta_upsert"]) == 51
    first, second = (commit["commit_id"] for commit in made.commits)
    for have in ([], [first]):
        found = closure(lookups(made), [second], have)
        assert list(found.snapshots[-1]["delta_upsert"]) == ["50"]
        assert found.snapshots[-1]["parent_snapshot_id"] == made.commits[0]["snapshot_id"]


@pytest.mark.requirement("FETCH-001")
def test_what_is_not_here_cannot_be_wanted() -> None:
    """An unknown want, or a parent that is missing, is named."""
    outside = "sha256:" + "0" * 64
    with pytest.raises(ProtocolError, match=outside) as caught:
        closure(lookups(SAMPLE), [SAMPLE.commits[-1]["commit_id"], outside])
    assert caught.value.code == "unknown_commit"
    without_root = History(SAMPLE.commits[1:], SAMPLE.snapshots, {}, {}, {})
    with pytest.raises(ProtocolError, match=SAMPLE.commits[0]["commit_id"]):
        closure(lookups(without_root), [SAMPLE.commits[1]["commit_id"]])


def test_nothing_is_carried_to_whom_nothing_lacks() -> None:
    """Wanted and had, or nothing wanted."""
    tip = SAMPLE.commits[-1]["commit_id"]
    for want, have in (([tip], [tip]), ([], []), ([SAMPLE.commits[0]["commit_id"]], [tip])):
        assert closure(lookups(SAMPLE), want, have) == Closure([], [], [])
