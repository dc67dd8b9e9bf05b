"""Numbers as people read them."""

from __future__ import annotations

from .document import Document


def number(value: float | None) -> str:
    """Three digits that count, or nothing."""
    if value is None:
        return "–"
    if value and abs(value) < 0.01:
        return f"{value:.2g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def with_unit(value: float | None, unit: str) -> str:
    """The number with its unit; a count has none."""
    return number(value) if value is None or unit == "count" else f"{number(value)} {unit}"


def budget(row: Document) -> str:
    """The budget with its direction."""
    if row["budget"] is None:
        return "–"
    sign = "≥" if row["bound"] == "least" else "≤"
    return f"{sign} {number(row['budget'])}"


def interval(row: Document) -> str:
    """Where the median would lie if all were done again."""
    if row["median"] is None:
        return ""
    return f"{number(row['low'])}–{number(row['high'])}"
