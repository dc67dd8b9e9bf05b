"""What a stopped task was about to call, or got back; and how to change it."""

from __future__ import annotations

import ctypes
import os

from .syscalls import Architecture

_GETREGSET, _SETREGSET, _INFO = 0x4204, 0x4205, 0x420E
_GENERAL, _SYSTEM_CALL = 1, 0x404  # register sets
_MINUS_ONE = (1 << 64) - 1


class Info(ctypes.Structure):
    """struct ptrace_syscall_info: in a seccomp stop number and arguments, on exit the result."""

    _fields_ = (
        ("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64), ("sp", ctypes.c_uint64), ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6), ("message", ctypes.c_uint32),
    )  # fmt: skip
    number: int
    arguments: ctypes.Array[ctypes.c_uint64]
    message: int


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Registers:
    """ptrace(2) for one kind of machine."""

    def __init__(self, arch: Architecture) -> None:
        self._arch = arch
        self._ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self._ptrace.restype = ctypes.c_long
        word, address = ctypes.c_long, ctypes.c_void_p
        self._ptrace.argtypes = [word, word, address, address]
        self._info = Info()
        self._info_at = ctypes.addressof(self._info)

    def request(self, request: int, task: int, data: int = 0) -> bool:
        """A plain request; False when the task is not there to be asked."""
        return bool(self._ptrace(request, task, 0, data) >= 0)

    def info(self, task: int) -> Info | None:
        """The call a task is in; None when it died in between."""
        if self._ptrace(_INFO, task, ctypes.sizeof(Info), self._info_at) < 0:
            return None
        return self._info

    def skip(self, task: int) -> None:
        """The call will not be run."""
        if self._arch.number_at >= 0:
            self._change(task, self._arch.number_at, _MINUS_ONE)
            return
        number = ctypes.c_int(-1)  # arm64 keeps the number in a set of its own
        vector = _Vector(ctypes.addressof(number), ctypes.sizeof(number))
        self._set(_SETREGSET, task, _SYSTEM_CALL, vector)

    def set_result(self, task: int, result: int) -> None:
        self._change(task, self._arch.result_at, result & _MINUS_ONE)

    def set_count(self, task: int, count: int) -> None:
        """The third argument: how many bytes."""
        self._change(task, self._arch.arguments_at[2], count)

    def _change(self, task: int, index: int, value: int) -> None:
        registers = (ctypes.c_uint64 * 64)()
        vector = _Vector(ctypes.addressof(registers), ctypes.sizeof(registers))
        self._set(_GETREGSET, task, _GENERAL, vector)  # sets the length, too
        registers[index] = value
        self._set(_SETREGSET, task, _GENERAL, vector)

    def _set(self, request: int, task: int, which: int, vector: _Vector) -> None:
        if self._ptrace(request, task, which, ctypes.addressof(vector)) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
