"""Collection: what goes, and what must not."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conformance import oracle, packs
from conformance.expectations import exclusive, requirement
from conformance.histories import chain, child_of, commit
from conformance.inspection import Inspection
from conformance.outcomes import CouldNotRun
from conformance.repository import Repository
from conformance.world import World


def collect(world: World) -> dict[str, Any]:
    """Runs one collection; the counts it prints."""
    output = world.command("gc").strip()
    try:
        value = json.loads(output.splitlines()[-1]) if output else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@exclusive
@requirement("STORAGE-012", "STORAGE-013", "FMC_19", "FMC_20")
def test_expired_rows_go_and_fresh_ones_stay(repo: Repository, world: World) -> None:
    """An expired row answers nobody, its pack is there while a link to it lives; others stay."""
    _, old, tip = chain(3)
    repo.given(tip)
    world.jobs_idle()
    linked = repo.fetch(old)
    world.command("expire_cache")
    fresh = repo.fetch(tip)
    collect(world)
    assert repo.ask("POST", "fetch/presign", {"want": [old.id]}).status == 404
    answer = repo.call("POST", "fetch/presign", {"want": [tip.id]})
    assert (answer["cache"], answer["mpack_id"]) == ("hit", fresh.answer["mpack_id"])
    repo.download(answer)
    repo.download(linked.answer)
    repo.holds(tip)


@exclusive
@requirement("STORAGE-013", "FMC_19")
def test_a_pack_that_the_index_needs_stays(repo: Repository, world: World) -> None:
    """A pushed pack that also is the expired clone pack is not collected."""
    tip = commit("a")
    repo.push(tip)
    world.jobs_idle()
    repo.fetch(tip)
    world.command("expire_cache")
    collect(world)
    collect(world)
    repo.holds(tip)
    assert list(repo.fetch(tip).pack.commits) == [tip.id]


@exclusive
@requirement("STORAGE-013", "STORAGE-015", "PUSH-016")
def test_collecting_loses_nothing(repo: Repository, world: World) -> None:
    """Pushes and fetches beside collections, and before them, are whole afterwards."""
    links = chain(8)
    repo.given(links[0])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: [collect(world) for _ in range(2)])
        for link in links[1:]:
            repo.push(link)
            repo.fetch(link)
        running.result()
    collect(world)
    repo.holds(links[-1])
    assert len(repo.fetch(links[-1]).pack.commits) == len(links)


@exclusive
@requirement("STORAGE-012", "STORAGE-015", "PUSH-003")
def test_a_fresh_upload_stays(repo: Repository, world: World) -> None:
    """What was uploaded and not yet taken in is there as long as its URL lives."""
    tip = commit("a")
    key = repo.upload(repo.pack(tip))
    collect(world)
    repo.unpack(key, tip.id)
    repo.holds(tip)


@exclusive
@requirement("STORAGE-015", "FETCH-005")
def test_a_pack_that_is_not_downloaded_yet_stays(repo: Repository, world: World) -> None:
    """A pack that no cache row names, as of a fetch with have, outlives its URL."""
    root, tip = chain(2)
    repo.given(root, tip)
    answer = repo.call("POST", "fetch/mpack", {"want": [tip.id], "have": [root.id]})
    collect(world)
    assert list(packs.read(repo.download(answer)).commits) == [tip.id]


@exclusive
@requirement("STORAGE-014", "SC1", "SC2", "SC3")
def test_an_outage_removes_nothing(repo: Repository, world: World) -> None:
    """While the object store does not answer, a collection drops no index row."""
    tip = repo.given(commit("a"))
    world.jobs_idle()
    with world.without_objects():
        try:
            collect(world)
        except CouldNotRun:
            pass  # a collection may say that it failed
    collect(world)
    repo.holds(tip)
    repo.push(child_of(tip))


@exclusive
@requirement("STORAGE-012", "STORAGE-014", "SC1", "SC2", "SC3")
def test_rows_whose_pack_is_gone_go(repo: Repository, world: World, inspect: Inspection) -> None:
    """Index rows of a pack that the object store says is gone are dropped, and counted exactly."""
    kept = repo.given(commit("kept"))
    lost = commit("lost", files={"a": b"1" + repo.slug.encode(), "b": b"2" + repo.slug.encode()})
    raw = repo.pack(lost)
    repo.push(lost, branch="lost")
    world.jobs_idle()
    world.command("expire_cache")
    collect(world)
    digits = oracle.digest(raw)[7:]
    keys = [key for key in inspect.objects() if digits in key]
    if not keys:
        raise CouldNotRun("needs objects whose keys hold the pack's digits")
    for key in keys:
        inspect.object(key).remove()
    before = {blob: inspect.storage_uris("blob", blob) for blob in lost.blobs}
    counts = collect(world)
    for blob, uris in before.items():
        assert f"mpack://{digits}" in uris
        assert f"mpack://{digits}" not in inspect.storage_uris("blob", blob)
    repo.holds(kept)
    if "stale_index_rows" in counts:
        assert counts["stale_index_rows"] == len(lost.blobs)
