"""Taking in a pack: nothing of it counts until everything in it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reference.core import verification
from reference.core.verification import Known
from reference.wire import provenance
from reference.wire.errors import ProtocolError
from reference.wire.pack import DEFAULT_LIMITS, Limits, Pack
from reference.wire.reader import PackReader

from . import durable
from .loose import FILE_MODE
from .pack_folder import folder
from .repository import Repository


@contextmanager
def intake(repository: Repository, limits: Limits | None = None) -> Iterator[Intake]:
    """A place for a pack's bytes, gone again unless they are installed."""
    with durable.draft(folder(repository.dot)) as draft:
        yield Intake(repository, draft, limits or DEFAULT_LIMITS)


def verify(repository: Repository, pack: Pack, limits: Limits) -> None:
    """Everything DESIGN asks of a pack before one byte of it counts."""
    verification.check_commits(pack.commits)
    provenance.verify_all(pack.commits)
    needs = verification.outside(pack)
    known = Known(
        commits={oid for oid in needs.commits if repository.find_commit(oid)},
        snapshots={oid for oid in needs.snapshots | needs.bases if repository.find_snapshot(oid)},
        objects={oid for oid in needs.objects if repository.has_blob(oid)},
        manifest=repository.tree,
    )
    verification.check_pack(pack, known, limits, needs)
    for kind, ids in (
        ("objects", needs.objects),
        ("snapshots", needs.snapshots | needs.bases),
        ("commits", needs.commits),
    ):
        for object_id in ids:
            repository.keep(kind, object_id)
    repository.keep_first(pack.commits)


class Intake:
    """Takes a pack's bytes, reading and writing them at once; `install` verifies and keeps it."""

    def __init__(self, repository: Repository, draft: durable.Draft, limits: Limits) -> None:
        self._repository = repository
        self._draft = draft
        self._reader = PackReader(limits)
        self._limits = limits

    def write(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        self._reader.feed(chunk)
        self._draft.write(chunk)

    def install(self, key: str | None = None) -> Pack:
        """Keeps the pack, synced once, if everything in it holds."""
        pack = self._reader.close()
        if key is not None and key != self._reader.key:
            raise ProtocolError("digest_mismatch", f"pack {key} hashes to {self._reader.key}")
        verify(self._repository, pack, self._limits)
        path = f"{folder(self._repository.dot)}/{self._reader.key[7:]}.mpack"
        self._draft.keep(path, mode=FILE_MODE)
        self._repository.installed(path, pack)
        return pack
