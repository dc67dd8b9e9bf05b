"""The gates have their mutants: each way to be slow is caught by the gate that is there for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.perf_gates.slowed import SLOWED

ROOT = Path(__file__).parents[2]
CAUGHT_BY = {
    "sleep-in-unpack": "unpack-simple",
    "statement-a-commit": "statements-simple",
    "insert-by-insert": "statements-simple",
    "frames-in-commit-order": "wire-real-push",
    "sync-each-file": "fsyncs-clone",
}
COUNTED = {"statements-simple", "wire-real-push", "fsyncs-clone"}
"""Gates on what noise cannot touch: they fail on any machine."""


def test_each_mutant_has_its_gate() -> None:
    """None is made that no gate is meant for."""
    assert CAUGHT_BY.keys() == SLOWED.keys()


@pytest.mark.parametrize("name", SLOWED)
def test_each_mutant_finds_what_it_makes_slow(name: str) -> None:
    """A part of the reference that was renamed is seen here, before a whole run is in vain."""
    words = [sys.executable, "-m", "tests.perf_gates.slowed", name, "hash-object", __file__]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("sha256:")


@pytest.mark.nightly
@pytest.mark.parametrize("name", SLOWED)
def test_the_right_gate_catches_it(name: str, tmp_path: Path) -> None:
    """A whole run with one thing slow; a clock may call a busy machine too noisy, never a pass."""
    gate = CAUGHT_BY[name]
    slowed = f"{sys.executable} -m tests.perf_gates.slowed {name}"
    words = ["--id", gate, "--runs", "3", "--compare", "none", "--report", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "perf_gates", *words],
        cwd=ROOT,
        env={**os.environ, "MUSEKIT_COMMAND": slowed},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode in (1, 3), ended.stdout + ended.stderr
    rows = json.loads((tmp_path / "perf.json").read_text())["rows"]
    found = next(row for row in rows if row["id"] == gate)
    assert found["verdict"] == "fail" or gate not in COUNTED
    assert found["max"] > found["budget"]
