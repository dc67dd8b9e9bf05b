"""Writes the reports into their folder, each whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from . import badge, junit, page
from .model import Report


def prepare(folder: Path) -> None:
    """Makes the folder and tries to write there, before the checks take their time; `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # that it can be made is all


def write(report: Report, folder: Path) -> Path:
    """Writes all four files; the page, which is the one to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(), indent=1, ensure_ascii=False)
    files = {
        "report.json": f"{text}\n".encode("utf-8", "backslashreplace"),
        "junit.xml": junit.document(report),
        "badge.svg": badge.picture(report).encode(),
        "report.html": page.document(report).encode("utf-8", "backslashreplace"),
    }
    for name, content in files.items():
        new = folder / f".{name}.{os.getpid()}"
        new.write_bytes(content)
        new.replace(folder / name)
    return folder / "report.html"
