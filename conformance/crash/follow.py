"""Calls as strace writes them, carried out on a recording: the same ops as the tracer's own.

What strace does not show is kept here: which file each descriptor of each process is open on, and
where in it the next byte goes.  Calls that cannot be followed make the recording doubtful.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from .calls import Call, Description, Process, named, number, shown, texts, two_places
from .recorder import Recorder
from .trace import Op
from .tree import Node, Tree

_BLIND = ("sendfile", "splice", "copy_file_range", "openat2", "io_uring_setup", "fallocate")
_SYNCS = {"fsync": "sync", "fdatasync": "sync-data", "syncfs": "sync-all", "sync": "sync-all"}


@dataclass(slots=True)
class Follower:
    """Turns calls into ops of a recorder; `said` gets what is written to the answers' pipe."""

    recorder: Recorder
    pipe: str
    said: Callable[[bytes], None]
    processes: dict[int, Process] = field(default_factory=dict)

    @property
    def tree(self) -> Tree:
        return self.recorder.tree

    def call(self, call: Call) -> None:
        """Carries one call out."""
        here = self.processes.setdefault(call.process, Process(os.getcwd()))
        if call.name in _BLIND and self._touches(here, call):
            self.recorder.recording.doubt(f"strace cannot follow {call.name}")
        elif call.name in ("write", "writev", "pwrite64", "pwritev", "pwritev2"):
            self._write(here, call)
        elif call.name in _SYNCS:
            self._sync(here, call)
        elif call.name in ("clone", "clone3", "fork", "vfork") and call.result > 0:
            shared = "CLONE_FILES" in " ".join(call.arguments)
            self.processes[call.result] = here if shared else here.copy()
        elif call.name in _ENTRIES:
            _ENTRIES[call.name](self, here, call)
        elif not call.error and call.name in _DESCRIPTORS:
            _DESCRIPTORS[call.name](self, here, call)

    # Descriptors.

    def _close(self, here: Process, call: Call) -> None:
        here.files.pop(number(call.arguments[0]), None)

    def _dup(self, here: Process, call: Call) -> None:
        found = here.files.get(number(call.arguments[0]))
        if found is not None and (call.name != "fcntl" or "F_DUPFD" in call.arguments[1]):
            here.files[call.result] = found

    def _read(self, here: Process, call: Call) -> None:
        if found := here.files.get(number(call.arguments[0])):
            found.offset += call.result

    def _seek(self, here: Process, call: Call) -> None:
        if found := here.files.get(number(call.arguments[0])):
            found.offset = call.result

    def _chdir(self, here: Process, call: Call) -> None:
        here.cwd = self._absolute(here, "AT_FDCWD", call.arguments[0])

    def _map(self, here: Process, call: Call) -> None:
        shared = "MAP_SHARED" in call.arguments[3] and "PROT_WRITE" in call.arguments[2]
        if shared and number(call.arguments[4]) in here.files:
            self.recorder.recording.doubt("mmap: writes through memory are not seen")

    def _touches(self, here: Process, call: Call) -> bool:
        ours = any(number(argument) in here.files for argument in call.arguments[:3])
        return ours or call.name in ("openat2", "io_uring_setup")

    # Contents.

    def _write(self, here: Process, call: Call) -> None:
        data = b"".join(texts(call.arguments[1]))
        if self.pipe in shown(call.arguments[0]):
            self.said(data[: max(call.result, 0)])
            return
        found = here.files.get(number(call.arguments[0]))
        if found is None:
            return
        at = number(call.arguments[3]) if call.name.startswith("p") else found.offset
        if "O_APPEND" in found.flags:
            at = len(self.tree.nodes[found.node].data)
        path = self.recorder.path(found.node)
        told = f"{call.name}({path}, {max(call.result, 0)} bytes at {at})"
        if call.error:
            self._add(Op("write", f"{told} = {call.error}", call.process, found.node,
                         error=call.error, path=path))  # fmt: skip
            return
        if not call.name.startswith("p"):
            found.offset = at + call.result
        self._add(Op("write", told, call.process, found.node, at, data[: call.result], path=path))
        synced = " ".join([found.flags, *call.arguments[4:]])
        for word, kind in (("_SYNC", "sync"), ("_DSYNC", "sync-data")):
            if word in synced:
                self._add(Op(kind, f"  (O{word} on {path})", call.process, found.node, path=path))
                break

    def _sync(self, here: Process, call: Call) -> None:
        found = here.files.get(number(call.arguments[0])) if call.arguments[0] else None
        if found is None and call.name != "sync":
            return
        node = found.node if found is not None else -1
        path = self.recorder.path(node) if found is not None else "."
        told = f"{call.name}({path if _SYNCS[call.name] != 'sync-all' else ''})"
        told += f" = {call.error}" if call.error else ""
        self._add(Op(_SYNCS[call.name], told, call.process, node, error=call.error, path=path))

    def _truncate(self, here: Process, call: Call) -> None:
        if call.name == "truncate":
            node = self._node(self._absolute(here, "AT_FDCWD", call.arguments[0]))
        else:
            found = here.files.get(number(call.arguments[0]))
            node = found.node if found is not None else None
        if node is not None and not call.error:
            size, path = number(call.arguments[1]), self.recorder.path(node)
            told = f"{call.name}({path}, {size})"
            self._add(Op("truncate", told, call.process, node, size=size, path=path))

    # Names.

    def _open(self, here: Process, call: Call) -> None:
        at = call.arguments if call.name == "openat" else ["AT_FDCWD", *call.arguments]
        flags = at[2] if call.name != "creat" else "O_CREAT|O_TRUNC|O_WRONLY"
        place = self._absolute(here, at[0], at[1])
        path, folder, name = self._entry(place)
        created = "O_CREAT" in flags or "O_TMPFILE" in flags
        told = f"open({path}, {flags})"
        if call.error:
            if created and folder is not None:
                self._add(Op("create", f"{told} = {call.error}", call.process,
                             error=call.error, path=path))  # fmt: skip
            return
        node = None if "O_TMPFILE" in flags else self._node(place)
        if node is not None and "O_TRUNC" in flags and self.tree.nodes[node].data:
            self._add(Op("truncate", told, call.process, node, path=path))
        elif node is None and created and folder is not None:
            mode = int(at[3], 8) if len(at) > 3 else 0o600
            node = self.recorder.new(None, Node("file", mode & ~_mask()))
            binds = () if "O_TMPFILE" in flags else ((folder, name, node),)
            self._add(Op("create", told, call.process, node, binds=binds, path=path,
                         exclusive="O_EXCL" in flags))  # fmt: skip
        if node is not None:
            here.files[call.result] = Description(node, flags)
        else:
            here.files.pop(call.result, None)

    def _make(self, here: Process, call: Call) -> None:
        if call.name.startswith("symlink"):
            target, *rest = call.arguments
            base, name = rest if call.name == "symlinkat" else ("AT_FDCWD", rest[0])
            fresh = Node("link", 0o777, texts(target)[0])
        else:
            at = call.arguments if call.name == "mkdirat" else ["AT_FDCWD", *call.arguments]
            base, name = at[:2]
            fresh = Node("folder", int(at[2], 8) & ~_mask())
        path, folder, last = self._entry(self._absolute(here, base, name))
        if folder is None:
            return
        told = f"{call.name}({path})"
        if call.error:
            told += f" = {call.error}"
            self._add(Op("create", told, call.process, error=call.error, path=path))
            return
        node = self.recorder.new(None, fresh)
        self._add(Op("create", told, call.process, node, binds=((folder, last, node),), path=path))

    def _rename(self, here: Process, call: Call) -> None:
        at = two_places(call)
        old_path, source, old = self._entry(self._absolute(here, at[0], at[1]))
        path, target, new = self._entry(self._absolute(here, at[2], at[3]))
        if source is None and target is None:
            return
        told = f"rename({old_path} -> {path})" + (f" = {call.error}" if call.error else "")
        moved = self.tree.nodes[source].entries.get(old) if source is not None else None
        over = self.tree.nodes[target].entries.get(new) if target is not None else None
        if source is None or target is None:
            self.recorder.recording.doubt(f"{told}: across the folder's border")
            return
        node = moved if moved is not None else -1
        if call.error:
            self._add(Op("bind", told, call.process, node, error=call.error, path=path))
        elif moved is None or moved != over:
            left = over if "RENAME_EXCHANGE" in call.arguments[-1] else None
            binds = ((source, old, left), (target, new, moved))
            self._add(Op("bind", told, call.process, node, binds=binds, path=path))

    def _link(self, here: Process, call: Call) -> None:
        at = two_places(call)
        path, target, new = self._entry(self._absolute(here, at[2], at[3]))
        place = self._absolute(here, at[0], at[1])
        own = re.fullmatch(r"/proc/(?:self|\d+)/fd/(\d+)", place)
        opened = here.files.get(int(own[1]) if own else number(at[0]))
        by_descriptor = own or not named(at[1])
        node = opened.node if by_descriptor and opened is not None else self._node(place)
        if target is None:
            return
        told = f"link({self.recorder.path(node) if node is not None else place} -> {path})"
        if call.error:
            told += f" = {call.error}"
            self._add(Op("bind", told, call.process, node or -1, error=call.error, path=path))
        elif node is None:
            self.recorder.recording.doubt(f"{told}: a file from outside the folder")
        else:
            binds = ((target, new, node),)
            self._add(Op("bind", told, call.process, node, binds=binds, path=path))

    def _unlink(self, here: Process, call: Call) -> None:
        base, name = (
            call.arguments[:2] if call.name == "unlinkat" else ("AT_FDCWD", call.arguments[0])
        )
        path, folder, last = self._entry(self._absolute(here, base, name))
        if folder is None:
            return
        directory = call.name == "rmdir" or "AT_REMOVEDIR" in call.arguments[-1]
        told = f"{'rmdir' if directory else 'unlink'}({path})"
        if call.error:
            told += f" = {call.error}"
            self._add(Op("bind", told, call.process, error=call.error, path=path))
        else:
            self._add(Op("bind", told, call.process, binds=((folder, last, None),), path=path))

    def _mode(self, here: Process, call: Call) -> None:
        if call.name == "fchmod":
            found = here.files.get(number(call.arguments[0]))
            node, mode = found.node if found is not None else None, call.arguments[1]
        else:
            at = call.arguments if call.name == "fchmodat" else ["AT_FDCWD", *call.arguments]
            node, mode = self._node(self._absolute(here, at[0], at[1])), at[2]
        if node is not None and not call.error:
            path = self.recorder.path(node)
            told = f"chmod({path}, {int(mode, 8):04o})"
            self._add(Op("mode", told, call.process, node, mode=int(mode, 8), path=path))

    # Paths.

    def _add(self, op: Op) -> None:
        self.recorder.calls += 1
        self.recorder.add(op)

    def _absolute(self, here: Process, base: str, name: str) -> str:
        place = named(name)
        start = here.cwd if base.startswith("AT_FDCWD") else shown(base)
        return posixpath.normpath(posixpath.join(start, place))

    def _entry(self, place: str) -> tuple[str, int | None, str]:
        """The path within the folder, the node that it lies in (None: not ours), and its name."""
        relative = os.path.relpath(place, self.recorder.folder)
        if relative.startswith(".."):
            return place, None, ""
        head, name = os.path.split(relative)
        return relative, self.tree.find(head), name

    def _node(self, place: str, depth: int = 0) -> int | None:
        """The file that a path leads to, links followed."""
        relative = os.path.relpath(place, self.recorder.folder)
        found = None if relative.startswith("..") else self.tree.find(relative.removeprefix("."))
        if found is not None and self.tree.nodes[found].kind == "link" and depth < 8:
            target = os.fsdecode(self.tree.nodes[found].data)
            return self._node(posixpath.normpath(posixpath.join(place, "..", target)), depth + 1)
        return found


_DESCRIPTORS: dict[str, Callable[[Follower, Process, Call], None]] = {
    "close": Follower._close,
    **dict.fromkeys(("dup", "dup2", "dup3", "fcntl"), Follower._dup),
    **dict.fromkeys(("read", "readv"), Follower._read),
    "lseek": Follower._seek,
    "chdir": Follower._chdir,
    "mmap": Follower._map,
}
_ENTRIES: dict[str, Callable[[Follower, Process, Call], None]] = {
    **dict.fromkeys(("open", "openat", "creat"), Follower._open),
    **dict.fromkeys(("mkdir", "mkdirat", "symlink", "symlinkat"), Follower._make),
    **dict.fromkeys(("rename", "renameat", "renameat2"), Follower._rename),
    **dict.fromkeys(("link", "linkat"), Follower._link),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), Follower._unlink),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat"), Follower._mode),
    **dict.fromkeys(("truncate", "ftruncate"), Follower._truncate),
}


def _mask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
