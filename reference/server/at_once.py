"""Work that takes less than to hand it to a thread: it is done where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _AtOnce(Executor):
    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """What came of it, which is known."""
        done: Future[T] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as problem:  # noqa: BLE001  # raised where its result is asked for
            done.set_exception(problem)
        return done


AT_ONCE = _AtOnce()
