"""Reading a pack and proving what can be proven without the database; runs in a thread."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from reference.core import verification
from reference.core.history import parents_first
from reference.core.verification import Needs
from reference.wire import provenance
from reference.wire.errors import ProtocolError
from reference.wire.heads import Head
from reference.wire.pack import Limits, Pack
from reference.wire.reader import PackReader
from reference.wire.records import Commit, parents

from .at_once import AT_ONCE

FEW = 16
"""So many commits are verified before a thread has started."""


def _check_commits(commits: list[Commit]) -> Future[None]:
    """Verifies ids and signatures beside the blobs that still arrive, and what comes after."""

    def check() -> None:
        verification.check_commits(commits)
        provenance.verify_all(commits)

    checker: Executor = AT_ONCE if len(commits) <= FEW else ThreadPoolExecutor(1, "commits")
    checked = checker.submit(check)
    checker.shutdown(wait=False)
    return checked


@dataclass(frozen=True, slots=True)
class Intake:
    """A pack whose bytes and blobs are verified; of its commits `commits` tells in the end."""

    key: str
    pack: Pack
    needs: Needs
    commits: Future[None]

    @property
    def form(self) -> str:
        """`framed` or `plain`."""
        return "framed" if self.pack.framed else "plain"


def read_pack(chunks: Iterable[bytes], limits: Limits, expected: str | None = None) -> Intake:
    """Reads and verifies a pack; wrong bytes are `digest_mismatch`, whatever else they are.

    What its commits are worth is known once `commits.result()` returns.
    """
    checks: list[Future[None]] = []

    def on_head(head: Head) -> None:
        checks.append(_check_commits(head.commits))

    reader = PackReader(limits, on_head)
    problem: ProtocolError | None = None
    try:
        for chunk in chunks:
            try:
                reader.feed(chunk)
            except ProtocolError as found:  # goes on, for the digest decides first
                problem = problem or found
                if found.code == "too_large":
                    raise
        if expected is not None and reader.key != expected:
            raise ProtocolError(
                "digest_mismatch",
                f"the upload hashes to {reader.key}, not to {expected}",
                "PUSH-005",
                expected=expected,
                actual=reader.key,
            )
        if problem is not None:
            raise problem
        pack = reader.close()
        if not checks:
            checks.append(_check_commits(pack.commits))
        needs = verification.outside(pack)
        return Intake(reader.key, pack, needs, checks[0])
    except BaseException:
        wait(checks)
        raise


def is_closure(intake: Intake, head: str) -> bool:
    """Whether the pack is exactly what a clone of `head` gets.  [FETCH-018]"""
    needs, pack = intake.needs, intake.pack
    if needs.commits or needs.snapshots or needs.bases or needs.objects:
        return False
    above = {record["commit_id"]: parents(record) for record in pack.commits}
    line = {head}
    for commit_id in reversed(parents_first(above)):
        if commit_id not in line:
            return False
        line.update(above[commit_id])
    snapshots = {record["snapshot_id"] for record in pack.snapshots}
    return (
        len(line) == len(above) == len(pack.commits)
        and snapshots == {record["snapshot_id"] for record in pack.commits}
        and len(snapshots) == len(pack.snapshots)
        and needs.named == len(set(pack.blob_ids)) == len(pack.blob_ids)
    )
