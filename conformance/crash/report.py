"""An outcome as text for a person and as JSON for a machine."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .examine import Outcome, Part
from .findings import PROFILES, Finding

# part -> the requirements it examines, what must hold
CHECKS = {
    "kill": (("DUR-001", "DUR-002", "DUR-003", "DUR-023"), "every prefix of the calls is whole"),
    "journal": (("DUR-008", "DUR-009", "DUR-024"), "nothing acknowledged waits for its data"),
    "strict": (("DUR-009", "DUR-010", "DUR-011", "DUR-025"), "what was promised was synced"),
    "paranoid": (("DUR-006", "DUR-026"), "a torn write tears nothing that counts"),
    "killed": (("DUR-004", "DUR-005", "DUR-027"), "a retry after SIGKILL heals"),
    "fault": (("DUR-007", "DUR-012", "DUR-013", "DUR-016", "DUR-017", "DUR-018", "DUR-019",
               "DUR-029"), "errors are answered, leave no litter, and a retry heals"),
    "race": (("DUR-021", "DUR-022"), "processes that race lose nothing"),
}  # fmt: skip


def kit() -> str:
    """The version of the kit, where it is installed; the explorer also runs from a bare copy."""
    try:
        return version("musekit")
    except PackageNotFoundError:
        return "unknown"


def text(outcome: Outcome) -> str:
    """The whole report for a terminal."""
    lines = [f"{shlex.join(outcome.command)}: {outcome.calls} calls recorded"]
    if outcome.levels:
        width = max(map(len, outcome.levels))
        lines += ["", *(f"  {name:{width}}  {told}" for name, told in outcome.levels.items())]
    if outcome.unsupported:
        lines += ["", f"not supported, so not examined: {', '.join(outcome.unsupported)}"]
    for finding in outcome.findings:
        lines += ["", *_finding(outcome, finding)]
    if outcome.lints:
        lines += ["", "rules the trace breaks, whether or not a state showed it:"]
        lines += [f"  {lint.rule}: {lint.operation}, {lint.where}" for lint in outcome.lints]
    lines += [f"\nnote: {note}" for note in outcome.notes]
    lines += [f"\ninconclusive: {doubt}" for doubt in outcome.doubts]
    verdict = ("sound", "flawed", "", "inconclusive")[outcome.exit_code]
    return "\n".join([*lines, "", f"{verdict}: {len(outcome.findings)} findings"])


def _finding(outcome: Outcome, finding: Finding) -> list[str]:
    lines = [f"FAIL {finding.operation}: {finding.flaw}"]
    lines.append(f"     {finding.model}: {finding.symptom}, {finding.what}")
    if finding.where:
        lines.append(f"     at {finding.where}")
    lines += [f"       {call}" for call in finding.calls]
    if finding.before or finding.after:
        lines.append("     without the crash / after it:")
        lines += [f"       - {line}" for line in finding.before[:8]]
        lines += [f"       + {line}" for line in finding.after[:8]]
    return [*lines, f"     reproduce: {reproduce(outcome, finding)}"]


def reproduce(outcome: Outcome, finding: Finding) -> str:
    options = f"--seed {outcome.seed} {finding.reproduce}".strip()
    return f"python -m conformance.crash {options} {shlex.join(outcome.command)}"


def model(outcome: Outcome) -> dict[str, Any]:
    """The JSON report, in the schema of the conformance suite: a check for each part."""
    checks = [_recording(outcome), *(_check(outcome, part) for part in outcome.parts)]
    counted = Counter(check["verdict"] for check in checks)
    verdicts = ("pass", "fail", "not-applicable", "could-not-run", "suite-error")
    return {
        "schema": 1,
        "kit": kit(),
        "subject": {
            "name": shlex.join(outcome.command),
            "url": "",
            "profiles": sorted(set(PROFILES.values())),
            "capabilities": [],
        },
        "seed": outcome.seed,
        "summary": {verdict: counted.get(verdict, 0) for verdict in verdicts},
        "checks": checks,
    }


def _check(outcome: Outcome, part: Part) -> dict[str, Any]:
    requirements, expected = CHECKS[part.name]
    found = [finding for finding in outcome.findings if finding.part == part.name]
    verdict = "fail" if found else "could-not-run" if outcome.inconclusive else "pass"
    return {
        "id": f"crash-{part.name}",
        "requirements": list(requirements),
        "profile": PROFILES[part.name],
        "verdict": verdict,
        "expected": expected,
        "actual": "; ".join(f"{f.operation}: {f.flaw}" for f in found) or part.done,
        "detail": "\n".join(line for f in found for line in _finding(outcome, f)) or part.done,
        "reproduce": reproduce(outcome, found[0]) if found else _again(outcome, part),
        "ms": round(part.seconds * 1000),
    }


def _recording(outcome: Outcome) -> dict[str, Any]:
    """The check that all others rest on, with what was learnt besides."""
    levels = [f"{name}: {told}" for name, told in outcome.levels.items()]
    lints = [f"{lint.rule}: {lint.operation}, {lint.where}" for lint in outcome.lints]
    absent = [f"not supported: {name}" for name in outcome.unsupported]
    return {
        "id": "crash-recording",
        "requirements": ["DUR-028"],
        "profile": "store-kill",
        "verdict": "could-not-run" if outcome.doubts else "pass",
        "expected": "a recording that replays to the same tree",
        "actual": "; ".join(outcome.doubts) or f"{outcome.calls} calls recorded",
        "detail": "\n".join([*outcome.doubts, *outcome.notes, *levels, *absent, *lints]),
        "reproduce": f"python -m conformance.crash {shlex.join(outcome.command)}",
        "ms": 0,
    }


def _again(outcome: Outcome, part: Part) -> str:
    options = f"--seed {outcome.seed} --only {part.name}"
    return f"python -m conformance.crash {options} {shlex.join(outcome.command)}"


def write(outcome: Outcome, folder: Path) -> None:
    """report.json and report.txt in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(model(outcome), indent=2) + "\n")
    (folder / "report.txt").write_text(text(outcome) + "\n")
