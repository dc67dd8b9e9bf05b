"""Flaws that only a crash shows; tests/crash/mutants.py has many more, on a store of its own."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_DURABLE = "reference.store.durable"
_FILE = "test_store_crash.py::"

MUTANTS = (
    Mutant(
        "a-ref-is-written-in-place",
        "reference.store.refs",
        "        durable.write(_path(dot, branch), commit_id.encode())\n",
        """
        durable.make_folder(os.path.dirname(_path(dot, branch)))
        with open(_path(dot, branch), "wb") as file:
            file.write(commit_id.encode())
            file.flush()
            os.fsync(file.fileno())
        folders.sync_folder(os.path.dirname(os.path.abspath(_path(dot, branch))))
""",
        flagged_by="DUR-023",
        check=_FILE + "test_what_a_crash_leaves",
    ),
    Mutant(
        "bytes-are-named-before-they-are-synced",
        _DURABLE,
        "        if self._sync:\n            fsync(self._fd)\n",
        "        self._sync = self._sync and True\n",
        flagged_by="STORE-047",
        check=_FILE + "test_what_a_crash_leaves",
        inspired="https://github.com/NebulousLabs/Sia/issues/887",
    ),
    Mutant(
        "a-failed-sync-is-taken-for-none",
        "reference.store.folders",
        "UNSUPPORTED = frozenset({None, ",
        "UNSUPPORTED = frozenset({None, errno.EIO, ",
        flagged_by="DUR-017",
        check=_FILE + "test_what_a_crash_leaves",
        inspired="https://github.com/acid-state/acid-state/issues/175",
    ),
)
