"""git as a peer: the same content, pushed and cloned over its own server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.history import History, HistoryBuilder
from perf_gates.commands import WrongResult, run
from perf_gates.peers.git import ENVIRONMENT, Git, export, git, serving
from perf_gates.sources import Sources, check_tree

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def history() -> History:
    """Two commits: files written, one changed, one removed."""
    builder = HistoryBuilder("small")
    first = {f"src/f{n}": builder.blob(f"src/f{n}", b"%d" % n * 900) for n in range(40)}
    builder.commit("one", first)
    builder.commit("two", {"src/f1": builder.blob("src/f1", b"changed")}, ["src/f2"])
    return builder.history()


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Git]:
    """git with its server, and a small history in place of the shapes."""
    made = history()
    monkeypatch.setattr(Sources, "history", lambda self, name: made)
    with serving(tmp_path / "git" / "served") as url:
        yield Git(Sources(tmp_path), tmp_path / "git", url)


def test_a_history_becomes_git_and_comes_back_whole(peer: Git, tmp_path: Path) -> None:
    """Loose and packed are pushed; a clone has every file as it was."""
    made = history()
    loose, packed = peer.source("small", loose=True), peer.source("small")
    assert not list((loose / ".git/objects/pack").glob("*.pack"))
    assert len(list((packed / ".git/objects/pack").glob("*.pack"))) == 1
    for source in (loose, packed):
        url = peer.empty_remote()
        assert peer.push(source, url) > 0
        peer.check_pushed(source, url)
    url = peer.filled_remote("small")
    for name, options in peer.ways(url).items():
        into = tmp_path / f"clone by {name}"
        assert peer.clone(url, into, *options) > 0
        check_tree(into, made.tree()[0])
        peer.check(into, made)


def test_one_commit_more_goes_there_and_back(peer: Git, tmp_path: Path) -> None:
    """Commit, push, pull, fetch."""
    url = peer.filled_remote("small")
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        peer.clone(url, folder)
    (near / "src" / "f0").write_text("edited")
    peer.commit(near)
    peer.push(near, url)
    peer.pull(far)
    assert (far / "src" / "f0").read_text() == "edited"
    assert peer.fetch(far) > 0


def test_a_wrong_tree_is_seen(peer: Git, tmp_path: Path) -> None:
    """A byte that differs, a file too many, one too few."""
    manifest = history().tree()[0]
    peer.clone(peer.filled_remote("small"), tmp_path / "clone")
    (tmp_path / "clone" / "src" / "f0").write_text("other")
    with pytest.raises(WrongResult, match="src/f0"):
        check_tree(tmp_path / "clone", manifest)


def test_a_large_push_is_sent_in_chunks(peer: Git, tmp_path: Path) -> None:
    """Beyond a megabyte git sends no length, and the server takes it all the same."""
    source = peer.source("small")
    data = bytes(n * 7919 % 251 for n in range(3_000_000))
    (source / "large").write_bytes(data)
    git("add", "large", folder=source)
    git("-c", "core.compression=0", "commit", "-qm", "large", folder=source)
    url = peer.empty_remote()
    words = ["git", "-c", "pack.compression=0", "push", "-q", url, "main"]
    assert run(words, source, ENVIRONMENT).seconds > 0
    peer.check_pushed(source, url)


def test_export_writes_each_blob_once() -> None:
    """As `git fast-import` reads it."""
    stream = b"".join(export(history()))
    assert stream.count(b"blob\nmark") == 41
    assert b"D src/f2\n" in stream
