"""The commands that need no network; each imports what it works with, so that others start soon."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from reference.client.arguments import Arguments
from reference.client.wording import counted, say, warn
from reference.wire.errors import ProtocolError

from . import OK, open_here

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any


def init(arguments: Arguments) -> int:
    """Makes an empty repository, or finishes a half-made one."""
    from reference.store.repository import Repository

    root = os.path.abspath(arguments.dir)
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

    repository = open_here()
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
    if not message.strip():
        raise ProtocolError("invalid", "message: say in a few words what changed")
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
    repository = open_here()
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

    repository = open_here()
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

    found = working.status(open_here())
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


def _check_new(branch: str) -> None:
    """A store may hold such a branch; a person who makes one has mistaken a word for another."""
    if branch == "HEAD":
        raise ProtocolError("invalid", "HEAD is where you stand: give the branch another name")


def branch(arguments: Arguments) -> int:
    """Lists branches; with a name, makes one where HEAD stands; with -d, removes one."""
    from reference.store import refs
    from reference.store.working import head_commit

    repository = open_here()
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
        _check_new(arguments.name)
        refs.write(repository.dot, arguments.name, head, expect=None)
    return OK


def switch(arguments: Arguments) -> int:
    """Goes to another branch and writes its files."""
    from reference.store import working

    if arguments.create:
        _check_new(arguments.branch)
    working.switch(open_here(), arguments.branch, arguments.create)
    return OK


def merge(arguments: Arguments) -> int:
    """Merges a branch into the current one, path by path."""
    from reference.store import durable, working

    repository = open_here()
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

    problems = checker.problems(open_here())
    for problem in problems:
        say(problem)
    if problems:
        raise ProtocolError("integrity", f"{counted(len(problems), 'problem')} found")
    say("sound")
    return OK


def gc(arguments: Arguments) -> int:
    """Removes what nothing reaches and packs what is loose."""
    from reference.store import gc as collector

    say(f"{collector.collect(open_here(), arguments.grace)} removed")
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
