"""Repositories, negotiation, merges, earlier names."""

from __future__ import annotations

import pytest

from reference.server.repos import slug_of
from reference.server.service import Service, derived_id
from reference.wire.errors import ProtocolError
from reference.wire.ids import commit_id, mpack_key, snapshot_id

from .forge import Forge
from .peer import Peer, code
from .state import dump, packs


@pytest.mark.requirement("HTTP-018")
@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Demo", "demo"),
        ("--My  Repo!--", "my-repo"),
        ("a" * 80, "a" * 64),
        ("a" * 63 + " b", "a" * 63),
        ("Übung 1", "bung-1"),
    ],
)
def test_a_slug_is_made_of_the_name(name: str, slug: str) -> None:
    """Lower case, dashes for the rest, none at the ends, at most 64."""
    assert slug_of(name) == slug


@pytest.mark.requirement("HTTP-018")
def test_an_empty_slug_is_refused() -> None:
    """A name of nothing but other characters leaves no slug."""
    with pytest.raises(ProtocolError, match="malformed"):
        slug_of("!!!")


@pytest.mark.requirement("STORAGE-011")
def test_server_ids_are_as_specified() -> None:
    """The specification's example of the four formulas."""
    key = "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
    identity = "sha256:ef2605a870ecdae327e11ae912cab96fbe42ad06a1d98d9826423b46bdd072c7"
    repo = "sha256:95935cfa89aca6290fa0770b05ed092fbaf441fbd86e3a835f4fa192dcbc44de"
    branch = "sha256:851c5e0c0d5c1645775ea3fb55c4369ded3ffba13c387b8f2b24539f44830a12"
    tip = "sha256:4e18848deb0b9f1d9c90096e2b05cb0bfd668fda353c7cfb37516ae635eb219b"
    cache = "sha256:ac184eaedc3793a926be86e5a2b3e42f7636deac968ef009de06f7c6d0e5fde0"
    assert derived_id("identity", "alice", key) == identity
    assert derived_id("repo", "alice", "demo", "2026-01-01T00:00:00.000000Z") == repo
    assert derived_id("branch", repo, "main") == branch
    assert derived_id("cache", repo, tip, "framed") == cache


@pytest.mark.requirement("HTTP-019", "HTTP-020", "HTTP-021", "STORAGE-006", "BOS7", "DP7")
async def test_a_repository_can_begin_with_a_commit(service: Service, alice: Peer) -> None:
    """Branch main, the empty snapshot, the owner as author; nothing but rows is written."""
    path = await alice.create("Begun", initialize=True)
    refs = (await alice.get(f"{path}/refs")).json()
    [(branch, head)] = refs["branch_heads"].items()
    record = (await alice.get(f"{path}/commits/{head}")).json()
    assert (branch, refs["default_branch"]) == ("main", "main")
    assert commit_id(record) == head
    assert (record["message"], record["author"]) == ("Initial commit", "alice")
    assert (record["signature"], record["parent_commit_id"]) == ("", None)
    assert record["snapshot_id"] == snapshot_id({})
    found = (await alice.get(f"{path}/snapshots/{record['snapshot_id']}")).json()
    assert (found["delta_upsert"], found["directories"]) == ({}, [])
    assert packs(service) == []
    assert (await alice.fetch(path, head))["commit_count"] == 1
    again = await alice.post("/api/repos", {"owner": "alice", "name": "begun"})
    assert code(again) == (409, "repo_exists")
    for change in ({"visibility": "secret"}, {"initialize": 1}, {"name": "!"}):
        body = {"owner": "alice", "name": "other"} | change
        assert code(await alice.post("/api/repos", body)) == (422, "malformed"), change


@pytest.mark.requirement("HTTP-024", "HTTP-025", "HTTP-026", "HTTP-027")
async def test_refs_say_what_is_there(alice: Peer, repo: str, forge: Forge) -> None:
    """The first branch becomes the default; capabilities and limits are announced."""
    first, second = forge.line(2)
    empty = (await alice.get(f"{repo}/refs")).json()
    assert (empty["default_branch"], empty["branch_heads"]) == ("main", {})
    assert "framed" in empty["capabilities"]
    assert empty["limits"]["pack_bytes"] == 256 * 1024 * 1024
    await alice.push(repo, forge.pack(), second, branch="feat/x")
    await alice.push(repo, forge.pack([]), first, branch="feat")
    found = (await alice.get(f"{repo}/refs")).json()
    assert found["default_branch"] == "feat/x"
    assert found["branch_heads"] == {"feat": first, "feat/x": second}


@pytest.mark.requirement("HTTP-028", "HTTP-029", "HTTP-030")
async def test_negotiation_finds_where_histories_meet(alice: Peer, repo: str, forge: Forge) -> None:
    """The newest acknowledged commit that the wanted one, or else a branch, descends from."""
    line = forge.line(4)
    side = forge.line(2, line[0], name="side")
    late = forge.commit({"late": b"1"}, line[0], committed_at="2026-01-01T09:00:00.5+09:00")
    merged = forge.commit({"m": b"1"}, line[3], side[1])
    await alice.push(repo, forge.pack(), merged)
    await alice.push(repo, forge.pack([]), late, branch="late")
    unknown = "sha256:" + "9" * 64

    async def meets(want: list[str], have: list[str]) -> tuple[list[str], str | None, bool]:
        found = await alice.post(f"{repo}/negotiate", {"want": want, "have": have})
        answer = found.json()
        return answer["ack"], answer["common_base"], answer["ready"]

    assert await meets([], []) == ([], None, True)
    assert await meets([unknown], [unknown]) == ([], None, False)
    assert await meets([merged], [line[1], unknown, line[0]]) == ([line[1], line[0]], line[1], True)
    assert await meets([side[1]], [line[2], line[0]]) == ([line[2], line[0]], line[0], True)
    assert await meets([line[0]], [line[2]]) == ([line[2]], line[2], True)
    assert (await meets([], [line[3], side[0]]))[1] == side[0]
    assert (await meets([merged, late], [line[3], late]))[1] == line[3]


@pytest.mark.requirement("HTTP-037", "HTTP-038", "HTTP-039", "BOS6", "STORAGE-002", "STORAGE-006")
async def test_merging(service: Service, alice: Peer, repo: str, forge: Forge) -> None:
    """Up to date, fast-forward, merged; a merge brings rows only and can be cloned."""
    base = forge.commit({"a": b"1", "b": b"1", "gone": b"1"}, directories=["empty", "old"])
    ours = forge.commit({"a": b"2", "b": b"1", "gone": b"1"}, base, directories=["empty"])
    theirs = forge.commit({"a": b"1", "b": b"2", "new": b"3"}, base, directories=["empty", "x"])
    await alice.push(repo, forge.pack(), ours, branch="main")
    for name, head in (("dev", theirs), ("behind", base)):
        await alice.push(repo, forge.pack([]), head, branch=name)

    async def merge(source: str, target: str) -> tuple[str, str]:
        answer = (await alice.post(f"{repo}/merge", {"source": source, "target": target})).json()
        assert answer["ok"]
        return answer["result"], answer["commit_id"]

    stored = packs(service)
    assert await merge("behind", "main") == ("up_to_date", ours)
    assert await merge("main", "behind") == ("fast_forward", ours)
    result, head = await merge("dev", "main")
    assert result == "merged"
    record = (await alice.get(f"{repo}/commits/{head}")).json()
    assert (record["parent_commit_id"], record["parent2_commit_id"]) == (ours, theirs)
    assert record["message"] == "Merge branch 'dev' into main"
    assert (record["author"], record["signature"]) == ("alice", "")
    tree = (await alice.get(f"{repo}/snapshots/{record['snapshot_id']}")).json()
    assert tree["delta_upsert"] == {
        **{name: forge.trees[forge.commits[ours]["snapshot_id"]][0][name] for name in ("a",)},
        **{
            name: forge.trees[forge.commits[theirs]["snapshot_id"]][0][name]
            for name in ("b", "new")
        },
    }
    assert tree["directories"] == ["empty", "x"]
    assert packs(service) == stored
    assert await merge("dev", "main") == ("up_to_date", head)
    assert (await alice.fetch(repo, head))["commit_count"] == 4
    async with service.database.session() as db:
        uris = "SELECT count(storage_uri) FROM (SELECT storage_uri FROM commits UNION ALL"
        assert await db.fetchval(f"{uris} SELECT storage_uri FROM snapshots) s") == 0


@pytest.mark.requirement("HTTP-040", "HTTP-037")
async def test_a_merge_that_conflicts_changes_nothing(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """The paths are named in order; unknown branches are unknown."""
    base = forge.commit({"a": b"1", "z": b"1", "f": b"1"})
    ours = forge.commit({"a": b"2", "z": b"2", "f": b"1"}, base)
    theirs = forge.commit({"a": b"3", "f": b"1", "d/x": b"1"}, base)
    await alice.push(repo, forge.pack(), ours)
    await alice.push(repo, forge.pack([]), theirs, branch="dev")
    before = await dump(service)
    found = await alice.post(f"{repo}/merge", {"source": "dev", "target": "main"})
    assert code(found) == (409, "merge_conflict")
    assert found.json()["error"]["conflicts"] == ["a", "z"]
    for body in ({"source": "none", "target": "main"}, {"source": "dev", "target": "none"}):
        assert code(await alice.post(f"{repo}/merge", body)) == (404, "unknown_branch")
    assert await dump(service) == before


@pytest.mark.requirement("HTTP-045", "BP10")
@pytest.mark.parametrize(
    ("presign", "confirm"),
    [("push/bundle/presign", "push/bundle/confirm"), ("push/bundle-presign", "push/unpack-bundle")],
)
async def test_earlier_names_do_the_same(
    alice: Peer, repo: str, forge: Forge, presign: str, confirm: str
) -> None:
    """Their own field names, the same checks."""
    head = forge.line(2)[-1]
    pack = forge.pack(framed=False)
    key = mpack_key(pack)
    body = {"bundle_id": key, "branch": "main", "head": head, "force": False}
    assert code(await alice.post(f"{repo}/{confirm}", body)) == (404, "upload_missing")
    found = await alice.post(f"{repo}/{presign}", {"bundle_id": key, "size_bytes": len(pack)})
    assert found.json()["bundle_id"] == key
    assert (await alice.http.put(found.json()["presigned_url"], content=pack)).status_code == 200
    assert (await alice.post(f"{repo}/{confirm}", body)).json() == {
        "ok": True,
        "stored_commits": 2,
        "stored_objects": 2,
        "stored_snapshots": 2,
    }
