"""Calls that change or sync what a file holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import tasks as proc
from .tasks import Arguments, Effect, signed
from .trace import Op

if TYPE_CHECKING:
    from .recorder import Recorder

_RWF_DSYNC, _RWF_SYNC = 2, 4
_KEEP_SIZE, _PUNCH, _ZERO = 1, 2, 16


def write(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    number = signed(arguments[0])
    opened = rec.tasks.opened(task, number)
    if opened is None:
        return None
    file, at, flags = opened
    vectored = "v" in call
    output, node = rec.outputs.get(file), rec.known(file)
    if output is None and node is None:
        return None
    pieces = (
        rec.tasks.vector(task, arguments[1], arguments[2])
        if vectored
        else [(arguments[1], arguments[2])]
    )
    if output is not None:
        output(rec.tasks.gather(task, pieces, 1 << 22))
        return None
    assert node is not None
    if call.startswith("p") and not (call == "pwritev2" and signed(arguments[3]) == -1):
        at = arguments[3]
    if flags & os.O_APPEND:
        at = len(rec.tree.nodes[node].data)
    extra = arguments[5] if call == "pwritev2" else 0
    path = rec.path(node)

    def finish(result: int) -> None:
        text = f"{call}({path}, {max(result, 0)} bytes at {at})"
        if rec.failed(task, "write", text, result, node, path):
            return
        data = rec.tasks.gather(task, pieces, result)
        if len(data) != result:
            rec.recording.doubt(f"could not read what was written: {text}")
        rec.add(Op("write", text, task, node=node, offset=at, data=data, path=path))
        if flags & os.O_SYNC == os.O_SYNC or extra & _RWF_SYNC:
            rec.add(Op("sync", f"  (O_SYNC on {path})", task, node=node, path=path))
        elif flags & os.O_DSYNC or extra & _RWF_DSYNC:
            rec.add(Op("sync-data", f"  (O_DSYNC on {path})", task, node=node, path=path))

    return finish, path


def copy(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    """sendfile, splice, copy_file_range: the bytes are read back from where they went."""
    number = signed(arguments[0 if call == "sendfile" else 2])
    opened = rec.tasks.opened(task, number)
    node = opened and rec.known(opened[0])
    if opened is None or node is None:
        return None
    _, at, flags = opened
    if call != "sendfile" and arguments[3]:
        at = rec.tasks.number(task, arguments[3])
    if flags & os.O_APPEND:
        at = len(rec.tree.nodes[node].data)
    path = rec.path(node)

    def finish(result: int) -> None:
        text = f"{call}({path}, {max(result, 0)} bytes at {at})"
        if not rec.failed(task, "write", text, result, node, path) and result:
            data = proc.contents(task, number, at, result)
            rec.add(Op("write", text, task, node=node, offset=at, data=data, path=path))

    return finish, path


def clone(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    number = signed(arguments[0])
    node = rec.descriptor(task, number)
    if node is None:
        return None
    path = rec.path(node)

    def finish(result: int) -> None:
        text = f"ioctl(FICLONE, {path})"
        if not rec.failed(task, "write", text, result, node, path):
            data = proc.contents(task, number, 0, 1 << 30)
            rec.add(Op("write", text, task, node=node, data=data, path=path))

    return finish, path


def truncate(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    if call == "truncate":
        place = proc.absolute(task, proc.AT_FDCWD, rec.tasks.text(task, arguments[0]))
    else:
        place = proc.descriptor(task, signed(arguments[0]))
    node = rec.node(proc.status(place))
    if node is None or (call == "fallocate" and arguments[1] & _KEEP_SIZE and not (
        arguments[1] & (_PUNCH | _ZERO))):  # fmt: skip
        return None
    path = rec.path(node)

    def finish(result: int) -> None:
        held = len(rec.tree.nodes[node].data)
        size = arguments[1] if call != "fallocate" else arguments[2] + arguments[3]
        text = f"{call}({path}, {size})"
        if rec.failed(task, "truncate", text, result, node, path):
            return
        if call == "fallocate" and arguments[1] & (_PUNCH | _ZERO):
            end = min(size, held) if arguments[1] & _KEEP_SIZE else size
            zeros = bytes(max(end - arguments[2], 0))
            rec.add(Op("write", text, task, node=node, offset=arguments[2], data=zeros, path=path))
        elif call == "fallocate" and arguments[1]:
            rec.recording.doubt(f"{text}: a mode of fallocate that is not modelled")
        elif call != "fallocate" or size > held:
            rec.add(Op("truncate", text, task, node=node, size=size, path=path))

    return finish, path


def sync(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    node = None
    if call != "sync":
        found = proc.status(proc.descriptor(task, signed(arguments[0])))
        node = rec.node(found)
        same_device = found is not None and found.st_dev == rec.device
        if node is None and not (call == "syncfs" and same_device):
            return None
    whole = call in ("sync", "syncfs")
    path = "." if whole or node is None else rec.path(node)
    kind = "sync-all" if whole else "sync-data" if call == "fdatasync" else "sync"
    text = f"{call}({'' if whole else path})"

    def finish(result: int) -> None:
        number = node if node is not None else -1
        if not rec.failed(task, kind, text, result, number, path):
            rec.add(Op(kind, text, task, node=number, path=path))

    return finish, path


def mmap(rec: Recorder, task: int, call: str, arguments: Arguments) -> Effect:
    node = rec.descriptor(task, arguments[4])
    if node is not None:
        rec.recording.doubt(f"mmap({rec.path(node)}): writes through memory are not seen")
    return None
