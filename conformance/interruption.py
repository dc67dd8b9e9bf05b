"""Ctrl-C takes effect between two requests, so that nothing is made without being noted."""

from __future__ import annotations

_requested = False
_tidying = False


def request() -> None:
    """Somebody wants the run to end."""
    global _requested
    _requested = True


def requested() -> bool:
    """Whether somebody does."""
    return _requested


def tidy() -> None:
    """The checks have ended: what follows is cleaning up, which nobody wants to end."""
    global _tidying
    _tidying = True


def heed() -> None:
    """Ends the check here if somebody wants the run to end."""
    if _requested and not _tidying:
        raise KeyboardInterrupt
