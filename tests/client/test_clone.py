"""Clone: everything verified, the working tree as it was, and nothing half made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reference.client import clone as cloning
from reference.client.clone import clone
from reference.client.progress import Steps
from reference.client.push import push
from reference.client.remote import Remote
from reference.store import fsck, refs, state
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError

from .meddler import Meddler, Seen, Spoil, answer, busy, cut, drop, edited, lose
from .workspace import Workspace, tree

STEPS = ("refs", "presign", "GET")


def push_shape(remote: Remote, root: Path) -> dict[str, str]:
    """Pushes each branch of a fixture; returns them."""
    repository = Repository(str(root))
    branches = refs.list_refs(repository.dot)
    for branch in sorted(branches, key=lambda name: name != "main"):
        push(repository, remote, branch, branches[branch], False, Steps())
    return branches


@pytest.mark.requirement("FETCH-020", "FETCH-024", "FETCH-021")
@pytest.mark.parametrize(
    ("name", "framed"),
    [("simple", True), ("simple", False), ("dag", True), ("dag", False), ("signed", True)],
)
def test_clone_is_what_was_pushed(
    remote: Remote,
    connect: Callable[..., Remote],
    hub: Meddler,
    shape: Callable[[str, bool], Path],
    tmp_path: Path,
    name: str,
    framed: bool,
) -> None:
    """The working tree is byte for byte the pushed one, explicit directories included."""
    source = shape(name, False)
    branches = push_shape(remote, source)
    if not framed:
        hub.spoil = as_plain
    result = clone(connect(), str(tmp_path / "copy"), Steps())
    copy = Repository(str(tmp_path / "copy"))
    assert tree(copy.root) == tree(source)
    assert result.heads == branches
    tracked = {f"origin/{branch}": head for branch, head in branches.items()}
    assert refs.list_refs(copy.dot) == {"main": branches["main"], **tracked}
    assert [pack.pack.framed for pack in copy.packs()] == [framed] * len(copy.packs())
    assert fsck.problems(copy) == []
    original = Repository(str(source))
    for commit in original.ids("commits"):
        if copy.find_commit(commit):
            assert copy.commit(commit) == original.commit(commit)


def as_plain(seen: Seen, forward: Callable[[], Any]) -> Any:
    """A server that knows no frames: what is asked of it loses the capability."""
    seen.body = seen.body.replace(b'"framed"', b'"fermad"')
    return forward()


@pytest.mark.requirement("FETCH-023")
def test_cached_pack_is_asked_for_first(
    remote: Remote, hub: Meddler, work: Workspace, tmp_path: Path
) -> None:
    """A clone is three requests where the server has the pack ready, four where it has not."""
    work.commit(a="1")
    work.push(remote)
    hub.seen.clear()
    clone(remote, str(tmp_path / "warm"), Steps())
    assert hub.steps() == ["refs", "presign", "GET"]
    hub.seen.clear()
    hub.first("presign", answer(404, b'{"error": {"code": "not_cached", "detail": "no"}}'))
    clone(remote, str(tmp_path / "cold"), Steps())
    assert hub.steps() == ["refs", "presign", "mpack", "GET"]


def _said(limits: dict[str, Any], refs: dict[str, Any]) -> None:
    refs.update(limits)


@pytest.mark.requirement("FETCH-010", "HTTP-027")
def test_the_client_decides_how_much_it_takes(
    remote: Remote,
    connect: Callable[..., Remote],
    hub: Meddler,
    work: Workspace,
    tmp_path: Path,
) -> None:
    """As much as the server announces, within a ceiling, or as much as it was told to take."""
    work.commit(a="1" * 5000)
    work.push(remote)
    for said, taken in ((7, 1 << 30), (5 << 30, 5 << 30), (1 << 60, 16 << 30)):
        limits = {"limits": {"raw_bytes": said}}
        hub.first("refs", edited(partial(_said, limits)))
        assert remote.refs().takes.raw_bytes == taken
    with pytest.raises(ProtocolError, match="--limit") as refused:
        clone(connect(raw_bytes=4999), str(tmp_path / "less"), Steps())
    assert refused.value.code == "too_large"
    assert not (tmp_path / "less").exists()
    assert clone(connect(raw_bytes=5000), str(tmp_path / "copy"), Steps()).blobs == 1


@pytest.mark.requirement("AUTH-018", "FETCH-005")
def test_public_clone_sends_no_signature(
    remote: Remote, connect: Callable[..., Remote], hub: Meddler, work: Workspace, tmp_path: Path
) -> None:
    """Nobody is asked who they are where anybody may read."""
    work.commit(a="1")
    work.push(remote)
    hub.seen.clear()
    clone(connect(), str(tmp_path / "copy"), Steps())
    assert [seen for seen in hub.seen if "Authorization" in seen.headers] == []


def test_empty_remote_gives_an_empty_repository(remote: Remote, tmp_path: Path) -> None:
    """Cloning a repository without branches leaves one without commits."""
    clone(remote, str(tmp_path / "copy"), Steps())
    copy = Repository(str(tmp_path / "copy"))
    assert refs.list_refs(copy.dot) == {}
    assert refs.read_head(copy.dot) == ("main", None)


@pytest.mark.requirement("FETCH-022")
def test_folder_that_is_not_empty_is_refused(remote: Remote, tmp_path: Path) -> None:
    """What lies there stays as it is, and the server is not even asked."""
    root = tmp_path / "copy"
    root.mkdir()
    (root / "mine").write_text("precious")
    with pytest.raises(ProtocolError) as refused:
        clone(remote, str(root), Steps())
    assert refused.value.code == "conflict"
    assert os.listdir(root) == ["mine"]
    assert (root / "mine").read_text() == "precious"
    with pytest.raises(ProtocolError):
        clone(remote, str(root / "mine"), Steps())


@pytest.mark.parametrize("spoil", [drop, lose, busy, cut(0.5), cut(0.0)])
@pytest.mark.parametrize("step", STEPS)
def test_clone_survives_a_lost_step(
    remote: Remote, hub: Meddler, work: Workspace, tmp_path: Path, step: str, spoil: Spoil
) -> None:
    """A step whose connection drops before, within or after its answer is repeated."""
    work.commit(a="1" * 5000, b="2")
    work.push(remote)
    hub.seen.clear()
    hub.first(step, spoil)
    clone(remote, str(tmp_path / "copy"), Steps())
    assert hub.steps().count(step) == 2
    assert tree(tmp_path / "copy") == {"a": b"1" * 5000, "b": b"2"}


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_download_goes_on_where_it_was(
    remote: Remote,
    hub: Meddler,
    shape: Callable[[str, bool], Path],
    tmp_path: Path,
    ranges: bool,
) -> None:
    """The rest is asked for; a server that sends all again is read from where it counts."""
    source = shape("simple", False)
    push_shape(remote, source)
    hub.seen.clear()
    left = [0.3, 0.6]

    def flaky(seen: Seen, forward: Callable[[], Any]) -> Any:
        if seen.step != "GET":
            return forward()
        if not ranges:
            seen.headers.pop("Range", None)
        return cut(left.pop(0))(seen, forward) if left else forward()

    hub.spoil = flaky
    clone(remote, str(tmp_path / "copy"), Steps())
    assert hub.steps().count("GET") == 3
    if ranges:
        asked = [seen.headers.get("Range") for seen in hub.seen if seen.step == "GET"]
        assert asked[0] is None
        assert all(value and value.startswith("bytes=") for value in asked[1:])
    assert tree(tmp_path / "copy") == tree(source)


def flipped(share: float) -> Spoil:
    """One bit of the answer is another."""

    def spoil(seen: Seen, forward: Callable[[], Any]) -> Any:
        status, headers, body = forward()
        at = min(int(len(body) * share), len(body) - 1)
        return status, headers, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    return spoil


OTHER = "sha256:" + "0" * 64
LIES: dict[str, tuple[str, Spoil]] = {
    **{f"bit at {share:.0%}": ("GET", flipped(share)) for share in (0, 0.1, 0.5, 0.9, 1)},
    "another pack": ("presign", edited(lambda value: value.update(mpack_id=OTHER))),
    "no id": ("presign", edited(lambda value: value.update(mpack_id="x"))),
    "no link": ("presign", edited(lambda value: value.pop("mpack_url"))),
    "a link that is none": ("presign", edited(lambda value: value.update(mpack_url="file:///x"))),
    "a head that is not sent": (
        "refs",
        edited(lambda value: value["branch_heads"].update(z=OTHER)),
    ),
    "a head that is no id": ("refs", edited(lambda value: value["branch_heads"].update(z="z"))),
    "no branches": ("refs", edited(lambda value: value.pop("branch_heads"))),
    "nothing": ("GET", answer(200, b"")),
    "a page": ("GET", answer(200, b"<html>")),
    "not there": ("GET", answer(404, b"gone")),
    "a redirect": ("GET", answer(302, b"", Location="http://127.0.0.1:1/")),
}


@pytest.mark.requirement("FETCH-020", "DUR-033")
@pytest.mark.parametrize(
    ("lie", "there"), [*((lie, False) for lie in LIES), ("bit at 50%", True), ("no link", True)]
)
def test_lying_server_leaves_nothing(
    remote: Remote, hub: Meddler, work: Workspace, tmp_path: Path, lie: str, there: bool
) -> None:
    """Whatever a server makes up, the clone fails and leaves the place as it was."""
    work.commit(a="1" * 500, b="".join(map(str, range(500))))
    work.push(remote)
    hub.first(*LIES[lie])
    root = tmp_path / "below" / "copy"
    if there:
        root.mkdir(parents=True)
    with pytest.raises(ProtocolError):
        clone(remote, str(root), Steps())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "work") == (
        ["below"] if there else []
    )
    assert not there or list(root.iterdir()) == []


@pytest.mark.requirement("FETCH-020")
def test_stolen_commit_is_noticed(
    remote: Remote, connect: Callable[..., Remote], hub: Meddler, work: Workspace, tmp_path: Path
) -> None:
    """A pack that is sound in itself and lacks what was asked for is no clone."""
    work.commit(a="1")
    work.push(remote)
    decoy = connect("decoy")
    decoy.create()
    work.commit("decoy", a="2")
    work.push(decoy, "decoy")
    offered = decoy.read("fetch/mpack", {"want": [refs.read(work.dot, "decoy")]})
    hub.first("presign", edited(lambda value: value.update(offered)))
    with pytest.raises(ProtocolError) as refused:
        clone(remote, str(tmp_path / "copy"), Steps())
    assert "promised and not sent" in refused.value.detail
    assert not (tmp_path / "copy").exists()


@pytest.mark.requirement("DUR-033")
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_interrupted_clone_can_be_finished(
    remote: Remote, hub: Meddler, work: Workspace, tmp_path: Path, kill: signal.Signals
) -> None:
    """Killed in the middle, it is no repository yet, and the same clone again finishes it."""
    work.commit(a="1" * 500, **{"b/c": "2"})
    work.push(remote)
    arrived, go = threading.Event(), threading.Event()

    def stall(seen: Seen, forward: Callable[[], Any]) -> Any:
        arrived.set()
        go.wait(20)
        return forward()

    hub.first("GET", stall)
    root = tmp_path / "copy"
    command = [sys.executable, "-m", "reference", "clone", remote.url, str(root)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        assert arrived.wait(20)
        process.send_signal(kill)
        process.communicate(timeout=20)
    finally:
        go.set()
        process.kill()
    if kill == signal.SIGINT:
        assert not root.exists()
    else:
        with pytest.raises(ProtocolError):
            Repository(str(root))
    clone(remote, str(root), Steps())
    assert tree(root) == {"a": b"1" * 500, "b": None, "b/c": b"2"}
    assert fsck.problems(Repository(str(root))) == []


@pytest.mark.requirement("DUR-033")
@pytest.mark.parametrize("edited", ["a", "b/c", "b", "d"])
def test_what_was_edited_meanwhile_is_not_written_over(
    remote: Remote, work: Workspace, tmp_path: Path, edited: str
) -> None:
    """What the clone left is its content or the start of it; anything else is somebody's own."""
    work.commit(a="1" * 500, **{"b/c": "2", "d/e": "3"})
    work.push(remote)
    root = tmp_path / "copy"
    clone(remote, str(root), Steps())
    (root / ".muse/HEAD").unlink()
    (root / "a").write_text("1" * 7)  # cut short, as a killed process leaves it
    if (root / edited).is_dir():
        shutil.rmtree(root / edited)
    (root / edited).write_text("my own")
    before = tree(root)
    with pytest.raises(ProtocolError, match=f"'{edited}' was changed") as refused:
        clone(remote, str(root), Steps())
    assert refused.value.code == "conflict"
    assert tree(root) == before
    (root / edited).unlink()
    clone(remote, str(root), Steps())
    assert (root / "a").read_text() == "1" * 500
    assert fsck.problems(Repository(str(root))) == []


@pytest.mark.requirement("DUR-033", "FETCH-021")
@pytest.mark.parametrize("stop", ["write_head", "write", "_check_out", "encode_index"])
def test_stopped_anywhere_it_does_not_look_whole(
    remote: Remote,
    connect: Callable[..., Remote],
    work: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: str,
) -> None:
    """Up to the last step there is no HEAD; the pack that came is not fetched again."""
    work.commit(a="1", b="2")
    work.push(remote)
    root = str(tmp_path / "copy")

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(refs if stop.startswith("write") else cloning, stop, die)
        patch.setattr(cloning, "_remove", lambda *_: None)  # as a kill would
        with pytest.raises(Killed):
            clone(remote, root, Steps())
    assert not os.path.exists(f"{root}/.muse/HEAD")
    with pytest.raises(ProtocolError) as refused:
        clone(connect("else"), root, Steps())
    assert refused.value.code == "conflict"
    clone(remote, root, Steps())
    assert tree(root) == {"a": b"1", "b": b"2"}
    assert fsck.problems(Repository(root)) == []


@pytest.mark.requirement("DUR-033")
def test_barely_begun_clone_can_be_finished(
    remote: Remote, work: Workspace, tmp_path: Path
) -> None:
    """A folder with nothing but an unfinished store is one to go on with."""
    work.commit(a="1")
    work.push(remote)
    root = tmp_path / "copy"
    (root / ".muse" / "objects").mkdir(parents=True)
    clone(remote, str(root), Steps())
    assert tree(root) == {"a": b"1"}


@pytest.mark.requirement("FETCH-024")
def test_path_that_does_not_fit_is_an_error(
    remote: Remote, work: Workspace, tmp_path: Path
) -> None:
    """A path that is legal and too long for this place fails the clone, and nothing is left."""
    work.commit(**{"/".join([*["d" * 200] * 20, "e" * 70]): "1", "a": "2"})
    work.push(remote)
    with pytest.raises(OSError, match="File name too long"):
        clone(remote, str(tmp_path / "copy"), Steps())
    assert not (tmp_path / "copy").exists()


def test_clone_knows_its_remote(remote: Remote, work: Workspace, tmp_path: Path) -> None:
    """The URL is kept as the remote `origin`."""
    work.commit(a="1")
    work.push(remote)
    clone(remote, str(tmp_path / "copy"), Steps())
    config = state.get_state(f"{tmp_path}/copy/.muse", "config")
    assert config == {"remotes": {"origin": {"url": remote.url}}}
