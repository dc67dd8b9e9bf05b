"""Stores that nobody here wrote, whose right answers are known."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from conformance.crash.examine import Outcome, examine
from conformance.crash.states import MODELS
from conformance.crash.tiers import CI

ADAPTER = Path(__file__).parent / "subjects" / "foreign.py"
pytestmark = pytest.mark.nightly


def explored(store: str) -> Outcome:
    outcome = examine([sys.executable, str(ADAPTER), store], CI, parts=MODELS)
    assert not outcome.doubts
    return outcome


def test_sqlite_extra_is_sound() -> None:
    """It syncs the folder after it unlinks its journal."""
    assert explored("sqlite-extra").findings == []


def test_sqlite_full_can_lose_the_last_transaction() -> None:
    """It does not, so a journal can come back and undo what was committed."""
    flaws = {finding.flaw for finding in explored("sqlite-full").findings}
    assert flaws == {"no fsync of the folder after unlink, before the answer"}


def test_sqlite_off_loses_data() -> None:
    """It syncs nothing."""
    flaws = {finding.flaw for finding in explored("sqlite-off").findings}
    assert "no fsync of the file after its last write, before the answer" in flaws


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize(
    ("store", "flaw"),
    [
        ("git", "no fsync of the file before link"),
        ("git-all", "no fsync of the folder after link, before the answer"),
    ],
)
def test_git_does_not_sync_its_loose_objects(store: str, flaw: str) -> None:
    """By default not the file; with core.fsync=all still not the folder."""
    found = [f for f in explored(store).findings if f.operation == "put_blob"]
    assert flaw in {finding.flaw for finding in found}
    synced = store == "git-all"
    assert synced == all("before link" not in finding.flaw for finding in found)
