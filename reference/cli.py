"""The command line: arguments in, one line per error out, an exit code that tells why.

Longer than other modules, since each local command is one short function of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from reference.client import arguments as network_arguments
from reference.client.arguments import Arguments
from reference.client.wording import counted, say, warn
from reference.wire.errors import ProtocolError

if TYPE_CHECKING:
    import argparse

OK, WRONG, USAGE, BROKEN, NOT_FOUND, REMOTE = 0, 1, 2, 3, 4, 5
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


def _open() -> Any:
    from reference.store.repository import Repository

    return Repository(find_root())


def init(arguments: Arguments) -> int:
    """Makes an empty repository, or finishes a half-made one."""
    from reference.store import state
    from reference.store.repository import Repository

    root = os.path.abspath(arguments.dir)
    if begun := state.unfinished_clone(root):
        raise ProtocolError("conflict", f"{root!r} holds {begun}")
    Repository.init(root)
    say(f"repository in {root}")
    return OK


def hash_object(arguments: Arguments) -> int:
    """Prints the id of each file's bytes; nothing is written."""
    from hashlib import sha256

    for path in arguments.file:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest, seen = sha256(b"blob %d\0" % size), 0
            while chunk := file.read(1 << 20):
                seen += len(chunk)
                digest.update(chunk)
        if seen != size:
            raise ProtocolError("conflict", f"{path!r} changed while it was read: try again")
        say(f"sha256:{digest.hexdigest()}")
    return OK


def cat_object(arguments: Arguments) -> int:
    """Writes the bytes of a blob, or the record of a commit or snapshot, to standard output."""
    import json

    from reference.wire.ids import check_id

    repository = _open()
    object_id = check_id(arguments.id)
    record = repository.find_commit(object_id) or repository.find_snapshot(object_id)
    content = json.dumps(record, indent=2).encode() + b"\n" if record else None
    sys.stdout.buffer.write(repository.blob(object_id) if content is None else content)
    sys.stdout.buffer.flush()
    return OK


def _fields(arguments: Arguments, message: str) -> dict[str, str]:
    """What a new commit says, the time being now and the author whoever has the key."""
    from datetime import datetime

    now = datetime.now().astimezone().isoformat(timespec="seconds")
    author = _author(arguments.author)
    fields = {"message": message, "author": author, "committed_at": arguments.date or now}
    for name, value in fields.items():
        if value.encode(errors="replace").decode() != value:
            raise ProtocolError("invalid", f"{name}: must be valid UTF-8")
    return fields


def _author(given: str | None) -> str:
    if given is not None:
        return given
    from reference import keys

    try:
        return keys.load().handle
    except ProtocolError as problem:
        if problem.code != "not_found":
            raise
        return os.environ.get("USER", "")


def commit(arguments: Arguments) -> int:
    """Commits the working tree on the current branch."""
    from reference.store import durable, working

    key = ""
    finish: Callable[[dict[str, Any]], dict[str, Any]] = dict
    if arguments.sign:
        from reference import keys

        identity = keys.load()
        key, finish = identity.public_key, identity.sign
    repository = _open()
    with durable.lock(repository.dot, exclusive=False):
        fields = _fields(arguments, arguments.message) | {"signer_public_key": key}
        record, notes = working.commit(repository, fields, finish)
    for note in notes:
        warn(note)
    say(f"{record['commit_id']} on {record['branch']}")
    return OK


def log(arguments: Arguments) -> int:
    """Lists the current branch's commits, the newest first."""
    import json

    from reference.core.history import reachable
    from reference.store.working import head_commit
    from reference.wire.records import parents

    repository = _open()
    _, head = head_commit(repository)
    starts = [head] if head else []
    for commit_id in reversed(reachable(lambda oid: parents(repository.commit(oid)), starts)):
        record = repository.commit(commit_id)
        if arguments.json:
            say(json.dumps(record))
        else:
            say(f"{commit_id}  {record['committed_at']}  {record['author']}")
            for line in record["message"].split("\n"):
                say("    " + line.expandtabs())
    return OK


def status(arguments: Arguments) -> int:
    """Says where HEAD stands and what differs from it."""
    from reference.store import working

    found = working.status(_open())
    where = f"on {found.branch}" if found.branch else "on no branch"
    say(f"{where}, {found.head or 'no commit yet'}")
    for word, paths in (
        ("conflict", found.conflicts),
        ("new", found.new),
        ("changed", found.changed),
        ("gone", found.gone),
    ):
        for path in paths:
            say(f"{word:8} {path}")
    for note in found.notes:
        warn(note)
    return OK


def branch(arguments: Arguments) -> int:
    """Lists branches; with a name, makes one where HEAD stands; with -d, removes one."""
    from reference.store import refs
    from reference.store.working import head_commit

    repository = _open()
    current, head = head_commit(repository)
    if arguments.name is None:
        for name, commit_id in sorted(refs.list_refs(repository.dot).items()):
            say(f"{'*' if name == current else ' '} {name}  {commit_id}")
    elif arguments.delete:
        if arguments.name == current:
            raise ProtocolError("conflict", "this branch is checked out: switch to another first")
        was = refs.delete(repository.dot, arguments.name)
        say(f"removed {arguments.name}, which was at {was}")
    elif head is None:
        raise ProtocolError("not_found", "no commit to branch from yet")
    else:
        refs.write(repository.dot, arguments.name, head, expect=None)
    return OK


def switch(arguments: Arguments) -> int:
    """Goes to another branch and writes its files."""
    from reference.store import working

    working.switch(_open(), arguments.branch, arguments.create)
    return OK


def merge(arguments: Arguments) -> int:
    """Merges a branch into the current one, path by path."""
    from reference.store import durable, working

    repository = _open()
    with durable.lock(repository.dot, exclusive=False):
        fields = _fields(arguments, arguments.message or f"Merge {arguments.branch}")
        outcome = working.merge(repository, arguments.branch, fields)
    for path, sides in outcome.sides.items():
        base, ours, theirs = (side or "none" for side in sides)
        say(f"conflict {path}  base {base}  ours {ours}  theirs {theirs}")
    if outcome.conflicts:
        count = counted(len(outcome.conflicts), "conflict")
        raise ProtocolError("conflict", f"{count}: mend what is listed, then commit")
    say(f"{outcome.result} {outcome.commit_id}")
    return OK


def fsck(arguments: Arguments) -> int:
    """Verifies everything that is stored."""
    from reference.store import fsck as checker

    problems = checker.problems(_open())
    for problem in problems:
        say(problem)
    if problems:
        raise ProtocolError("integrity", f"{counted(len(problems), 'problem')} found")
    say("sound")
    return OK


def gc(arguments: Arguments) -> int:
    """Removes what nothing reaches and packs what is loose."""
    from reference.store import gc as collector

    say(f"{collector.collect(_open(), arguments.grace)} removed")
    return OK


def keygen(arguments: Arguments) -> int:
    """Makes the key that requests and commits are signed with."""
    from reference import keys
    from reference.wire.msign import check_handle

    identity = keys.generate(check_handle(arguments.handle))
    say(f"{identity.handle} {identity.public_key}")
    return OK


def identity(arguments: Arguments) -> int:
    """Shows the handle and the public key in use."""
    from reference import keys

    found = keys.load()
    say(f"{found.handle} {found.public_key}")
    return OK


def store(arguments: Arguments) -> int:
    """The store adapter: `init` makes a store, `batch` answers one JSON line for each."""
    from reference.store import adapter
    from reference.store.repository import Repository

    if arguments.action == "init":
        Repository.init(arguments.dir)
        return OK

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    adapter.batch(arguments.dir, sys.stdin.buffer, write)
    return OK


def fixture(arguments: Arguments) -> int:
    """Builds a fixture repository with a fixed seed."""
    from importlib import import_module

    # Fixtures build on the reference and not the other way round, so they are looked up by name.
    return int(import_module("fixtures.command").main(arguments.rest))


def serve(arguments: Arguments) -> int:
    """Runs the server; with no options on a PostgreSQL and files of its own."""
    from reference.server import main

    return main.serve(arguments.rest)


def work(arguments: Arguments) -> int:
    """Runs background jobs beside servers on the same database."""
    from reference.server import main

    return main.work(arguments.rest)


def network(arguments: Arguments) -> int:
    """Talks to a server: the client is imported only here."""
    from reference.client import commands

    return commands.COMMANDS[arguments.command](arguments, _open)


OWN_OPTIONS = (serve, work, fixture)
"""Commands that read their options themselves, so that nobody else imports what they need."""


def _parser() -> argparse.ArgumentParser:
    import argparse  # with tables of languages: plain network commands do without

    parser = argparse.ArgumentParser(prog="musekit", description="The Muse reference commands.")
    parser.add_argument("--debug", action="store_true", help="show a traceback on errors")
    commands = parser.add_subparsers(  # told its program, it need not look for a terminal's width
        dest="command", required=True, metavar="COMMAND", prog="musekit"
    )

    def add(
        handler: Handler, name: str | None = None, what: str | None = None
    ) -> argparse.ArgumentParser:
        title, what = name or handler.__name__, what or handler.__doc__
        command = commands.add_parser(
            title, help=what, description=what, add_help=handler not in OWN_OPTIONS
        )
        command.set_defaults(handler=handler)
        return command

    def add_authorship(command: argparse.ArgumentParser) -> None:
        command.add_argument("--author", help="who made it (default: the key's handle)")
        command.add_argument("--date", metavar="ISO", help="when, with an offset (default: now)")

    add(init).add_argument("dir", nargs="?", default=".")
    add(hash_object, "hash-object").add_argument("file", nargs="+")
    add(cat_object, "cat-object").add_argument("id")
    commands_commit = add(commit)
    commands_commit.add_argument("-m", "--message", required=True)
    commands_commit.add_argument("--sign", action="store_true", help="sign with the key of keygen")
    add_authorship(commands_commit)
    add(log).add_argument("--json", action="store_true")
    add(status)
    branches = add(branch)
    branches.add_argument("name", nargs="?")
    branches.add_argument("-d", "--delete", action="store_true")
    switching = add(switch)
    switching.add_argument("branch")
    switching.add_argument("-c", "--create", action="store_true")
    merging = add(merge)
    merging.add_argument("branch")
    merging.add_argument("-m", "--message")
    add_authorship(merging)
    add(fsck)
    add(gc).add_argument("--grace", type=float, default=14 * 24 * 3600.0, metavar="SECONDS")
    add(keygen).add_argument("--handle", required=True)
    add(identity)
    adapter = add(store)
    adapter.add_argument("action", choices=["init", "batch"])
    adapter.add_argument("dir")
    network_arguments.add(partial(add, network))
    add(serve)
    add(work)
    add(fixture)
    return parser


def _parsed(argv: Sequence[str]) -> Arguments:
    found = network_arguments.plain(argv)
    if found is not None:
        found.handler = network
        return found
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv, Arguments())
    if arguments.handler in OWN_OPTIONS:
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
