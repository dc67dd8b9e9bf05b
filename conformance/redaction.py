"""Keeps signatures, keys and presigned URLs out of everything that is shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HIDDEN = "…"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r'(sig(?:nature)?\\?"?\s*[=:]\s*\\?")[A-Za-z0-9_-]{16,}'), rf"\1{HIDDEN}"),
    (re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>]+"), rf"\1?{HIDDEN}"),
    (
        re.compile(r"((?:X-Amz-[A-Za-z]+|token|signature|sig|key)=)[^&\s\"']{8,}", re.I),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(postgres(?:ql)?://[^:/@\s]+:)[^@\s]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(MSign )[^\r\n]+"), rf"\1{HIDDEN}"),
)


def redact(text: str) -> str:
    """`text` without anything that would let its reader act as somebody else."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def shown_url(url: str) -> str:
    """A URL with its path and without its query, which may be a permission."""
    parts = urlsplit(url)
    query = f"?{HIDDEN}" if parts.query else ""
    host = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    return f"{host if parts.netloc else ''}{parts.path}{query}"
