"""The scripted runs: every operation of the contract at least once, in an order that bites."""

from __future__ import annotations

from pathlib import Path

from . import ids
from .requests import (
    Commit,
    Request,
    commit,
    gc,
    put_blob,
    put_blob_file,
    receive_pack,
    restore,
    set_head,
    set_ref,
    set_state,
)

SMALL = b"small\n"
PAGES = b"".join(b"%07d\n" % number for number in range(1250))  # 10,000 bytes, three pages
FIRST = {"a.txt": b"one\n", "dir/b.txt": PAGES[:5000]}
SECOND = {"a.txt": b"two\n", "dir/sub/c.txt": b"three\n"}
CLOSING = (
    Request("get_blob", {"id": ids.blob_id(SMALL)}),
    Request("list_refs"),
    Request("get_ref", {"branch": "main"}),
    Request("get_head"),
    Request("get_state", {"kind": "config"}),
    Request("fsck"),
)


def standard(folder: Path) -> list[Request]:
    """One run of everything; `folder` takes the files that requests point at."""
    source = folder / "source.bin"
    source.write_bytes(b"from a file\n" * 600)
    one = commit("main", FIRST, "first")
    two = commit("main", SECOND, "second", ("empty",))
    assert one.commit is not None
    assert two.commit is not None
    first, _ = one.commit.under(None)
    second, _ = two.commit.under(first)
    lost = commit("scratch", {"lost.txt": b"lost\n"}, "lost")
    blobs = {ids.blob_id(data): data for data in (b"packed one\n", b"packed two\n" * 50)}
    plan = Commit({f"p{n}.txt": name for n, name in enumerate(blobs)}, (), "packed")
    packed, made = plan.under(None)
    closing = [*CLOSING]
    closing[4:4] = [Request(op, {"id": second}) for op in ("get_commit", "get_snapshot")]
    closing[5] = Request("get_snapshot", {"id": made.record()["snapshot_id"]})
    return [
        put_blob(SMALL),
        put_blob(PAGES),
        put_blob(SMALL),  # there already: a promise like any other
        put_blob_file(source),
        one,
        two,
        set_ref("topic/x", first, expect=None),
        set_ref("topic/x", second, expect=first),
        set_head(branch="topic/x"),
        set_head(commit=second),
        set_state("merge", {"conflicts": ["a.txt"], "other": first}),
        set_state("reservation", {"paths": ["a.txt"]}, "r-1"),
        set_state("intent", {"goal": "x" * 200}, "i-1"),
        set_state("rebase", {"onto": second}),
        set_state("checkpoint", {"step": 1}, "session-1"),
        set_state("config", {"user": {"name": "a rather long name"}}),
        set_state("config", {"user": {"name": "b"}}),
        set_state("merge", None),
        restore(ids.blob_id(PAGES), PAGES, "out/restored.txt"),
        restore(ids.blob_id(SMALL), SMALL, "out/restored.txt"),
        receive_pack(folder / "one.mpack", {packed: made}, blobs),
        set_ref("packed", packed),
        lost,
        set_ref("scratch", second),  # which leaves a commit that nothing reaches
        gc(),
        put_blob(SMALL),  # collected a moment ago: it has to be written again
        set_head(branch="main"),
        *closing,
    ]


def plain(folder: Path) -> list[Request]:
    """For stores without commits: blobs, and refs that name them."""
    first, second = ids.blob_id(SMALL), ids.blob_id(PAGES)
    return [
        *standard(folder)[:4],
        set_ref("main", first),
        set_ref("topic/x", second),
        set_ref("main", second),
        *[request for request in standard(folder) if request.op in ("set_head", "set_state")],
        put_blob(b"the last one\n" * 100),
        *CLOSING,
    ]


def writers(folder: Path, supported: frozenset[str]) -> list[Request]:
    """The standard run without its reading: for runs that are repeated with a fault or a kill."""
    readers = ("get_", "list_", "fsck")
    requests = standard(folder) if "commit" in supported else plain(folder)
    return [
        request
        for request in requests
        if request.op in supported and not request.op.startswith(readers)
    ]
