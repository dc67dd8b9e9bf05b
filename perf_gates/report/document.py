"""perf.json: every row, every peer, every sample's summary; all other forms are made from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from ..budgets import SCALES, Row
from ..contests import OURS, Samples
from ..estimates import Estimate
from ..measuring import Measured, Outcome
from ..verdicts import Verdict

SCHEMA = 1
Document = dict[str, Any]


def document(
    measured: Measured,
    machine: Mapping[str, Any],
    stack: str,
    sources: Mapping[str, str],
    about: Mapping[str, Any],
) -> Document:
    """Everything as JSON values."""
    verdicts = [outcome.verdict for outcome in measured.outcomes]
    order = list(dict.fromkeys(outcome.row.source for outcome in measured.outcomes))
    outcomes = sorted(measured.outcomes, key=lambda outcome: order.index(outcome.row.source))
    return {
        "schema": SCHEMA,
        "machine": dict(machine),
        "stack": stack,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **about,
        "sources": dict(sources),
        "summary": {str(verdict): verdicts.count(verdict) for verdict in Verdict}
        | {"shown": verdicts.count(None)},
        "rows": [_row(outcome) for outcome in outcomes],
        "spent": measured.seconds,
        "timelines": [found for row, samples in measured.samples if (found := _line(row, samples))],
    }


def _row(outcome: Outcome) -> Document:
    row, found = outcome.row, outcome.found
    peers: Document = {}
    for name, theirs in outcome.peers.items():
        unit = row.of if row.beside else row.unit
        ratio = outcome.ratios[name]
        peers[name] = {
            **_numbers(theirs),
            "unit": unit,
            "ratio": _rounded(ratio.median),
            "ratio_low": _rounded(ratio.low),
            "ratio_high": _rounded(ratio.high),
        }
    for name, why in outcome.absent.items():
        peers[name] = {"verdict": str(Verdict.COULD_NOT_RUN), "detail": why}
    return {
        "id": row.id,
        "source": row.source,
        "what": row.what,
        "unit": row.unit,
        "budget": row.budget,
        "bound": row.bound,
        "published": row.published,
        **(_numbers(found) if found else dict.fromkeys(("median", "min", "max"), None)),
        "runs": found.runs if found else 0,
        "verdict": str(outcome.verdict) if outcome.verdict else None,
        "detail": outcome.detail,
        "check": row.check,
        "note": row.note,
        "beside": row.beside,
        "peer": peers,
    }


def _numbers(found: Estimate) -> Document:
    return {
        "median": _rounded(found.median),
        "low": _rounded(found.low),
        "high": _rounded(found.high),
        "min": _rounded(found.least),
        "max": _rounded(found.most),
        "runs": found.runs,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _line(row: Row, samples: Samples) -> Document | None:
    """The steps of a command in order, as it told them itself, and its whole time."""
    ours = samples.get(OURS, {})
    steps = [
        [name.removeprefix("step "), _rounded(median(values) / SCALES["ms"])]
        for name, values in ours.items()
        if name.startswith("step ")
    ]
    if not steps or row.scenario not in ours:
        return None
    words = " ".join(str(value) for value in row.options.values())
    total = _rounded(median(ours[row.scenario]) / SCALES["ms"])
    return {"title": f"{row.scenario} {words}", "steps": steps, "total": total}
