"""Calls that change which names there are, and what they lead to."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from . import tasks as proc
from .syscalls import O_TMPFILE
from .tasks import AT_FDCWD, Arguments, Effect, signed
from .trace import Op
from .tree import Node, load

if TYPE_CHECKING:
    from .recorder import Recorder

_RENAME_EXCHANGE, _AT_REMOVEDIR, _AT_FOLLOW, _AT_EMPTY = 2, 0x200, 0x400, 0x1000


def open(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    base, address = (AT_FDCWD, arguments[0]) if call in ("open", "creat") else arguments[:2]
    if call == "creat":
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
    elif call == "openat2":
        flags = rec.tasks.number(task, arguments[2])
        if not flags & (os.O_CREAT | os.O_TRUNC | O_TMPFILE):
            return None
    else:
        flags = arguments[1 if call == "open" else 2]
    folder, name, place = rec.place(task, base, address)
    unnamed = bool(flags & O_TMPFILE)
    if unnamed:
        folder = rec.node(proc.status(place))
    if folder is None:
        _elsewhere(rec, task, place, flags)
        return None
    exists = not unnamed and name in rec.tree.nodes[folder].entries
    path = rec.path(folder, "" if unnamed else name)
    words = ["O_CREAT"] if flags & os.O_CREAT else []
    words += [word for word in ("O_EXCL", "O_TRUNC", "O_APPEND") if flags & getattr(os, word)]
    text = f"open({path}, {'|'.join(['O_TMPFILE'] if unnamed else words)})"
    exclusive = bool(flags & os.O_EXCL)

    def finish(result: int) -> None:
        if rec.failed(task, "create", text, result, -1, path):
            return
        found = proc.status(proc.descriptor(task, result))
        known = rec.node(found)
        if exists:
            if known is None:
                rec.recording.doubt(f"{text} led out of the folder")
            elif flags & os.O_TRUNC and rec.tree.nodes[known].data:
                rec.add(Op("truncate", text, task, node=known, path=path))
        else:
            mode = stat.S_IMODE(found.st_mode) if found is not None else 0o600
            number = rec.new(found, Node("file", mode))
            binds = () if unnamed else ((folder, name, number),)
            op = Op("create", text, task, node=number, binds=binds, path=path,
                    exclusive=exclusive)  # fmt: skip
            rec.add(op)

    return finish, path


def _elsewhere(rec: Recorder, task: int, place: str, flags: int) -> None:
    real = os.path.realpath(place)
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    if writes and not real.startswith(rec.elsewhere_allowed) and not os.path.isdir(real):
        rec.recording.note(f"writes elsewhere: {real}")


def mkdir(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    base, address = (AT_FDCWD, arguments[0]) if call in ("mkdir", "mknod") else arguments[:2]
    folder, name, place = rec.place(task, base, address)
    if folder is None:
        return None
    path = rec.path(folder, name)

    def finish(result: int) -> None:
        text = f"{call}({path})"
        if rec.failed(task, "create", text, result, -1, path):
            return
        found = proc.status(place, follow=False)
        if found is None:
            rec.recording.doubt(f"{text} left nothing")
            return
        number = rec.new(found, load(place, found))
        rec.add(Op("create", text, task, node=number, binds=((folder, name, number),),
                    path=path))  # fmt: skip

    return finish, path


def symlink(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    shifted = (0, 0, *arguments) if call == "symlink" else (0, *arguments)
    base = AT_FDCWD if call == "symlink" else shifted[2]
    return mkdir(rec, task, "symlinkat", (base, shifted[3]))


def rename(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    if call == "rename":
        arguments = (AT_FDCWD, arguments[0], AT_FDCWD, arguments[1], 0)
    flags = arguments[4] if call != "renameat" else 0
    source, old, place = rec.place(task, arguments[0], arguments[1])
    target, new, _ = rec.place(task, arguments[2], arguments[3])
    if source is None and target is None:
        return None
    before = proc.status(place, follow=False)
    moved = rec.tree.nodes[source].entries.get(old) if source is not None else None
    over = rec.tree.nodes[target].entries.get(new) if target is not None else None
    path = rec.path(target, new) if target is not None else "(outside)"
    from_path = rec.path(source, old) if source is not None else "(outside)"
    text = f"rename({from_path} -> {path})"

    def finish(result: int) -> None:
        if rec.failed(task, "bind", text, result, moved if moved is not None else -1, path):
            return
        if moved is not None and moved == over:
            return  # two names of one file: nothing happens
        number = moved
        if number is None and before is not None and target is not None:
            fresh = os.path.join(rec.folder, path)
            number = rec.new(before, load(fresh, before))
            rec.recording.note(f"{text}: came from outside, taken as never synced")
            data = rec.tree.nodes[number].data
            rec.add(Op("write", text, task, node=number, data=data, path=path))
        binds: list[tuple[int, str, int | None]] = []
        if source is not None:
            binds.append((source, old, over if flags & _RENAME_EXCHANGE else None))
        if target is not None:
            binds.append((target, new, number))
        rec.add(Op("bind", text, task, node=number if number is not None else -1,
                    binds=tuple(binds), path=path))  # fmt: skip

    return finish, path


def link(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    if call == "link":
        arguments = (AT_FDCWD, arguments[0], AT_FDCWD, arguments[1], 0)
    target, new, _ = rec.place(task, arguments[2], arguments[3])
    if target is None:
        return None
    source = proc.absolute(task, signed(arguments[0]), rec.tasks.text(task, arguments[1]))
    follow = bool(arguments[4] & (_AT_FOLLOW | _AT_EMPTY))
    number = rec.node(proc.status(source, follow=follow))
    path = rec.path(target, new)

    def finish(result: int) -> None:
        text = f"link({rec.path(number) if number is not None else source} -> {path})"
        if rec.failed(task, "bind", text, result, number or -1, path):
            return
        if number is None:
            rec.recording.doubt(f"{text}: a file from outside the folder")
            return
        rec.add(Op("bind", text, task, node=number, binds=((target, new, number),), path=path))

    return finish, path


def unlink(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    base, address = arguments[:2] if call == "unlinkat" else (AT_FDCWD, arguments[0])
    folder, name, _ = rec.place(task, base, address)
    if folder is None:
        return None
    word = "rmdir" if call == "rmdir" or arguments[2] & _AT_REMOVEDIR else "unlink"
    if call == "unlink":
        word = "unlink"
    path = rec.path(folder, name)

    def finish(result: int) -> None:
        if not rec.failed(task, "bind", f"{word}({path})", result, -1, path):
            rec.add(Op("bind", f"{word}({path})", task, binds=((folder, name, None),),
                        path=path))  # fmt: skip

    return finish, path


def chmod(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    if call == "fchmod":
        place = proc.descriptor(task, signed(arguments[0]))
    else:
        base, address = (AT_FDCWD, arguments[0]) if call == "chmod" else arguments[:2]
        place = proc.absolute(task, signed(base), rec.tasks.text(task, address))
    node = rec.node(proc.status(place))
    if node is None:
        return None
    path = rec.path(node)

    def finish(result: int) -> None:
        found = proc.status(place)
        mode = stat.S_IMODE(found.st_mode) if found is not None else 0
        text = f"chmod({path}, {mode:04o})"
        if not rec.failed(task, "mode", text, result, node, path):
            rec.add(Op("mode", text, task, node=node, mode=mode, path=path))

    return finish, path
