"""Fetch and pull: what others pushed, verified, beside one's own branches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reference.client.clone import clone
from reference.client.fetch import SAMPLE, fetch
from reference.client.progress import Steps
from reference.client.remote import Remote
from reference.keys import Identity
from reference.store import fsck, refs, working
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from reference.wire.records import Commit

from .meddler import Forward, Meddler, Reply, Seen, Spoil, cut, drop, edited, lose
from .workspace import Workspace, tree

STARTED = """
import sys

from reference.cli import run

code = run(sys.argv[1:])
print(*sys.modules)
sys.exit(code)
"""


@pytest.fixture
def copy(remote: Remote, work: Workspace, tmp_path: Path) -> Repository:
    """A clone of a repository with one commit."""
    work.commit(a="1", b="2")
    work.push(remote)
    clone(remote, str(tmp_path / "copy"), Steps())
    return Repository(str(tmp_path / "copy"))


@pytest.mark.requirement("FETCH-006", "FETCH-020")
def test_fetch_brings_branches_and_moves_none_of_ours(
    remote: Remote, work: Workspace, copy: Repository
) -> None:
    """What was pushed since is here as origin/BRANCH; main and the files stay."""
    before, files = refs.read(copy.dot, "main"), tree(copy.root)
    ahead, side = work.commit(a="3", b="2"), work.commit("side", c="4")
    work.push(remote)
    work.push(remote, "side")
    result = fetch(copy, remote, "origin", Steps())
    assert (result.commits, result.blobs) == (2, 2)
    assert refs.list_refs(copy.dot) == {
        "main": before,
        "origin/main": ahead,
        "origin/side": side,
    }
    assert tree(copy.root) == files
    assert copy.commit(ahead) == work.repository.commit(ahead)
    assert fsck.problems(copy) == []


def test_nothing_new_is_not_asked_for(remote: Remote, hub: Meddler, copy: Repository) -> None:
    """A fetch that finds nothing new is one request."""
    hub.seen.clear()
    assert fetch(copy, remote, "origin", Steps()).commits == 0
    assert hub.steps() == ["refs"]


@pytest.mark.parametrize("command", ["fetch", "push"])
def test_a_start_imports_what_is_needed(
    remote: Remote, copy: Repository, alice: Identity, command: str
) -> None:
    """Of what takes longest to import, nothing that the command has no use for."""
    fetch(copy, remote, "origin", Steps())
    words = [sys.executable, "-c", STARTED, command]
    done = subprocess.run(words, cwd=copy.root, capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert "json" in found
    idle = {"argparse", "shutil", "ssl", "asyncio", "concurrent.futures", "encodings.idna", "shlex"}
    if command == "fetch":
        idle |= {"dataclasses", "inspect", "msgpack", "zstandard", "cryptography"}
    assert not found & idle


def test_one_commit_reads_none_of_a_long_history(
    remote: Remote, work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a push, a fetch nor a merge of what is new looks below what is known to be had."""
    for n in range(3 * SAMPLE):
        work.commit(a=str(n))
    work.push(remote)
    clone(remote, str(tmp_path / "copy"), Steps())
    copy = Repository(str(tmp_path / "copy"))
    work.commit(a="new")
    asked: list[str] = []
    find = Repository.find_commit

    def counted(self: Repository, oid: str) -> Commit | None:
        asked.append(oid)
        return find(self, oid)

    monkeypatch.setattr(Repository, "find_commit", counted)
    pushed = work.push(remote)
    assert (pushed.stored_commits, len(set(asked)) <= 3) == (1, True)
    asked.clear()
    assert fetch(copy, remote, "origin", Steps()).commits == 1
    assert len(set(asked)) <= SAMPLE + 3
    for result, known in (("fast_forward", 2), ("up_to_date", 1)):
        asked.clear()
        assert working.merge(copy, "origin/main", {}).result == result
        assert len(set(asked)) <= known
    Workspace(copy).commit(a="ours")
    asked.clear()
    assert working.merge(copy, "origin/main", {}).result == "up_to_date"
    assert len(set(asked)) <= 2


@pytest.mark.parametrize("spoil", [drop, lose, cut(0.5)], ids=["dropped", "lost", "cut"])
@pytest.mark.parametrize("step", ["refs", "mpack", "GET"])
def test_fetch_survives_a_lost_step(
    remote: Remote, hub: Meddler, work: Workspace, copy: Repository, step: str, spoil: Spoil
) -> None:
    """A step whose connection drops is repeated."""
    ahead = work.commit(a="3" * 1000)
    work.push(remote)
    hub.seen.clear()
    hub.first(step, spoil)
    fetch(copy, remote, "origin", Steps())
    assert hub.steps().count(step) == 2
    assert refs.read(copy.dot, "origin/main") == ahead
    assert copy.blob(copy.tree(copy.commit(ahead)["snapshot_id"])[0]["a"]) == b"3" * 1000


@pytest.mark.requirement("FETCH-020")
def test_false_pack_is_refused_and_leaves_nothing(
    remote: Remote, hub: Meddler, work: Workspace, copy: Repository
) -> None:
    """A pack that is not the one announced changes neither refs nor files of the store."""
    work.commit(a="3")
    work.push(remote)
    before = sorted(Path(copy.dot).rglob("*"))
    heads = refs.list_refs(copy.dot)

    def flip(seen: Seen, forward: Forward) -> Reply:
        status, headers, body = forward()
        return status, headers, body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]

    hub.first("GET", flip)
    with pytest.raises(ProtocolError) as refused:
        fetch(copy, remote, "origin", Steps())
    assert refused.value.code == "integrity"
    assert sorted(Path(copy.dot).rglob("*")) == before
    assert refs.list_refs(copy.dot) == heads


def test_unholdable_branch_is_left_out_with_a_note(
    remote: Remote, work: Workspace, copy: Repository
) -> None:
    """`feat` beside `feat/x` is legal there and cannot be here: a note, and the rest comes."""
    first, second = work.commit("feat", a="5"), work.commit("other", a="6")
    work.push(remote, "feat")
    refs.delete(work.dot, "feat")
    refs.write(work.dot, "feat/x", second)
    work.push(remote, "feat/x")
    result = fetch(copy, remote, "origin", Steps())
    assert refs.read(copy.dot, "origin/feat") == first
    assert refs.read(copy.dot, "origin/feat/x") is None
    assert [note for note in result.notes if "'feat/x'" in note]


def test_checked_out_tracking_branch_does_not_move(
    remote: Remote, work: Workspace, copy: Repository
) -> None:
    """The branch under somebody's feet stays, and a note says so."""
    was = refs.read(copy.dot, "origin/main")
    refs.write_head(copy.dot, branch="origin/main")
    work.commit(a="3")
    work.push(remote)
    result = fetch(copy, remote, "origin", Steps())
    assert refs.read(copy.dot, "origin/main") == was
    assert len(result.notes) == 1


@pytest.mark.requirement("FETCH-020")
def test_missing_commit_is_noticed(
    remote: Remote, hub: Meddler, work: Workspace, copy: Repository
) -> None:
    """A head that the server names and does not send is an error, and no branch moves there."""
    work.commit(a="3")
    work.push(remote)
    ghost = "sha256:" + "1" * 64
    hub.first("refs", edited(lambda value: value["branch_heads"].update(ghost=ghost)))
    with pytest.raises(ProtocolError):
        fetch(copy, remote, "origin", Steps())
    assert refs.read(copy.dot, "origin/ghost") is None
