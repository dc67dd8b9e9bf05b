"""The store adapter, line by line: what it answers, what it refuses, what it leaves behind.

One file, in the order of the operations on the page that it follows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reference.store import adapter
from reference.store.repository import Repository
from tests import oracle

TIME = "2026-01-01T00:00:00+00:00"
ABSENT = "sha256:" + "0" * 64


class Adapter:
    """One store, asked in process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = Repository(str(root))

    def raw(self, line: bytes) -> dict[str, Any]:
        """The answer to one line."""
        return adapter.answer(self.repository, line)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """The answer to one operation."""
        return self.raw(json.dumps({"op": op, **fields}).encode())

    def ok(self, op: str, **fields: Any) -> dict[str, Any]:
        """The answer to an operation that must succeed."""
        answer = self.ask(op, **fields)
        assert answer.pop("ok"), answer
        return answer

    def refused(self, op: str, word: str, **fields: Any) -> str:
        """The detail of a refusal in that word, which left every file as it was."""
        before = tree_of(self.root)
        answer = self.ask(op, **fields)
        assert (answer["ok"], answer.get("error")) == (False, word), answer
        assert tree_of(self.root) == before
        return str(answer["detail"])

    def commit(self, branch: str = "main", **fields: Any) -> dict[str, Any]:
        """A commit of one file, unless the fields say otherwise."""
        given = {"files": {"a": data(b"1")}, "message": "m", "author": "x", "committed_at": TIME}
        return self.ok("commit", branch=branch, **{**given, **fields})


def data(content: bytes) -> str:
    """Bytes as the adapter takes them."""
    return b64encode(content).decode()


def tree_of(root: Path) -> dict[str, bytes | None]:
    """Every file and folder, with what it holds."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


@pytest.fixture
def store(root: Path) -> Adapter:
    """An empty store."""
    return Adapter(root)


def run(*command: str | Path, lines: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The adapter as a command."""
    return subprocess.run(
        [sys.executable, "-m", "reference", "store", *map(str, command)],
        input=lines,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.requirement("STORE-045", "STORE-002")
def test_init_makes_the_folder_and_is_idempotent(tmp_path: Path) -> None:
    """A second init changes nothing; HEAD names main, which has no commit."""
    folder = tmp_path / "made" / "here"
    assert run("init", folder).returncode == 0
    first = tree_of(folder)
    assert run("init", folder).returncode == 0
    assert tree_of(folder) == first
    assert first[".muse/HEAD"] == b"ref: refs/heads/main\n"
    assert json.loads(first[".muse/repo.json"] or b"")["format"] == 1


@pytest.mark.requirement("STORE-045")
def test_init_finishes_a_half_made_store(root: Path) -> None:
    """Without HEAD it is no store yet, and init completes it."""
    (root / ".muse/HEAD").unlink()
    (root / ".muse/repo.json").unlink()
    assert run("batch", root).returncode == 4
    assert run("init", root).returncode == 0
    assert run("batch", root, lines=b'{"op": "fsck"}\n').stdout == b'{"ok": true, "problems": []}\n'


@pytest.mark.requirement("STORE-046")
def test_batch_answers_each_line_before_it_needs_the_next(root: Path) -> None:
    """A caller that waits for each answer gets it; the end of input is exit 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reference", "store", "batch", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for turn in range(3):
            line = json.dumps({"op": "put_blob", "data": data(b"%d" % turn)})
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert answer == {"ok": True, "id": oracle.blob_id(b"%d" % turn)}
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.mark.requirement("STORE-046")
def test_batch_without_a_store_exits_4(tmp_path: Path) -> None:
    """There is nothing to ask."""
    done = run("batch", tmp_path, lines=b'{"op": "fsck"}\n')
    assert (done.returncode, done.stdout) == (4, b"")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.requirement("STORE-004")
@pytest.mark.parametrize("content", [b'{"format":2}', b"[]", b"not json", b"{}"])
def test_another_format_is_refused_and_not_touched(root: Path, content: bytes) -> None:
    """A store of a later kit is nothing that this one may write into."""
    (root / ".muse/repo.json").write_bytes(content)
    before = tree_of(root)
    assert run("batch", root, lines=b'{"op": "fsck"}\n').returncode == 3
    assert run("init", root).returncode == 3
    assert tree_of(root) == before


@pytest.mark.requirement("STORE-004")
def test_other_keys_of_the_format_file_are_kept(root: Path) -> None:
    """Another implementation's keys are none of our business."""
    (root / ".muse/repo.json").write_text('{"format": 1, "owner": "gabriel"}')
    Repository.init(str(root))
    assert json.loads((root / ".muse/repo.json").read_text())["owner"] == "gabriel"


@pytest.mark.requirement("STORE-049")
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'"put_blob"',
        b"{}",
        b'{"op": null}',
        b'{"op": 1}',
        b'{"op": "steal"}',
        b'{"op": "put_blob"}',
        b'{"op": "put_blob", "data": 1}',
        b'{"op": "put_blob", "data": null}',
        b'{"op": "get_blob", "id": 7}',
        b'{"op": "set_ref", "branch": "main"}',
        b'{"op": "set_state", "kind": "merge"}',
        b'{"op": "set_state", "kind": "merge", "value": NaN}',
        b'{"op": "commit", "branch": "main", "files": []}',
        b'{"op": "gc", "grace_seconds": -1}',
        b'{"op": "put_blob_file", "path": "/tmp/\\ud800"}',
        b'{"op": "gc", "grace_seconds": "soon"}',
        b'{"op": "gc", "grace_seconds": true}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_is_no_request_is_invalid(store: Adapter, line: bytes) -> None:
    """It writes nothing, and the next line is read."""
    before = tree_of(store.root)
    answer = store.raw(line)
    assert (answer["ok"], answer["error"]) == (False, "invalid"), answer
    assert tree_of(store.root) == before
    assert store.ok("list_refs") == {"refs": {}}


@pytest.mark.requirement("STORE-049")
def test_unknown_fields_are_ignored_and_null_is_absent(store: Adapter) -> None:
    """What a later checker adds does no harm."""
    answer = store.ok("put_blob", data=data(b"x"), id=None, colour="red")
    assert answer == {"id": oracle.blob_id(b"x")}
    store.commit(directories=None)


@pytest.mark.requirement("STORE-048")
def test_the_five_words_of_refusal(store: Adapter, tmp_path: Path) -> None:
    """Each kind of refusal has its word, and a detail in text."""
    assert store.refused("get_blob", "invalid", id="x")
    assert store.refused("get_blob", "not_found", id=ABSENT)
    assert store.refused("put_blob", "integrity", data=data(b"x"), id=ABSENT)
    head = store.commit()["commit_id"]
    assert store.refused("set_ref", "conflict", branch="main", id=head, expect=None)


@pytest.mark.requirement("STORE-050")
@pytest.mark.parametrize("text", ["aGk", "aGk=\n", "a-_=", "aGk= ", "é", "aGk=aGk=", "====", "a"])
def test_other_base64_is_invalid(store: Adapter, text: str) -> None:
    """The standard alphabet, padded, and nothing else."""
    store.refused("put_blob", "invalid", data=text)


@pytest.mark.requirement("STORE-050")
def test_relative_paths_are_from_the_working_folder(
    store: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and restoring alike."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_bytes(b"bytes")
    monkeypatch.chdir(tmp_path / "here")
    object_id = store.ok("put_blob_file", path="file")["id"]
    assert object_id == oracle.blob_id(b"bytes")
    store.ok("restore", id=object_id, dest="out/copy")
    assert (tmp_path / "here/out/copy").read_bytes() == b"bytes"


@pytest.mark.requirement("STORE-051")
def test_invalid_comes_before_not_found_and_that_before_conflict(store: Adapter) -> None:
    """Where several refusals apply, the first of the order is given."""
    store.commit()
    store.refused("set_ref", "invalid", branch="..", id=ABSENT, expect=None)
    store.refused("set_ref", "invalid", branch="main", id=ABSENT, expect="short")
    store.refused("set_ref", "not_found", branch="main", id=ABSENT, expect=None)
    store.refused("restore", "invalid", id=ABSENT, dest=str(store.root / ".muse/HEAD"))


@pytest.mark.requirement("STORE-054", "STORE-003", "STORE-006", "STORE-007")
def test_commit_stores_the_whole_snapshot_on_the_head(store: Adapter) -> None:
    """The head is the only parent, HEAD stays, defaults are filled in."""
    store.ok("set_head", branch="elsewhere")
    first = store.commit(files={"a": data(b"1"), "d/b": data(b"2")}, directories=["empty"])
    second = store.commit(files={})
    manifest = {"a": oracle.blob_id(b"1"), "d/b": oracle.blob_id(b"2")}
    assert first["snapshot_id"] == oracle.snapshot_id(manifest, ["empty"])
    assert second["snapshot_id"] == oracle.snapshot_id({})
    record = store.ok("get_commit", id=second["commit_id"])["record"]
    assert record["parent_commit_id"] == first["commit_id"]
    assert record["parent2_commit_id"] is None
    assert (record["branch"], record["format_version"], record["signature"]) == ("main", 7, "")
    assert oracle.commit_id(record) == second["commit_id"]
    assert store.ok("get_head") == {"branch": "elsewhere"}
    dot = store.root / ".muse"
    assert (dot / "refs/heads/main").read_bytes() == second["commit_id"].encode()
    digits = first["commit_id"][7:]
    kept = json.loads((dot / f"commits/{digits[:2]}/{digits[2:]}.json").read_bytes())
    assert kept == store.ok("get_commit", id=first["commit_id"])["record"]
    digits = first["snapshot_id"][7:]
    kept = json.loads((dot / f"snapshots/{digits[:2]}/{digits[2:]}.json").read_bytes())
    assert kept["delta_upsert"] == manifest
    assert kept["directories"] == ["empty"]


@pytest.mark.requirement("STORE-056")
@pytest.mark.parametrize(
    "fields",
    [
        {"branch": ".."},
        {"files": {"../x": ""}},
        {"files": {"a": "", "a/b": ""}},
        {"files": {"a": "***"}},
        {"files": {"a": ""}, "directories": ["a"]},
        {"directories": ["d", "d"]},
        {"directories": "d"},
        {"message": "with a NUL \0"},
        {"message": "\ud800"},
        {"author": 1},
        {"committed_at": "yesterday"},
        {"committed_at": "2026-02-30T00:00:00Z"},
    ],
    ids=str,
)
def test_an_invalid_commit_leaves_nothing(store: Adapter, fields: dict[str, Any]) -> None:
    """Everything is checked before anything is written."""
    given = {
        "branch": "main",
        "files": {"f": data(b"never written")},
        "message": "m",
        "author": "a",
        "committed_at": TIME,
    }
    store.refused("commit", "invalid", **{**given, **fields})


@pytest.mark.requirement("STORE-055", "STORE-053")
def test_racing_commits_form_a_chain(root: Path) -> None:
    """Each acknowledged commit of several processes is in the history of the branch."""

    def commits(turn: int) -> list[str]:
        lines = b"".join(
            json.dumps(
                {
                    "op": "commit",
                    "branch": "main",
                    "files": {f"{turn}-{n}": data(b"x")},
                    "message": f"{turn}-{n}",
                    "author": "a",
                    "committed_at": TIME,
                }
            ).encode()
            + b"\n"
            for n in range(8)
        )
        answers = [json.loads(line) for line in run("batch", root, lines=lines).stdout.splitlines()]
        assert all(answer["ok"] or answer["error"] == "conflict" for answer in answers)
        return [answer["commit_id"] for answer in answers if answer["ok"]]

    with ThreadPoolExecutor(4) as pool:
        acknowledged = {oid for found in pool.map(commits, range(4)) for oid in found}
    store = Adapter(root)
    line = []
    at = store.ok("get_ref", branch="main")["id"]
    while at is not None:
        line.append(at)
        at = store.ok("get_commit", id=at)["record"]["parent_commit_id"]
    assert acknowledged
    assert acknowledged <= set(line)
    assert store.ok("fsck") == {"problems": []}


@pytest.mark.requirement("STORE-057")
def test_snapshots_are_answered_in_root_form(store: Adapter) -> None:
    """However it is kept, the whole manifest comes back, without a parent."""
    store.commit(files={"a": data(b"1"), "b": data(b"2")}, directories=["x"])
    second = store.commit(files={"b": data(b"3")}, directories=["x"])
    record = store.ok("get_snapshot", id=second["snapshot_id"])["record"]
    assert record == {
        "snapshot_id": second["snapshot_id"],
        "parent_snapshot_id": None,
        "delta_upsert": {"b": oracle.blob_id(b"3")},
        "delta_remove": [],
        "directories": ["x"],
    }


@pytest.mark.requirement("STORE-058")
def test_references_name_commits_that_are_there(
    store: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A made-up id is not found, unless ANY_REF=1 says that it will do."""
    store.refused("set_ref", "not_found", branch="main", id=ABSENT)
    store.refused("set_head", "not_found", commit=ABSENT)
    blob = store.ok("put_blob", data=data(b"x"))["id"]
    store.refused("set_ref", "not_found", branch="main", id=blob)
    monkeypatch.setenv("ANY_REF", "1")
    store.ok("set_ref", branch="main", id=ABSENT)
    assert store.ok("get_ref", branch="main") == {"id": ABSENT}


@pytest.mark.requirement("STORE-058")
def test_head_is_a_branch_or_a_commit(store: Adapter) -> None:
    """Not both, not neither; a branch needs no commit."""
    commit = store.commit()["commit_id"]
    store.refused("set_head", "invalid")
    store.refused("set_head", "invalid", branch="main", commit=commit)
    store.ok("set_head", commit=commit)
    assert store.ok("get_head") == {"commit": commit}
    store.ok("set_head", branch="not/yet")
    assert store.ok("get_head") == {"branch": "not/yet"}


@pytest.mark.requirement("STORE-052")
def test_after_an_io_error_the_process_goes_on(
    store: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is honest, and the same request succeeds once the cause is gone."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _no_space)
        answer = store.ask("put_blob", data=data(b"x"))
    assert (answer["ok"], answer["error"]) == (False, "io")
    assert store.ok("put_blob", data=data(b"x")) == {"id": oracle.blob_id(b"x")}
    read = store.ok("get_blob", id=oracle.blob_id(b"x"))
    assert b64decode(read["data"]) == b"x"


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.requirement("STORE-016")
def test_reads_change_nothing(store: Adapter) -> None:
    """No read leaves a trace, not even of what it did not find."""
    made = store.commit()
    before = tree_of(store.root)
    for op, fields in (
        ("get_blob", {"id": oracle.blob_id(b"1")}),
        ("get_blob", {"id": ABSENT}),
        ("get_commit", {"id": made["commit_id"]}),
        ("get_snapshot", {"id": made["snapshot_id"]}),
        ("get_ref", {"branch": "main"}),
        ("get_ref", {"branch": "no/such"}),
        ("list_refs", {}),
        ("get_head", {}),
        ("get_state", {"kind": "merge"}),
        ("fsck", {}),
    ):
        store.ask(op, **fields)
    assert tree_of(store.root) == before
