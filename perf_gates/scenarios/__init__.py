"""What can be measured; a row of budgets.toml names one of these and takes a figure from it."""

from __future__ import annotations

from ..contests import Scenario
from . import commands, concurrent, counting, durable, fetches, growing, protocol

SCENARIOS: dict[str, Scenario] = {
    "negotiate": protocol.negotiate,
    "unpack-body": protocol.unpack_body,
    "pipeline": protocol.pipeline,
    "advance": protocol.advance,
    "push": commands.push,
    "clone": commands.clone,
    "incremental": commands.incremental,
    "warm-fetch": fetches.warm,
    "prebuild": fetches.prebuild,
    "durable-writes": durable.writes,
    "statements": counting.statements,
    "object-calls": counting.object_calls,
    "wire-bytes": counting.wire_bytes,
    "pack-size": counting.pack_size,
    "snapshot-share": counting.snapshot_share,
    "memory": counting.memory,
    "fsyncs": counting.fsyncs,
    "concurrent-clones": concurrent.clones,
    "concurrent-pushes": concurrent.pushes,
    "growth": growing.growth,
}
