"""Stops processes at the calls that the filter lets through to us, and asks a listener about each.

The listener decides on entry whether the result is of interest; if it is, no other traced task may
enter such a call until this one has returned: the order of the trace is the order of effects.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .registers import Registers
from .seccomp import FOREIGN, Filter
from .syscalls import this_architecture

_CONT, _SYSCALL, _SEIZE, _LISTEN = 7, 24, 0x4206, 0x4208
_SYSGOOD, _FORK, _VFORK, _CLONE, _EXEC, _SECCOMP, _EXITKILL = (
    1, 2, 4, 8, 16, 128, 1 << 20,
)  # fmt: skip
_OPTIONS = _SYSGOOD | _FORK | _VFORK | _CLONE | _EXEC | _SECCOMP | _EXITKILL
_EVENT_SECCOMP, _EVENT_STOP, _EVENT_EXEC = 7, 128, 4
_WALL, _WNOTHREAD = 0x40000000, 0x20000000
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_PATIENCE = 0.002
_MOST_TASKS, _MOST_BIRTHS = 96, 3000


class Unsupported(Exception):
    """This machine cannot record: no table for it, or the kernel refuses."""


@dataclass(slots=True)
class Entered:
    """A call whose result the listener wants; `finish` gets the result, negative for an errno."""

    finish: Callable[[int], None]
    errno: int = 0  # do not run the call: it returns this error
    count: int | None = None  # run it with this as its third argument
    kill: bool = False  # do not run it: everything dies here


class Listener(Protocol):
    """What a recorder must answer."""

    def entered(self, task: int, call: str, arguments: tuple[int, ...]) -> Entered | None: ...
    def executed(self, task: int) -> None: ...
    def gone(self, task: int, status: int) -> None: ...
    def foreign(self, task: int) -> None: ...


@dataclass
class Tracer:
    """One traced group of processes and the loop that serves it."""

    listener: Listener
    tasks: set[int] = field(default_factory=set)
    shuffle: random.Random | None = None  # holds tasks back at random, to let others go first
    most_tasks: int = _MOST_TASKS
    most_births: int = _MOST_BIRTHS
    births: int = 0
    trapped: int = 0
    overflow: bool = False
    _dying: bool = False
    _dead: list[int] = field(default_factory=list)
    _inside: int = 0  # the one task between entry and exit of a call of interest
    _call: Entered | None = None
    _waiting: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        arch = this_architecture()
        if arch is None:
            raise Unsupported("no table of system calls for this machine")
        self._registers = Registers(arch)
        self._filter = Filter(arch)
        self._names = {number: name for name, number in arch.numbers.items()}

    def spawn(self, enter: Callable[[], None]) -> int:
        """A traced child that runs `enter` (which must exec) under the filter."""
        ready, go = os.pipe()
        with warnings.catch_warnings():  # the child runs three calls and execs
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            try:
                os.close(go)
                os.read(ready, 1)
                self._filter.install()
                enter()
            finally:
                os._exit(127)
        os.close(ready)
        try:
            if not self._registers.request(_SEIZE, pid, _OPTIONS):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise Unsupported("this system does not allow ptrace")
            os.write(go, b"\n")  # not just closed: a child forked beside this one has it open too
        finally:
            os.close(go)
        self.tasks.add(pid)
        return pid

    def run(self) -> None:
        """Serves traps until no traced task is left."""
        while self.tasks:
            try:
                task, status = self._next()
            except ChildProcessError:
                self.tasks.clear()
                break
            if not task:
                self._enter(self._waiting.popleft())
            elif not os.WIFSTOPPED(status):
                self._ended(task, status)
            elif task not in self.tasks:
                self._born(task)
                self._stopped(task, status)
            else:
                self._stopped(task, status)
        self._drain()
        for task in self._dead:  # orphans that died twice: for us as tracer, then as their parent
            try:
                os.waitpid(task, os.WNOHANG)
            except ChildProcessError:
                continue

    def gone(self, seconds: float) -> bool:
        """Whether every task that ended has also left the table of processes."""
        until = time.monotonic() + seconds
        while left := [task for task in self._dead if not _reaped(task)]:
            if time.monotonic() > until:
                return False
            self._dead = left
            time.sleep(_PATIENCE)  # whoever adopted them reaps them, and tells nobody
        return True

    def _drain(self) -> None:
        """Reaps what was born in the moment of dying, and orphans that came to us."""
        until = time.monotonic() + 20  # a crowd takes its time to die
        while time.monotonic() < until:
            try:
                task, status = os.waitpid(-1, _WALL | _WNOTHREAD | os.WNOHANG)
            except ChildProcessError:
                return
            if not task:
                time.sleep(_PATIENCE)  # a wait without an end would be one for the immortal
            elif os.WIFSTOPPED(status):
                os.kill(task, signal.SIGKILL)
            else:
                self._dead.append(task)

    def _next(self) -> tuple[int, int]:
        """The next stop; (0, 0) when a task is held back and no other one comes along."""
        if self._inside or not self._waiting:
            return os.waitpid(-1, _WALL | _WNOTHREAD)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            task, status = os.waitpid(-1, _WALL | _WNOTHREAD | os.WNOHANG)
            if task:
                return task, status
            time.sleep(_PATIENCE / 10)  # waitpid knows no time-out
        return 0, 0

    def kill(self) -> None:
        """Ends every traced task, born or yet to be; `run` then returns."""
        self._dying = True
        for task in list(self.tasks):
            try:
                os.kill(task, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _born(self, task: int) -> None:
        self.tasks.add(task)
        self.births += 1
        if self.births > self.most_births or len(self.tasks) > self.most_tasks:
            self.overflow = True
            self.kill()
        elif self._dying:
            self.kill()

    def _ended(self, task: int, status: int) -> None:
        self.tasks.discard(task)
        self._dead.append(task)
        if task in self._waiting:
            self._waiting.remove(task)
        self.listener.gone(task, status)
        if task == self._inside:
            self._leave()

    def _stopped(self, task: int, status: int) -> None:
        event, number = status >> 16, os.WSTOPSIG(status)
        if event == _EVENT_SECCOMP:
            self.trapped += 1
            shuffle = None if self._waiting else self.shuffle
            if self._inside or (shuffle is not None and shuffle.random() < 0.5):
                self._waiting.append(task)
            else:
                self._enter(task)
        elif number == _SYSCALL_STOP:
            if task == self._inside and self._call is not None:
                self._exit(task, self._call)
            else:
                self._resume(_CONT, task)
        elif event == _EVENT_STOP:
            self._resume(_LISTEN if number in _STOPS else _CONT, task)
        elif event:
            if event == _EVENT_EXEC:
                self.listener.executed(task)
            self._resume(_CONT, task)
        else:
            self._resume(_CONT, task, number)

    def _enter(self, task: int) -> None:
        info = self._registers.info(task)
        if info is None:
            return
        if info.message & FOREIGN:
            self.listener.foreign(task)
            self._resume(_CONT, task)
            return
        call = self.listener.entered(task, self._names[info.number], tuple(info.arguments[:]))
        if call is None:
            self._resume(_CONT, task)
            return
        if call.kill:
            self.kill()
            return
        self._inside, self._call = task, call
        if call.errno:
            self._registers.skip(task)
        elif call.count is not None:
            self._registers.set_count(task, call.count)
        self._resume(_SYSCALL, task)

    def _exit(self, task: int, call: Entered) -> None:
        info = self._registers.info(task)
        if info is not None:
            result = ctypes.c_int64(info.number).value
            if call.errno:
                result = -call.errno
                self._registers.set_result(task, result)
            call.finish(result)
        self._resume(_CONT, task)
        self._leave()

    def _leave(self) -> None:
        self._inside, self._call = 0, None
        while self._waiting and not self._inside:
            self._enter(self._waiting.popleft())

    def _resume(self, how: int, task: int, number: int = 0) -> None:
        self._registers.request(how, task, number)  # a task that just died is reaped by `run`


def _reaped(task: int) -> bool:
    try:
        os.waitpid(task, os.WNOHANG | _WALL)
    except ChildProcessError:
        pass  # not ours: whoever has it now reaps it
    return not os.path.exists(f"/proc/{task}")


def deadline(tracer: Tracer, seconds: float) -> Callable[[], bool]:
    """A watchdog that kills the traced tasks when time is up; calling it off says if it did."""
    fired = threading.Event()

    def expire() -> None:
        fired.set()
        tracer.kill()

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()

    def stop() -> bool:
        timer.cancel()
        return fired.is_set()

    return stop
