"""The store adapter itself: init, lines in, lines out, refusals in order."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from conformance import oracle
from conformance.adapter import Store, text_of
from conformance.expectations import fail, requirement


@requirement("STORE-045")
def test_init_is_idempotent(store: Store) -> None:
    """A second init exits 0 and changes nothing."""
    store.commit()
    store.do("set_head", branch="elsewhere")
    store.do("set_state", kind="config", value={"mine": {"n": 1}})
    before = store.tree()
    assert store.init() == 0
    assert store.tree() == before


@requirement("STORE-045")
def test_init_makes_the_folder(store: Store) -> None:
    """A folder that is missing, parents included, is made."""
    deep = Store(store.command, store.folder / "a" / "b")
    assert deep.init() == 0
    deep.commit()
    deep.close()


@requirement("STORE-045", "STORE-025")
def test_init_finishes_a_half_made_store(store: Store) -> None:
    """HEAD is written last: without it the store is not one yet, and init makes it whole."""
    (store.inside / "HEAD").unlink()
    assert store.run("batch").returncode == 4
    assert store.init() == 0
    store.commit()
    store.sound()


@requirement("STORE-046")
def test_without_a_store_batch_exits_4(store: Store) -> None:
    """A folder without store is no place for a batch."""
    shutil.rmtree(store.inside)
    done = store.run("batch", b'{"op": "list_refs"}\n')
    assert (done.returncode, done.stdout) == (4, b"")


@requirement("STORE-046")
def test_each_line_is_answered_before_the_next(store: Store) -> None:
    """Answers come at once, in order, and the end of input is a good end."""
    for number in range(5):
        assert store.put(b"%d" % number) == oracle.blob_id(b"%d" % number)
    assert store.batch.end() == 0


@requirement("STORE-046")
def test_a_last_line_needs_no_line_feed(store: Store) -> None:
    """Input that ends without one is answered all the same."""
    done = store.run("batch", b'{"op": "list_refs"}')
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer.get("refs")) == (0, True, {})


BAD_LINES = [
    b"",
    b"nonsense",
    b"[]",
    b"7",
    b"null",
    b'"text"',
    b"{",
    b"{}",
    b'{"op": 7}',
    b'{"op": null}',
    b'{"op": "no_such_op"}',
    b'{"op": "PUT_BLOB", "data": ""}',
    b'{"op": "list_refs"\xff}',
    b"[" * 5000,
    b'{"op": "get_blob", "id": ' + b"[" * 3000,
]


@requirement("STORE-048", "STORE-049")
def test_a_bad_line_is_invalid_and_the_next_is_read(store: Store) -> None:
    """What is no JSON object, or an unknown op, is invalid; the batch goes on."""
    before = store.tree()
    for line in BAD_LINES:
        answer = store.batch.line(line)
        told = (answer["ok"], answer.get("error"), isinstance(answer.get("detail"), str))
        assert (line[:40], *told) == (line[:40], False, "invalid", True)
        assert store.do("list_refs")["refs"] == {}
    assert store.tree() == before


REQUIRED: dict[str, dict[str, Any]] = {
    "put_blob": {"data": "YQ=="},
    "put_blob_file": {"path": "/dev/null"},
    "get_blob": {"id": oracle.EMPTY_BLOB},
    "restore": {"id": oracle.EMPTY_BLOB, "dest": "/tmp/never"},
    "commit": {
        "branch": "main",
        "files": {},
        "message": "m",
        "author": "a",
        "committed_at": "2026-01-01T00:00:00Z",
    },
    "get_commit": {"id": oracle.ABSENT},
    "get_snapshot": {"id": oracle.ABSENT},
    "set_ref": {"branch": "main", "id": oracle.ABSENT},
    "get_ref": {"branch": "main"},
    "get_state": {"kind": "merge"},
    "receive_pack": {"path": "/dev/null"},
}


@requirement("STORE-049")
def test_fields_are_there_and_have_their_types(store: Store) -> None:
    """A required field that is missing, null or of a wrong type is invalid and writes nothing."""
    before = store.tree()
    for op, fields in REQUIRED.items():
        for name in fields:
            rest = {other: value for other, value in fields.items() if other != name}
            store.refuses("invalid", op, **rest)
            wrong: list[Any] = [None, 7, True, [1], [[]]]
            wrong += ["text"] if name == "files" else [{"a": 1}]
            for value in wrong:
                store.refuses("invalid", op, **rest, **{name: value})
    assert store.tree() == before


@requirement("STORE-049")
def test_unknown_fields_are_ignored_and_null_is_absent(store: Store) -> None:
    """What nobody knows does no harm; an optional null is as if it were not there."""
    id = store.do("put_blob", data="YQ==", id=None, unheard_of=[1])["id"]
    assert id == oracle.blob_id(b"a")
    first = store.commit(directories=None, unheard_of={})[0]
    store.do("set_ref", branch="other", id=first, x=1)
    assert store.do("gc", grace_seconds=None)["ok"]


@requirement("STORE-050")
def test_data_is_base64(store: Store) -> None:
    """Without padding, of another alphabet, or with anything else in it, it is invalid."""
    before = store.tree()
    for text in ("a", "YQ", "YQ=", "Y Q==", "YQ==\n", "-_8=", "YQ==YQ==", "é"):
        store.refuses("invalid", "put_blob", data=text)
    assert store.tree() == before
    assert store.put(b"\xff\xfe\xfd") == oracle.blob_id(b"\xff\xfe\xfd")
    assert store.put(b"") == oracle.EMPTY_BLOB


@requirement("STORE-050")
def test_relative_paths_are_from_the_working_directory(store: Store) -> None:
    """The working directory of the command, not the store."""
    (store.folder / "a file").write_bytes(b"content")
    path = os.path.relpath(store.folder / "a file")
    deeper = store.folder.joinpath(*"d" * len(Path.cwd().parts))  # where `..` leads elsewhere
    other = Store(store.command, deeper)
    assert other.init() == 0
    assert other.do("put_blob_file", path=path)["id"] == oracle.blob_id(b"content")
    other.close()


@requirement("STORE-051")
def test_the_first_refusal_in_order_counts(store: Store) -> None:
    """invalid before not_found before integrity before conflict."""
    first, _ = store.commit()
    store.refuses("invalid", "set_ref", branch="../x", id=oracle.ABSENT)
    store.refuses("not_found", "set_ref", branch="main", id=oracle.ABSENT, expect=oracle.ABSENT)
    store.refuses("invalid", "restore", id=oracle.ABSENT, dest=str(store.inside / "x"))
    store.refuses("conflict", "set_ref", branch="main", id=first, expect=oracle.ABSENT)


@requirement("STORE-052")
def test_after_an_error_the_process_goes_on(store: Store) -> None:
    """A file where a folder must be is an error, nothing is half there, and reading goes on."""
    (store.folder / "file").write_bytes(b"")
    id = store.put(b"a")
    answer = store.ask("restore", id=id, dest=str(store.folder / "file" / "x"))
    if answer["ok"] or answer["error"] not in ("io", "invalid"):
        fail("io (or invalid)", json.dumps(answer))
    assert store.get(id) == b"a"
    store.do("restore", id=id, dest=str(store.folder / "y"))


@requirement("STORE-053")
def test_batches_see_each_other(store: Store) -> None:
    """What one was acknowledged, another sees from its next line on."""
    one, two = store.start(), store.start()
    assert two.ask("list_refs")["refs"] == {}
    id = one.ask("put_blob", data=text_of(b"seen"))["id"]
    assert two.ask("get_blob", id=id)["data"] == text_of(b"seen")
    files = {"a": text_of(b"1")}
    when = {"message": "m", "author": "a", "committed_at": "2026-01-01T00:00:00Z"}
    made = one.ask("commit", branch="main", files=files, **when)
    for batch in (one, two):
        assert batch.ask("get_ref", branch="main")["id"] == made["commit_id"]
    again = two.ask("commit", branch="main", files={}, **when)["commit_id"]
    assert one.ask("get_ref", branch="main")["id"] == again
    record = one.ask("get_commit", id=again)["record"]
    assert record["parent_commit_id"] == made["commit_id"]


@requirement("STORE-050")
def test_unused_bits_are_not_looked_at(store: Store) -> None:
    """`YR==` and `YQ==` are the same byte."""
    assert store.do("put_blob", data="YR==")["id"] == oracle.blob_id(b"a")
