"""One life of the server under the tracer: from the first answer until nothing stirs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from conformance.crash.host import Host
from conformance.crash.ptrace import Listener
from conformance.histories import Commit
from conformance.lifecycle import until, wait_for
from conformance.outcomes import Unmet
from conformance.repository import Repository
from conformance.world import RESTART_SECONDS, World

QUIET_SECONDS = 0.25
"""So long without a step, and a push and its background work are over."""
_BUSY_SECONDS = 10.0


class Watcher(Listener, Protocol):
    """A listener that knows when it last saw a step."""

    last: float


def begin(world: World, command: Sequence[str], watcher: Watcher, log: Path) -> Host:
    """Starts the server and waits until it answers."""
    host = Host(command, watcher, log)
    host.start()
    if problem := wait_for(world.subject.url + world.subject.ready, RESTART_SECONDS):
        host.kill()
        raise Unmet("the server comes back", problem)
    world.connection.renew()
    return host


def settle(host: Host, watcher: Watcher) -> None:
    """Waits until the server has done nothing for a while, or is dead."""
    begun = time.monotonic()

    def still() -> bool:
        return host.over() or time.monotonic() - max(begun, watcher.last) > QUIET_SECONDS

    until(still, _BUSY_SECONDS, 0.02)


def push(repo: Repository, links: Sequence[Commit]) -> None:
    """Presign, PUT, unpack: all that `links` add to what was accepted."""
    raw = repo.pack(links[-1])
    repo.unpack(repo.upload(raw), links[-1].id)
