"""The working tree: what a scan sees, and files that come back where nothing is harmed."""

import os
import socket
import stat
from pathlib import Path

import pytest

from reference.store import worktree
from tests.faults import Disk
from tests.store.survival import Survival
from tests.store.test_seed_demands import contents, refused


def put(root: Path, **files: bytes) -> None:
    """Files by their names, `__` for a slash."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.requirement("STORE-026", "STORE-029")
def test_a_scan_finds_every_file_but_the_stores(root: Path) -> None:
    """With POSIX paths, whatever the case in which the store's folder is written."""
    put(root, a=b"1", src__b=b"22", src__deep__c=b"", src__muse=b"")
    (root / "src/.muse").mkdir()
    (root / "src/.muse/HEAD").write_bytes(b"")
    (root / ".MUSE").mkdir()
    (root / ".MUSE/x").write_bytes(b"")
    found = worktree.scan(str(root))
    assert set(found.files) == {"a", "src/b", "src/deep/c", "src/muse", "src/.muse/HEAD"}
    assert found.files["src/b"].st_size == 2
    assert found.directories == []
    assert found.notes == []


@pytest.mark.requirement("STORE-027")
def test_what_no_snapshot_can_hold_is_skipped_with_a_note(root: Path) -> None:
    """Links, pipes, sockets, names that are no paths, and what a killed write left."""
    put(root, plain=b"")
    (root / "link").symlink_to("plain")
    (root / "folder link").symlink_to(root.parent)
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
    (root / "back\\slash").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(root) + b"/not\xffutf8")).write_bytes(b"")
    (root / f".muse-tmp-{'0' * 16}").write_bytes(b"")
    (root / ".muse-tmp-notes").write_bytes(b"")
    found = worktree.scan(str(root))
    assert set(found.files) == {"plain", ".muse-tmp-notes"}
    assert found.directories == []
    skipped = [note.split(":")[0] for note in found.notes]
    assert skipped == sorted(
        f"skipped {name!r}"
        for name in (
            *("link", "folder link", "dangling", "pipe", "socket"),
            *("back\\slash", "not\udcffutf8", f".muse-tmp-{'0' * 16}"),
        )
    )


@pytest.mark.requirement("STORE-028")
def test_folders_with_nothing_left_in_them_are_listed(root: Path) -> None:
    """Empty ones, and those in which all is ignored or skipped; no others."""
    put(root, full__file=b"", logs__a__log=b"", _museignore=b"*.log\nbuild/\n")
    (root / "_museignore").rename(root / ".museignore")
    (root / "logs/a/log").rename(root / "logs/a/x.log")
    for name in ("empty", "outer/inner", "links", "build/in"):
        (root / name).mkdir(parents=True)
    (root / "links/link").symlink_to("nowhere")
    found = worktree.scan(str(root))
    assert set(found.files) == {".museignore", "full/file"}
    assert found.directories == ["empty", "links", "logs/a", "outer/inner"]


@pytest.mark.requirement("STORE-037", "STORE-038")
def test_an_ignored_folder_is_not_entered(root: Path) -> None:
    """And nothing takes back a part of it."""
    put(root, build__keep=b"", build__deep__x=b"", src__x=b"", src__tmp=b"")
    (root / ".museignore").write_text("/build\n!build/keep\n!keep\ntmp/\n")
    (root / "build/deep").chmod(0)
    found = worktree.scan(str(root))
    assert set(found.files) == {".museignore", "src/x", "src/tmp"}
    assert found.notes == []


def test_an_ignore_file_must_be_text(root: Path) -> None:
    """Guessing would commit what should not be."""
    (root / ".museignore").write_bytes(b"\xff\xfe*")
    with refused("invalid", ".museignore"):
        worktree.scan(str(root))


def test_a_deep_tree_is_no_problem(root: Path) -> None:
    """Deeper than functions may call each other."""
    path = "d/" * 1_500 + "file"
    worktree.write_path(str(root), path, b"deep")
    assert list(worktree.scan(str(root)).files) == [path]
    worktree.remove_path(str(root), path)
    assert worktree.scan(str(root)).files == {}
    assert worktree.scan(str(root)).directories == []


@pytest.mark.requirement("STORE-024")
def test_a_file_is_restored_where_it_is_wanted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parents are made; paths may be relative; it survives a power cut."""
    monkeypatch.chdir(root)
    for dest in ("bare", "in/some/folder", f"{root}/absolute/x"):
        survival = Survival.of(root)
        with Disk(root) as disk:
            worktree.restore_file(dest, iter([b"some ", b"bytes"]))
        survival.follow(disk.calls)
        assert Path(dest).read_bytes() == b"some bytes"
        assert survival.has(root / dest)


@pytest.mark.requirement("STORE-024")
def test_a_link_is_replaced_and_not_followed(root: Path) -> None:
    """What it pointed to is left alone, whether it is there or not."""
    put(root, precious=b"do not touch")
    (root / "link").symlink_to("precious")
    (root / "dangling").symlink_to("nowhere")
    for name in ("link", "dangling"):
        worktree.restore_file(f"{root}/{name}", [b"new"])
        assert not (root / name).is_symlink()
        assert (root / name).read_bytes() == b"new"
    assert (root / "precious").read_bytes() == b"do not touch"
    assert not (root / "nowhere").exists()


def test_a_file_keeps_its_permissions(root: Path) -> None:
    """No snapshot records them, so none may take them away: a script stays one."""
    put(root, script=b"old", secret=b"old")
    (root / "script").chmod(0o755)
    (root / "secret").chmod(0o600)
    before = os.umask(0o022)
    try:
        for name in ("script", "secret", "new"):
            worktree.restore_file(f"{root}/{name}", [b"new"])
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((root / name).stat().st_mode) for name in ("script", "secret", "new")]
    assert modes == [0o755, 0o600, 0o644]


@pytest.mark.parametrize(
    "dest", ["", ".", "folder", ".muse", ".muse/HEAD", ".muse/new/x", ".MUSE/x", "to store/x"]
)
@pytest.mark.requirement("STORE-019", "STORE-024")
def test_no_folder_and_nothing_in_the_store_is_overwritten(
    root: Path, monkeypatch: pytest.MonkeyPatch, dest: str
) -> None:
    """By whatever way one gets there."""
    monkeypatch.chdir(root)
    (root / "folder").mkdir()
    (root / "to store").symlink_to(".muse")
    before = contents(root)
    for given in (dest, f"{root}/{dest}", f"folder/../{dest}", f"{dest}/"):
        with refused("invalid", ""):
            worktree.check_destination(str(root), given)
    assert contents(root) == before
    worktree.check_destination(str(root), "folder/file")
    worktree.check_destination(str(root), ".muse2")


@pytest.mark.requirement("STORE-031")
def test_a_tree_is_never_written_through_a_link(root: Path) -> None:
    """A link where a folder should be gives way, and what it points to stays as it is."""
    outside = root.parent / "outside"
    put(outside, file=b"do not touch", sub__file=b"nor this")
    for name in ("a", "b", "c", "d"):
        (root / name).symlink_to(outside)
    before = contents(outside)
    worktree.remove_path(str(root), "b/file")
    worktree.remove_folder(str(root), "b/sub")
    worktree.write_path(str(root), "a/file", b"new")
    worktree.write_path(str(root), "c/sub/file", b"new")
    worktree.write_folder(str(root), "d/sub")
    assert contents(outside) == before
    assert (root / "a/file").read_bytes() == b"new"
    assert (root / "c/sub/file").read_bytes() == b"new"
    assert (root / "d/sub").is_dir()
    assert [name for name in "acd" if (root / name).is_symlink()] == []
    assert (root / "b").is_symlink()


def test_files_and_folders_take_turns(root: Path) -> None:
    """A file where a folder was, once it is empty, and the other way round."""
    worktree.write_path(str(root), "x/y/z", b"1")
    with pytest.raises(OSError):
        worktree.write_path(str(root), "x", b"2")
    assert (root / "x/y/z").read_bytes() == b"1"
    (root / "x/y/z").unlink()
    worktree.write_path(str(root), "x", b"2")
    worktree.write_path(str(root), "x/y", b"3")
    assert contents(root / "x") == {"y": b"3"}
    worktree.remove_path(str(root), "x/y")
    assert not (root / "x").exists()
    worktree.remove_path(str(root), "x/y")
    worktree.write_folder(str(root), "p/q")
    worktree.remove_folder(str(root), "p")
    assert (root / "p/q").is_dir()
    worktree.remove_folder(str(root), "p/q")
    worktree.remove_folder(str(root), "p")
    assert not (root / "p").exists()


def test_a_working_tree_is_written_without_a_sync(root: Path) -> None:
    """Each file at once all the same: the store can write it again."""
    with Disk(root) as disk:
        worktree.write_path(str(root), "new/folder/file", b"1")
    assert disk.named("fsync") == []
    assert [call.is_temp for call in disk.named("replace")] == [True]
