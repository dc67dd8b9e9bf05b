"""A folder that a subject runs in, and the recording of what it did there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from .recorder import Recorder
from .sandbox import Sandbox
from .trace import Recording

STORE = "store"


@dataclass(slots=True)
class Recorded:
    """What every way to record has; the folder is gone at its end."""

    command: Sequence[str]
    box: Sandbox
    seconds: float = 60.0
    folder: Path = field(init=False)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.box.place("record")
        self.recorder = Recorder(self.folder)
        self.recorder.elsewhere_allowed += (str(self.box.root),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.recorder.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def recording(self) -> Recording:
        return self.recorder.recording

    @property
    def store(self) -> Path:
        return self.folder / STORE


def answer(recording: Recording, line: bytes) -> dict[str, Any] | None:
    """What a line says; nothing, and a problem noted, when it is not an answer."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if isinstance(value, dict) and isinstance(value.get("ok"), bool):
        return value
    recording.problems.append(f"answered garbage: {line[:80].decode(errors='replace')!r}")
    return None
