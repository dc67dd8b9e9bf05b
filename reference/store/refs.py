"""Branches and HEAD: small files that move only from a value somebody saw."""

from __future__ import annotations

import contextlib
import errno
import os

from reference.wire.errors import ProtocolError
from reference.wire.ids import check_id, is_id
from reference.wire.names import COMPONENT_BYTES, ancestors, check_branch

from . import durable, folders


class Unset:
    """Stands for an expectation nobody stated."""


UNSET = Unset()
_HEAD_BRANCH, _HEAD_COMMIT = "ref: refs/heads/", "commit: "


def _folder(dot: str) -> str:
    return f"{dot}/refs/heads"


def check_folder(dot: str) -> None:
    """`init` makes the folder before HEAD: a store without it lost its branches."""
    if not os.path.isdir(_folder(dot)):
        why = "integrity check: .muse/refs/heads is missing or no folder: bring it back from a copy"
        raise ProtocolError("integrity", why)


def _path(dot: str, branch: str) -> str:
    return f"{_folder(dot)}/{check_branch(branch)}"


def check_holdable(dot: str, branch: str, conflicts: bool = True) -> None:
    """Refuses a name that the file system, or the branches that are there, leave no room for."""
    check_branch(branch)
    for segment in branch.split("/"):
        if len(segment.encode()) > COMPONENT_BYTES or durable.is_temp(segment):
            raise ProtocolError("invalid", f"branch {branch[:80]!r} cannot be a file here")
    if not conflicts:
        return
    for folder in ancestors(branch):
        if os.path.isfile(f"{_folder(dot)}/{folder}"):
            raise ProtocolError("conflict", f"branch {folder!r} leaves no room for {branch!r}")
    if _walk(f"{_folder(dot)}/{branch}", f"{branch}/"):
        raise ProtocolError("conflict", f"branches below {branch!r} leave no room for it")


def read(dot: str, branch: str) -> str | None:
    """The commit a branch is at, or nothing."""
    try:
        with open(_path(dot, branch), "rb") as file:
            text = file.read().decode("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        check_folder(dot)
        return None
    except OSError as problem:
        if problem.errno == errno.ENAMETOOLONG:
            return None
        raise
    if not is_id(text):
        why = f"branch {branch!r} holds {text!r:.90}, no commit id: musekit fsck lists what is left"
        raise ProtocolError("integrity", f"integrity check: {why}")
    return text


def branches(dot: str) -> list[str]:
    """The name of every branch, whatever its file holds."""
    return _walk(_folder(dot), "")


def list_refs(dot: str) -> dict[str, str]:
    """Every branch and the commit it is at."""
    check_folder(dot)
    found = {}
    for name in branches(dot):
        head = read(dot, name)
        if head is not None:  # removed since it was listed
            found[name] = head
    return found


def _walk(folder: str, prefix: str) -> list[str]:
    names = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            names += _walk(entry.path, f"{prefix}{entry.name}/")
        elif not durable.is_temp(entry.name):
            names.append(prefix + entry.name)
    return names


def write(dot: str, branch: str, commit_id: str, expect: str | Unset | None = UNSET) -> None:
    """Moves a branch; with `expect` only from that value, None meaning it is not there yet."""
    check_id(commit_id, "commit")
    check_holdable(dot, branch, conflicts=False)
    check_folder(dot)
    with durable.lock(_folder(dot), exclusive=True):
        check_holdable(dot, branch)
        if not isinstance(expect, Unset):
            found = read(dot, branch)
            if found != expect:
                raise ProtocolError("conflict", f"branch {branch!r} is at {found}, not {expect}")
        _clear_empty_folder(_path(dot, branch))
        for folder in ancestors(branch):  # another process may have removed and remade them
            folders.forget_folder(f"{_folder(dot)}/{folder}")
        durable.write(_path(dot, branch), commit_id.encode())


def delete(dot: str, branch: str) -> str:
    """Removes a branch, and the folders that only it needed; returns where it was."""
    check_folder(dot)
    with durable.lock(_folder(dot), exclusive=True):
        found = read(dot, branch)
        if found is None:
            raise ProtocolError("not_found", f"no branch {branch!r} here")
        durable.remove(_path(dot, branch))
        for folder in ancestors(branch):
            with contextlib.suppress(OSError):  # not empty: another branch lives in it
                os.rmdir(f"{_folder(dot)}/{folder}")
    return found


def _clear_empty_folder(path: str) -> None:
    """Empty folders that a removed branch left do not stand in a new one's way."""
    if os.path.isdir(path):
        durable.sweep(path)
        for folder, _, _ in os.walk(path, topdown=False):
            os.rmdir(folder)


def read_head(dot: str) -> tuple[str | None, str | None]:
    """The branch HEAD names, or the commit; one of them is None."""
    with open(f"{dot}/HEAD", "rb") as file:
        text = file.read().decode("utf-8", "surrogateescape")  # which no branch may have
    value = text[:-1]
    if text.endswith("\n"):
        if value.startswith(_HEAD_COMMIT) and is_id(value.removeprefix(_HEAD_COMMIT)):
            return None, value.removeprefix(_HEAD_COMMIT)
        if value.startswith(_HEAD_BRANCH):
            with contextlib.suppress(ProtocolError):
                return check_branch(value.removeprefix(_HEAD_BRANCH)), None
    why = f"HEAD holds {text!r:.90}: write `{_HEAD_BRANCH}BRANCH` and a line feed into .muse/HEAD"
    raise ProtocolError("integrity", f"integrity check: {why}")


def write_head(dot: str, *, branch: str | None = None, commit: str | None = None) -> None:
    """Points HEAD at a branch, which need not have a commit yet, or at a commit."""
    if branch is not None:
        check_holdable(dot, branch, conflicts=False)
        text = f"{_HEAD_BRANCH}{branch}\n"
    else:
        text = f"{_HEAD_COMMIT}{check_id(commit, 'commit')}\n"
    durable.write(f"{dot}/HEAD", text.encode())
