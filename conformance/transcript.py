"""What was said between the suite and the subject during one check, fit to be shown."""

from __future__ import annotations

from collections import deque

from .redaction import redact

KEPT = 8
_WIDTH = 400
_lines: deque[str] = deque(maxlen=KEPT)


def note(line: str) -> None:
    """Remembers one exchange; the oldest is forgotten."""
    _lines.append(redact(line if len(line) <= _WIDTH else line[:_WIDTH] + "…"))


def forget() -> None:
    """A new check begins."""
    _lines.clear()


def exchanges() -> list[str]:
    """The last exchanges, oldest first."""
    return list(_lines)
