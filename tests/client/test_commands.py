"""The network commands as a person or a script meets them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reference import cli
from reference.client.aside import aside
from reference.client.progress import Bar, Steps
from reference.client.remote import Remote
from reference.keys import Identity
from reference.store import state
from reference.wire.errors import ProtocolError

from .meddler import Meddler, answer
from .workspace import tree

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs musekit in a folder; returns its exit code and what it said."""

    def call(folder: Path, *command: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        code = cli.run(command)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def url(hub: Meddler, alice: Identity) -> str:
    """Where alice's repository will be."""
    return f"{hub.url}/{alice.handle}/demo"


@pytest.fixture
def one(tmp_path: Path, run: Run, url: str) -> Path:
    """A repository with a commit and a remote."""
    root = tmp_path / "one"
    root.mkdir()
    (root / "a").write_text("1\n")
    (root / "empty").mkdir()
    for command in (["init"], ["commit", "-m", "first"], ["remote", "add", "origin", url]):
        assert run(root, *command)[0] == 0
    return root


def test_push_clone_pull(one: Path, tmp_path: Path, run: Run, url: str) -> None:
    """Two people's day: push, clone, change, push, pull, merge."""
    assert run(one, "push", "--create")[0] == 0
    two = tmp_path / "two"
    assert run(tmp_path, "clone", url, "two")[0] == 0
    assert tree(two) == tree(one) == {"a": b"1\n", "empty": None}
    (two / "b").write_text("2\n")
    assert run(two, "commit", "-m", "second")[0] == 0
    assert run(two, "push")[0] == 0
    assert run(one, "pull")[0] == 0
    assert tree(one) == tree(two)
    (one / "c").write_text("3\n")
    (two / "d").write_text("4\n")
    assert run(one, "commit", "-m", "third")[0] == run(two, "commit", "-m", "fourth")[0] == 0
    assert run(one, "push")[0] == 0
    code, _, error = run(two, "push")
    assert code == 5
    assert error.startswith("musekit: not_fast_forward")
    code, out, _ = run(two, "pull")
    assert code == 0
    assert out.startswith("merged sha256:")
    assert run(two, "push")[0] == 0
    assert run(one, "pull")[0] == 0
    assert tree(one) == tree(two)
    assert run(one, "fsck")[0] == run(two, "fsck")[0] == 0


def test_conflicting_pull(one: Path, tmp_path: Path, run: Run, url: str) -> None:
    """A pull whose merge conflicts exits 1 and names the paths."""
    run(one, "push", "--create")
    run(tmp_path, "clone", url, "two")
    for root, text in ((one, "x"), (tmp_path / "two", "y")):
        (root / "a").write_text(text)
        run(root, "commit", "-m", text)
    run(one, "push")
    code, _, error = run(tmp_path / "two", "pull")
    assert code == 1
    assert "1 conflict (a)" in error


def test_json_tells_counts_bytes_and_steps(one: Path, tmp_path: Path, run: Run, url: str) -> None:
    """`--json` is one object with counts, bytes and milliseconds by step."""
    _, out, _ = run(one, "push", "--create", "--json")
    pushed: dict[str, Any] = json.loads(out)
    assert pushed["stored_commits"] == pushed["stored_blobs"] == 1
    assert pushed["pack_bytes"] > 100
    steps = ["create", "negotiate", "pack", "unpack"]
    assert list(pushed["ms"]) == steps
    _, out, _ = run(tmp_path, "clone", "--json", url, "two")
    cloned = json.loads(out)
    assert (cloned["commits"], cloned["blobs"]) == (1, 1)
    assert list(cloned["ms"]) == ["refs", "request", "download", "checkout"]
    _, out, _ = run(tmp_path, "ls-remote", "--json", url)
    assert json.loads(out) == {
        "heads": pushed["heads"],
        "default_branch": "main",
        "ms": json.loads(out)["ms"],
    }
    assert run(tmp_path, "ls-remote", url)[1] == f"{pushed['head']}  main\n"


@pytest.mark.requirement("AUTH-020")
def test_private_key_is_for_its_owner_alone(run: Run, musekit_home: Path, tmp_path: Path) -> None:
    """The file that keygen writes can be read by nobody else."""
    assert run(tmp_path, "keygen", "--handle", "alice")[0] == 0
    [path] = musekit_home.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_exit_codes(one: Path, tmp_path: Path, run: Run, hub: Meddler, url: str) -> None:
    """5 for the remote, 4 for what is not here, 1 for a wrong request, 3 for broken content."""
    code, _, error = run(one, "push")
    assert code == 5
    assert error.startswith("musekit: unknown_repo")
    assert run(one, "push", "nowhere")[0] == 4
    assert run(one, "push", "origin", "nowhere")[0] == 4
    assert run(one, "remote", "add", "bad/name", url)[0] == 1
    assert run(one, "remote", "add", "origin", url + "2")[0] == 1
    assert run(one, "remote", "add", "origin", url)[0] == 0
    assert run(tmp_path, "clone", url, "one")[0] == 1
    run(one, "push", "--create")
    hub.every("GET", answer(200, b"not a pack"))
    code, _, error = run(tmp_path, "clone", url, "two")
    assert code == 3
    assert "integrity check" in error
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("text", ["remotes = 3\n", "[remotes]\norigin = 3\n"])
def test_remotes_that_are_no_tables_are_named(run: Run, tmp_path: Path, text: str) -> None:
    """What somebody wrote into config.toml by hand is refused in one line."""
    assert run(tmp_path, "init")[0] == 0
    (tmp_path / ".muse/config.toml").write_text(text)
    for command in (["remote", "add", "origin", "http://h/o/s"], ["fetch", "origin"]):
        code, _, said = run(tmp_path, *command)
        assert (code, said.count("\n")) == (1, 1)
        assert "a remote must be a table [remotes.NAME]" in said


def test_insecure_may_stand_in_the_configuration(
    one: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`insecure = true` beside a remote's url counts like the option."""
    told: list[bool] = []

    def note(self: Remote, url: str, identity: object, insecure: bool, takes: object) -> None:
        told.append(insecure)
        raise ProtocolError("invalid", "that is all")

    monkeypatch.setattr(Remote, "__init__", note)
    config = state.get_state(f"{one}/.muse", "config")
    run(one, "push")
    run(one, "push", "--insecure")
    config["remotes"]["origin"]["insecure"] = True
    state.set_state(f"{one}/.muse", "config", None, config)
    run(one, "push")
    assert told == [False, True, True]


def test_clone_in_a_process_of_its_own(one: Path, tmp_path: Path, run: Run, url: str) -> None:
    """Piped, it says nothing on stderr; verification in a second process finds it sound."""
    run(one, "push", "--create")
    command = [sys.executable, "-m", "reference", "clone", url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(tmp_path / "demo") == tree(one)


def test_progress_is_for_terminals(capfd: pytest.CaptureFixture[str]) -> None:
    """A terminal gets rate and remaining time, and its line back at the end; a pipe gets none."""
    quiet = Bar("pushing", 100)
    quiet.advance(b"x" * 50)
    quiet.close()
    assert capfd.readouterr().err == ""
    code = (
        "import reference.client.progress as p; p.SECONDS_BETWEEN = 0\n"
        "data = b'x' * 1_000_000\n"
        "with p.bar('pushing', 4_000_000) as b: b.advance(data); b.advance(data)\n"
        "with p.bar('fetching') as b: b.advance(b'x' * 3000)\n"
    )
    master, slave = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stderr=slave) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # how a terminal ends
                break
            if not piece:
                break
            shown += piece
    os.close(master)
    assert process.returncode == 0
    text = shown.decode()
    assert "pushing [############............]  50% 1.9 MiB" in text
    assert "/s, 0 s left" in text
    assert "fetching 2.9 KiB" in text
    assert text.endswith("\r\x1b[K")


def test_steps_add_up() -> None:
    """A step that comes twice is one entry."""
    steps = Steps()
    for _ in range(2):
        with steps.step("refs"):
            pass
    assert list(steps.ms) == ["refs"]


ASIDE = """
from reference.client.aside import aside
from reference.wire.errors import ProtocolError

def refuse():
    raise ProtocolError("missing_object", "it is gone", "SNAP-013")

def crash():
    raise SystemExit(1)

for check, body in ((refuse, None), (refuse, OSError), (crash, None), (print, OSError)):
    try:
        with aside(check):
            if body:
                raise body("the body's")
    except (ProtocolError, OSError) as problem:
        print(problem, flush=True)
"""


def test_check_aside_has_the_last_word() -> None:
    """What a forked check refuses is raised, before whatever else went wrong beside it."""
    done = subprocess.run([sys.executable, "-c", ASIDE], capture_output=True, text=True, timeout=60)
    said = [line for line in done.stdout.splitlines() if line]
    refused = "missing_object: it is gone [SNAP-013]"
    unfinished = "integrity: integrity check: it was not finished"
    assert said == [refused, refused, unfinished, "the body's"]


def test_check_in_place_where_threads_run() -> None:
    """Without a second process the check comes first, and its refusal stops the body."""
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()

    def refuse() -> None:
        raise ProtocolError("missing_object", "gone")

    try:
        with pytest.raises(ProtocolError), aside(refuse):
            raise AssertionError("the body must not run")
    finally:
        go.set()
        thread.join()
