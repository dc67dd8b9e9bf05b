"""`python -m reference` is `musekit`."""

import sys


def main() -> int:
    """Runs the command line; kept apart so that starting up imports nothing else."""
    from reference.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
