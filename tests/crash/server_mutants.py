"""Servers with one flaw each that only a death in the middle of a push shows."""

from __future__ import annotations

from dataclasses import dataclass

from tests.mutants.mutant import Mutant


@dataclass(frozen=True, slots=True)
class Flawed:
    """A patch of the reference, what must find it, and a word of what is then seen."""

    patch: Mutant
    by: str  # "kill" or "power cut"
    most: int = 6  # deaths or cuts that it takes at most
    always: bool = False  # also tried in the short run

    @property
    def name(self) -> str:
        """The patch's."""
        return self.patch.name


_FILES = "reference.server.objects_files"
_KEEP = '            self._draft.keep(f"{self._packs}/{os.path.basename(key)}", mode=0o444)\n'
_SEAL = """\
            self._draft.seal(0o444)

    def accept(self, key: str) -> None:
        with translated():
"""
_MOVE = """\
                await writing.move_branch(db, repo, move.branch, current, move.head)
"""

FLAWED = (
    Flawed(
        Mutant(
            "answers-before-the-transaction-is-durable",
            "reference.server.embedded",
            '"synchronous_commit": "on"',
            '"synchronous_commit": "off"',
            flagged_by="DUR-031",
        ),
        "kill",
    ),
    Flawed(
        Mutant(
            "moves-the-branch-before-the-rows",
            "reference.server.push",
            _MOVE,
            """\
                if current is None:
                    await writing.move_branch(db, repo, move.branch, current, move.head)
                else:
                    async with service.database.transaction() as apart:
                        await writing.move_branch(apart, repo, move.branch, current, move.head)
""",
            flagged_by="DUR-030",
        ),
        "kill",
    ),
    Flawed(
        Mutant(
            "keeps-the-pack-after-the-answer",
            _FILES,
            _KEEP,
            """\
            from threading import Timer

            self._file.seek(0)
            data = self._file.read()
            path = f"{self._packs}/{os.path.basename(key)}"
            Timer(0.1, durable.write, (path, data)).start()
""",
            flagged_by="DUR-031",
        ),
        "kill",
    ),
    Flawed(
        Mutant(
            "trusts-a-pack-that-was-not-finished",
            _FILES,
            _KEEP,
            """\
            path = f"{self._packs}/{os.path.basename(key)}"
            if not os.path.exists(path):
                self._file.seek(0)
                with open(path, "wb") as file:
                    file.write(self._file.read())
                    os.fsync(file.fileno())
""",
            flagged_by="DUR-030",
        ),
        "kill",
        most=60,  # only between the making of the file and its first bytes
    ),
    Flawed(
        Mutant(
            "does-not-sync-the-pack",
            _FILES,
            _SEAL + _KEEP,
            """\
            return

    def accept(self, key: str) -> None:
        with translated():
            self._draft.name(f"{self._packs}/{os.path.basename(key)}")
            durable.sync_folder(self._packs)
""",
            flagged_by="DUR-031",
        ),
        "power cut",
        always=True,
    ),
    Flawed(
        Mutant(
            "does-not-sync-the-name-of-the-pack",
            _FILES,
            _KEEP,
            """\
            self._draft.name(f"{self._packs}/{os.path.basename(key)}")
""",
            flagged_by="DUR-031",
        ),
        "power cut",
    ),
    Flawed(
        Mutant(
            "does-not-sync-the-database",
            "reference.server.embedded",
            '"fsync": "on"',
            '"fsync": "off"',
            flagged_by="DUR-031",
        ),
        "power cut",
    ),
)
