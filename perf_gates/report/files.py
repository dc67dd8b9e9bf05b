"""The forms of a report in their folder."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from . import html, markdown
from .document import Document


def prepare(folder: Path) -> None:
    """Makes the folder and tries to write there, before the runs take their time; `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # that it can be made is all


def write(made: Document, folder: Path) -> None:
    """All of them."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    (folder / "perf.json").write_text(text, encoding="utf-8")
    (folder / "perf.md").write_text(markdown.page(made), encoding="utf-8")
    (folder / "perf.html").write_text(html.page(made), encoding="utf-8")
