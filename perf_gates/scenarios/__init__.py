"""What can be measured; a row of budgets.toml names one of these and takes a figure from it."""

from __future__ import annotations

from ..contests import Scenario
from . import (
    asking,
    commands,
    concurrent,
    counting,
    daily,
    durable,
    fetches,
    growing,
    protocol,
    syncing,
)

SCENARIOS: dict[str, Scenario] = {
    "negotiate": protocol.negotiate,
    "unpack-body": protocol.unpack_body,
    "pipeline": protocol.pipeline,
    "advance": protocol.advance,
    "push": commands.push,
    "clone": commands.clone,
    "incremental": daily.incremental,
    "warm-fetch": fetches.warm,
    "prebuild": fetches.prebuild,
    "durable-writes": durable.writes,
    "statements": asking.statements,
    "statements-on": asking.statements_on,
    "object-calls": asking.object_calls,
    "wire-bytes": counting.wire_bytes,
    "pack-size": counting.pack_size,
    "snapshot-share": counting.snapshot_share,
    "memory": counting.memory,
    "fsyncs": syncing.fsyncs,
    "concurrent-clones": concurrent.clones,
    "concurrent-pushes": concurrent.pushes,
    "growth": growing.growth,
    "new-work": growing.new_work,
}
