"""A small picture for a README: how many checks pass."""

from __future__ import annotations

from xml.sax.saxutils import escape

from conformance.verdicts import Verdict

from .model import Report

_COLOURS = {0: "#2f7d32", 1: "#b3261e"}
_CHARACTER = 6.6


def picture(report: Report) -> str:
    """The badge as SVG, its text in words for who cannot see it."""
    ran = sum(report.counts.values()) - report.counts[Verdict.NOT_APPLICABLE]
    label, message = "muse conformance", f"{report.counts[Verdict.PASS]}/{ran}"
    if report.exit_code == 3:
        message += " incomplete"
    left, right = (round(len(text) * _CHARACTER) + 14 for text in (label, message))
    colour = _COLOURS.get(report.exit_code, "#8a6d00")
    title = escape(f"{label}: {message}")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" \
role="img" aria-label="{title}">
<title>{title}</title>
<clipPath id="c"><rect width="{left + right}" height="20" rx="3"/></clipPath>
<g clip-path="url(#c)"><rect width="{left}" height="20" fill="#444"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="{left / 2}" y="14">{escape(label)}</text>
<text x="{left + right / 2}" y="14">{escape(message)}</text></g>
</svg>
"""
