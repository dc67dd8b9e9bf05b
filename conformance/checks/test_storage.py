"""What lies where: packs of blobs in the object store, everything else in the database."""

from __future__ import annotations

from pathlib import Path

import msgpack
import pytest

from conformance import oracle
from conformance.checks.conftest import NewRepository
from conformance.checks.test_jobs import settled
from conformance.client import Client
from conformance.expectations import check_refusal, exactly, exclusive, fail, requirement
from conformance.histories import Commit, chain, child_of, commit
from conformance.inspection import Inspection
from conformance.repository import Repository
from conformance.world import World

HEX = "decode(substr($1, 8), 'hex')"


def served(repo: Repository) -> tuple[Commit, dict[str, str]]:
    """A pushed commit, and the ids of a pushed, a merged and an initial commit with their trees."""
    root = commit("root")
    ours, theirs = child_of(root, "ours"), child_of(root, "theirs")
    repo.given(root, ours)
    repo.given(theirs, branch="theirs")
    merged = repo.merge("theirs")["commit_id"]
    ids = {"pushed": ours.id, "merged": str(merged)}
    return ours, ids


@requirement("STORAGE-002", "BOS1", "BOS6", "K1")
def test_a_commit_has_no_object(
    repo: Repository, new_repo: NewRepository, inspect: Inspection
) -> None:
    """storage_uri is null for pushed, merged and initial commits."""
    _, ids = served(repo)
    ids["initial"] = new_repo(initialize=True).heads()["main"]
    for kind, id in ids.items():
        uris = inspect.storage_uris("commit", id)
        assert (kind, bool(uris), [uri for uri in uris if uri is not None]) == (kind, True, [])


@requirement("STORAGE-003", "BOS2")
def test_a_snapshot_has_no_object(
    repo: Repository, new_repo: NewRepository, inspect: Inspection
) -> None:
    """storage_uri is null for their snapshots, too."""
    _, ids = served(repo)
    snapshots = [repo.commit(id)["snapshot_id"] for id in ids.values()]
    new_repo(initialize=True)
    for id in [*snapshots, oracle.snapshot_id({})]:
        uris = inspect.storage_uris("snapshot", id)
        assert (bool(uris), [uri for uri in uris if uri is not None]) == (True, [])


@requirement("STORAGE-004", "STORAGE-008", "BOS3", "BOS8")
def test_a_blob_lies_in_a_pack(repo: Repository, inspect: Inspection) -> None:
    """storage_uri is `mpack://` and the digits of a pack that holds the blob."""
    tip = commit("a")
    raw = repo.pack(tip)
    repo.push(tip)
    for blob in tip.blobs:
        assert f"mpack://{oracle.digest(raw)[7:]}" in inspect.storage_uris("blob", blob)


@exclusive
@requirement("STORAGE-001", "BG8")
@pytest.mark.parametrize("size", [1, 40])
def test_a_push_of_any_size_adds_a_few_objects(
    repo: Repository, inspect: Inspection, size: int
) -> None:
    """No object per commit, snapshot or blob: only packs, and the upload until it is collected."""
    links = chain(size)
    raw = repo.pack(links[-1])
    before = inspect.objects()
    repo.push(*links)
    settled(repo)
    ids = [id for link in links for id in (link.id, link.snapshot, *link.blobs)]
    digits = {id[7:] for id in ids}
    added = [key for key in inspect.objects() if key not in before]
    named = [key for key in added if any(part in digits for part in Path(key).parts)]
    mine = [key for key in added if oracle.digest(raw)[7:] in key or repo.id[7:] in key]
    assert (named, len(mine) <= 3) == ([], True)


@exclusive
@requirement("STORAGE-006", "BOS7")
def test_the_servers_own_commits_add_no_object(
    repo: Repository, inspect: Inspection, world: World
) -> None:
    """Initialising and merging write nothing to the object store but prebuilt packs."""
    with world.without_objects():
        fresh = world.repository(initialize=True)
        assert list(fresh.heads()) == ["main"]
    root = commit("root")
    repo.given(root, child_of(root, "ours"))
    repo.given(child_of(root, "theirs"), branch="theirs")
    with world.without_objects():
        merged = repo.merge("theirs")
        assert repo.commit(merged["commit_id"])["commit_id"] == merged["commit_id"]
    assert not [key for key in inspect.objects() if str(merged["commit_id"])[7:] in key]


@requirement("STORAGE-007", "BOS8", "DP8")
def test_snapshots_are_stored_as_deltas(repo: Repository, inspect: Inspection) -> None:
    """The row of a small change on a large tree is small."""
    root = commit("root", files={f"file{n}": b"%d" % n for n in range(200)})
    tip = child_of(root, files={"file7": b"changed " + repo.slug.encode()})
    repo.push(root, tip)
    rows = inspect.tables(
        f"SELECT delta, parent_snapshot_id FROM snapshots WHERE snapshot_id = {HEX}", tip.snapshot
    )
    upsert, remove = msgpack.unpackb(rows[0][0])
    assert (list(upsert), list(remove)) == (["file7"], [])
    exactly(repo.fetch(tip), [tip])


@requirement("STORAGE-011")
def test_the_references_ids_are_derived(repo: Repository, world: World) -> None:
    """In the reference's tables ids are made as storage.md says."""
    tip = repo.given(commit("a"))
    repo.fetch(tip)
    query = (
        "SELECT r.owner, r.slug, to_char(r.created_at AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), encode(b.branch_id, 'hex'), b.name"
        f" FROM repos r JOIN branches b USING (repo_id) WHERE repo_id = {HEX}"
    )
    owner, slug, created, branch, name = world.inspect.tables(query, repo.id)[0]
    assert repo.id == oracle.opaque_id("repo", owner, slug, created)
    assert f"sha256:{branch}" == oracle.opaque_id("branch", repo.id, name)
    rows = world.inspect.tables(
        "SELECT encode(cache_id, 'hex'), form FROM fetch_mpack_cache"
        f" WHERE repo_id = {HEX} AND tip_commit_id = decode(substr($2, 8), 'hex')",
        repo.id,
        tip.id,
    )
    for cache, form in rows:
        assert f"sha256:{cache}" == oracle.opaque_id("cache", repo.id, tip.id, form)
    assert rows


INDEX = (
    "SELECT encode(mpack_id, 'hex'), frame_offset, frame_length, stored, \"offset\", length"
    f" FROM mpack_index WHERE blob_id = {HEX}"
)


@requirement("MPACK-045", "STORAGE-008")
def test_rows_of_a_plain_pack_point_at_contents(repo: Repository, inspect: Inspection) -> None:
    """One range of the pack is the blob itself."""
    tip = commit("a", files={"a": b"one " + repo.slug.encode(), "b": b"two " + repo.slug.encode()})
    raw = repo.pack(tip)
    repo.push(tip)
    for blob, content in tip.blobs.items():
        rows = {row[0]: row[1:] for row in inspect.tables(INDEX, blob)}
        start, length, stored, offset, size = rows[oracle.digest(raw)[7:]]
        assert raw[start : start + length] == content
        assert (stored, offset, size) == (True, 0, len(content))


@requirement("MPACK-044", "STORAGE-008")
def test_rows_of_a_framed_pack_point_into_frames(
    framed_repo: Repository, inspect: Inspection
) -> None:
    """The range is the frame without its bin's header; the blob lies inside its content."""
    import zstandard

    text = b"text of some length, many times over. " * 20
    files = {name: name.encode() + text + framed_repo.slug.encode() for name in "abc"}
    tip = commit("a", files=files)
    raw = framed_repo.pack(tip, framed=True)
    framed_repo.push(tip, framed=True)
    for blob, content in tip.blobs.items():
        rows = {row[0]: row[1:] for row in inspect.tables(INDEX, blob)}
        start, length, stored, offset, size = rows[oracle.digest(raw)[7:]]
        frame = raw[start : start + length]
        opened = frame if stored else zstandard.ZstdDecompressor().decompress(frame)
        assert opened[offset : offset + size] == content


@exclusive
@requirement("STORAGE-005", "HTTP-016", "BOS4", "HTTP-042")
def test_without_the_object_store_records_are_still_answered(
    repo: Repository, world: World, anyone: Client
) -> None:
    """Refs, negotiation and records answer, blobs and pushes say 503; then all is well."""
    tip = repo.given(commit("a"))
    blob = next(iter(tip.blobs))
    with world.without_objects():
        assert repo.heads() == {"main": tip.id}
        assert repo.negotiate([tip.id], [tip.id])["ack"] == [tip.id]
        assert repo.commit(tip.id)["commit_id"] == tip.id
        assert repo.snapshot(tip.snapshot)["delta_upsert"] == tip.manifest
        check_refusal(repo.blob(blob), 503, "storage_down")
        after = child_of(tip)
        target = f"{repo.path}/push/unpack?branch=main&head={after.id}"
        check_refusal(repo.client.send("POST", target, repo.pack(after)), 503, "storage_down")
        health = anyone.ask("GET", "/healthz")
        if health.status != 503 or not any(
            str(reason).startswith("objects") for reason in health.fields["reasons"]
        ):
            fail("503 with a reason that begins with objects", str(health))
        assert repo.heads() == {"main": tip.id}
    repo.push(after)
    repo.holds(after)


@exclusive
@requirement("HTTP-017", "ID-015")
def test_a_corrupt_blob_is_never_sent(repo: Repository, inspect: Inspection, world: World) -> None:
    """Stored bytes that no longer hash are 503; put right, the blob is served again."""
    tip = commit("a", files={"a": b"to be damaged " + repo.slug.encode()})
    repo.push(tip)
    world.jobs_idle()
    content = tip.files["a"]
    found = {item: item.read() for item in map(inspect.object, inspect.objects())}
    whole = {item: data for item, data in found.items() if data and content in data}
    if not whole:
        fail("an object that holds the pushed pack", f"none, of {len(found)}")
    try:
        for item, data in whole.items():
            item.write(data.replace(content, b"!" * len(content)))
        answer = repo.blob(oracle.blob_id(content))
        if (answer.status, answer.body) != (200, content):  # which came from another, sound copy
            check_refusal(answer, 503, "storage_down")
    finally:
        for item, data in whole.items():
            item.write(data)
    assert repo.blob(oracle.blob_id(content)).body == content


@exclusive
@requirement("HTTP-023")
def test_deleting_frees_what_only_it_used(
    new_repo: NewRepository, inspect: Inspection, world: World
) -> None:
    """After a collection its packs are gone, and shared content is still served elsewhere."""
    gone, stays = new_repo(), new_repo()
    shared = commit("shared")
    tip = child_of(shared, "own")
    gone.push(shared, tip)
    stays.push(shared)
    world.jobs_idle()
    gone.delete()
    world.ledger.deleted(gone.id)
    world.command("expire_cache")
    world.command("gc")
    stays.holds(shared)
    assert stays.fetch(shared).pack.blobs == shared.blobs
    own = oracle.blob_id(tip.files["own.txt"])
    if inspect.storage_uris("blob", own):
        fail("no index row for a blob that nobody has", str(inspect.storage_uris("blob", own)))
