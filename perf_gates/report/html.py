"""perf.html: one page that needs nothing else, light or dark, wide or narrow."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from . import plots
from .document import Document
from .numbers import budget, interval, number, with_unit
from .terminal import beside, machine

STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --paper: #fff; --soft: #f2f4f7; --line: #d5dae1;
  --pass: #1f7a4a; --fail: #b3261e; --noisy: #8a5a00; --shown: #2f5d9b; --quiet: #5b6570; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --paper: #14181d; --soft: #1e242b;
  --line: #39424d; --pass: #4dbb80; --fail: #ef6b61; --noisy: #e5b04c; --shown: #7aa6df;
  --quiet: #98a2ae; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p.machine { color: var(--quiet); margin: 0 0 1rem; }
.counts span { display: inline-block; padding: .15rem .6rem; margin: 0 .4rem .4rem 0;
  border-radius: 1rem; color: var(--paper); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { text-align: left; padding: .3rem .55rem; border-bottom: 1px solid var(--line);
  vertical-align: top; } td.n { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th { color: var(--quiet); font-weight: 600; } tr.source td { background: var(--soft);
  font-weight: 600; } td small { color: var(--quiet); display: block; }
td.pass { color: var(--pass); } td.fail { color: var(--fail); font-weight: 700; }
td.too-noisy { color: var(--noisy); } td.could-not-run, td.shown { color: var(--quiet); }
.counts .pass, rect.pass { background: var(--pass); fill: var(--pass); }
.counts .fail, rect.fail { background: var(--fail); fill: var(--fail); }
.counts .too-noisy, rect.too-noisy { background: var(--noisy); fill: var(--noisy); }
.counts .could-not-run { background: var(--quiet); }
.counts .shown, rect.shown { background: var(--shown); fill: var(--shown); }
svg { max-width: 100%; height: auto; margin: .4rem 1rem .6rem 0; } svg text { font-size: 11px;
  fill: var(--ink); } svg .label { text-anchor: end; } svg .tick { text-anchor: middle;
  fill: var(--quiet); font-size: 10px; } svg .head { font-weight: 600; font-size: 12px; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--quiet); }
svg .spread { stroke: var(--ink); stroke-width: 2; } svg .budget { stroke: var(--fail);
  stroke-width: 2; } svg .published { stroke: var(--ink); stroke-width: 2;
  stroke-dasharray: 3 2; } svg .curve { fill: none; stroke: var(--shown); stroke-width: 2; }
svg .dot { fill: var(--shown); } .key { color: var(--quiet); }
.key b { color: var(--fail); } .key i { color: var(--ink); font-style: normal; }
svg .value { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
@media (max-width: 45rem) { thead { display: none; } table, tbody, tr, td { display: block; }
  tr { padding: .4rem 0; border-bottom: 1px solid var(--line); } td { border: 0; padding: 0 .4rem; }
  td.n { display: inline-block; padding-right: .8rem; } td:empty, td.none { display: none; }
  td[data-head]::before { content: attr(data-head) " "; color: var(--quiet); }
  tr.source { padding: 0; } tr.source td { padding: .3rem .4rem; }
  .plot { overflow-x: auto; } .plot svg { max-width: none; } }
"""
HEADS = ("what", "budget", "published", "here", "interval", "runs", "beside", "verdict")


def page(document: Document) -> str:
    """The whole page."""
    title = f"Performance on the {document['stack']} stack"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{''.join(_body(document))}</body></html>\n"
    )


def _body(document: Document) -> Iterator[str]:
    when = document["measured_at"]
    yield f'<p class="machine">{escape(machine(document))}. Measured {escape(when)}.</p>'
    counts = [
        f'<span class="{name}">{count} {name}</span>'
        for name, count in document["summary"].items()
        if count
    ]
    yield f'<p class="counts">{"".join(counts)}</p>'
    yield '<h2>All rows</h2><div class="scroll">'
    yield from _table(document)
    yield "</div>"
    key = '<p class="key">bar: here; <b>red line</b>: budget; <i>dashed line</i>: published</p>'
    for title, rows in (
        ("Times in milliseconds", _times(document)),
        ("Beside others, as a ratio", [r for r in document["rows"] if r["unit"] == "×"]),
    ):
        if drawn := plots.bars(rows):
            yield f'<h2>{title}</h2>{key}<div class="plot">{drawn}</div>'
    if grown := list(plots.curves(document)):
        yield f"<h2>Growth</h2>{''.join(grown)}"
    if document["timelines"]:
        yield '<h2>Where the time goes</h2><div class="plot">'
        yield from map(plots.timeline, document["timelines"])
        yield "</div>"


def _times(document: Document) -> list[Document]:
    """All times, in one unit."""
    factors = {"ms": 1.0, "s": 1000.0}
    names = ("median", "low", "high", "budget", "published")
    found = []
    for row in document["rows"]:
        if row["unit"] in factors and row["median"] is not None:
            values = {n: row[n] * factors[row["unit"]] for n in names if row[n] is not None}
            found.append({**row, **values, "unit": "ms"})
    return found


def _table(document: Document) -> Iterator[str]:
    yield f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in HEADS)}</tr></thead><tbody>"
    for source, rows in groupby(document["rows"], key=lambda row: row["source"]):
        text = escape(f"{source} – {document['sources'].get(source, '')}")
        yield f'<tr class="source"><td colspan="8">{text}</td></tr>'
        yield from map(_row, rows)
    yield "</tbody></table>"


def _row(row: Document) -> str:
    verdict = row["verdict"] or "shown"
    detail = "" if row["verdict"] is None else row["detail"]
    notes = [text for text in (row["note"], detail, f"checked: {row['check']}") if text]
    small = "".join(f"<small>{escape(text)}</small>" for text in notes)
    here = "–" if row["median"] is None else with_unit(row["median"], row["unit"])
    cells = (budget(row), number(row["published"]), here, interval(row), str(row["runs"]))
    what = f'<td id="{row["id"]}">{escape(row["what"])}{small}</td>'
    numbers = "".join(map(_number, HEADS[1:-2], cells))
    rest = f'<td>{escape(beside(row))}</td><td class="{verdict}">{verdict}</td>'
    return f"<tr>{what}{numbers}{rest}</tr>"


def _number(head: str, text: str) -> str:
    """A cell; where the table becomes a list, its head stands before it."""
    kind = "n none" if text in ("", "–") else "n"
    return f'<td class="{kind}" data-head="{head}">{escape(text)}</td>'
