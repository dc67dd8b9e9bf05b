"""Everything that writes a file of the store, one row each; each demand is tried on each row."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reference.store import durable, loose, refs, state, worktree
from reference.store.packs import PackFile
from reference.store.repository import Repository
from reference.wire.records import check_commit
from reference.wire.writer import write_plain
from tests import oracle

SOME_SNAPSHOT = oracle.snapshot_id({})


@dataclass(frozen=True)
class Writer:
    """How one kind of file is written, where it then lies, and how it is read back."""

    name: str
    write: Callable[[Path, bytes], object]
    place: Callable[[bytes], str]
    read: Callable[[Path, bytes], object]
    value: Callable[[bytes], object]
    replaces: bool = True
    """Whether other content takes the place of what was there, rather than lying beside it."""

    def path(self, root: Path, content: bytes) -> Path:
        """Where the file for `content` lies."""
        return root / self.place(content)


def dot(root: Path) -> str:
    """The folder of the store in a repository."""
    return f"{root}/.muse"


def sharded(kind: str, object_id: str, ending: str = "") -> str:
    """Where a loose object or record lies in a repository."""
    return f".muse/{kind}/{object_id[7:9]}/{object_id[9:]}{ending}"


def commit_record(content: bytes) -> dict[str, Any]:
    """A commit that says `content`, of an empty tree."""
    record: dict[str, Any] = {
        "snapshot_id": SOME_SNAPSHOT,
        "message": content.decode(),
        "committed_at": "2026-01-01T00:00:00+00:00",
        "author": "tester",
    }
    return check_commit({**record, "commit_id": oracle.commit_id(record)})


def pack_of(content: bytes) -> bytes:
    """A plain pack that carries one blob and nothing else."""
    parts: list[bytes] = []
    write_plain(parts.append, [], [], [(oracle.blob_id(content), content)], 1)
    return b"".join(parts)


def _pack_path(content: bytes) -> str:
    return f".muse/objects/pack/{oracle.mpack_key(pack_of(content))[7:]}"


def _put_file(root: Path, content: bytes) -> None:
    source = root / "source"
    source.write_bytes(content)
    loose.put_blob_file(dot(root), str(source))


def _state(kind: str, name: str | None, place: str) -> Writer:
    def value(content: bytes) -> object:
        return {"run_id": content.decode(), "conflict_paths": ["a.py", "ü/b.py"], "deep": {"n": 1}}

    return Writer(
        kind,
        lambda root, content: state.set_state(dot(root), kind, name, value(content)),
        lambda content: f".muse/{place}",
        lambda root, content: state.get_state(dot(root), kind, name),
        value,
    )


def _ref(name: str, branch: str) -> Writer:
    return Writer(
        name,
        lambda root, content: refs.write(dot(root), branch, oracle.blob_id(content)),
        lambda content: f".muse/refs/heads/{branch}",
        lambda root, content: (root / ".muse/refs/heads" / branch).read_text(),
        oracle.blob_id,
    )


WRITERS = [
    Writer(
        "object from bytes",
        lambda root, content: loose.put_blob(dot(root), content),
        lambda content: sharded("objects/sha256", oracle.blob_id(content)),
        lambda root, content: loose.get_blob(dot(root), oracle.blob_id(content)),
        bytes,
        replaces=False,
    ),
    Writer(
        "object from a path",
        _put_file,
        lambda content: sharded("objects/sha256", oracle.blob_id(content)),
        lambda root, content: loose.get_blob(dot(root), oracle.blob_id(content)),
        bytes,
        replaces=False,
    ),
    Writer(
        "restored file",
        lambda root, content: worktree.restore_file(f"{root}/new/folder/out", [content]),
        lambda content: "new/folder/out",
        lambda root, content: (root / "new/folder/out").read_bytes(),
        bytes,
    ),
    Writer(
        "commit record",
        lambda root, content: Repository(str(root)).put_commit(commit_record(content)),
        lambda content: sharded("commits", commit_record(content)["commit_id"], ".json"),
        lambda root, content: Repository(str(root)).commit(commit_record(content)["commit_id"]),
        commit_record,
        replaces=False,
    ),
    Writer(
        "snapshot record",
        lambda root, content: Repository(str(root)).put_snapshot(
            {"a": oracle.blob_id(content)}, []
        ),
        lambda content: sharded(
            "snapshots", oracle.snapshot_id({"a": oracle.blob_id(content)}), ".json"
        ),
        lambda root, content: Repository(str(root)).tree(
            oracle.snapshot_id({"a": oracle.blob_id(content)})
        )[0],
        lambda content: {"a": oracle.blob_id(content)},
        replaces=False,
    ),
    Writer(
        "pack",
        lambda root, content: Repository(str(root)).receive([pack_of(content)]),
        lambda content: f"{_pack_path(content)}.mpack",
        lambda root, content: Repository(str(root)).blob(oracle.blob_id(content)),
        bytes,
        replaces=False,
    ),
    Writer(
        "index of a pack",
        lambda root, content: Repository(str(root)).receive([pack_of(content)]),
        lambda content: f"{_pack_path(content)}.idx",
        lambda root, content: PackFile(f"{root}/{_pack_path(content)}.mpack").blob_ids,
        lambda content: [oracle.blob_id(content)],
        replaces=False,
    ),
    Writer(
        "text",
        lambda root, content: durable.write(f"{root}/.muse/notes/deep/text", content),
        lambda content: ".muse/notes/deep/text",
        lambda root, content: (root / ".muse/notes/deep/text").read_bytes(),
        bytes,
    ),
    Writer(
        "HEAD at a branch",
        lambda root, content: refs.write_head(dot(root), branch=content.decode()),
        lambda content: ".muse/HEAD",
        lambda root, content: (root / ".muse/HEAD").read_bytes(),
        lambda content: b"ref: refs/heads/" + content + b"\n",
    ),
    Writer(
        "HEAD at a commit",
        lambda root, content: refs.write_head(dot(root), commit=oracle.blob_id(content)),
        lambda content: ".muse/HEAD",
        lambda root, content: (root / ".muse/HEAD").read_text(),
        lambda content: f"commit: {oracle.blob_id(content)}\n",
    ),
    _ref("branch", "main"),
    _ref("nested branch", "feat/deep/thing"),
    _state("merge", None, "MERGE_STATE.json"),
    _state("rebase", None, "REBASE_STATE.json"),
    _state("reservation", "run-1", "coordination/reservations/run-1.json"),
    _state("intent", "run-1", "coordination/intents/run-1.json"),
    _state("checkpoint", "session-1", "op_log/session-1/checkpoint.json"),
    _state("config", None, "config.toml"),
]

each_writer = pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
each_replacing_writer = pytest.mark.parametrize(
    "writer", [row for row in WRITERS if row.replaces], ids=lambda writer: writer.name
)
each_immutable_writer = pytest.mark.parametrize(
    "writer", [row for row in WRITERS if not row.replaces], ids=lambda writer: writer.name
)
