"""How a check says that it did not pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class Unmet(AssertionError):
    """The subject did something else than the requirement says."""

    def __init__(self, expected: str, actual: str, detail: str = "") -> None:
        super().__init__(f"expected {expected}, got {actual}")
        self.expected = expected
        self.actual = actual
        self.detail = detail


class Fields(dict[Any, Any]):
    """A map from the subject; a key that a check reads and is not there is the subject's fault."""

    def __missing__(self, key: object) -> NoReturn:
        raise Unmet(f"an answer with `{key}`", f"one with only {list(self)}")


class CouldNotRun(Exception):
    """The subject did not offer what the check needs; says what to add."""


class NotApplicable(Exception):
    """The check is about something that this subject, or this run, leaves out."""


@contextmanager
def prepared(what: str) -> Iterator[None]:
    """A step that the check needs but is not about: if the subject refuses it, nothing is shown."""
    try:
        yield
    except AssertionError as problem:
        raise CouldNotRun(f"the check could not be prepared: {what}: {problem}") from problem
