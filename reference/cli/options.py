"""What the commands take, for argparse."""

from __future__ import annotations

import argparse
from functools import partial

from reference.client import arguments as network_arguments

from . import ADAPTER, Handler, local, network

OWN = (local.serve, local.work, local.fixture)
"""Commands that read their options themselves, so that nobody else imports what they need."""


def seconds(text: str) -> float:
    """A length of time; named for what argparse calls it where it is none."""
    found = float(text)
    if not found >= 0:  # nor is nan, which is before nothing
        raise ValueError(text)
    return found


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    made = argparse.ArgumentParser(prog="musekit", description="The Muse reference commands.")
    made.add_argument("--debug", action="store_true", help="show a traceback on errors")
    commands = made.add_subparsers(  # told its program, it need not look for a terminal's width
        dest="command", required=True, metavar="COMMAND", prog="musekit"
    )

    def add(
        handler: Handler, name: str | None = None, what: str | None = None
    ) -> argparse.ArgumentParser:
        title, what = name or handler.__name__, what or handler.__doc__
        command = commands.add_parser(
            title, help=what, description=what, add_help=handler not in OWN
        )
        command.set_defaults(handler=handler)
        return command

    def add_authorship(command: argparse.ArgumentParser) -> None:
        command.add_argument("--author", help="who made it (default: the key's handle)")
        command.add_argument("--date", metavar="ISO", help="when, with an offset (default: now)")

    add(local.init).add_argument("dir", nargs="?", default=".", help="where (default: here)")
    add(local.hash_object, "hash-object").add_argument("file", nargs="+", help="a file of any size")
    add(local.cat_object, "cat-object").add_argument("id", help="sha256:<64 lower-case hex>")
    commands_commit = add(local.commit)
    commands_commit.add_argument("-m", "--message", required=True, help="what changed")
    commands_commit.add_argument("--sign", action="store_true", help="sign with the key of keygen")
    add_authorship(commands_commit)
    add(local.log).add_argument("--json", action="store_true", help="a whole record a line")
    add(local.status)
    branches = add(local.branch)
    branches.add_argument("name", nargs="?", help="the branch to make or remove")
    branches.add_argument("-d", "--delete", action="store_true", help="remove it")
    switching = add(local.switch)
    switching.add_argument("branch", help="where to go")
    switching.add_argument("-c", "--create", action="store_true", help="make it where HEAD stands")
    merging = add(local.merge)
    merging.add_argument("branch", help="what to merge, one of a remote too: origin/main")
    merging.add_argument("-m", "--message", help="what the merge is for (default: its branch)")
    add_authorship(merging)
    add(local.fsck)
    commands_gc = add(local.gc)
    grace = "keep what was written since then, though nothing reaches it (default: two weeks)"
    commands_gc.add_argument(
        "--grace", type=seconds, default=14 * 24 * 3600.0, metavar="SECONDS", help=grace
    )
    add(local.keygen).add_argument(
        "--handle", required=True, help="the name that servers know you by"
    )
    add(local.identity)
    adapter = add(local.store)
    adapter.add_argument("action", choices=ADAPTER)
    adapter.add_argument("dir", help="where the store is, or will be")
    network_arguments.add(partial(add, network))
    add(local.serve)
    add(local.work)
    add(local.fixture)
    return made
