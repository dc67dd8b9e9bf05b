"""A headless Chromium that opens a page, runs a script in it, and tells what the script found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60
_TELL = """
    addEventListener("load", () => {
        const frames = [...document.querySelectorAll("iframe")];
        const told = document.createElement("pre");
        told.id = "told";
        told.textContent = JSON.stringify(frames.map((frame, number) => {
            try {
                return finders[number](frame.contentWindow);
            } catch (problem) {
                return String(problem);
            }
        }));
        document.body.replaceChildren(told);
    });
"""
_TOLD = re.compile(r'<pre id="told">(.*?)</pre>', re.DOTALL)


def browser() -> str | None:
    """The browser's command; `CHROMIUM` names one that is somewhere else."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(frozen=True, slots=True)
class Question:
    """A script, the body of a function given the page's `window`, and how it is to be opened."""

    script: str
    width: int = 1200
    address: str = ""


def told(page: Path, *questions: Question, dark: bool = False) -> list[Any]:
    """What the scripts return, each in a frame of its own.

    A frame has the wanted width, while a headless window is never narrower than 500 pixels.
    """
    command = browser()
    assert command is not None
    frames = "".join(
        f'<iframe width="{item.width}" height="844" src="{page.as_uri()}{item.address}"></iframe>'
        for item in questions
    )
    finders = ",".join(f"(window) => {{ {item.script} }}" for item in questions)
    with tempfile.TemporaryDirectory(prefix="musekit-browser-") as folder:
        start = Path(folder) / "start.html"
        start.write_text(
            f'<!doctype html><meta charset="utf-8">{frames}<script>const finders = [{finders}];'
            f"{_TELL}</script>",
            encoding="utf-8",
        )
        done = subprocess.run(
            [
                *(command, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-dev-shm-usage", "--allow-file-access-from-files"),
                *(f"--user-data-dir={folder}/profile", "--window-size=1400,900"),
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                *("--dump-dom", start.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    match = _TOLD.search(done.stdout)
    assert match is not None, done.stderr[-2000:]
    found = json.loads(unescape(match[1]))
    assert isinstance(found, list)
    return found


def too_wide(page: Path, before: str = "") -> list[int]:
    """The widths of a desk and of phones at which the page must be scrolled sideways."""
    script = f"{before} return window.document.documentElement.scrollWidth;"
    widths = (1200, 390, 320)
    found = told(page, *(Question(script, width=width) for width in widths))
    return [most for width, most in zip(found, widths, strict=True) if width > most]
