"""`python -m conformance.crash [options] CMD…`: explores the store adapter CMD.

With `--server FILE` it is the server that a subject file starts.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import signal
import sys
from pathlib import Path

from . import report
from .examine import PARTS, RECORDERS, examine, replay
from .states import MODELS
from .tiers import CI, LIGHT, NIGHTLY


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 sound, 1 flawed, 2 usage, 3 inconclusive."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.crash",
        description="What would a kill or a power cut leave of the store behind CMD?",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--nightly", action="store_true", help="thorough: about ten minutes")
    size.add_argument("--light", action="store_true", help="the likeliest only: 20 seconds")
    parser.add_argument("--model", action="append", choices=MODELS, help="only these models")
    parser.add_argument("--only", action="append", choices=PARTS, help="only these parts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.json there")
    parser.add_argument("--state", metavar="SELECTOR", help="judge one state of a finding again")
    parser.add_argument("--kill", type=int, metavar="N", help="kill at one call only")
    parser.add_argument("--fault", metavar="N:V", help="one run with faults only")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one run")
    parser.add_argument("--recorder", choices=RECORDERS, default="", help="default: what works")
    parser.add_argument("--server", type=Path, metavar="FILE", help="a server, by its subject file")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    options = parser.parse_args(arguments)
    if options.server:
        return _server(options)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("CMD is missing: the store adapter to explore")
    if shutil.which(command[0]) is None:
        parser.error(f"CMD must be a command that can be run, and {command[0]!r} is none")
    if options.state:
        return _replay(command, options.state, options.recorder)
    tier = NIGHTLY if options.nightly else LIGHT if options.light else CI
    parts = options.only or options.model or PARTS
    if options.kill:
        tier, parts = tier.one_kill(options.kill), ["killed"]
    if options.fault:
        nth, variant = map(int, options.fault.split(":"))
        tier, parts = tier.one_fault(nth, variant), ["fault"]
    outcome = examine(command, tier, options.seed, parts, options.timeout, print, options.recorder)
    print(report.text(outcome))
    if options.report:
        report.write(outcome, options.report)
    return outcome.exit_code


def _server(options: argparse.Namespace) -> int:
    # What examines servers speaks HTTP and needs the suite; stores are explored without it.
    outage = importlib.import_module("conformance.outage.command")
    tier = outage.NIGHTLY if options.nightly else outage.CI
    return int(outage.main(options.server, tier, options.seed, options.report))


def _replay(command: list[str], selector: str, recorder: str) -> int:
    listing, symptoms = replay(command, selector, recorder)
    print("\n".join(listing), "", *(symptoms or ["nothing is wrong in this state"]), sep="\n")
    return 1 if symptoms else 0


def _terminate(number: int, frame: object) -> None:
    sys.exit(128 + number)  # through every `finally`: nothing is left behind


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
