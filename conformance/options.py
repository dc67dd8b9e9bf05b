"""The command line, and what cannot be meant by it."""

from __future__ import annotations

import argparse
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reference.spec.requirements import PROFILES

USAGE = 2
JOBS = 3
"""One server cannot answer more of them; with fewer a second core has nothing to do at times."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    url: str
    subject: Path | None
    profiles: tuple[str, ...]
    ids: tuple[str, ...]
    list: bool
    seed: int
    report: Path
    baseline: Path | None
    read_only: bool
    wait: float
    jobs: int
    random_order: bool
    verbose: bool
    quiet: bool

    @property
    def shuffle(self) -> int | None:
        """What decides the order of the checks; None for that of the files."""
        return self.seed if self.random_order else None

    @property
    def origin(self) -> str:
        """The options that name the subject again, for a command that reproduces a verdict."""
        if self.subject:
            return f" --subject {shlex.quote(str(self.subject))}"
        return f" --url {shlex.quote(self.url)}" if self.url else ""

    def reproduce(self, check: str) -> str:
        """The command that runs one check again, as it was."""
        name = shlex.quote(check)
        return f"python -m conformance{self.origin} --id {name} --seed {self.seed}"


def parse(arguments: Sequence[str]) -> Options:
    """The options, or an exit with 2 and one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Checks an implementation against the numbered requirements of reference/spec."
        " Without --url or --subject the embedded reference is checked.",
        epilog="Exit codes: 0 all applicable checks pass, 1 a check failed, 2 usage or subject"
        " file, 3 something could not run. Also: python -m conformance diff OLD NEW, and bundle,"
        " verify and key, for reports that are signed",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", default="", help="the server's address; nothing else is known")
    where.add_argument("--subject", type=Path, help="a subject file (conformance/IMPLEMENTERS.md)")
    parser.add_argument("--profile", action="append", default=[], choices=PROFILES, metavar="P")
    parser.add_argument("--id", action="append", default=[], metavar="REQ", help="or a check's id")
    parser.add_argument("--list", action="store_true", help="show the cases and run none")
    parser.add_argument("--seed", type=int, help="decides what is generated (printed at the end)")
    parser.add_argument("--report", type=Path, default=Path("conformance-report"), metavar="DIR")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="what need not pass, and why")
    parser.add_argument("--read-only", action="store_true", help="create nothing on the subject")
    parser.add_argument("--wait", type=float, default=30.0, metavar="SECONDS", help="to come up")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help="processes that check")
    shuffled = "an order that the seed decides"
    parser.add_argument("--random-order", action="store_true", help=shuffled)
    parser.add_argument("-v", "--verbose", action="store_true", help="one line a requirement")
    parser.add_argument("-q", "--quiet", action="store_true", help="failures and the last lines")
    found = parser.parse_args(arguments)
    if found.url and not found.url.startswith(("http://", "https://")):
        parser.error(f"--url must begin with http:// or https://: {found.url}")
    if found.wait < 0 or found.jobs < 1:
        parser.error("--wait must not be negative, --jobs must be at least 1")
    return Options(
        url=found.url.rstrip("/"),
        subject=found.subject,
        profiles=tuple(found.profile),
        ids=tuple(found.id),
        list=found.list,
        seed=secrets.randbelow(10**6) if found.seed is None else found.seed,
        report=found.report,
        baseline=found.baseline,
        read_only=found.read_only,
        wait=found.wait,
        jobs=found.jobs,
        random_order=found.random_order,
        verbose=found.verbose,
        quiet=found.quiet,
    )
