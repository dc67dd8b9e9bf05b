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

from .seccomp import FOREIGN, Filter
from .syscalls import Architecture, this_architecture

_CONT, _SYSCALL, _GETREGSET, _SETREGSET, _SEIZE, _LISTEN, _INFO = (
    7, 24, 0x4204, 0x4205, 0x4206, 0x4208, 0x420E,
)  # fmt: skip
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


class _Info(ctypes.Structure):
    """struct ptrace_syscall_info: in a seccomp stop number and arguments, on exit the result."""

    _fields_ = (
        ("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64), ("sp", ctypes.c_uint64), ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6), ("message", ctypes.c_uint32),
    )  # fmt: skip
    op: int
    arch: int
    number: int
    arguments: ctypes.Array[ctypes.c_uint64]
    message: int


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


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
    births: int = 0
    trapped: int = 0
    overflow: bool = False
    _dying: bool = False
    _inside: int = 0  # the one task between entry and exit of a call of interest
    _call: Entered | None = None
    _waiting: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        arch = this_architecture()
        if arch is None:
            raise Unsupported("no table of system calls for this machine")
        self._arch: Architecture = arch
        self._filter = Filter(arch)
        self._names = {number: name for name, number in arch.numbers.items()}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.restype = ctypes.c_long
        self._libc.ptrace.argtypes = [
            ctypes.c_long,
            ctypes.c_long,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        self._info = _Info()
        self._info_at = ctypes.addressof(self._info)

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
            self._ptrace(_SEIZE, pid, _OPTIONS)
            os.write(go, b"\n")  # not just closed: a child forked beside this one has it open too
        except OSError as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise Unsupported(f"ptrace is refused: {error.strerror}") from error
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

    def _drain(self) -> None:
        """Reaps what was born in the moment of dying, and orphans that came to us."""
        until = time.monotonic() + 20  # a crowd takes its time to die
        while time.monotonic() < until:
            try:
                task, status = os.waitpid(-1, _WALL | _WNOTHREAD | os.WNOHANG)
            except ChildProcessError:
                return
            if task and os.WIFSTOPPED(status):
                os.kill(task, signal.SIGKILL)
            elif not task:
                time.sleep(_PATIENCE)

    def _next(self) -> tuple[int, int]:
        """The next stop; (0, 0) when a task is held back and no other one comes along."""
        held_back = self._waiting and not self._inside
        until = time.monotonic() + _PATIENCE
        while held_back and time.monotonic() < until:
            task, status = os.waitpid(-1, _WALL | _WNOTHREAD | os.WNOHANG)
            if task:
                return task, status
            time.sleep(_PATIENCE / 10)
        return (0, 0) if held_back else os.waitpid(-1, _WALL | _WNOTHREAD)

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
        if self.births > _MOST_BIRTHS or len(self.tasks) > _MOST_TASKS:
            self.overflow = True
            self.kill()
        elif self._dying:
            self.kill()

    def _ended(self, task: int, status: int) -> None:
        self.tasks.discard(task)
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
        info = self._read_info(task)
        if info is None:
            return
        if info.message & FOREIGN:
            self.listener.foreign(task)
            self._resume(_CONT, task)
            return
        call = self.listener.entered(task, self._names[info.number], tuple(info.arguments))
        if call is None:
            self._resume(_CONT, task)
            return
        if call.kill:
            self.kill()
            return
        self._inside, self._call = task, call
        if call.errno:
            self._set_registers(task, skip=True)
        elif call.count is not None:
            self._set_registers(task, count=call.count)
        self._resume(_SYSCALL, task)

    def _exit(self, task: int, call: Entered) -> None:
        info = self._read_info(task)
        if info is not None:
            result = ctypes.c_int64(info.number).value
            if call.errno:
                result = -call.errno
                self._set_registers(task, result=result)
            call.finish(result)
        self._resume(_CONT, task)
        self._leave()

    def _leave(self) -> None:
        self._inside, self._call = 0, None
        while self._waiting and not self._inside:
            self._enter(self._waiting.popleft())

    def _read_info(self, task: int) -> _Info | None:
        if self._libc.ptrace(_INFO, task, ctypes.sizeof(_Info), self._info_at) < 0:
            return None  # it died in between
        return self._info

    def _set_registers(
        self, task: int, *, skip: bool = False, result: int | None = None, count: int | None = None
    ) -> None:
        registers = (ctypes.c_uint64 * 64)()
        vector = _Vector(ctypes.addressof(registers), ctypes.sizeof(registers))
        self._ptrace(_GETREGSET, task, ctypes.addressof(vector), which=1)
        minus_one = (1 << 64) - 1
        if skip and self._arch.number_at >= 0:
            registers[self._arch.number_at] = minus_one
        if result is not None:
            registers[self._arch.result_at] = result & minus_one
        if count is not None:
            registers[self._arch.arguments_at[2]] = count
        self._ptrace(_SETREGSET, task, ctypes.addressof(vector), which=1)
        if skip and self._arch.number_at < 0:  # arm64 keeps the number in a set of its own
            number = ctypes.c_int(-1)
            vector = _Vector(ctypes.addressof(number), ctypes.sizeof(number))
            self._ptrace(_SETREGSET, task, ctypes.addressof(vector), which=0x404)

    def _resume(self, how: int, task: int, number: int = 0) -> None:
        self._libc.ptrace(how, task, 0, number)  # a task that just died is reaped by `run`

    def _ptrace(self, request: int, task: int, data: int, which: int = 0) -> None:
        if self._libc.ptrace(request, task, which, data) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


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
