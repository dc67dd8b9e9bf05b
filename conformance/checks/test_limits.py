"""Limits: declared sizes and counts are judged before anything is spent on them."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest

from conformance import oracle, packs
from conformance.checks.test_framed import u32
from conformance.expectations import check_refusal, fail, refused, requirement, unchanged
from conformance.histories import commit
from conformance.outcomes import CouldNotRun, NotApplicable
from conformance.packs import Framed, squeeze
from conformance.repository import Repository

SECONDS = 20.0


def limit(repo: Repository, name: str, most: int) -> int:
    """An announced limit, if a check can afford to go beyond it."""
    number = repo.limit(name)
    if number > most:
        raise CouldNotRun(f"needs [limits] {name} of {most} at most; the subject has {number}")
    return number


def too_large(repo: Repository, raw: bytes, head: str) -> None:
    """The pack is refused as too large, soon, and the repository takes another."""
    begun = time.monotonic()
    with unchanged(repo), refused(413, "too_large"):
        repo.push_body(raw, head)
    if (took := time.monotonic() - begun) > SECONDS:
        fail(f"a refusal within {SECONDS:.0f} s", f"{took:.1f} s")
    repo.push(commit("after"))


def bent(**columns: Any) -> tuple[Framed, str]:
    """A small framed pack whose head says something else."""
    tip = commit("a")
    framed = packs.framed(packs.plain(tip))
    framed.head |= columns
    return framed, tip.id


@requirement("MPACK-041", "MPACK-037", "MPACK-038")
def test_declared_sizes_beyond_the_limit_are_refused(framed_repo: Repository) -> None:
    """Blobs that say they are larger than raw_bytes together are not waited for."""
    raw_bytes = limit(framed_repo, "raw_bytes", (1 << 32) * 3)
    framed, head = bent(sizes=u32(*[0xFFFFFFFF] * (raw_bytes // 0xFFFFFFFF + 1)))
    framed.head["frame_counts"] = u32(len(framed.head["sizes"]) // 4)
    too_large(framed_repo, framed.encode(), head)


@requirement("MPACK-041", "MPACK-038")
def test_a_head_beyond_the_limit_is_refused(framed_repo: Repository) -> None:
    """A head whose frame declares more than raw_bytes is refused by its declaration."""
    raw_bytes = limit(framed_repo, "raw_bytes", 1 << 40)
    framed, head = bent()
    declared = (raw_bytes + 1).to_bytes(8, "little")
    framed.squeezed = b"\x28\xb5\x2f\xfd" + b"\xc0" + b"\x58" + declared + b"\x01\0\0"
    too_large(framed_repo, framed.encode(), head)


@requirement("MPACK-040", "MPACK-037", "MPACK-038")
@pytest.mark.parametrize("what", ["blobs", "upserts"])
def test_counts_beyond_the_limit_are_refused(framed_repo: Repository, what: str) -> None:
    """More records than the limit, in a few compressed bytes, are refused by their count."""
    records = limit(framed_repo, "records", 4_000_000)
    framed, head = bent()
    many = bytes(4 * (records + 1))
    if what == "blobs":
        framed.head |= {"sizes": many, "frame_counts": u32(records + 1)}
    else:
        framed.head["snapshots"] |= {"upserts": u32(records + 1), "path": many, "object": many}
    too_large(framed_repo, framed.encode(), head)


@requirement("MPACK-040", "MPACK-037")
def test_a_list_beyond_the_limit_is_refused(repo: Repository) -> None:
    """In the plain form, too, the count of a list is judged before its entries."""
    records = limit(repo, "records", 4_000_000)
    tip = commit("a")
    value = packs.plain(tip)
    value["snapshots"][0]["delta_remove"] = [str(number) for number in range(records + 1)]
    too_large(repo, packs.encode(value), tip.id)


def delta_bomb(manifest_bytes: int) -> tuple[bytes, str]:
    """A small pack of right ids whose manifests add up to more than `manifest_bytes`."""
    blobs = [b"one", b"two"]
    names = [oracle.blob_id(content) for content in blobs]
    folder = "/".join(letter * 250 for letter in "abcdefghijklmno")
    root = {f"{folder}/{number:06}": names[0] for number in range(4000)}
    last = max(root)
    payload = oracle.snapshot_payload(root)
    prefix = hashlib.sha256(b"snapshot %d\0" % len(payload) + payload[:-64])
    turns = []
    for name in names:
        state = prefix.copy()
        state.update(name[7:].encode())
        turns.append("sha256:" + state.hexdigest())
    value: packs.Value = {"format": 1, "commits": [], "snapshots": []}
    value["blobs"] = [{"object_id": n, "content": c} for n, c in zip(names, blobs, strict=True)]
    record: packs.Value = {"snapshot_id": turns[0], "parent_snapshot_id": None}
    value["snapshots"].append({**record, "delta_upsert": root, "delta_remove": []})
    for number in range(1, manifest_bytes // len(payload) + 2):
        turn = number % 2
        step: packs.Value = {"snapshot_id": turns[turn], "parent_snapshot_id": turns[1 - turn]}
        step |= {"delta_upsert": {last: names[turn]}, "delta_remove": []}
        value["snapshots"].append(step)
    fields = {"message": "bomb", "committed_at": "2026-01-01T00:00:00Z", "author": ""}
    commit_record = {"snapshot_id": turns[0], **fields}
    commit_record["commit_id"] = oracle.commit_id(commit_record)
    value["commits"].append(commit_record)
    return packs.encode(value), str(commit_record["commit_id"])


@requirement("MPACK-043", "MPACK-037", "MPACK-038", "MPACK-039")
def test_manifests_beyond_the_limit_are_refused(repo: Repository) -> None:
    """A short chain of small deltas on a large manifest is counted in full."""
    raw, head = delta_bomb(limit(repo, "manifest_bytes", 8 << 30))
    too_large(repo, raw, head)


@requirement("MPACK-038", "MPACK-039")
@pytest.mark.parametrize("where", ["head", "frame"])
def test_a_bomb_is_refused_by_its_header(framed_repo: Repository, where: str) -> None:
    """A frame that unfolds to far more than it says is refused, soon."""
    bomb = squeeze(bytes(200 << 20))
    framed, head = bent()
    if where == "head":
        framed.squeezed = bomb
    else:
        framed.payloads = [bomb]
    begun = time.monotonic()
    with unchanged(framed_repo):
        target = f"{framed_repo.path}/push/unpack?branch=main&head={head}"
        answer = framed_repo.client.send("POST", target, framed.encode())
    check_refusal(answer, answer.status, "bad_frame", "malformed", "too_large")
    assert time.monotonic() - begun < SECONDS
    framed_repo.push(commit("after"))


@requirement("MPACK-039")
@pytest.mark.parametrize(
    "raw",
    [
        b"\x91" * 200_000,
        b"\x81\xa1a" * 100_000,
        b"\x81\xa7commits\xdd\xff\xff\xff\xff",
        b"\x81\xa5blobs\xdc\xff\xff",
        b"\x83\xa6format\x01\xa4head\xc6\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=["deep lists", "deep maps", "long list", "short list", "huge head", "huge map"],
)
def test_counts_that_lie_cost_nothing(repo: Repository, raw: bytes) -> None:
    """A length of four thousand million in six bytes is refused like any cut pack."""
    with unchanged(repo):
        answer = repo.client.send(
            "POST", f"{repo.path}/push/unpack?branch=main&head={oracle.ABSENT}", raw
        )
    if answer.status not in (413, 422):
        fail("413 or 422", str(answer))
    repo.push(commit("after"))


@requirement("MPACK-039")
def test_entries_beyond_the_limit_are_refused(repo: Repository) -> None:
    """Lists and maps inside records are counted, too: 32 entries for each record."""
    most = 32 * limit(repo, "records", 200_000) + 1024
    if repo.limit("pack_bytes") < 2 * most:
        raise NotApplicable("pack_bytes is below what so many entries take")
    tip = commit("a")
    value = packs.plain(tip)
    value["commits"] = [{**value["commits"][0], "structured_delta": [0] * (most + 1)}]
    too_large(repo, packs.encode(value), tip.id)


@requirement("MPACK-038")
def test_folders_beyond_the_limit_are_refused(repo: Repository) -> None:
    """Few and short payloads, but thousands of folders above each path: counted by themselves."""
    folders = "a/" * 2000
    each = len(folders + "0000") * 2000 // 2
    count = limit(repo, "manifest_bytes", 8 << 30) // each + 1
    tip = commit("a", files={f"{folders}{number:04}": b"same" for number in range(count)})
    too_large(repo, packs.encode(packs.plain(tip)), tip.id)
