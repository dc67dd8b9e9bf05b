"""Branches and HEAD: names become files, or are refused and leave nothing."""

import errno
import os
from pathlib import Path

import pytest

from reference.store import refs
from reference.wire.errors import ProtocolError
from tests import oracle
from tests.faults import Disk
from tests.store.survival import Survival
from tests.store.test_seed_demands import contents, refused

ONE, TWO = oracle.blob_id(b"one"), oracle.blob_id(b"two")


@pytest.mark.requirement("STORE-003")
def test_branches_nest_and_are_listed(dot: str) -> None:
    """By their whole names; one that is not there is nothing."""
    names = ["main", "feat/x", "feat/y/z", "fix-1", "ünï", "a b", "x.y"]
    for name in names:
        assert refs.read(dot, name) is None
        refs.write(dot, name, ONE)
    assert refs.list_refs(dot) == dict.fromkeys(names, ONE)
    assert refs.read(dot, "feat") is None
    assert refs.read(dot, "main/x") is None
    refs.write(dot, "feat/x", TWO)
    assert refs.read(dot, "feat/x") == TWO


@pytest.mark.requirement("STORE-020")
def test_a_branch_beside_one_of_its_folders_is_a_conflict(root: Path, dot: str) -> None:
    """In both directions; the tree is as it was, with no new folder in it."""
    refs.write(dot, "feat/x/y", ONE)
    refs.write(dot, "main", ONE)
    before = contents(root)
    for name in ("feat", "feat/x", "main/x", "main/x/y", "feat/x/y/z"):
        with refused("conflict", "no room"):
            refs.write(dot, name, TWO)
        with refused("conflict", "no room"):
            refs.write(dot, name, TWO, expect=None)
    assert contents(root) == before


@pytest.mark.parametrize(
    "name",
    ["ü" * 128, "a/" + "ü" * 128, "feat/.muse-tmp-" + "0" * 16],
    ids=["too long", "too long inside", "a temp file's"],
)
@pytest.mark.requirement("STORE-020")
def test_a_name_that_no_file_can_have_is_invalid(root: Path, dot: str, name: str) -> None:
    """255 characters are allowed, 255 bytes are what a file system takes."""
    before = contents(root)
    with refused("invalid", "branch"):
        refs.write(dot, name, ONE)
    with refused("invalid", "branch"):
        refs.write_head(dot, branch=name)
    assert refs.read(dot, name) is None
    assert contents(root) == before


@pytest.mark.requirement("STORE-021")
def test_a_branch_moves_only_from_what_is_expected(root: Path, dot: str) -> None:
    """Nothing, an id, or whatever it is; a refusal changes nothing."""
    before = contents(root)
    with refused("conflict", "None"):
        refs.write(dot, "feat/x", TWO, expect=ONE)
    assert contents(root) == before
    refs.write(dot, "feat/x", ONE, expect=None)
    for wrong in (None, TWO):
        with refused("conflict", ONE):
            refs.write(dot, "feat/x", TWO, expect=wrong)
        assert refs.read(dot, "feat/x") == ONE
    refs.write(dot, "feat/x", TWO, expect=ONE)
    refs.write(dot, "feat/x", TWO, expect=TWO)
    refs.write(dot, "feat/x", ONE)
    assert refs.read(dot, "feat/x") == ONE


@pytest.mark.requirement("STORE-020")
def test_a_deleted_branch_makes_room(root: Path, dot: str) -> None:
    """Its folders go with it, those that other branches need stay."""
    before = contents(root)
    refs.write(dot, "feat/x/y", ONE)
    refs.write(dot, "feat/z", ONE)
    refs.delete(dot, "feat/x/y")
    assert refs.list_refs(dot) == {"feat/z": ONE}
    refs.write(dot, "feat/x", TWO)
    for name in ("feat/x", "feat/z"):
        refs.delete(dot, name)
    assert contents(root) == before
    refs.write(dot, "feat", ONE)
    with refused("not_found", "feat/z"):
        refs.delete(dot, "feat/z")


@pytest.mark.parametrize("left", ["folders", "a temp file"])
@pytest.mark.requirement("STORE-025")
def test_what_a_killed_process_left_is_in_nobodys_way(root: Path, dot: str, left: str) -> None:
    """Empty folders, or a dead writer's temp file in them, where a branch is to be."""
    folder = root / ".muse/refs/heads/feat/x"
    folder.mkdir(parents=True)
    if left == "a temp file":
        (folder / f".muse-tmp-{'0' * 16}").write_bytes(b"sha256:")
    assert refs.list_refs(dot) == {}
    refs.write(dot, "feat", ONE, expect=None)
    assert refs.list_refs(dot) == {"feat": ONE}


@pytest.mark.requirement("DUR-004", "DUR-011", "DUR-018")
def test_a_deletion_that_fails_can_be_repeated(root: Path, dot: str) -> None:
    """Until it is acknowledged the branch is there; then it is gone for good."""
    path = root / ".muse/refs/heads/feat/x"
    refs.write(dot, "feat/x", ONE)
    survival = Survival.of(root)
    with Disk(root) as disk:
        disk.fail("fsync", errno.EIO)
        with pytest.raises(OSError):
            refs.delete(dot, "feat/x")
        assert refs.read(dot, "feat/x") == ONE
        refs.delete(dot, "feat/x")
    survival.follow(disk.calls)
    assert survival.lacks(path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        ONE.encode() + b"\n",
        ONE[:-1].encode(),
        ONE.upper().encode(),
        b"\0" * 71,
        b"\xff",
    ],
)
@pytest.mark.requirement("STORE-003", "STORE-013")
def test_a_ref_that_holds_no_id_is_an_error(root: Path, dot: str, text: bytes) -> None:
    """Wherever it is read; writing it anew mends it, expecting something of it does not."""
    refs.write(dot, "main", ONE)
    (root / ".muse/refs/heads/main").write_bytes(text)
    with refused("integrity", "integrity check"):
        refs.read(dot, "main")
    with refused("integrity", "main"):
        refs.list_refs(dot)
    with refused("integrity", "integrity check"):
        refs.write(dot, "main", TWO, expect=ONE)
    refs.write(dot, "main", TWO)
    assert refs.read(dot, "main") == TWO


@pytest.mark.requirement("STORE-001", "STORE-002")
def test_head_comes_back(dot: str) -> None:
    """As a branch, which need not have a commit, or as a commit."""
    assert refs.read_head(dot) == ("main", None)
    refs.write_head(dot, branch="feat/ünï x")
    assert refs.read_head(dot) == ("feat/ünï x", None)
    refs.write_head(dot, commit=ONE)
    assert refs.read_head(dot) == (None, ONE)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"ref: refs/heads/main",
        b"ref: refs/heads/main\r\n",
        b"ref: refs/heads/main\n\n",
        b"ref: refs/heads/\n",
        b"ref: refs/heads/../x\n",
        b"ref: refs/tags/main\n",
        b"ref:refs/heads/main\n",
        b"main\n",
        f"commit: {ONE}".encode(),
        f"commit:{ONE}\n".encode(),
        f"commit: {ONE[7:]}\n".encode(),
        f"{ONE}\n".encode(),
        b"ref: refs/heads/\xff\n",
        b"\0" * 21,
    ],
)
@pytest.mark.requirement("FS5", "STORE-001")
def test_head_has_no_third_form(root: Path, dot: str, text: bytes) -> None:
    """Whatever else it holds is an error, and what is written then is well again."""
    (root / ".muse/HEAD").write_bytes(text)
    with refused("integrity", "HEAD"):
        refs.read_head(dot)
    refs.write_head(dot, branch="main")
    assert refs.read_head(dot) == ("main", None)


def test_a_link_in_place_of_a_ref_is_replaced(root: Path, dot: str) -> None:
    """Not followed when written."""
    other = root / "other"
    other.write_text(TWO)
    os.symlink(other, root / ".muse/refs/heads/main")
    refs.write(dot, "main", ONE)
    assert refs.read(dot, "main") == ONE
    assert other.read_text() == TWO


def test_refusals_are_protocol_errors_and_failures_are_not(dot: str) -> None:
    """A full disk is no conflict."""
    with Disk(Path(dot)) as disk:
        disk.fail("write", errno.ENOSPC)
        with pytest.raises(OSError) as failure:
            refs.write(dot, "main", ONE, expect=None)
    assert not isinstance(failure.value, ProtocolError)
    assert refs.read(dot, "main") is None


@pytest.mark.requirement("STORE-014")
@pytest.mark.parametrize("name", ["é" * 130, "é" * 130 + "/x", "x/" + "é" * 120 + "/x" * 3])
def test_a_name_that_no_file_can_have_is_no_branch(dot: str, name: str) -> None:
    """Whichever of its segments is too long."""
    assert refs.read(dot, name) is None
