"""The crash explorer as checks: each model of a crash, kills, faults and races."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from conformance.expectations import fail, long, requirement
from conformance.outcomes import CouldNotRun
from conformance.world import World

SECONDS = 240


def part(name: str, *marks: pytest.MarkDecorator) -> Any:
    """One part of an exploration, and what it proves."""
    return pytest.param(name, marks=marks, id=name)


@long
@pytest.mark.parametrize(
    "name",
    [
        part("kill", requirement("DUR-023", "DUR-001", "DUR-002", "DUR-003")),
        part("journal", requirement("DUR-024", "STORE-047")),
        part(
            "strict",
            requirement(
                "DUR-025", "DUR-001", "DUR-002", "DUR-003", "DUR-008", "DUR-009", "DUR-010"
            ),
            requirement("DUR-011", "DUR-015", "DUR-028", "FS1", "K1"),
        ),
        part("paranoid", requirement("DUR-026", "DUR-006")),
        part("killed", requirement("DUR-004", "DUR-005", "DUR-027")),
        part(
            "fault",
            requirement("DUR-029", "DUR-007", "DUR-012", "DUR-013", "DUR-016", "DUR-017"),
            requirement("DUR-018", "DUR-019", "DUR-020", "STORE-052", "FS2", "FS3"),
        ),
        part("race", requirement("DUR-022", "DUR-021")),
    ],
)
def test_what_a_crash_leaves(world: World, name: str) -> None:
    """No state that this part can build breaks a promise of the store."""
    if not world.subject.store:
        raise CouldNotRun('needs [store] command = ["…"] in the subject file')
    with tempfile.TemporaryDirectory(prefix="musekit-crash-") as folder:
        report = explore(world, name, folder)
    for check in report["checks"]:
        if check["verdict"] == "fail":
            fail(check["expected"], check["actual"], check["detail"])
        if check["verdict"] != "pass":
            raise CouldNotRun(f"inconclusive: {check['detail'] or check['actual']}")
    if not report["checks"]:
        raise CouldNotRun("the explorer examined nothing")


def explore(world: World, name: str, folder: str) -> dict[str, Any]:
    """Runs one part of the explorer; its report."""
    command = [sys.executable, "-m", "conformance.crash", "--light", "--only", name]
    command += ["--seed", str(world.seed), "--report", folder, *world.subject.store]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CouldNotRun(f"the exploration did not end within {SECONDS} s") from None
    path = Path(folder) / "report.json"
    if not path.exists():
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise CouldNotRun(f"the explorer exited {done.returncode}: {''.join(last)}")
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value
