"""The network commands: what a person types, and what they get to read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reference.store import durable, refs
from reference.wire.errors import ProtocolError

from . import address
from .arguments import Arguments
from .progress import Steps
from .remote import LIMITS, Remote
from .wording import counted, say, warn

if TYPE_CHECKING:
    from reference.keys import Identity
    from reference.store.repository import Repository

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
Here = Callable[[], "Repository"]
"""Finds the repository that the command was called in."""


def _print(arguments: Arguments, fields: dict[str, Any], steps: Steps, text: str) -> None:
    for note in fields.get("notes", ()):
        warn(note)
    if arguments.json:
        print(json.dumps({**fields, "ms": steps.ms}))
        return
    for line in text.splitlines():
        say(line)


def _remotes(repository: Repository) -> dict[str, Any]:
    from reference.store import state

    return _tables(state.get_state(repository.dot, "config"))


def _tables(config: dict[str, Any]) -> dict[str, Any]:
    """The remotes of a configuration, which people write by hand."""
    found = config.setdefault("remotes", {})
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        why = ".muse/config.toml: a remote must be a table [remotes.NAME] with its url"
        raise ProtocolError("invalid", why)
    return found


def _identity() -> Identity:
    from reference import keys

    return keys.load()


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in LIMITS or not (number.isascii() and number.isdigit()):
        raise ProtocolError(
            "invalid", f"--limit {text}: one of {', '.join(LIMITS)}, = and a number"
        )
    return name, int(number)


@contextmanager
def _connected(url: str, arguments: Arguments, insecure: bool = False) -> Iterator[Remote]:
    takes = dict(map(_limit, getattr(arguments, "limit", ())))
    remote = Remote(url, _identity, insecure or arguments.insecure, takes)
    try:
        yield remote
    finally:
        remote.close()


@contextmanager
def _remote(repository: Repository, arguments: Arguments) -> Iterator[Remote]:
    """The remote by its name in config.toml, where `insecure = true` may stand beside its url."""
    name = arguments.name
    entry = _remotes(repository).get(name)
    if entry is None or not isinstance(entry.get("url"), str):
        why = f"no remote {name!r}: musekit remote add {name} URL"
        raise ProtocolError("not_found", why)
    insecure = entry.get("insecure") is True
    # a collection waits: what is read for the server, or fetched and not yet named, stays
    waits = durable.lock(repository.dot, exclusive=False)
    with waits, _connected(entry["url"], arguments, insecure) as made:
        yield made


def remote_add(arguments: Arguments, here: Here) -> int:
    """Names a remote repository, http(s)://host/owner/slug."""
    from reference.store import state

    repository = here()
    if not _NAME.fullmatch(arguments.name):
        raise ProtocolError("invalid", f"{arguments.name!r} cannot name a remote")
    address.split_repository(arguments.url)
    with durable.lock(repository.dot, exclusive=True):
        config = state.get_state(repository.dot, "config")
        known = _tables(config).setdefault(arguments.name, {})
        if known.get("url", arguments.url) != arguments.url:
            raise ProtocolError("conflict", f"{arguments.name} is {known['url']} already")
        known["url"] = arguments.url
        state.set_state(repository.dot, "config", None, config)
    return 0


def push(arguments: Arguments, here: Here) -> int:
    """Pushes a branch, the current one unless it is named."""
    from .push import push as run

    repository, steps = here(), Steps()
    branch = arguments.branch or refs.read_head(repository.dot)[0]
    if branch is None:
        raise ProtocolError("invalid", "HEAD names no branch: name the branch to push")
    head = refs.read(repository.dot, branch)
    if head is None:
        raise ProtocolError("not_found", f"no branch {branch!r} with a commit here")
    with _remote(repository, arguments) as remote:
        if arguments.create:
            with steps.step("create"):
                remote.create()
        result = run(repository, remote, branch, head, arguments.force, steps)
    new = f"{counted(result.stored_commits, 'commit')}, {counted(result.stored_blobs, 'blob')}"
    there = f"{counted(result.already_present, 'blob')} there already"
    text = f"{result.message}\n{new} new there, {there}"
    _print(arguments, result._asdict(), steps, text)
    return 0


def fetch(arguments: Arguments, here: Here) -> int:
    """Fetches all branches of a remote as NAME/BRANCH; your own branches stay where they are."""
    from .fetch import fetch as run

    repository, steps = here(), Steps()
    with _remote(repository, arguments) as remote:
        result = run(repository, remote, arguments.name, steps)
    new = f"{counted(result.commits, 'new commit')}, {counted(result.blobs, 'new blob')}"
    text = f"{counted(len(result.heads), 'branch')}, {new}"
    _print(arguments, vars(result), steps, text)
    return 0


def pull(arguments: Arguments, here: Here) -> int:
    """Fetches, then brings the remote's branch of the same name into the current one."""
    from datetime import datetime

    from .fetch import fetch as run

    repository, steps = here(), Steps()
    branch, _ = refs.read_head(repository.dot)
    if branch is None:
        raise ProtocolError("conflict", "HEAD names no branch: musekit switch BRANCH first")
    with _remote(repository, arguments) as remote:
        fetched = run(repository, remote, arguments.name, steps, _ready_to_merge)
        from reference.store import working

        if branch not in fetched.heads:
            why = f"{arguments.name} has no branch {branch!r}"
            raise ProtocolError("unknown_branch", why, remote=True)
        source = f"{arguments.name}/{branch}"
        with steps.step("merge"):
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            author = _handle() or os.environ.get("USER", "")
            fields = {"message": f"Merge {source}", "author": author, "committed_at": now}
            outcome = working.merge(repository, source, fields)
    if outcome.conflicts:
        paths = ", ".join(outcome.conflicts[:5])
        count = counted(len(outcome.conflicts), "conflict")
        raise ProtocolError("conflict", f"{count} ({paths}): mend what is listed, then commit")
    result = {"result": outcome.result, "head": outcome.commit_id}
    text = f"{outcome.result} {outcome.commit_id}"
    _print(arguments, {**vars(fetched), **result}, steps, text)
    return 0


def _ready_to_merge() -> None:
    from reference.store import intake, working  # noqa: F401  # while the server makes the pack


def _handle() -> str | None:
    try:
        return _identity().handle
    except ProtocolError as problem:
        if problem.code != "not_found":
            raise
        return None


def clone(arguments: Arguments, here: Here) -> int:
    """Copies a remote repository into a new folder, verified, its working tree written."""
    from .clone import clone as run

    steps = Steps()
    with _connected(arguments.url, arguments) as remote:
        root = os.path.abspath(arguments.dir or remote.slug)
        result = run(remote, root, steps)
    text = f"{counted(result.commits, 'commit')}, {counted(result.blobs, 'blob')} in {root}"
    _print(arguments, {**vars(result), "dir": root}, steps, text)
    return 0


def ls_remote(arguments: Arguments, here: Here) -> int:
    """Lists a remote repository's branches."""
    steps = Steps()
    with _connected(arguments.url, arguments) as remote, steps.step("refs"):
        found = remote.refs()
    text = "\n".join(f"{head}  {branch}" for branch, head in sorted(found.heads.items()))
    fields = {"heads": found.heads, "default_branch": found.default}
    if text or arguments.json:
        _print(arguments, fields, steps, text)
    return 0


COMMANDS: dict[str, Callable[[Arguments, Here], int]] = {
    "remote": remote_add,
    "push": push,
    "fetch": fetch,
    "pull": pull,
    "clone": clone,
    "ls-remote": ls_remote,
}
