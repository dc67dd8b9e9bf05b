"""Merging one branch into another on the server; brings no new blob, so only rows.  [HTTP-037]"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response

from reference.core.merge import Tree, three_way
from reference.wire import ids, snapshots
from reference.wire.errors import ProtocolError
from reference.wire.names import check_tree
from reference.wire.records import check_commit

from . import history, rows, trees, writing
from .at_once import AT_ONCE
from .call import Call
from .service import Repo

if TYPE_CHECKING:
    from .database import Connection


async def merge(call: Call) -> Response:
    """Merges `source` into `target`; holds the repository, so no head moves meanwhile."""
    fields = call.fields
    fields.require("source", "target")
    source, target = fields.branch("source"), fields.branch("target")
    repo = call.repo
    async with call.service.database.transaction() as db:
        await writing.begin(db, repo)
        heads = await history.branch_heads(db, repo.raw)
        for branch in (source, target):
            if branch not in heads:
                raise ProtocolError("unknown_branch", f"no branch {branch} here", "HTTP-037")
        ours, theirs = heads[target], heads[source]
        bases = await history.merge_bases(db, repo.raw, ours, theirs)
        if bases == [theirs]:
            return call.answer({"ok": True, "commit_id": ours, "result": "up_to_date"})
        if bases == [ours]:
            head, result = theirs, "fast_forward"
        else:
            base = min(bases, default=None)  # [STORE-069]
            message = f"Merge branch '{source}' into {target}"
            author = call.signer or ""
            head = await _write_merge(db, repo, base, ours, theirs, message, author, target)
            result = "merged"
        await writing.move_branch(db, repo, target, ours, head)
        await writing.enqueue_push_jobs(db, repo)
    return call.answer({"ok": True, "commit_id": head, "result": result})


async def _write_merge(
    db: Connection,
    repo: Repo,
    base: str | None,
    ours: str,
    theirs: str,
    message: str,
    author: str,
    branch: str,
) -> str:
    """Writes the merge commit and its snapshot, or says where both sides differ."""
    heads = [commit_id for commit_id in (base, ours, theirs) if commit_id is not None]
    records = await history.records(db, repo.raw, heads)
    of = {commit_id: record["snapshot_id"] for commit_id, record in records.items()}
    loaded = await trees.load(db, of.values())
    before: Tree = loaded.tree(of[base]) if base else ({}, ())
    mine = loaded.tree(of[ours])
    merged = three_way(before, mine, loaded.tree(of[theirs]))
    if merged.conflicts:
        raise ProtocolError(
            "merge_conflict",
            f"both sides changed {', '.join(merged.conflicts[:5])}",
            "HTTP-040",
            conflicts=merged.conflicts,
        )
    check_tree(merged.manifest, merged.directories)
    new = ids.snapshot_id(merged.manifest, merged.directories)
    last = await history.last_position(db, repo.raw)
    raw = [ids.to_raw(new)]
    tables: list[writing.MakeTable] = [
        partial(rows.references, "snapshot_refs", "snapshot_id", repo.raw, raw, last)
    ]
    if new != of[ours]:
        delta = snapshots.between(new, merged.manifest, merged.directories, of[ours], *mine)
        tables.append(partial(rows.snapshots, [delta]))
        await trees.keep(db, loaded.due(new, {new: delta}))
    record = {
        "snapshot_id": new,
        "message": message,
        "committed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "author": author,
        "branch": branch,
        "parent_commit_id": ours,
        "parent2_commit_id": theirs,
    }
    commit = check_commit({**record, "commit_id": ids.commit_id(record)})
    tables.append(partial(rows.commits, repo.raw, [commit], last))
    await writing.copy(db, writing.making(tables, AT_ONCE))
    return str(commit["commit_id"])
