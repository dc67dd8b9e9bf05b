"""What the network commands take; this module alone is imported by every command, so it is bare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from argparse import ArgumentParser

Arguments = SimpleNamespace
Add = Callable[[str, str], "ArgumentParser"]

_SHARED = {"--json": "counts, bytes, milliseconds", "--insecure": "sign over plain http, too"}
_PUSHING = {
    "--create": "make the remote repository first",
    "--force": "move the branch to any commit",
}
_COMMANDS: dict[str, tuple[str, Sequence[str], Mapping[str, str]]] = {
    "push": (
        "Pushes a branch, the current one unless it is named.",
        ("name", "branch"),
        _SHARED | _PUSHING,
    ),
    "fetch": (
        "Fetches all branches as NAME/BRANCH; your own stay where they are.",
        ("name",),
        _SHARED,
    ),
    "pull": (
        "Fetches, then merges the branch of the current one's name.",
        ("name",),
        _SHARED,
    ),
    "clone": (
        "Copies a remote repository into a new folder, verified.",
        ("url", "dir"),
        _SHARED,
    ),
    "ls-remote": ("Lists the branches of a remote repository.", ("url",), _SHARED),
}
"""For each command what it does, the words it takes in their order, and its flags."""
_PLACES = {
    "name": "the remote's name (default: origin)",
    "branch": "the branch (default: the current one)",
    "url": "http(s)://host/owner/slug",
    "dir": "the new folder (default: the slug)",
}
_DEFAULTS = {"name": "origin", "branch": None, "dir": None}
_TAKING = ("clone", "fetch", "pull")


def add(command: Add) -> None:
    """Adds each network command through `command(name, what it does)`."""
    remote = command("remote", "Names remote repositories, http(s)://host/owner/slug.")
    adding = remote.add_subparsers(dest="action", required=True).add_parser("add")
    adding.add_argument("name", help="what to call it: origin, most often")
    adding.add_argument("url", help=_PLACES["url"])
    for name, (what, places, flags) in _COMMANDS.items():
        parser = command(name, what)
        for place in places:
            if place in _DEFAULTS:
                default = _DEFAULTS[place]
                parser.add_argument(place, nargs="?", default=default, help=_PLACES[place])
            else:
                parser.add_argument(place, help=_PLACES[place])
        for flag, meaning in flags.items():
            parser.add_argument(flag, action="store_true", help=meaning)
        if name in _TAKING:
            limit = parser.add_argument("--limit", metavar="NAME=N", action="append", default=[])
            limit.help = "take in this much, whatever the server announces: raw_bytes=4000000000"


def is_network(words: Sequence[str]) -> bool:
    """Whether a command line is one of these commands, at first sight."""
    return bool(words) and words[0] in _COMMANDS


def plain(words: Sequence[str]) -> Arguments | None:
    """What argparse would make of a plain command, for a tenth of its time; else nothing.

    Plain are whole flags that take no value, before or behind all other words.
    """
    if not is_network(words):
        return None
    _, places, flags = _COMMANDS[words[0]]
    asked = [word for word in words[1:] if word.startswith("-")]
    given = [word for word in words[1:] if not word.startswith("-")]
    wanting = [place for place in places[len(given) :] if place not in _DEFAULTS]
    if wanting or len(given) > len(places) or not flags.keys() >= set(asked):
        return None
    if list(words[1:]) not in (asked + given, given + asked):
        return None
    found = Arguments(command=words[0], debug=False)
    found.__dict__.update((place, _DEFAULTS.get(place)) for place in places)
    found.__dict__.update(zip(places, given, strict=False))
    found.__dict__.update((flag[2:], flag in asked) for flag in flags)
    if words[0] in _TAKING:
        found.limit = []
    return found
