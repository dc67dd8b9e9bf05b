"""The command line: its exit codes, its report, and reproducing one finding."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.crash import __main__ as command
from conformance.crash import examine as examination
from conformance.crash.report import model

from .subject import QUICK, toy

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as it is, with less of everything."""
    monkeypatch.setattr(command, "CI", replace(QUICK, enough=1))


def test_a_flaw_ends_in_one_and_can_be_reproduced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, a report that follows the schema, and a selector that shows the state again."""
    subject = toy("--flaw", "no-folder-fsync")
    assert command.main(["--model", "journal", "--report", str(tmp_path), *subject]) == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema"] == 1
    assert report["summary"]["fail"] == 1
    assert [check["id"] for check in report["checks"]] == ["crash-recording", "crash-journal"]
    check = report["checks"][1]
    assert check["profile"] == "store-journal"
    assert "no fsync of the folder after rename" in check["actual"]
    words = check["reproduce"].split()
    selector = words[words.index("--state") + 1]
    assert command.main(["--state", selector, *subject]) == 1
    assert "store/.muse" in capsys.readouterr().out


def test_the_report_is_in_the_schema_of_the_suite() -> None:
    """No key that the schema does not know, and each that it requires."""
    schema = json.loads((HERE.parents[1] / "conformance/report/report.schema.json").read_text())
    outcome = examination.examine(toy(), QUICK, parts=["paranoid"])
    report = model(outcome)
    check = schema["properties"]["checks"]["items"]
    for value, known in (
        (report, schema),
        (report["subject"], schema["properties"]["subject"]),
        *((found, check) for found in report["checks"]),
    ):
        assert set(known["required"]) <= set(value) <= set(known["properties"])


def test_a_sound_part_ends_in_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, and a level for each operation."""
    assert command.main(["--model", "journal", *toy()]) == 0
    assert "put_blob               survives power loss" in capsys.readouterr().out


def test_what_cannot_be_recorded_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    """A subject that hangs, and one that is no adapter, end in 3 and say so."""
    assert command.main(["--timeout", "1", *toy("--flaw", "hangs")]) == 3
    assert "did not end within 1 s" in capsys.readouterr().out
    assert command.main([sys.executable, "-c", "pass"]) == 3
    assert "inconclusive" in capsys.readouterr().out


def test_a_command_that_is_not_there_is_a_usage_error() -> None:
    """Exit 2, as for any wrong option."""
    with pytest.raises(SystemExit) as ended:
        command.main(["no-such-command-anywhere"])
    assert ended.value.code == 2


def test_every_part_has_its_requirements_and_profile() -> None:
    """The report's table knows each part of an examination."""
    from conformance.crash.findings import PROFILES
    from conformance.crash.report import CHECKS

    assert set(CHECKS) == set(examination.PARTS)
    assert set(examination.PARTS) <= set(PROFILES)
