"""A check on a second core: in a forked process, while this one goes on with what it allows."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reference.wire.errors import ProtocolError

_HOLDS = b"holds"


@contextmanager
def aside(check: Callable[[], object]) -> Iterator[None]:
    """Runs `check` beside the body; what it refuses is raised at the end, whatever else failed."""
    if not hasattr(os, "fork") or threading.active_count() > 1:  # threads do not survive a fork
        check()
        yield
        return
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _answer(check, writing)
    os.close(writing)
    with open(reading, "rb") as answer:
        try:
            yield
        except (OSError, LookupError, ProtocolError):
            _raise(answer.read())
            raise
        except BaseException:
            os.kill(child, signal.SIGKILL)
            raise
        else:
            _raise(answer.read())
        finally:
            os.waitpid(child, 0)


def _answer(check: Callable[[], object], writing: int) -> None:
    """The child: says how the check went, and never returns."""
    said = b""
    try:
        check()
        said = _HOLDS
    except ProtocolError as problem:
        said = json.dumps([problem.code, problem.detail, problem.requirement]).encode()
    finally:
        os.write(writing, said)
        os._exit(0)


def _raise(said: bytes) -> None:
    if said == _HOLDS:
        return
    if not said:
        raise ProtocolError("integrity", "integrity check: it was not finished")
    raise ProtocolError(*json.loads(said))
