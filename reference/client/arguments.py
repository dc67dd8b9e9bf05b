"""What the network commands take; this module alone is imported by every command, so it is bare."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable

Add = Callable[[str, str], ArgumentParser]

_COMMANDS = {
    "push": "Pushes a branch, the current one unless it is named.",
    "fetch": "Fetches all branches as NAME/BRANCH; your own stay where they are.",
    "pull": "Fetches, then merges the branch of the current one's name.",
    "clone": "Copies a remote repository into a new folder, verified.",
    "ls-remote": "Lists the branches of a remote repository.",
}


def add(command: Add) -> None:
    """Adds each network command through `command(name, what it does)`."""
    remote = command("remote", "Names remote repositories, http(s)://host/owner/slug.")
    adding = remote.add_subparsers(dest="action", required=True).add_parser("add")
    adding.add_argument("name")
    adding.add_argument("url")
    made = {name: command(name, what) for name, what in _COMMANDS.items()}
    for name, parser in made.items():
        if name in ("clone", "ls-remote"):
            parser.add_argument("url")
        else:
            parser.add_argument("name", nargs="?", default="origin")
        parser.add_argument("--json", action="store_true", help="counts, bytes, milliseconds")
        parser.add_argument("--insecure", action="store_true", help="sign over plain http, too")
        if name in ("clone", "fetch", "pull"):
            limit = parser.add_argument("--limit", metavar="NAME=N", action="append", default=[])
            limit.help = "take in this much, whatever the server announces: raw_bytes=4000000000"
    made["clone"].add_argument("dir", nargs="?")
    push = made["push"]
    push.add_argument("branch", nargs="?")
    push.add_argument("--create", action="store_true", help="make the remote repository first")
    push.add_argument("--force", action="store_true", help="move the branch to any commit")
