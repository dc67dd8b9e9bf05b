"""A BPF program that stops a process only at the calls worth looking at.

Everything else runs at full speed: the kernel decides in some fifty instructions, nobody is woken.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from .syscalls import REFUSED, WHEN_EQUAL, WHEN_FLAGGED, Architecture

_LOAD, _JEQ, _JSET, _AND, _RET = 0x20, 0x15, 0x45, 0x54, 0x06
_ALLOW, _TRACE, _ERRNO = 0x7FFF0000, 0x7FF00000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_X32_BIT = 0x40000000
FOREIGN = 1  # the message of a trap from a process of another architecture

Instruction = tuple[int, int, int, int]


def program(arch: Architecture) -> list[Instruction]:
    """Instructions (code, jump if true, jump if false, constant) for one architecture.

    Each name gets a block of its own that ends in a return, so every jump is short.
    """
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JEQ, 1, 0, arch.audit),
        (_RET, 0, 0, _TRACE | FOREIGN),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if "open" in arch.numbers:  # x86_64 also runs the x32 calls, under numbers with a high bit
        code += [(_JSET, 0, 1, _X32_BIT), (_RET, 0, 0, _TRACE | FOREIGN)]
    for name, number in arch.numbers.items():
        block = _block(name)
        code += [(_JEQ, 0, len(block), number), *block]
    return [*code, (_RET, 0, 0, _ALLOW)]


def _block(name: str) -> list[Instruction]:
    trace, allow = (_RET, 0, 0, _TRACE), (_RET, 0, 0, _ALLOW)
    if name in REFUSED:
        return [(_RET, 0, 0, _ERRNO | errno.ENOSYS)]
    if name in WHEN_FLAGGED:
        argument, mask = WHEN_FLAGGED[name]
        return [_load(argument), (_JSET, 0, 1, mask), trace, allow]
    if name in WHEN_EQUAL:
        block: list[Instruction] = []
        for argument, value in WHEN_EQUAL[name]:
            block += [_load(argument), (_JEQ, 0, 1, value), trace]
        return [*block, allow]
    if name == "mmap":  # MAP_SHARED (also in SHARED_VALIDATE) and PROT_WRITE
        return [_load(3), (_JSET, 0, 2, 1), _load(2), (_JSET, 1, 0, 2), allow, trace]
    return [trace]


def _load(argument: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)  # the low word of a little-endian value


class Filter:
    """A program laid out in memory, ready to be installed between fork and exec."""

    def __init__(self, arch: Architecture) -> None:
        code = program(arch)
        packed = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
        self._code = ctypes.create_string_buffer(packed, len(packed))
        self._header = ctypes.create_string_buffer(
            struct.pack("HxxxxxxP", len(code), ctypes.addressof(self._code))
        )
        self._libc = ctypes.CDLL(None, use_errno=True)

    def install(self) -> None:
        """Puts the filter on the calling process and all its descendants."""
        zero = ctypes.c_ulong(0)
        header = ctypes.c_void_p(ctypes.addressof(self._header))
        one, kind = ctypes.c_ulong(1), ctypes.c_ulong(_FILTER)
        refused = self._libc.prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero)
        if refused or self._libc.prctl(_PR_SET_SECCOMP, kind, header, zero, zero):
            raise OSError(ctypes.get_errno(), "seccomp")
