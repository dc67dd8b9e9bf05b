"""Push: what is accepted, and that it is all there at once."""

from __future__ import annotations

import pytest

from .forge import Forge
from .peer import Peer, code


@pytest.mark.requirement("PUSH-014", "PUSH-015", "HTTP-031", "HTTP-032", "DP5", "BP3")
@pytest.mark.parametrize("framed", [True, False])
async def test_a_push_can_be_read_at_once(
    alice: Peer, repo: str, forge: Forge, framed: bool
) -> None:
    """Counts, refs, commits, snapshots and every blob, as soon as it is answered."""
    line = forge.line(5)
    pushed = await alice.push(repo, forge.pack(framed=framed), line[-1])
    assert pushed.json() == {
        "ok": True,
        "commits_written": 5,
        "snapshots_written": 5,
        "blobs_written": 5,
    }
    assert (await alice.get(f"{repo}/refs")).json()["branch_heads"] == {"main": line[-1]}
    for commit_id, record in forge.commits.items():
        assert (await alice.get(f"{repo}/commits/{commit_id}")).json() == record
    for object_id, content in forge.blobs.items():
        found = await alice.get(f"{repo}/o/{object_id}")
        assert found.content == content
        assert found.headers["etag"] == f'"{object_id}"'
    for snapshot_id, (manifest, directories) in forge.trees.items():
        found = await alice.get(f"{repo}/snapshots/{snapshot_id}")
        assert found.json()["delta_upsert"] == manifest
        assert found.json()["directories"] == directories


@pytest.mark.requirement("PUSH-016", "BP4")
async def test_a_repeated_push_changes_nothing(alice: Peer, repo: str, forge: Forge) -> None:
    """The same pack again is a success with no new rows, also when the upload is gone."""
    line = forge.line(3)
    pack = forge.pack()
    await alice.push(repo, pack, line[-1])
    key = await alice.upload(repo, pack)
    for _ in range(2):
        again = await alice.unpack(repo, key, line[-1])
        assert again.json()["commits_written"] == 0, again.text


@pytest.mark.requirement("PUSH-009", "BP11")
async def test_a_stale_head_is_refused(alice: Peer, repo: str, forge: Forge) -> None:
    """A head that does not descend from the branch's is refused; forced, it is taken."""
    line = forge.line(2)
    other = forge.line(1, line[0], name="other")
    await alice.push(repo, forge.pack(line), line[-1])
    pack = forge.pack(other)
    assert code(await alice.push(repo, pack, other[-1])) == (409, "not_fast_forward")
    assert (await alice.push(repo, pack, other[-1], force=True)).status_code == 200
