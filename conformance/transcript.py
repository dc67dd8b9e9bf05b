"""What was said between the suite and the subject during one check, fit to be shown."""

from __future__ import annotations

from collections import deque

from .redaction import redact

KEPT = 8
_WIDTH = 400
_BLANKS = str.maketrans("", "", "\r\n\t")
_lines: deque[str] = deque(maxlen=KEPT)


def shown(body: bytes, width: int) -> str:
    """A body as a reader wants to see it: its text, or how many bytes it is."""
    text = body[: 4 * width].decode("utf-8", "replace").rstrip("\ufffd")  # may end in a letter
    if body and not (text and text.translate(_BLANKS).isprintable() and "\ufffd" not in text):
        return f"{len(body)} bytes"
    return text[:width]


def note(line: str) -> None:
    """Remembers one exchange; the oldest is forgotten."""
    _lines.append(line)


def forget() -> None:
    """A new check begins."""
    _lines.clear()


def exchanges() -> list[str]:
    """The last exchanges, oldest first, without secrets."""
    return [redact(line if len(line) <= _WIDTH else line[:_WIDTH] + "…") for line in _lines]
