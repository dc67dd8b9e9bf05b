"""`python -m tests.crash.subjects.server NAME …` is `musekit …` with one server flaw in it."""

from __future__ import annotations

import sys

from tests.crash.server_mutants import FLAWED
from tests.mutants.subject import install


def main(name: str, *arguments: str) -> int:
    """Runs the command line of the reference, flawed."""
    install(next(flawed.patch for flawed in FLAWED if flawed.name == name))
    from reference.cli import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
