"""The command line: arguments in, one line per error out, an exit code that tells why."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from reference.client import arguments as network_arguments
from reference.client.arguments import Arguments
from reference.client.wording import warn
from reference.wire.errors import ProtocolError

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from reference.store.repository import Repository

OK, WRONG, USAGE, BROKEN, NOT_FOUND, REMOTE = 0, 1, 2, 3, 4, 5
ADAPTER = ("init", "batch")
Handler = Callable[[Arguments], int]


def exit_code(problem: ProtocolError) -> int:
    """What a refused command exits with."""
    if problem.extra.get("remote"):
        return REMOTE
    if problem.code in ("integrity", "io"):
        return BROKEN
    return NOT_FOUND if problem.code.startswith(("unknown_", "not_found")) else WRONG


def find_root() -> str:
    """The repository that the current folder lies in."""
    folder = os.getcwd()
    while not os.path.isdir(f"{folder}/.muse"):
        above = os.path.dirname(folder)
        if above == folder:
            raise ProtocolError("not_found", "no repository here: run musekit init")
        folder = above
    return folder


def open_here() -> Repository:
    """The repository that a command is for."""
    from reference.store.repository import Repository

    return Repository(find_root())


def network(arguments: Arguments) -> int:
    """Talks to a server: the client is imported only here."""
    from reference.client import commands

    return commands.COMMANDS[arguments.command](arguments, open_here)


def _parsed(argv: Sequence[str]) -> Arguments:
    found = network_arguments.plain(argv)
    if found is not None:
        found.handler = network
        return found
    if len(argv) == 3 and argv[0] == "store" and argv[1] in ADAPTER and argv[2][:1] != "-":
        from . import local  # a store is asked by one process after the other, each started anew

        return Arguments(handler=local.store, debug=False, action=argv[1], dir=argv[2])
    from . import options  # with tables of languages: those above do without

    parser = options.parser()
    arguments, rest = parser.parse_known_args(argv, Arguments())
    if arguments.handler in options.OWN:
        arguments.rest = rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def run(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit code."""
    arguments = _parsed(argv)
    try:
        handler: Handler = arguments.handler
        return handler(arguments)
    except ProtocolError as problem:
        code = exit_code(problem)
        text = str(problem).replace("integrity: integrity check: ", "integrity check: ", 1)
    except FileNotFoundError as problem:
        code, text = NOT_FOUND, f"{problem.strerror}: {problem.filename!r}"
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader left: nothing more to say
        return OK
    except OSError as problem:
        code, text = BROKEN, f"io: {problem}"
    except KeyboardInterrupt:
        code, text = 130, "interrupted"
    if arguments.debug:
        import traceback

        traceback.print_exc()
    warn(text)
    return code
