"""perf.md: the table for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .document import Document
from .numbers import budget, interval, number
from .terminal import beside, machine

VERDICTS = {"pass": "pass", "fail": "**fail**", None: "shown"}


def page(document: Document) -> str:
    """The whole page."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield f"# Performance on the {document['stack']} stack"
    yield ""
    yield f"{machine(document)}. Measured {document['measured_at']}."
    yield ""
    yield from table(document, document["rows"])
    missed = [row for row in document["rows"] if row["verdict"] not in ("pass", None)]
    if missed:
        yield ""
        yield "Not passed:"
        yield ""
        for row in missed:
            yield f"- `{row['id']}` {row['verdict']}: {row['detail']}"


def table(document: Document, rows: Sequence[Document]) -> Iterator[str]:
    """Some rows as a Markdown table."""
    yield "| source | what | budget | published | here | interval | beside | verdict |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        unit = row["unit"]
        here = "–" if row["median"] is None else f"{number(row['median'])} {unit}"
        held = "–" if row["budget"] is None else f"{budget(row)} {unit}"
        verdict = VERDICTS.get(row["verdict"], row["verdict"])
        cells = (row["source"], row["what"], held, number(row["published"]), here)
        yield f"| {' | '.join(cells)} | {interval(row)} | {beside(row)} | {verdict} |"
