"""Plots as inline SVG: bars beside budget and published, growth curves, a command's time line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from .document import Document
from .numbers import number, with_unit

WIDTH = 860
LABEL = 230
BAR = 13
_HUES = (210, 28, 130, 340, 265, 55, 180, 95)


def bars(rows: Sequence[Document]) -> str:
    """A row's figure on a logarithmic scale, its budget and what was published as marks."""
    shown = [row for row in rows if row["median"] and row["median"] > 0]
    if not shown:
        return ""
    values = [value for row in shown for value in _values(row)]
    low = math.floor(math.log10(min(values)))
    high = max(math.ceil(math.log10(max(values))), low + 1)

    def across(value: float) -> float:
        return LABEL + (WIDTH - LABEL - 70) * (math.log10(value) - low) / (high - low)

    parts = []
    for power in range(low, high + 1):
        at = across(10.0**power)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="16" y2="100%"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="11">{number(10.0**power)}</text>')
    y = 24
    for row in shown:
        verdict = row["verdict"] or "shown"
        width = max(across(row["median"]) - LABEL, 1.0)
        parts.append(f'<text class="label" x="{LABEL - 8}" y="{y + 10}">{escape(row["id"])}</text>')
        parts.append(
            f'<rect class="{verdict}" x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}">'
            f"<title>{escape(row['what'])}: {number(row['median'])} {row['unit']}</title></rect>"
        )
        if row["low"] and row["low"] > 0:
            parts.append(
                f'<line class="spread" x1="{across(row["low"]):.1f}"'
                f' x2="{across(row["high"]):.1f}" y1="{y + BAR / 2}" y2="{y + BAR / 2}"/>'
            )
        for name in ("budget", "published"):
            if row[name]:
                at = across(row[name])
                parts.append(
                    f'<line class="{name}" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 3}"'
                    f' y2="{y + BAR + 3}"><title>{name} {number(row[name])}</title></line>'
                )
        end, value = across(max(row["median"], row["high"])) + 6, number(row["median"])
        parts.append(f'<text class="value" x="{end:.1f}" y="{y + 10}">{value}</text>')
        y += BAR + 9
    return _svg(y + 4, parts)


def _values(row: Document) -> list[float]:
    found = [row[name] for name in ("median", "low", "high", "budget", "published")]
    return [value for value in found if value and value > 0]


def curve(title: str, points: Sequence[tuple[float, float]], unit: str) -> str:
    """How a figure grows; both axes begin at nothing, so that a straight line is one."""
    width, height, left, base = 410, 220, 76, 180
    most_x, most_y = max(x for x, _ in points), max(y for _, y in points) * 1.15

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (width - left - 20) * x / most_x, base - (base - 30) * y / most_y

    parts = [
        f'<text class="head" x="{left}" y="16">{escape(title)}</text>',
        f'<line class="axis" x1="{left}" x2="{width}" y1="{base}" y2="{base}"/>',
        f'<line class="axis" x1="{left}" x2="{left}" y1="24" y2="{base}"/>',
        f'<text class="label" x="{left - 6}" y="34">{escape(with_unit(most_y, unit))}</text>',
    ]
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    parts.append(f'<polyline class="curve" points="{corners}"/>')
    for x, y in points:
        at, up = place(x, y)
        parts.append(f'<circle class="dot" cx="{at:.1f}" cy="{up:.1f}" r="3.5"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{up - 8:.1f}">{number(y)}</text>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{base + 14}">{number(x)}</text>')
    return _svg(height, parts, width)


def timeline(line: Document) -> str:
    """The steps of a command after each other; what they leave out is start and end of process."""
    total = max(line["total"], sum(ms for _, ms in line["steps"])) or 1.0
    scale = (WIDTH - 20) / total
    head = f"{line['title']}: {number(line['total'])} ms"
    parts = [f'<text class="head" x="0" y="16">{escape(head)}</text>']
    x, row = 0.0, 0
    rest = total - sum(ms for _, ms in line["steps"])
    for place, (name, ms) in enumerate([*line["steps"], ["process start and end", rest]]):
        hue = _HUES[place % len(_HUES)]
        fill = f"hsl({hue} 60% 55%)" if name != "process start and end" else "#8888"
        parts.append(
            f'<rect x="{x:.1f}" y="24" width="{max(ms * scale, 0.5):.1f}" height="22"'
            f' style="fill:{fill}"><title>{escape(name)} {number(ms)} ms</title></rect>'
        )
        column, row = divmod(place, 2)
        left, down = column * 210, 64 + row * 16
        parts.append(
            f'<rect x="{left}" y="{down - 9}" width="10" height="10" style="fill:{fill}"/>'
        )
        parts.append(f'<text x="{left + 15}" y="{down}">{escape(name)} {number(ms)} ms</text>')
        x += ms * scale
    return _svg(92, parts)


def curves(document: Document) -> Iterator[str]:
    """Whatever of the rows grows with the length of a history."""
    found = {row["id"]: row for row in document["rows"] if row["median"]}
    lengths = {"simple": 1031.0, "simple-x10": 10310.0, "simple-x30": 30930.0}
    warm = {"warm-1": 1031.0, "warm-10": 10310.0, "warm-30": 30930.0}
    one = {"statements-one-1": 1031.0, "statements-one-30": 30930.0}
    statements = {"statements-step": 100.0, "statements-simple": 1031.0, "statements-x10": 10310.0}
    new = {"commits": (1031, 10310, 30930), "files": (700, 7000, 21000), "bytes": (2, 20, 60)}
    for title, places in (
        ("one commit more, by commits there", _prefixed("growth-", lengths)),
        ("its SQL statements, by commits there", one),
        ("new commits, by their number", _times("commits", new)),
        ("new files in one commit, by their number", _times("files", new)),
        ("new bytes in one commit, by MiB", _times("bytes", new)),
        ("a warm fetch answer, by commits", warm),
        ("SQL statements of a push, by its commits", statements),
    ):
        points = [(x, found[id]["median"]) for id, x in places.items() if id in found]
        if len(points) > 1:
            unit = next(found[id]["unit"] for id in places if id in found)
            yield curve(title, points, unit)


def _prefixed(prefix: str, lengths: dict[str, float]) -> dict[str, float]:
    return {prefix + name: length for name, length in lengths.items()}


def _times(of: str, sizes: dict[str, tuple[int, int, int]]) -> dict[str, float]:
    return {f"new-{of}-{n}": float(x) for n, x in zip((1, 10, 30), sizes[of], strict=True)}


def _svg(height: float, parts: Sequence[str], width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:.0f}" width="{width}" role="img">{"".join(parts)}</svg>'
    )
