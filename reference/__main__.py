"""`python -m reference` is `musekit`."""

import gc
import sys

GC_OBJECTS = 50_000
"""New objects between two collections: a history's records hold no cycle to be found."""


def main() -> int:
    """Runs the command line; kept apart so that starting up imports nothing else."""
    from reference.client.arguments import is_network

    words = sys.argv[1:]
    if is_short := words[:1] == ["store"] or is_network(words):
        gc.set_threshold(GC_OBJECTS, 10, 10)
    from reference.cli import run

    code = run(words)
    if is_short:
        _leave(code)
    return code


def _leave(code: int) -> None:
    """Ends the process as it is: what is written is closed, and freeing each object takes long."""
    import os

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError):
            continue  # closed, or its reader left
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
