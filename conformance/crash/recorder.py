"""Turns trapped calls into effects on a tree, and notices what it cannot account for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from . import contents, entries
from . import tasks as proc
from .ptrace import Entered
from .tasks import Arguments, Effect, Inode, Tasks, signed
from .trace import Op, Recording
from .tree import Node, scan

Chooser = Callable[[str, str, Entered, int], None]


class Recorder:
    """The listener of a tracer for one watched folder.

    `choose(call, path, entered, size)` may turn a call of interest into a failing, short or deadly
    one; `output(inode, task, data)` gets what is written to one of the answer files.
    """

    def __init__(self, folder: Path) -> None:
        base, self._inodes = scan(folder)
        self.recording = Recording(base, base.copy())
        self.outputs: dict[Inode, Callable[[bytes], None]] = {}
        self.ended: dict[int, Callable[[int], None]] = {}
        self.elsewhere_allowed: tuple[str, ...] = ("/dev/", "/proc/")
        self.choose: Chooser | None = None
        self.calls = 0  # of interest, so far
        self.folder = folder
        self.device = os.stat(folder).st_dev
        self.tasks = Tasks()
        self.tree = self.recording.live
        self._where: dict[int, tuple[int, str]] = {}
        self._next = len(base.nodes)
        for number, node in base.nodes.items():
            for name, child in node.entries.items():
                self._where[child] = (number, name)

    def close(self) -> None:
        self.tasks.close()

    # The tracer's side

    def entered(self, task: int, call: str, arguments: Arguments) -> Entered | None:
        finish = _EFFECTS[call](self, task, call, arguments)
        if finish is None:
            return None
        self.calls += 1
        done, path = finish
        entered = Entered(done)
        if self.choose is not None:
            size = arguments[2] if call in ("write", "pwrite64") else 0
            self.choose(call, path, entered, size)
        return entered

    def executed(self, task: int) -> None:
        self.tasks.forget(task)

    def gone(self, task: int, status: int) -> None:
        self.tasks.forget(task)
        ended = self.ended.pop(task, None)
        if ended is not None:
            ended(status)

    def foreign(self, task: int) -> None:
        self.recording.doubt("a process of another architecture took part")

    # The trace's side

    def add(self, op: Op) -> None:
        """Appends an op, and carries it out on the live tree."""
        self.recording.ops.append(op)
        if op.error:
            return
        if op.kind == "write":
            self.tree.write(op.node, op.offset, op.data)
        elif op.kind == "truncate":
            self.tree.truncate(op.node, op.size)
        elif op.kind == "mode":
            self.tree.nodes[op.node].mode = op.mode
        for folder, name, number in op.binds:
            self.tree.bind(folder, name, number)
            if number is not None:
                self._where[number] = (folder, name)

    def path(self, number: int, name: str = "") -> str:
        """The name a node was last seen under."""
        parts = [name] if name else []
        while number in self._where and len(parts) < 100:
            number, last = self._where[number]
            parts.append(last)
        return "/".join(reversed(parts)) or "."

    def known(self, file: Inode) -> int | None:
        return self._inodes.get(file)

    def node(self, found: os.stat_result | None) -> int | None:
        return None if found is None else self.known(proc.inode(found))

    def descriptor(self, task: int, number: int) -> int | None:
        return self.node(proc.status(proc.descriptor(task, signed(number))))

    def place(self, task: int, base: int, address: int) -> tuple[int | None, str, str]:
        """Folder node (None: not ours), last name, and a path we can use ourselves."""
        path = proc.absolute(task, signed(base), self.tasks.text(task, address))
        head, name = os.path.split(path.rstrip("/"))
        return self.node(proc.status(head or "/")), name, path

    def new(self, found: os.stat_result | None, node: Node) -> int:
        number, self._next = self._next, self._next + 1
        if found is not None:
            self._inodes[proc.inode(found)] = number
        self.tree.nodes[number] = node
        self.recording.nodes[number] = node.copy()
        return number

    def failed(self, task: int, kind: str, text: str, result: int, node: int, path: str) -> bool:
        if result >= 0:
            return False
        name = errno.errorcode.get(-result, str(-result))
        self.add(Op(kind, f"{text} = {name}", task, node=node, error=name, path=path))
        return True


_EFFECTS: dict[str, Callable[[Recorder, int, str, Arguments], Effect]] = {
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "pwritev2"), contents.write),
    **dict.fromkeys(("sendfile", "splice", "copy_file_range"), contents.copy),
    **dict.fromkeys(("open", "openat", "openat2", "creat"), entries.open),
    **dict.fromkeys(("mkdir", "mkdirat", "mknod", "mknodat"), entries.mkdir),
    **dict.fromkeys(("symlink", "symlinkat"), entries.symlink),
    **dict.fromkeys(("rename", "renameat", "renameat2"), entries.rename),
    **dict.fromkeys(("link", "linkat"), entries.link),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), entries.unlink),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "fchmodat2"), entries.chmod),
    **dict.fromkeys(("truncate", "ftruncate", "fallocate"), contents.truncate),
    **dict.fromkeys(("fsync", "fdatasync", "sync", "syncfs"), contents.sync),
    "ioctl": contents.clone,
    "mmap": contents.mmap,
}
