"""One broken subject: the reference with one small patch, and the check that is meant for it."""

from __future__ import annotations

from dataclasses import dataclass


class DoesNotApply(Exception):
    """The patch of a mutant no longer fits its module."""


@dataclass(frozen=True)
class Mutant:
    """A flaw that an implementer could well have, as a patch of one module."""

    name: str
    module: str
    old: str
    new: str
    flagged_by: str
    check: str = ""
    inspired: str = ""

    def __post_init__(self) -> None:
        for name in self.checks:
            file, _, function = name.partition("::")
            if not (file.startswith("test_") and file.endswith(".py") and function):
                raise ValueError(f"{self.name}: {name!r} is not test_file.py::test_function")

    @property
    def checks(self) -> tuple[str, ...]:
        """The functions that must all notice it; none: any check of the requirement will do."""
        return tuple(self.check.split())

    def apply(self, source: str) -> str:
        """The source of the module with the flaw in it."""
        found = source.count(self.old)
        if found != 1 or self.old == self.new:
            what = "changes nothing" if found == 1 else f"its text occurs {found} times, not once,"
            raise DoesNotApply(f"{self.name}: {what} in {self.module}")
        return source.replace(self.old, self.new)
