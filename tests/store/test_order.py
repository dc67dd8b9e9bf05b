"""What names something else is durable last, at every single call of an operation."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from reference.store import adapter
from reference.store.repository import Repository
from tests import oracle
from tests.faults import Disk
from tests.store.survival import Survival
from tests.store.writers import pack_of, sharded


def ask(root: Path, **request: Any) -> dict[str, Any]:
    """The adapter's answer, which must be good."""
    answer = adapter.answer(Repository(str(root)), json.dumps(request).encode())
    assert answer["ok"], answer
    return answer


def commit(root: Path, files: dict[str, bytes], message: str) -> dict[str, Any]:
    """A commit on main through the adapter."""
    return ask(
        root,
        op="commit",
        branch="main",
        files={path: b64encode(content).decode() for path, content in files.items()},
        message=message,
        author="tester",
        committed_at="2026-01-01T00:00:00Z",
    )


def assert_in_order(
    before: Survival, disk: Disk, root: Path, names: list[tuple[str, list[str]]]
) -> None:
    """After each call: of each pair, the first survives only where all of the second do."""
    for call in disk.calls:
        before.follow([call])
        for reference, referents in names:
            if before.has(root / reference):
                missing = [path for path in referents if not before.has(root / path)]
                assert missing == [], (reference, call)
    assert [reference for reference, _ in names if not before.has(root / reference)] == []


@pytest.mark.requirement("DUR-003")
def test_a_commit_is_durable_from_its_blobs_to_its_branch(root: Path) -> None:
    """The second one too, which stands on the first."""
    first = commit(root, {"a": b"1", "b": b"2"}, "first")
    survival = Survival.of(root)
    with Disk(root) as disk:
        second = commit(root, {"a": b"1", "b": b"3", "c": b"4"}, "second")
    record, base = (sharded("commits", answer["commit_id"], ".json") for answer in (second, first))
    tree = sharded("snapshots", second["snapshot_id"], ".json")
    blobs = [sharded("objects/sha256", oracle.blob_id(content)) for content in (b"1", b"3", b"4")]
    survival.kept.pop(os.path.realpath(root / ".muse/refs/heads/main"))
    names = [(".muse/refs/heads/main", [record]), (record, [tree, base]), (tree, blobs)]
    assert_in_order(survival, disk, root, names)


@pytest.mark.requirement("DUR-003")
def test_an_index_is_durable_after_its_pack(root: Path) -> None:
    """A pack without one is whole; an index without its pack is not."""
    pack = pack_of(b"content")
    survival = Survival.of(root)
    with Disk(root) as disk:
        Repository(str(root)).receive([pack])
    path = f".muse/objects/pack/{oracle.mpack_key(pack)[7:]}"
    assert_in_order(survival, disk, root, [(f"{path}.idx", [f"{path}.mpack"])])


@pytest.mark.requirement("DUR-003", "DUR-005")
@pytest.mark.parametrize("op", ["set_ref", "set_head"])
def test_a_commit_somebody_else_wrote_is_durable_before_a_ref_names_it(root: Path, op: str) -> None:
    """Its writer may have died between giving it its name and syncing the folder."""
    answer = commit(root, {"a": b"1"}, "first")
    record = sharded("commits", answer["commit_id"], ".json")
    survival = Survival.of(root)
    with Disk(root) as disk:
        os.replace(root / record, root / "aside")
        os.replace(root / "aside", root / record)
        if op == "set_ref":
            ask(root, op=op, branch="other", id=answer["commit_id"])
        else:
            ask(root, op=op, commit=answer["commit_id"])
    reference = ".muse/refs/heads/other" if op == "set_ref" else ".muse/HEAD"
    survival.kept.pop(os.path.realpath(root / reference), None)
    survival.kept.pop(os.path.realpath(root / record))
    assert_in_order(survival, disk, root, [(reference, [record])])
