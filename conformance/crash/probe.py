"""Whether calls can be recorded on this system by the tracer of our own."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .ptrace import Entered, Tracer, Unsupported


def probe() -> None:
    """Raises `Unsupported` unless a process can be traced and its calls filtered here."""
    with ThreadPoolExecutor(1) as pool:  # the kernel ties tracing to a thread
        pool.submit(_probe).result()


def _probe() -> None:
    witness = _Witness()
    tracer = Tracer(witness)
    tracer.spawn(lambda: os._exit(0))
    tracer.run()
    if witness.code != 0:
        raise Unsupported("this system does not allow seccomp filters")


@dataclass(slots=True)
class _Witness:
    """A listener that only hears how it ended."""

    code: int = -1

    def entered(self, task: int, call: str, arguments: tuple[int, ...]) -> Entered | None:
        return None

    def executed(self, task: int) -> None:
        return

    def gone(self, task: int, status: int) -> None:
        self.code = os.waitstatus_to_exitcode(status)

    def foreign(self, task: int) -> None:
        return
