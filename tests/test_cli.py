"""The local commands as a person uses them: what they do, what they say, how they end.

One file, for a reader looks for a command by its name.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reference import cli
from reference.cli import options, run
from reference.client import arguments as network_arguments
from reference.store import fsck
from reference.store.repository import Repository
from tests import oracle


def text_id(line: str) -> str:
    """The id of a file of one line."""
    return oracle.blob_id(f"{line}\n".encode())


BASE, CHANGED = text_id("base"), text_id("changed")


class Person:
    """Somebody at a command line, in one folder."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys
        self.notes = ""

    def runs(self, *argv: str, code: int = 0) -> str:
        """What a command prints; it must end with `code`, errors being one line."""
        self._capsys.readouterr()
        got = run(argv)
        out, self.notes = self._capsys.readouterr()
        assert got == code, (got, out, self.notes)
        if code:
            assert self.notes.count("\n") == 1, self.notes
        return out

    def writes(self, path: str, text: str = "") -> None:
        """Writes a file, and the folders that it lies in."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commits(self, message: str = "m") -> str:
        """The id of a commit of everything."""
        return self.runs("commit", "-m", message, "--author", "me").split()[0]

    def tree(self) -> dict[str, str]:
        """The working tree: each file and its text."""
        return {
            str(path.relative_to(self.root)): path.read_text()
            for path in self.root.rglob("*")
            if path.is_file() and ".muse" not in path.parts
        }

    def record(self, object_id: str) -> dict[str, object]:
        """A commit's or snapshot's record."""
        found: dict[str, object] = json.loads(self.runs("cat-object", object_id))
        return found


@pytest.fixture
def person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Person:
    """Somebody in an empty repository."""
    monkeypatch.chdir(tmp_path)
    somebody = Person(tmp_path, capsys)
    somebody.runs("init")
    return somebody


@pytest.fixture
def forked(person: Person) -> Person:
    """Two branches, `main` and `side`, that each added a file of their own and changed one."""
    person.writes("shared", "base\n")
    person.writes("gone", "base\n")
    person.commits("base")
    person.runs("branch", "side")
    person.writes("ours", "1\n")
    person.commits("ours")
    person.runs("switch", "side")
    person.writes("theirs/file", "2\n")
    person.writes("shared", "changed\n")
    (person.root / "gone").unlink()
    person.commits("theirs")
    person.runs("switch", "main")
    return person


@pytest.mark.requirement("STORE-026", "STORE-028")
def test_commit_takes_every_file_and_each_empty_folder(person: Person) -> None:
    """Other folders are not listed."""
    person.writes("a", "1")
    person.writes("d/b", "2")
    (person.root / "empty/inner").mkdir(parents=True)
    commit = person.record(person.commits())
    manifest = {"a": oracle.blob_id(b"1"), "d/b": oracle.blob_id(b"2")}
    assert commit["snapshot_id"] == oracle.snapshot_id(manifest, ["empty/inner"])
    assert oracle.commit_id(commit) == commit["commit_id"]


@pytest.mark.requirement("STORE-027")
def test_links_and_special_files_are_skipped_with_a_note(person: Person) -> None:
    """Each is named on standard error."""
    person.writes("a", "1")
    (person.root / "link").symlink_to("a")
    os.mkfifo(person.root / "pipe")
    (person.root / "back\\slash").write_text("x")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        person.commits()
    for name in ("link", "pipe", "slash", "socket"):
        assert name in person.notes
    commit = person.record(person.runs("log").split()[0])
    assert commit["snapshot_id"] == oracle.snapshot_id({"a": oracle.blob_id(b"1")})


@pytest.mark.requirement("STORE-029")
def test_the_store_is_never_part_of_a_snapshot(person: Person) -> None:
    """In whatever case its folder is written; below the top the name is free."""
    person.writes(".MUSE/x", "1")
    person.writes("d/.muse/y", "2")
    commit = person.record(person.commits())
    expected = oracle.snapshot_id({"d/.muse/y": oracle.blob_id(b"2")})
    assert commit["snapshot_id"] == expected


@pytest.mark.requirement("STORE-038")
def test_an_ignored_file_leaves_the_next_snapshot(person: Person) -> None:
    """Even if an earlier one had it."""
    person.writes("a.log", "1")
    person.commits()
    person.writes(".museignore", "*.log\n")
    commit = person.record(person.commits())
    assert commit["snapshot_id"] == oracle.snapshot_id({".museignore": oracle.blob_id(b"*.log\n")})
    assert (person.root / "a.log").read_text() == "1"


def test_status_tells_what_differs(person: Person) -> None:
    """New, changed and gone, by content."""
    person.writes("a", "1")
    person.writes("b", "1")
    person.commits()
    person.writes("a", "2")
    (person.root / "b").unlink()
    person.writes("c", "1")
    lines = person.runs("status").splitlines()
    assert lines[0].startswith("on main, sha256:")
    assert [line.split() for line in lines[1:]] == [["new", "c"], ["changed", "a"], ["gone", "b"]]


def test_log_lists_the_newest_first(person: Person) -> None:
    """As text, or a record a line."""
    person.writes("a", "1")
    first = person.commits("one\ntwo lines")
    person.writes("a", "2")
    second = person.commits("second")
    assert person.runs("log").splitlines()[0].split()[0] == second
    records = [json.loads(line) for line in person.runs("log", "--json").splitlines()]
    assert [record["commit_id"] for record in records] == [second, first]


def test_many_new_files_become_one_pack(person: Person) -> None:
    """One sync for all of them, and everything reads as ever."""
    for number in range(100):
        person.writes(f"f{number}", str(number))
    person.commits()
    assert len(list((person.root / ".muse/objects/pack").glob("*.mpack"))) == 1
    assert fsck.problems(Repository(str(person.root))) == []
    assert person.runs("status").count("\n") == 1


def test_a_signed_commit_carries_a_signature_that_holds(person: Person) -> None:
    """The key is part of the commit's identity."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from reference.wire.provenance import from_base64url

    _, key = person.runs("keygen", "--handle", "gabriel").split()
    person.writes("a", "1")
    commit = person.record(person.runs("commit", "-m", "m", "--sign").split()[0])
    assert (commit["author"], commit["signer_public_key"]) == ("gabriel", key)
    public = Ed25519PublicKey.from_public_bytes(from_base64url(key.removeprefix("ed25519:"), 32))
    signature = from_base64url(str(commit["signature"]), 64)
    public.verify(signature, oracle.provenance_digest(commit))
    assert person.runs("identity") == f"gabriel {key}\n"


def test_a_key_is_private_and_never_overwritten(person: Person) -> None:
    """Mode 0600, in the folder that MUSEKIT_HOME names."""
    person.runs("keygen", "--handle", "a")
    kept = Path(os.environ["MUSEKIT_HOME"]) / "identity.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    before = kept.read_bytes()
    person.runs("keygen", "--handle", "b", code=1)
    assert "move it away, or set MUSEKIT_HOME" in person.notes
    assert kept.read_bytes() == before


@pytest.mark.requirement("STORE-065")
def test_exit_codes(person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of failure has its code and one line that says what to do."""
    person.writes("a", "1")
    head = person.commits()
    person.runs("commit", "-m", "nothing new", code=1)
    person.runs("commit", "-m", "m", "--date", "yesterday", code=1)
    person.runs("switch", "no-such-branch", code=4)
    person.runs("cat-object", "sha256:" + "0" * 64, code=4)
    person.runs("cat-object", "short", code=1)
    person.runs("hash-object", "no-such-file", code=4)
    person.runs("branch", "..", code=1)
    digits = head[7:]
    record = tmp_path / f".muse/commits/{digits[:2]}/{digits[2:]}.json"
    record.chmod(0o644)
    record.write_bytes(record.read_bytes()[:-5])
    assert run(["fsck"]) == 3
    person.runs("log", code=3)
    (tmp_path / "outside").mkdir()
    monkeypatch.chdir("/")
    person.runs("status", code=4)
    with pytest.raises(SystemExit) as ended:
        run(["no-such-command"])
    assert ended.value.code == 2


@pytest.mark.requirement("STORE-039", "STORE-043")
@pytest.mark.parametrize("instead", [None, "a file"])
def test_a_store_without_its_branches_is_damaged(person: Person, instead: str | None) -> None:
    """It is no empty one: fsck says so, and nothing is collected, committed or listed."""
    person.writes("a", "1")
    commit = person.commits()
    heads = person.root / ".muse/refs/heads"
    (heads / "main").unlink()
    heads.rmdir()
    if instead is not None:
        heads.write_text(instead)
    assert "refs/heads is missing" in person.runs("fsck", code=3)
    assert person.notes == "musekit: integrity: 1 problem found\n"
    for command in (["gc", "--grace", "0"], ["log"], ["branch"], ["branch", "-d", "main"]):
        person.runs(*command, code=3)
        assert person.notes.startswith("musekit: integrity check: .muse/refs/heads is missing")
    person.writes("a", "2")
    person.runs("commit", "-m", "m", code=3)
    assert person.record(commit)["commit_id"] == commit


def test_a_damaged_head_says_what_to_write(person: Person) -> None:
    """Once that it is damaged, and the line that belongs there."""
    (person.root / ".muse/HEAD").write_text("main\n")
    person.runs("status", code=3)
    assert person.notes.startswith("musekit: integrity check: HEAD holds 'main\\n'")
    assert "write `ref: refs/heads/BRANCH`" in person.notes


@pytest.mark.parametrize("option", ["--message", "--author"])
def test_a_commit_says_only_what_is_text(person: Person, option: str) -> None:
    """Bytes of an argument that are no UTF-8 are refused in a line that names it."""
    person.writes("a", "1")
    given = {"--message": "m", "--author": "me", option: "\udcff"}
    person.runs("commit", *(word for pair in given.items() for word in pair), code=1)
    assert person.notes == f"musekit: invalid: {option[2:]}: must be valid UTF-8\n"


@pytest.mark.parametrize("message", ["", " \n"])
def test_a_commit_says_something(person: Person, message: str) -> None:
    """An empty message is most often a variable that was not set."""
    person.writes("a", "1")
    person.runs("commit", "-m", message, "--author", "me", code=1)
    assert person.notes.startswith("musekit: invalid: message: say in a few words")


@pytest.mark.parametrize("text", ["nan", "-1", "soon"])
def test_a_grace_period_is_a_length_of_time(person: Person, text: str) -> None:
    """One that is none would leave nothing young."""
    with pytest.raises(SystemExit) as ended:
        run(["gc", f"--grace={text}"])
    assert ended.value.code == 2


def test_an_unfinished_clone_is_finished_by_cloning(person: Person) -> None:
    """Nothing advises init, and init leaves it alone."""
    (person.root / ".muse/HEAD").unlink()
    (person.root / ".muse/config.toml").write_text('[remotes.origin]\nurl = "http://h/o/s"\n')
    for command, code in ((["status"], 4), (["init"], 1), (["store", "init", "."], 1)):
        person.runs(*command, code=code)
        assert "an unfinished clone: run musekit clone http://h/o/s " in person.notes
    assert not (person.root / ".muse/HEAD").exists()


def test_what_others_wrote_does_not_steer_the_terminal(person: Person) -> None:
    """Control characters are escaped, and no line of a message passes for one of the log."""
    person.writes("a", "1")
    message = "one\ntwo\r\x1b[2J\x9b2J\u2028three\u202eeerht"
    person.runs("commit", "-m", message, "--author", "me\nsha256:0\x1b[1m")
    lines = person.runs("log").split("\n")
    assert lines[0].endswith("  me\\nsha256:0\\x1b[1m")
    assert lines[1:] == ["    one", "    two\\r\\x1b[2J\\x9b2J\\u2028three\\u202eeerht", ""]
    person.writes("new\x9bname", "1")
    assert person.runs("status").splitlines()[1] == "new      new\\x9bname"


@pytest.mark.requirement("STORE-030")
@pytest.mark.parametrize("command", ["switch", "merge"])
@pytest.mark.parametrize(
    ("path", "text"),
    [("shared", "my own\n"), ("gone", "my own\n"), ("theirs/file", "mine\n"), ("theirs", "mine\n")],
)
def test_nothing_of_a_persons_own_is_lost(
    forked: Person, command: str, path: str, text: str
) -> None:
    """A change or an untracked file in the way refuses the whole operation."""
    forked.writes(path, text)
    before, head = forked.tree(), forked.runs("log").split()[0]
    forked.runs(command, "side", code=1)
    assert forked.tree() == before
    assert forked.runs("log").split()[0] == head


@pytest.mark.requirement("STORE-030")
def test_a_link_in_the_way_is_not_followed(
    forked: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What lies behind it stays as it is."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").write_text("not yours")
    (forked.root / "theirs").symlink_to(elsewhere)
    forked.runs("switch", "side", code=1)
    assert (elsewhere / "file").read_text() == "not yours"
    assert os.listdir(elsewhere) == ["file"]


def test_switch_writes_the_other_tree(forked: Person) -> None:
    """Files come, change and go; there and back again."""
    here = forked.tree()
    forked.runs("switch", "side")
    assert forked.tree() == {"shared": "changed\n", "theirs/file": "2\n"}
    assert forked.runs("status").count("\n") == 1
    forked.runs("switch", "main")
    assert forked.tree() == here
    assert not (forked.root / "theirs").exists()


@pytest.mark.requirement("STORE-066")
def test_merge_takes_what_each_side_changed(forked: Person) -> None:
    """Two parents, and both sides' files."""
    done = forked.runs("merge", "side", "--author", "me")
    assert done.split()[0] == "merged"
    assert forked.tree() == {"shared": "changed\n", "theirs/file": "2\n", "ours": "1\n"}
    commit = forked.record(done.split()[1])
    assert oracle.commit_id(commit) == commit["commit_id"]
    assert commit["parent2_commit_id"] is not None
    assert forked.runs("status").count("\n") == 1


@pytest.mark.requirement("STORE-066", "STORE-067")
def test_conflicts_are_listed_and_the_next_commit_ends_the_merge(forked: Person) -> None:
    """Both changed differently, deleted against edited, file against folder; no ref moves."""
    forked.writes("shared", "ours\n")
    forked.writes("gone", "edited\n")
    forked.writes("theirs", "a file here\n")
    ours = forked.commits("conflicting")
    listed = [line.split("  ") for line in forked.runs("merge", "side", code=1).splitlines()]
    assert listed == [
        ["conflict gone", f"base {BASE}", f"ours {text_id('edited')}", "theirs none"],
        ["conflict shared", f"base {BASE}", f"ours {text_id('ours')}", f"theirs {CHANGED}"],
        ["conflict theirs", "base none", f"ours {text_id('a file here')}", "theirs none"],
    ]
    state = json.loads((forked.root / ".muse/MERGE_STATE.json").read_text())
    assert state["conflict_paths"] == ["gone", "shared", "theirs"]
    assert state["ours_commit"] == ours
    assert forked.runs("log").split()[0] == ours
    assert forked.tree()["theirs"] == "a file here\n"
    forked.runs("switch", "side", code=1)
    forked.writes("shared", "settled\n")
    settled = forked.commits("merged")
    kept = [f"musekit: keeps our side of {path}" for path in ("gone", "theirs")]
    assert forked.notes.splitlines() == kept
    merge = forked.record(settled)
    assert (merge["parent_commit_id"], merge["parent2_commit_id"]) == (
        ours,
        state["theirs_commit"],
    )
    assert not (forked.root / ".muse/MERGE_STATE.json").exists()


@pytest.mark.requirement("STORE-068")
def test_merge_fast_forwards_where_it_can(forked: Person) -> None:
    """Without a new commit; and what is merged already is up to date."""
    forked.runs("switch", "side")
    head = forked.runs("log").split()[0]
    forked.runs("switch", "-c", "behind")
    forked.runs("switch", "main")
    assert forked.runs("merge", "side", "--author", "me").startswith("merged")
    merged = forked.runs("log").split()[0]
    forked.runs("switch", "behind")
    assert forked.runs("merge", "main").split() == ["fast_forward", merged]
    assert forked.runs("merge", "side").split() == ["up_to_date", merged]
    assert head != merged


@pytest.mark.requirement("STORE-069")
def test_histories_without_a_common_base_merge_on_the_empty_tree(person: Person) -> None:
    """Files of both come together."""
    person.writes("a", "1")
    person.commits()
    person.runs("switch", "-c", "other")
    (person.root / ".muse/refs/heads/other").unlink()
    person.writes("b", "2")
    person.commits()
    person.runs("switch", "main")
    assert person.runs("merge", "other", "--author", "me").startswith("merged")
    assert person.tree() == {"a": "1", "b": "2"}


def test_branches_are_listed_and_removed(forked: Person) -> None:
    """The current one has a star and cannot be removed."""
    lines = forked.runs("branch").splitlines()
    assert [line[:6].strip() for line in lines] == ["* main", "side"]
    forked.runs("branch", "-d", "main", code=1)
    for command in (["branch", "HEAD"], ["switch", "-c", "HEAD"]):
        forked.runs(*command, code=1)
        assert "give the branch another name" in forked.notes
    was = lines[1].split()[1]
    assert forked.runs("branch", "-d", "side") == f"removed side, which was at {was}\n"
    assert forked.runs("branch").count("\n") == 1


def test_collection_says_how_much_went(forked: Person) -> None:
    """What a removed branch alone reached goes, once it is old enough."""
    forked.runs("branch", "-d", "side")
    assert forked.runs("gc") == "0 removed\n"
    assert forked.runs("gc", "--grace", "0") == "4 removed\n"
    assert forked.runs("fsck") == "sound\n"


NETWORK = ("push", "fetch", "pull", "clone", "ls-remote")
FORMS: tuple[list[str], ...] = (
    [],
    ["a"],
    ["a", "b"],
    ["a", "b", "c"],
    ["--json"],
    ["a", "--json", "--insecure"],
    ["--insecure", "--json", "a", "b"],
    ["--json", "--json", "a"],
    ["a", "--force"],
    [""],
)


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
@pytest.mark.parametrize("command", NETWORK)
def test_plain_words_mean_what_argparse_makes_of_them(command: str, form: list[str]) -> None:
    """Or they are not plain, and argparse reads them."""
    found = network_arguments.plain([command, *form])
    try:
        expected, rest = options.parser().parse_known_args([command, *form])
    except SystemExit:
        assert found is None
        return
    if rest:
        assert found is None
    else:
        assert vars(expected).pop("handler") == cli.network
        assert vars(found) == vars(expected)


@pytest.mark.parametrize(
    "words",
    [[], ["log"], ["push", "--js"], ["push", "-h"], ["push", "--"], ["fetch", "--limit=a=1"]],
)
def test_other_words_are_left_to_argparse(words: list[str]) -> None:
    """Abbreviations, values and help among them."""
    assert network_arguments.plain(words) is None


def test_a_network_command_ends_with_its_code(tmp_path: Path) -> None:
    """As a process, whoever reads what it says: it leaves at once."""
    words = [sys.executable, "-m", "reference", "fetch"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
