"""Reading a pack and proving what can be proven without the database; runs in a thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Thread

from reference.core import verification
from reference.core.history import reachable
from reference.core.verification import Needs
from reference.wire import provenance
from reference.wire.errors import ProtocolError
from reference.wire.heads import Head
from reference.wire.pack import Limits, Pack
from reference.wire.reader import PackReader
from reference.wire.records import Commit, parents


@dataclass(frozen=True, slots=True)
class Intake:
    """A pack whose bytes, blobs, commit ids and signatures are verified."""

    key: str
    pack: Pack
    needs: Needs

    @property
    def form(self) -> str:
        """`framed` or `plain`."""
        return "framed" if self.pack.framed else "plain"


class _CommitCheck(Thread):
    """Verifies ids and signatures beside the blobs that still arrive."""

    def __init__(self, commits: list[Commit]) -> None:
        super().__init__(name="commits")
        self._commits = commits
        self._problem: ProtocolError | None = None
        self.start()

    def run(self) -> None:
        """Keeps the first thing that is wrong."""
        try:
            verification.check_commits(self._commits)
            provenance.verify_all(self._commits)
        except ProtocolError as problem:
            self._problem = problem

    def result(self) -> None:
        """Waits, and raises what was wrong."""
        self.join()
        if self._problem is not None:
            raise self._problem


def read_pack(chunks: Iterable[bytes], limits: Limits, expected: str | None = None) -> Intake:
    """Reads and verifies a pack; wrong bytes are `digest_mismatch`, whatever else they are."""
    checks: list[_CommitCheck] = []

    def on_head(head: Head) -> None:
        checks.append(_CommitCheck(head.commits))

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
            checks.append(_CommitCheck(pack.commits))
        needs = verification.outside(pack)
    finally:
        for check in checks:
            check.join()
    checks[0].result()
    return Intake(reader.key, pack, needs)


def is_closure(intake: Intake, head: str) -> bool:
    """Whether the pack is exactly what a clone of `head` gets.  [FETCH-018]"""
    needs, pack = intake.needs, intake.pack
    if needs.commits or needs.snapshots or needs.bases or needs.objects:
        return False
    of = {record["commit_id"]: record for record in pack.commits}
    if head not in of or len(of) != len(pack.commits):
        return False
    line = reachable(lambda commit_id: parents(of[commit_id]), [head])
    named = {of[commit_id]["snapshot_id"] for commit_id in line}
    blobs = {oid for record in pack.snapshots for oid in record["delta_upsert"].values()}
    return (
        len(line) == len(of)
        and {record["snapshot_id"] for record in pack.snapshots} == named
        and len(pack.snapshots) == len(named)
        and blobs == set(pack.blob_ids)
        and len(blobs) == len(pack.blob_ids)
    )
