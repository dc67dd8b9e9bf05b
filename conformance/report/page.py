"""One self-contained page: each requirement's text beside its verdict, evidence and command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from conformance.catalogue import specification
from conformance.verdicts import Result, Verdict

from .model import Report, worst

_STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
_SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")


def document(report: Report) -> str:
    """The page."""
    name = escape(str(report.subject["name"]))
    facts = {
        "subject": f"{report.subject['name']} {report.subject['url']}",
        "verdict": report.sentence,
        "started": f"{report.started}, {report.seconds:.0f} s, seed {report.seed}",
    }
    described = "".join(f"<dt>{key}<dd>{escape(value)}" for key, value in facts.items())
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Conformance of {name}</title>",
            f"<style>{_STYLE}</style>",
            f"<header><h1>Conformance of {name}</h1><dl>{described}</dl>",
            _filters(report),
            "</header><main>",
            *_remarks(report),
            *(_requirement(id, results) for id, results in report.by_requirement().items()),
            '<p class="none" hidden>No requirement has this profile and verdict.</p>',
            f"</main><script>{_SCRIPT}</script></html>\n",
        ]
    )


def _filters(report: Report) -> str:
    profiles = dict.fromkeys(result.profile for result in report.results)
    chosen = "".join(f"<option>{escape(name)}</option>" for name in profiles if name)
    verdicts = "".join(
        f'<option value="{verdict}">{verdict} ({report.counts[verdict]})</option>'
        for verdict in Verdict
        if report.counts[verdict]
    )
    return (
        '<form><label>Profile <select name="profile"><option value="">all</option>'
        f"{chosen}</select></label>"
        '<label>Verdict <select name="verdict"><option value="">all</option>'
        f"{verdicts}</select></label>"
        '<label>Find <input name="find" type="search" placeholder="PUSH-007"></label></form>'
    )


def _remarks(report: Report) -> Iterator[str]:
    for name in report.stale:
        yield f'<p class="remark">Stale in the baseline: {escape(name)} does not fail.</p>'
    for name in report.left:
        yield f'<p class="remark">Left on the subject: {escape(name)}</p>'


def _requirement(id: str, results: Sequence[Result]) -> str:
    item = specification()[id]
    verdict = worst(results)
    profile = item.profile or results[0].profile
    checks = "".join(_check(result, id) for result in results)
    opened = " open" if verdict is Verdict.FAIL else ""
    return (
        f'<article id="{id}" data-profile="{escape(profile)}" data-verdict="{verdict}">'
        f'<h2><a href="#{id}">{id}</a> <b class="{verdict}">{verdict}</b>'
        f" <small>{escape(profile)}</small></h2>"
        f"<p><em>{item.level}</em> {_marked(item.text)}</p>"
        f"<details{opened}><summary>{len(results)} checks</summary>{checks}</details></article>"
    )


def _check(result: Result, requirement: str) -> str:
    parts = [
        f'<section id="{requirement}:{escape(result.id)}" data-verdict="{result.verdict}">',
        f'<h3><a href="#{requirement}:{escape(result.id)}">{escape(result.id)}</a>',
        f' <b class="{result.verdict}">{result.verdict}</b> <small>{result.ms} ms</small></h3>',
        f"<p>{_marked(result.title)}</p>",
    ]
    facts = {"expected": result.expected, "actual": result.actual, "detail": result.detail}
    facts |= {"known": result.known, "flaky": result.flaky}
    shown = "".join(f"<dt>{key}<dd>{escape(text)}" for key, text in facts.items() if text)
    if shown:
        parts.append(f"<dl>{shown}</dl>")
    if result.evidence:
        parts.append(f"<pre>{escape(chr(10).join(result.evidence))}</pre>")
    if result.reproduce:
        parts.append(f"<pre><code>{escape(result.reproduce)}</code></pre>")
    return "".join([*parts, "</section>"])


def _marked(text: str) -> str:
    """Backticks as code, the rest as it is."""
    pieces = escape(text).split("`")
    closed = len(pieces) % 2 == 1
    return "".join(
        f"<code>{piece}</code>" if closed and number % 2 else piece
        for number, piece in enumerate(pieces)
    )
