"""Push: an upload link, then everything verified before anything counts.  [PUSH]"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

from starlette.background import BackgroundTask
from starlette.responses import Response

from reference.core import verification
from reference.core.history import reachable
from reference.core.verification import Known
from reference.wire.errors import ProtocolError
from reference.wire.ids import check_id, from_raw, to_raw
from reference.wire.names import check_branch
from reference.wire.pack import Limits, Pack

from . import history, trees, writing
from .at_once import AT_ONCE
from .call import Call
from .intake import FEW, Intake, is_closure, read_pack
from .objects import CHUNK_BYTES, Incoming, ObjectStore, pack_key, upload_key
from .rows import parents_in
from .service import Repo, Service
from .trees import Trees

if TYPE_CHECKING:
    from .database import Connection

UPLOAD_SECONDS = 3600
_COUNTS = ("commits", "snapshots", "blobs")


@dataclass(frozen=True, slots=True)
class Move:
    """What a push asks of a branch."""

    branch: str
    head: str
    force: bool


class BodyUpload:
    """A pack that came as a request's body."""

    def __init__(self, objects: ObjectStore, file: IO[bytes]) -> None:
        self._file = file
        self._outgoing = objects.outgoing()

    def __iter__(self) -> Iterator[bytes]:
        """The bytes of the body."""
        while chunk := self._file.read(CHUNK_BYTES):
            self._outgoing.write(chunk)
            yield chunk

    def accept(self, key: str) -> None:
        """Keeps the body under `key`."""
        self._outgoing.keep(key)

    def close(self) -> None:
        """Lets go of what was not kept."""
        self._outgoing.close()


Upload = TypeVar("Upload", Incoming, BodyUpload)


async def presign_upload(call: Call) -> Response:
    """Where to put a pack of this key."""
    return _presign(call, "mpack_key", "upload_url")


def _presign(call: Call, key_name: str, url_name: str) -> Response:
    fields, limit = call.fields, call.service.limits.pack_bytes
    key = fields.id(key_name)
    if fields.size("size_bytes") > limit:
        raise ProtocolError("too_large", f"packs have at most {limit} bytes here", "PUSH-002")
    where = upload_key(call.repo.id, key)
    url = call.service.objects.upload_url(call.base_url, where, UPLOAD_SECONDS)
    return call.answer({url_name: url, key_name: key})


async def unpack_uploaded(call: Call) -> Response:
    """Takes in a pack that was put to its upload link."""
    counts, clean = await _unpack_uploaded(call, "mpack_key")
    named = {f"{name}_written": count for name, count in counts.items()}
    return _with_background(call.answer({"ok": True, **named}), clean)


async def presign_bundle(call: Call) -> Response:
    """The same as `presign_upload`, in the words of earlier clients."""
    return _presign(call, "bundle_id", "presigned_url")


async def unpack_bundle(call: Call) -> Response:
    """The same as `unpack_uploaded`, in the words of earlier clients."""
    counts, clean = await _unpack_uploaded(call, "bundle_id")
    names = {
        "stored_commits": "commits",
        "stored_objects": "blobs",
        "stored_snapshots": "snapshots",
    }
    stored = {name: counts[count] for name, count in names.items()}
    return _with_background(call.answer({"ok": True, **stored}), clean)


def _with_background(response: Response, task: BackgroundTask) -> Response:
    response.background = task
    return response


async def _unpack_uploaded(call: Call, key_name: str) -> tuple[dict[str, int], BackgroundTask]:
    fields = call.fields
    fields.require(key_name, "branch", "head")
    key = fields.id(key_name)
    move = Move(fields.branch("branch"), fields.id("head"), fields.flag("force"))
    service, repo = call.service, call.repo
    where = upload_key(repo.id, key)
    if (counts := await _move_only(service, repo, key, move)) is not None:  # [PUSH-016]
        return counts, BackgroundTask(_forget_upload, service.objects, where)
    try:
        upload, intake = await _read(service, partial(service.objects.incoming, where), key)
    except FileNotFoundError:
        raise ProtocolError(
            "upload_missing", f"{key} was not uploaded", "PUSH-004", mpack_key=key
        ) from None
    try:
        counts = await _take_in(service, repo, intake, upload, move, upload.seal)
    finally:
        upload.close()
    return counts, BackgroundTask(_forget_upload, service.objects, where, intake)


async def _read(
    service: Service, begin: Callable[[], Upload], expected: str | None = None
) -> tuple[Upload, Intake]:
    """Begins an upload and reads its pack, on one thread; if that fails, nothing is left open."""

    def work() -> tuple[Upload, Intake]:
        upload = begin()
        try:
            return upload, read_pack(upload, service.limits, expected)
        except BaseException:
            upload.close()
            raise

    with service.metrics.timed("push_phase", phase="read"):
        return await asyncio.to_thread(work)


async def unpack_body(call: Call) -> Response:
    """Takes in a pack that is the request's body."""
    service = call.service
    assert call.body.file is not None, "the route of this call spools its body"
    upload, intake = await _read(service, partial(BodyUpload, service.objects, call.body.file))
    try:
        move = _move_of_query(call, intake.pack)
        counts = await _move_only(service, call.repo, intake.key, move)
        if counts is None:
            counts = await _take_in(service, call.repo, intake, upload, move)
    finally:
        upload.close()
    return call.answer({"ok": True, **{f"{name}_written": n for name, n in counts.items()}})


def _move_of_query(call: Call, pack: Pack) -> Move:
    query = call.request.query_params
    flag = query.get("force", "false")
    if flag not in ("true", "1", "false", "0"):
        raise ProtocolError("malformed", f"force: expected true or false, got {flag!r:.40}")
    branch, head = query.get("branch"), query.get("head")
    if branch is None and head is None and len(pack.branch_heads) == 1:
        [(branch, head)] = pack.branch_heads.items()
    if missing := [n for n, v in (("branch", branch), ("head", head)) if v is None]:
        raise ProtocolError(
            "missing_field", f"missing: {', '.join(missing)}", "PUSH-021", fields=missing
        )
    return Move(check_branch(branch), check_id(head, "head"), flag in ("true", "1"))


async def _was_accepted(db: Connection, repo: Repo, key: str) -> bool:
    found = await db.fetchval(
        "SELECT 1 FROM mpack_refs WHERE repo_id = $1 AND mpack_id = $2", repo.raw, to_raw(key)
    )
    return found is not None


async def _move_only(service: Service, repo: Repo, key: str, move: Move) -> dict[str, int] | None:
    """The branch's part of a push, if its pack was verified and kept before; it may be gone."""
    nothing = Pack(framed=True)
    async with service.database.session() as db:
        if not await _was_accepted(db, repo, key):
            return None
    async with service.database.transaction() as db:
        await writing.begin(db, repo)
        current = await _check_move(db, repo, nothing, move)
        if current != move.head:
            await writing.move_branch(db, repo, move.branch, current, move.head)
            await writing.enqueue_push_jobs(db, repo, key)
    return dict.fromkeys(_COUNTS, 0)


async def _take_in(
    service: Service,
    repo: Repo,
    intake: Intake,
    upload: Incoming | BodyUpload,
    move: Move,
    ahead: Callable[[], None] | None = None,
) -> dict[str, int]:
    """Checks what a pack leans on, then writes it; whatever fails, nothing was written.

    What of keeping the upload can be done `ahead` is done beside that.
    """
    pack, needs = intake.pack, intake.needs
    # One thread makes the rows first, for the database to take beside the proof: two threads
    # would only take the interpreter from each other, and the database wait for both.
    is_short = _is_short(intake)
    worker: Executor = AT_ONCE if is_short else ThreadPoolExecutor(1, "push")
    tables = writing.PackTables(repo, intake.key, pack)
    worker.submit(tables.index)
    async with service.database.session() as db:
        known = Known(
            await history.known(db, "commits", repo.raw, needs.commits),
            await history.known(db, "snapshot_refs", repo.raw, needs.snapshots | needs.bases),
            await history.known(db, "object_refs", repo.raw, needs.objects),
        )
        stands_on = await trees.load(db, needs.bases & known.snapshots)
    known = Known(known.commits, known.snapshots, known.objects, stands_on.tree)
    is_little = is_short and stands_on.takes_little(len(pack.snapshots) + 1, pack.snapshots)
    if is_short and not is_little:
        worker = ThreadPoolExecutor(1, "push")
    work = partial(asyncio.get_running_loop().run_in_executor, worker)
    prove = partial(work, _prove, service.limits, intake, known, stands_on, move.head)
    proof = prove() if is_little else None
    if proof:
        await proof  # before a transaction has begun in vain
    sealed = asyncio.create_task(asyncio.to_thread(ahead)) if ahead else None
    running: list[asyncio.Future[Any]] = [sealed] if sealed else []
    try:
        async with service.database.transaction() as db:
            await writing.begin(db, repo)
            try:
                current = await _check_move(db, repo, pack, move)
            except ProtocolError:
                await (proof or prove())  # what is wrong with the pack itself is said first
                raise
            if current == move.head and await _was_accepted(db, repo, intake.key):
                return dict.fromkeys(_COUNTS, 0)  # the same push, a moment ago
            if current != move.head:
                await writing.move_branch(db, repo, move.branch, current, move.head)
            with service.metrics.timed("push_phase", phase="write"):
                await tables.look(db)
                made = writing.making(tables.all(), worker)
                closed, proof = work(is_closure, intake, move.head), proof or prove()
                running += (*made, closed, proof)
                written = await writing.copy(db, made)
            await writing.enqueue_push_jobs(db, repo, intake.key)
            blobs = await writing.add_pack(db, tables, intake.form)
            if await closed:
                held = len(pack.commits), len(pack.blob_ids)
                await writing.cache_pack(db, repo, move.head, intake.form, intake.key, *held)
            with service.metrics.timed("push_phase", phase="verify"):
                due = await proof
            await trees.keep(db, due)
            with service.metrics.timed("push_phase", phase="keep"):  # [PUSH-006]
                if sealed:
                    await sealed
                await asyncio.to_thread(upload.accept, pack_key(intake.key))
    finally:
        worker.shutdown(wait=False)
        if running:
            await asyncio.wait(running)
        for task in running:
            task.exception()  # was raised above, unless something else was first
    counts = (written["commits"], written["snapshot_refs"], blobs)
    return dict(zip(_COUNTS, counts, strict=True))


def _is_short(intake: Intake) -> bool:
    """Whether a pack's rows are made in less time than a thread takes."""
    pack = intake.pack
    is_short = len(pack.commits) <= FEW and len(pack.blob_ids) <= trees.LITTLE_ENTRIES
    return is_short and intake.commits.done()


def _prove(
    limits: Limits, intake: Intake, known: Known, stands_on: Trees, head: str
) -> list[tuple[bytes, bytes]]:
    """What is left to verify, while the database takes rows that count only if it holds.

    Returns the manifests to keep.
    """
    pack = intake.pack
    try:
        verification.check_pack(pack, known, limits, intake.needs)
    finally:
        intake.commits.result()  # what is wrong with a commit is said first
    added = {record["snapshot_id"]: record for record in reversed(pack.snapshots)}
    named = [record["snapshot_id"] for record in pack.commits if record["commit_id"] == head]
    return stands_on.due(named[0], added) if named else []


async def _check_move(db: Connection, repo: Repo, pack: Pack, move: Move) -> str | None:
    """The branch's head, once it is known that the branch may move from there."""
    row = await db.fetchrow(
        "SELECT (SELECT head_commit_id FROM branches WHERE repo_id = $1 AND name = $2) AS head,"
        " EXISTS (SELECT FROM commits WHERE repo_id = $1 AND commit_id = $3) AS known",
        repo.raw,
        move.branch,
        to_raw(move.head),
    )
    assert row is not None
    verification.check_head(pack, move.head, row["known"])
    current = from_raw(row["head"]) if row["head"] else None
    if current is None or move.force or current == move.head:
        return current
    records = {record["commit_id"]: record for record in pack.commits}
    line = set(reachable(parents_in(records), [move.head]))
    if current in line:
        return current
    if await history.descends(db, repo.raw, line - records.keys(), current):
        return current
    raise ProtocolError(
        "not_fast_forward",
        f"{move.branch} is at {current}, which {move.head} does not descend from",
    )


def _forget_upload(objects: ObjectStore, key: str, *_: object) -> None:
    """Removes an upload, after the answer; to free what was read from it takes its time as well."""
    try:
        objects.delete(key)
    except ProtocolError:
        return  # collected later
