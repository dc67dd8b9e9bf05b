"""What a pack must prove: everything recomputed, everything it leans on known."""

from typing import Any

import pytest

from reference.core import verification
from reference.core.verification import Known, check_commits, check_head, check_pack, outside
from reference.wire.errors import ProtocolError
from reference.wire.pack import Pack
from reference.wire.reader import read
from tests import oracle
from tests.wire.histories import SAMPLE, History, Version, as_known, checked, framed, history, plain

OTHER = "sha256:" + "0" * 64
FORMS = pytest.mark.parametrize("make", [plain, framed])


def part(keep: slice, blobs: bool = True) -> History:
    """Some of the sample's records."""
    return History(
        SAMPLE.commits[keep], SAMPLE.snapshots[keep], SAMPLE.blobs if blobs else {}, {}, {}
    )


def refusal(pack: Pack, known: Known | None = None) -> ProtocolError:
    """The error that refuses a pack for how it hangs together."""
    with pytest.raises(ProtocolError) as caught:
        check_pack(pack, known or Known())
    return caught.value


def sample(**changes: Any) -> Pack:
    """The sample as it was read, with other records."""
    found = read([plain(SAMPLE)])
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@FORMS
def test_a_whole_pack_needs_nothing(make: Any) -> None:
    """It names only what it carries."""
    pack = read([make(SAMPLE)])
    blobs = len(set(pack.blob_ids))
    assert outside(pack) == verification.Needs(set(), set(), set(), set(), blobs)
    check_pack(pack, Known())


@pytest.mark.requirement("MPACK-028", "SNAP-010", "SNAP-013")
@FORMS
def test_a_part_needs_the_rest(make: Any) -> None:
    """Parents, bases and blobs that are not carried are named, each once, and each is needed."""
    pack = read([make(part(slice(1, 2), blobs=False))])
    needs = outside(pack)
    assert needs.commits == {SAMPLE.commits[0]["commit_id"]}
    assert needs.bases == {SAMPLE.commits[0]["snapshot_id"]}
    assert needs.objects == set(SAMPLE.snapshots[1]["delta_upsert"].values())
    known = as_known(SAMPLE)
    check_pack(pack, known)
    assert refusal(pack, known._replace(commits=set())).code == "missing_parent"
    assert refusal(pack, known._replace(snapshots=set())).code == "missing_snapshot"
    assert refusal(pack, known._replace(objects=set())).code == "missing_object"


@pytest.mark.requirement("MPACK-028")
def test_a_commit_needs_its_snapshot() -> None:
    """In the pack or at the receiver."""
    pack = sample(snapshots=[])
    error = refusal(pack)
    assert (error.code, error.requirement) == ("missing_snapshot", "MPACK-028")
    check_pack(pack, as_known(SAMPLE)._replace(commits=set(), objects=set()))


@pytest.mark.requirement("SNAP-010", "MPACK-025")
def test_a_base_stands_earlier_or_is_known() -> None:
    """Snapshots parents first: a later base counts only if the receiver has it."""
    backwards = sample(snapshots=read([plain(SAMPLE)]).snapshots[::-1])
    error = refusal(backwards)
    assert (error.code, error.requirement) == ("missing_snapshot", "SNAP-010")
    check_pack(backwards, as_known(SAMPLE))


@pytest.mark.requirement("SNAP-009", "ID-015")
@pytest.mark.parametrize("at", range(len(SAMPLE.snapshots)))
@pytest.mark.parametrize(
    "change",
    [
        {"directories": ["elsewhere"]},
        {"delta_upsert": {"README.md": oracle.blob_id(b"c\n")}},
        {"snapshot_id": OTHER},
    ],
    ids=["directories", "upsert", "id"],
)
def test_every_snapshot_of_a_chain_hashes_to_its_id(at: int, change: dict[str, Any]) -> None:
    """Roots and deltas, the last one like the first; directories count."""
    pack = sample()
    record = pack.snapshots[at]
    change = {
        **change,
        "delta_upsert": {**record["delta_upsert"], **change.get("delta_upsert", {})},
    }
    removed = [path for path in record["delta_remove"] if path not in change["delta_upsert"]]
    pack.snapshots[at] = {**record, **change, "delta_remove": removed}
    known = as_known(SAMPLE)
    if "snapshot_id" in change:
        known = known._replace(snapshots={*known.snapshots, OTHER})
    assert refusal(pack, known).code == "snapshot_mismatch"


@pytest.mark.requirement("REC-011", "ID-015")
@pytest.mark.parametrize(
    "name",
    [
        *("commit_id", "message", "committed_at", "author", "signer_public_key"),
        *("snapshot_id", "parent_commit_id", "parent2_commit_id"),
    ],
)
def test_every_commit_hashes_to_its_id(name: str) -> None:
    """A change of any identifying field is found, whichever commit it is in."""
    check_commits(SAMPLE.commits)
    for at in (0, 3, 5):
        commits = [dict(commit) for commit in SAMPLE.commits]
        commits[at][name] = OTHER if name.endswith("id") else "2020-01-01T00:00:00Z"
        with pytest.raises(ProtocolError) as caught:
            check_commits(commits)
        assert (caught.value.code, caught.value.requirement) == ("commit_mismatch", "REC-011")


@pytest.mark.requirement("REC-011")
def test_a_history_has_no_cycle() -> None:
    """Two commits that name each other cannot both hash to their ids."""
    one, other = (dict(commit) for commit in SAMPLE.commits[:2])
    one["parent_commit_id"] = other["commit_id"]
    one["commit_id"] = oracle.commit_id(one)
    other["parent_commit_id"] = one["commit_id"]
    with pytest.raises(ProtocolError, match="commit_mismatch"):
        check_commits([one, other])


def test_an_error_tells_how_much_is_missing() -> None:
    """One id by name, the others by number."""
    pack = sample(blob_ids=[])
    named = {oid for record in pack.snapshots for oid in record["delta_upsert"].values()}
    error = refusal(pack)
    assert min(named) in error.detail
    assert f"and {len(named) - 1} more" in error.detail


@pytest.mark.requirement("PUSH-008")
def test_the_head_is_carried_or_known() -> None:
    """A head that is neither is `unknown_head`."""
    pack = sample()
    check_head(pack, SAMPLE.commits[2]["commit_id"], known=False)
    check_head(pack, OTHER, known=True)
    with pytest.raises(ProtocolError) as caught:
        check_head(pack, OTHER, known=False)
    assert (caught.value.code, caught.value.requirement) == ("unknown_head", "PUSH-008")


def test_a_receiver_that_answers_no_manifest_refuses() -> None:
    """The default knows nothing, and says which snapshot it was asked for."""
    with pytest.raises(ProtocolError, match=OTHER):
        Known().manifest(OTHER)


@pytest.mark.requirement("SNAP-012")
@FORMS
def test_a_delta_may_stand_on_anything_earlier(make: Any) -> None:
    """Also on the snapshot of a commit that it does not descend from."""
    made = history(
        Version({"a": b"1"}),
        Version({"b": b"2"}),
        Version({"a": b"1", "b": b"3"}, parents=(1,), base=0),
    )
    assert checked(make(made)).snapshots[2]["parent_snapshot_id"] == made.commits[0]["snapshot_id"]
