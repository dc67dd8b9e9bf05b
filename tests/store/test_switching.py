"""Switch and merge where something is in the way, or somebody else was faster."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reference.store import refs, state, working, worktree
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from tests.store.test_adapter import Adapter, data
from tests.store.test_seed_demands import contents, refused

SAID = {"message": "m", "author": "a", "committed_at": "2026-01-01T00:00:00+00:00"}
PRECIOUS = b"my only copy"


class Desk:
    """A repository and its working tree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = Repository(str(root))
        self.commit(base=b"base")

    def commit(self, branch: str = "", **files: bytes) -> str:
        """Writes files, `__` for a slash, and commits, on a new branch if one is named."""
        if branch:
            working.switch(self.repository, branch, create=True)
        for name, content in files.items():
            path = self.root / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        made, _ = working.commit(self.repository, SAID)
        return str(made["commit_id"])

    def switch(self, branch: str) -> None:
        """Goes to a branch."""
        working.switch(self.repository, branch)

    def merge(self, branch: str) -> str:
        """What a merge came to."""
        return working.merge(self.repository, branch, SAID).result

    def files(self) -> dict[str, bytes | None]:
        """Every file and folder outside the store, with what it holds."""
        return {name: held for name, held in contents(self.root).items() if ".muse" not in name}

    def committed(self) -> set[str]:
        """The paths in the tree of the current branch."""
        return set(working.tree_of(self.repository, self.head()[1])[0])

    def head(self) -> tuple[str | None, str | None]:
        """The branch and the commit that HEAD stands on."""
        return working.head_commit(self.repository)


@pytest.fixture
def desk(root: Path) -> Desk:
    """One commit on `main`."""
    return Desk(root)


@pytest.mark.requirement("STORE-030")
@pytest.mark.parametrize("act", [Desk.switch, Desk.merge])
@pytest.mark.parametrize("folder", ["notes", "notes/deep"])
def test_a_file_where_an_empty_folder_must_be_is_not_lost(
    desk: Desk, act: Callable[[Desk, str], object], folder: str
) -> None:
    """An explicit directory takes no untracked file's place, nor do the folders above it."""
    working.switch(desk.repository, "other", create=True)
    (desk.root / folder).mkdir(parents=True)
    desk.commit()
    desk.switch("main")
    (desk.root / "notes").write_bytes(PRECIOUS)
    before = desk.files(), desk.head()
    with refused("conflict", "'notes'"):
        act(desk, "other")
    assert (desk.files(), desk.head()) == before


@pytest.mark.requirement("STORE-030")
@pytest.mark.parametrize("link", [False, True], ids=["pipe", "link in a folder"])
def test_what_is_no_file_is_in_the_way_too(desk: Desk, link: bool) -> None:
    """Nobody waits for a pipe's writer, and a folder with a link in it is not emptied halfway."""
    desk.commit("other", a=b"1", place=b"1")
    desk.switch("main")
    if link:
        (desk.root / "place").mkdir()
        (desk.root / "place/link").symlink_to(desk.root)
    else:
        os.mkfifo(desk.root / "place")
    before = os.listdir(desk.root)
    with refused("conflict", "place"):
        desk.switch("other")
    assert os.listdir(desk.root) == before
    assert desk.head()[0] == "main"


def test_a_folder_where_a_file_was_stays(desk: Desk) -> None:
    """The file that the switch would remove is gone already."""
    desk.commit("other", a=b"1", place=b"1", z=b"1")
    (desk.root / "place").unlink()
    (desk.root / "place").mkdir()
    (desk.root / "place/mine").write_bytes(PRECIOUS)
    desk.switch("main")
    assert desk.files() == {"base": b"base", "place": None, "place/mine": PRECIOUS}


@pytest.mark.requirement("STORE-030", "STORE-067")
def test_a_refused_merge_is_not_in_progress(desk: Desk) -> None:
    """Conflicts or not: the next commit has one parent."""
    desk.commit("side", base=b"theirs", log=b"theirs", more=b"theirs")
    desk.switch("main")
    (desk.root / ".museignore").write_bytes(b"log\n")
    desk.commit(base=b"ours")
    (desk.root / "log").write_bytes(PRECIOUS)
    before = desk.files()
    with refused("conflict", "'log' has changes"):
        desk.merge("side")
    assert desk.files() == before
    assert working.merge_state(desk.repository) is None


@pytest.mark.requirement("STORE-021", "STORE-066", "STORE-068")
@pytest.mark.parametrize("forked", [True, False], ids=["merge", "fast-forward"])
def test_a_commit_made_during_a_merge_is_not_undone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, forked: bool
) -> None:
    """The branch moved: the merge is refused and the working tree is as it was."""
    desk.commit("side", theirs=b"1")
    desk.switch("main")
    if forked:
        desk.commit(ours=b"1")
    before, real = desk.files(), working.write_tree

    def write_tree(*given: object) -> None:
        monkeypatch.setattr(working, "write_tree", real)
        real(*given)  # type: ignore[arg-type]
        Adapter(desk.root).commit("main", files={"fix": data(b"an agent's")})

    monkeypatch.setattr(working, "write_tree", write_tree)
    with pytest.raises(ProtocolError, match="conflict"):
        desk.merge("side")
    assert desk.files() == before
    assert desk.committed() == {"fix"}


@pytest.mark.requirement("STORE-055")
def test_a_commit_made_during_a_commit_is_not_undone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other one holds is not in this working tree: that is told."""
    real = worktree.scan

    def scan(root: str) -> worktree.Found:
        Adapter(desk.root).commit("main", files={"fix": data(b"an agent's")})
        return real(root)

    monkeypatch.setattr(worktree, "scan", scan)
    with refused("conflict", "moved meanwhile"):
        desk.commit(mine=b"1")
    assert desk.committed() == {"fix"}


@pytest.mark.parametrize(
    "value",
    [{"x": 1}, {"theirs_commit": 5}, {"theirs_commit": "sha256:" + "0" * 64, "conflict_paths": 5}],
)
def test_a_merge_state_that_says_nothing_is_damage(desk: Desk, value: dict[str, object]) -> None:
    """The adapter keeps whatever it is given; a commit on top says what to do."""
    state.set_state(desk.repository.dot, "merge", None, value)
    (desk.root / "base").write_bytes(b"changed")
    with refused("integrity", "MERGE_STATE.json names no commit"):
        working.commit(desk.repository, SAID)


def test_a_switch_that_cannot_end_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEAD stays, so the working tree goes back to where HEAD is."""
    desk.commit("other", a=b"1")
    desk.switch("main")
    before = desk.files()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(refs, "write_head", full)
    with pytest.raises(OSError, match="No space left"):
        desk.switch("other")
    assert (desk.files(), desk.head()[0]) == (before, "main")
