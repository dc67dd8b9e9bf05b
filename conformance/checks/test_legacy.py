"""The earlier names: the same handlers under the words of the first clients."""

from __future__ import annotations

import pytest

from conformance import oracle, packs
from conformance.client import Client
from conformance.expectations import check_refusal, refused, requirement, unchanged
from conformance.histories import child_of, commit, sibling_of
from conformance.repository import Repository

PRESIGN = pytest.mark.parametrize("presign", ["push/bundle/presign", "push/bundle-presign"])
CONFIRM = pytest.mark.parametrize("confirm", ["push/bundle/confirm", "push/unpack-bundle"])


def upload(repo: Repository, presign: str, raw: bytes) -> str:
    """Uploads under an earlier name."""
    value = {"bundle_id": oracle.digest(raw), "size_bytes": len(raw)}
    answer = repo.call("POST", presign, value)
    assert answer["bundle_id"] == value["bundle_id"]
    repo.put(str(answer["presigned_url"]), raw)
    return str(answer["bundle_id"])


@requirement("HTTP-045", "BP10")
@PRESIGN
@CONFIRM
def test_a_bundle_is_a_pack(repo: Repository, presign: str, confirm: str) -> None:
    """Presign, PUT and confirm end as a push; the counts have their earlier names."""
    tip = commit("a", files={"a": b"1", "b": b"2"})
    key = upload(repo, presign, repo.pack(tip))
    value = {"bundle_id": key, "branch": "main", "head": tip.id}
    answer = repo.call("POST", confirm, value)
    names = ("stored_commits", "stored_snapshots", "stored_objects")
    assert ([answer[name] for name in names], answer["ok"]) == ([1, 1, 2], True)
    repo.holds(tip)
    again = repo.call("POST", confirm, value)
    assert [again[name] for name in names] == [0, 0, 0]


@requirement("HTTP-045")
@CONFIRM
def test_a_bundle_is_checked_like_a_pack(repo: Repository, confirm: str) -> None:
    """Fast-forward, force, verification, missing uploads and fields: all as with the newer name."""
    root = repo.given(commit("root"))
    ahead = repo.given(child_of(root, "ahead"))
    stale = sibling_of(ahead)
    key = repo.upload(repo.pack(stale))
    value = {"bundle_id": key, "branch": "main", "head": stale.id}
    with unchanged(repo, stale), refused(409, "not_fast_forward"):
        repo.call("POST", confirm, value)
    with unchanged(repo, stale), refused(404, "upload_missing"):
        repo.call("POST", confirm, {**value, "bundle_id": oracle.ABSENT})
    with refused(422, "missing_field") as errors:
        repo.call("POST", confirm, {"branch": "main"})
    assert sorted(errors[0].get("fields", ())) == ["bundle_id", "head"]
    bent = packs.plain(child_of(ahead), known=[ahead])
    bent["blobs"][0]["content"] = b"another"
    bad = repo.upload(packs.encode(bent))
    with unchanged(repo, child_of(ahead)), refused(422, "blob_mismatch"):
        repo.call("POST", confirm, {**value, "bundle_id": bad, "head": child_of(ahead).id})
    repo.call("POST", confirm, {**value, "force": True})
    assert repo.heads() == {"main": stale.id}


@requirement("HTTP-045")
@PRESIGN
def test_presigning_a_bundle_is_checked_too(
    repo: Repository, other: Client, anyone: Client, presign: str
) -> None:
    """Signature, ownership, ids and sizes."""
    value = {"bundle_id": oracle.ABSENT}
    check_refusal(anyone.ask("POST", f"{repo.path}/{presign}", value), 401, "unauthenticated")
    check_refusal(other.ask("POST", f"{repo.path}/{presign}", value), 403, "forbidden")
    check_refusal(repo.ask("POST", presign, {"bundle_id": "x"}), 422, "invalid_id")
    check_refusal(repo.ask("POST", presign, {}), 422, "missing_field")
    limit = repo.limit("pack_bytes")
    large = {**value, "size_bytes": limit + 1}
    check_refusal(repo.ask("POST", presign, large), 413, "too_large")
    repo.call("POST", presign, value)


@requirement("HTTP-045", "BP10")
def test_a_pack_as_the_body_keeps_working(repo: Repository) -> None:
    """The small push of the first clients, with objects for blobs."""
    tip = commit("a")
    value = packs.plain(tip)
    value["objects"] = value.pop("blobs")
    repo.push_body(packs.encode(value), tip.id)
    repo.holds(tip)
