"""The store adapter: one JSON object a line in, one out, and an answer is a promise.

conformance/IMPLEMENTERS.md is the contract; `musekit store init|batch` is this module.
"""

from __future__ import annotations

import json
import os
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable

from reference.wire.errors import LOCAL, ProtocolError
from reference.wire.ids import check_id, commit_id
from reference.wire.names import check_branch, check_directories, check_path, check_tree
from reference.wire.records import check_commit

from . import durable, loose, refs, state
from .repository import Repository

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeAlias

Fields: TypeAlias = "dict[str, Any]"
Answer: TypeAlias = "dict[str, Any]"
_INTEGRITY = frozenset(
    "digest_mismatch blob_mismatch snapshot_mismatch commit_mismatch missing_parent"
    " missing_snapshot missing_object signature_without_key bad_signature bad_frame".split()
)
_WORDS = LOCAL | {"not_found"}


def error_word(code: str) -> str:
    """A wire code in the five words of the adapter."""
    if code in _WORDS:
        return code
    return "integrity" if code in _INTEGRITY else "invalid"


def _field(request: Fields, name: str, kind: type = str) -> Any:
    value = request.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ProtocolError("invalid", f"{name} must be {kind.__name__}, got {value!r:.60}")
    return value


def _text(request: Fields, name: str) -> str:
    value: str = _field(request, name)
    return value


def _path(request: Fields, name: str) -> str:
    value = _text(request, name)
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        value = ""
    if not value or "\0" in value:
        raise ProtocolError("invalid", f"{name} cannot be the path of a file")
    return value


def _bytes(text: object, name: str) -> bytes:
    if not isinstance(text, str):
        raise ProtocolError("invalid", f"{name} must be base64 text")
    try:
        return a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, Base64Error) as problem:
        raise ProtocolError("invalid", f"{name} is not base64: {problem}") from None


def _put_blob(repository: Repository, request: Fields) -> Answer:
    content = _bytes(request.get("data"), "data")
    expected = request.get("id")
    if expected is not None:
        check_id(expected)
    return {"id": loose.put_blob(repository.dot, content, expected)}


def _put_blob_file(repository: Repository, request: Fields) -> Answer:
    return {"id": loose.put_blob_file(repository.dot, _path(request, "path"))}


def _get_blob(repository: Repository, request: Fields) -> Answer:
    content = repository.blob(check_id(request.get("id")))
    return {"data": b2a_base64(content, newline=False).decode()}


def _restore(repository: Repository, request: Fields) -> Answer:
    from . import worktree  # as fsck and gc below: most adapters are started for less

    object_id = check_id(request.get("id"))
    dest = _path(request, "dest")
    worktree.check_destination(repository.root, dest)
    worktree.restore_file(dest, [repository.blob(object_id)])
    return {}


def _commit(repository: Repository, request: Fields) -> Answer:
    branch = check_branch(request.get("branch"))
    files = {
        check_path(path): _bytes(data, f"files.{path}")
        for path, data in _field(request, "files", dict).items()
    }
    directories = request.get("directories") or []
    if not isinstance(directories, list):
        raise ProtocolError("invalid", "directories must be a list")
    check_directories(directories)
    check_tree(files, directories)
    record = {name: _text(request, name) for name in ("message", "author", "committed_at")}
    zero = "sha256:" + "0" * 64
    check_commit({**record, "commit_id": zero, "snapshot_id": zero, "branch": branch})
    refs.check_holdable(repository.dot, branch)
    ids = loose.put_blobs(repository.dot, list(files.values()))
    manifest = dict(zip(files, ids, strict=True))
    commit = commit_on(repository, branch, manifest, directories, record)
    return {"commit_id": commit["commit_id"], "snapshot_id": commit["snapshot_id"]}


def commit_on(
    repository: Repository,
    branch: str,
    manifest: dict[str, str],
    directories: Iterable[str],
    fields: Fields,
    second_parent: str | None = None,
    finish: Callable[[Fields], Fields] = lambda record: record,
    on: str | refs.Unset | None = refs.UNSET,
) -> Fields:
    """A commit of a whole manifest on the branch's head, made anew if the branch moves.

    Not where the manifest was made from what was `on` the branch: it would undo what came since.
    `finish` gets the record with its id and may sign it.
    """
    while True:
        parent = refs.read(repository.dot, branch)
        if on not in (refs.UNSET, parent):
            why = f"branch {branch!r} moved meanwhile: musekit status tells what differs now"
            raise ProtocolError("conflict", why)
        base = repository.commit(parent)["snapshot_id"] if parent else None
        snapshot = repository.put_snapshot(manifest, list(directories), base)
        record = {**fields, "branch": branch, "snapshot_id": snapshot, "parent_commit_id": parent}
        record["parent2_commit_id"] = second_parent
        record["commit_id"] = commit_id(record)
        commit = finish(check_commit(record))
        repository.put_commit(commit)
        try:
            refs.write(repository.dot, branch, commit["commit_id"], expect=parent)
        except ProtocolError as problem:
            if problem.code != "conflict" or refs.read(repository.dot, branch) == parent:
                raise
            continue
        return commit


def _get_commit(repository: Repository, request: Fields) -> Answer:
    return {"record": repository.commit(check_id(request.get("id")))}


def _get_snapshot(repository: Repository, request: Fields) -> Answer:
    object_id = check_id(request.get("id"))
    manifest, directories = repository.tree(object_id)
    return {
        "record": {
            "snapshot_id": object_id,
            "parent_snapshot_id": None,
            "delta_upsert": dict(manifest),
            "delta_remove": [],
            "directories": sorted(directories, key=str.encode),
        }
    }


def _known_commit(repository: Repository, value: object) -> str:
    object_id = check_id(value, "commit")
    if os.environ.get("ANY_REF") != "1":
        repository.commit(object_id)
        repository.keep("commits", object_id)
    return object_id


def _set_ref(repository: Repository, request: Fields) -> Answer:
    branch = check_branch(request.get("branch"))
    object_id = check_id(request.get("id"))
    expect = refs.UNSET
    if "expect" in request:
        expect = request["expect"]
        if expect is not None:
            check_id(expect, "expect")
    refs.check_holdable(repository.dot, branch, conflicts=False)
    refs.write(repository.dot, branch, _known_commit(repository, object_id), expect=expect)
    return {}


def _get_ref(repository: Repository, request: Fields) -> Answer:
    branch = check_branch(request.get("branch"))
    found = refs.read(repository.dot, branch)
    if found is None:
        raise ProtocolError("not_found", f"no branch {branch!r} here")
    return {"id": found}


def _list_refs(repository: Repository, request: Fields) -> Answer:
    return {"refs": refs.list_refs(repository.dot)}


def _set_head(repository: Repository, request: Fields) -> Answer:
    branch, commit = request.get("branch"), request.get("commit")
    if (branch is None) == (commit is None):
        raise ProtocolError("invalid", "give a branch or a commit")
    if branch is not None:
        refs.write_head(repository.dot, branch=check_branch(branch))
    else:
        refs.write_head(repository.dot, commit=_known_commit(repository, commit))
    return {}


def _get_head(repository: Repository, request: Fields) -> Answer:
    branch, commit = refs.read_head(repository.dot)
    return {"branch": branch} if branch is not None else {"commit": commit}


def _set_state(repository: Repository, request: Fields) -> Answer:
    if "value" not in request:
        raise ProtocolError("invalid", "value is missing; null clears")
    kind = _text(request, "kind")
    state.set_state(repository.dot, kind, request.get("name"), request["value"])
    return {}


def _get_state(repository: Repository, request: Fields) -> Answer:
    kind = _text(request, "kind")
    return {"value": state.get_state(repository.dot, kind, request.get("name"))}


def _receive_pack(repository: Repository, request: Fields) -> Answer:
    path = _path(request, "path")
    if not os.path.exists(path):
        raise ProtocolError("not_found", f"no file {path!r}")
    if not os.path.isfile(path):
        raise ProtocolError("invalid", f"{path!r} is not a regular file")
    with open(path, "rb") as file:
        pack = repository.receive(iter(lambda: file.read(loose.CHUNK_BYTES), b""))
    return {
        "commits": len(pack.commits),
        "snapshots": len(pack.snapshots),
        "blobs": len(pack.blob_ids),
    }


def _fsck(repository: Repository, request: Fields) -> Answer:
    from . import fsck

    return {"problems": fsck.problems(repository)}


def _gc(repository: Repository, request: Fields) -> Answer:
    from . import gc

    grace = request.get("grace_seconds")
    if grace is None:
        grace = gc.GRACE_SECONDS
    if not isinstance(grace, int | float) or isinstance(grace, bool) or not grace >= 0:
        raise ProtocolError("invalid", "grace_seconds must be a number, 0 or more")
    return {"removed": gc.collect(repository, grace)}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)

Operation = Callable[[Repository, Fields], Answer]
READS: dict[str, Operation] = {
    "get_blob": _get_blob,
    "get_commit": _get_commit,
    "get_snapshot": _get_snapshot,
    "get_ref": _get_ref,
    "list_refs": _list_refs,
    "get_head": _get_head,
    "get_state": _get_state,
    "fsck": _fsck,
    "gc": _gc,
}
WRITES: dict[str, Operation] = {
    "put_blob": _put_blob,
    "put_blob_file": _put_blob_file,
    "restore": _restore,
    "commit": _commit,
    "set_ref": _set_ref,
    "set_head": _set_head,
    "set_state": _set_state,
    "receive_pack": _receive_pack,
}


def answer(repository: Repository, line: bytes) -> Answer:
    """The answer to one line; whatever was promised in it is durable by now."""
    try:
        try:
            request = _DECODER.decode(line.decode())
        except (ValueError, RecursionError) as problem:
            raise ProtocolError("invalid", f"not a JSON object: {problem}") from None
        if not isinstance(request, dict):
            raise ProtocolError("invalid", "not a JSON object")
        op = request.get("op")
        if not isinstance(op, str) or (op not in READS and op not in WRITES):
            raise ProtocolError("invalid", f"no operation {op!r:.60}")
        if op in READS:
            return {"ok": True, **READS[op](repository, request)}
        with durable.lock(repository.dot, exclusive=False):
            return {"ok": True, **WRITES[op](repository, request)}
    except ProtocolError as problem:
        return {"ok": False, "error": error_word(problem.code), "detail": str(problem)}
    except OSError as problem:
        repository.forget()
        return {"ok": False, "error": "io", "detail": str(problem)}


def batch(root: str, lines: Iterable[bytes], write: Callable[[bytes], object]) -> None:
    """Answers each line before it reads the next."""
    repository = Repository(root)
    for line in lines:
        write(json.dumps(answer(repository, line)).encode() + b"\n")
