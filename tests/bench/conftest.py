"""Saved baselines: what machine they are of, and when two may be compared."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from perf_gates import calibration
from reference import __version__

ALIKE = ("processor", "cores", "python")
"""What has to be the same for two baselines to be of one kind of machine."""


def _described() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return dict(calibration.describe(Path(folder)))


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    """The machine by name, and nothing of whose it is."""
    found = _described()
    return {name: found[name] for name in ALIKE}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_generate_commit_info(config: pytest.Config) -> dict[str, Any]:
    """The kit's version; which commit a baseline came with, the repository knows."""
    return {"kit": __version__}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """The machine by measure, for whoever reads two baselines side by side."""
    output_json["calibration"] = _described()


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """Another machine's baseline is shown beside; a run that would gate on it is stopped."""
    theirs = compared_benchmark["machine_info"]
    differ = [name for name in ALIKE if machine_info[name] != theirs.get(name)]
    if differ and config.getoption("benchmark_compare_fail"):
        what = ", ".join(f"{name} {theirs.get(name)}, here {machine_info[name]}" for name in differ)
        said = f"the baseline is of another machine ({what})"
        raise pytest.UsageError(f"{said}: save one here first, --benchmark-save=NAME")
