"""What a subject sends is its own to answer for: no check ends as the suite's error over it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance import packs
from conformance.adapter import Store
from conformance.histories import commit
from conformance.outcomes import Unmet

ABSENT = object()


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("commits", "commit_id", None),
        ("commits", "commit_id", ABSENT),
        ("commits", "message", None),
        ("commits", "message", ABSENT),
        ("commits", "snapshot_id", 7),
        ("snapshots", "snapshot_id", ABSENT),
        ("snapshots", "parent_snapshot_id", []),
        ("snapshots", "delta_upsert", None),
        ("snapshots", "delta_upsert", {"a": 7}),
        ("snapshots", "delta_remove", 7),
        ("snapshots", "directories", 7),
        ("blobs", "object_id", []),
        ("blobs", "object_id", ABSENT),
        ("blobs", "content", "text"),
        ("blobs", "content", ABSENT),
    ],
)
def test_records_of_another_form_are_unmet(part: str, field: str, value: Any) -> None:
    """A field of another type, and one that is not there."""
    pack = packs.plain(commit("a"))
    pack[part][0][field] = value
    if value is ABSENT:
        del pack[part][0][field]
    with pytest.raises(Unmet):
        packs.read(packs.encode(pack)).trees()


@pytest.mark.parametrize("part", ["commits", "snapshots", "blobs"])
@pytest.mark.parametrize("value", [None, 7, "text", [None], {"a": 1}], ids=repr)
def test_parts_of_another_form_are_unmet(part: str, value: Any) -> None:
    """Where a list of records should be."""
    with pytest.raises(Unmet):
        packs.read(packs.encode({**packs.plain(commit("a")), part: value}))


@pytest.mark.parametrize("head", [b"", b"junk", packs.squeeze(b"junk"), packs.squeeze(b"\x90")])
def test_a_head_of_junk_is_unmet(head: bytes) -> None:
    """Whatever it is that the reader trips over."""
    with pytest.raises(Unmet):
        packs.read(packs.encode({"format": 1, "head": head, "frames": []}))


def test_what_a_pack_lacks_is_unmet() -> None:
    """A check that looks for a commit, a snapshot or a blob in it finds none."""
    found = packs.read(packs.encode(packs.plain(commit("a"))))
    for records in (found.commits, found.snapshots, found.blobs, found.trees()):
        with pytest.raises(Unmet):
            records["sha256:" + "0" * 64]


CONSENT = "import sys\nfor line in sys.stdin: print('{\"ok\": true}', flush=True)"


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.put(b"a"),
        lambda store: store.get("id"),
        lambda store: store.commit(),
        lambda store: store.problems(),
        lambda store: store.do("get_commit", id="id")["record"]["parent_commit_id"],
    ],
)
def test_an_adapter_that_agrees_to_everything_is_unmet(
    tmp_path: Path, ask: Callable[[Store], object]
) -> None:
    """What its answers lack is asked for by name."""
    store = Store([sys.executable, "-c", CONSENT], tmp_path)
    with pytest.raises(Unmet, match="an answer with `"):
        ask(store)
    store.close()
