"""One self-contained page: each requirement's text beside its verdict, evidence and command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from conformance.catalogue import specification
from conformance.verdicts import Result, Verdict, summary

from .model import GROUPS, Report, worst

_STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
_SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")

_ORDER = (*GROUPS, Verdict.PASS, Verdict.NOT_APPLICABLE)
_OUTCOMES = {0: "Conforms", 1: "Does not conform", 3: "Not known"}


def document(report: Report) -> str:
    """The page."""
    name = escape(str(report.subject["name"]))
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Conformance of {name}</title>",
            f"<style>{_STYLE}</style>",
            f"<header><h1>Conformance of {name}</h1>{_tally(report)}{_facts(report)}",
            "</header><main>",
            *_remarks(report),
            *_attention(report),
            _profiles(report),
            _filters(report),
            *(_requirement(id, results) for id, results in report.by_requirement().items()),
            '<p class="none" hidden>No requirement has this profile and verdict.</p>',
            f"</main><script>{_SCRIPT}</script></html>\n",
        ]
    )


def _tally(report: Report) -> str:
    """The verdicts as one bar, the worst first, and in words for who cannot see it."""
    shares = "".join(
        f'<i class="{verdict}" style="flex-grow:{report.counts[verdict]}"></i>'
        for verdict in _ORDER
        if report.counts[verdict]
    )
    return (
        f'<p class="verdict">{_OUTCOMES[report.exit_code]} <span>{escape(report.sentence)}</span>'
        f'</p><div class="bar" role="img" aria-label="{escape(report.sentence)}">{shares}</div>'
    )


def _facts(report: Report) -> str:
    demanded = report.as_json()["requirements"]
    facts = {
        "subject": f"{report.subject['name']} {report.subject['url']}",
        "requirements": f"{demanded['version']}, {demanded['digest']}",
        "kit": report.as_json()["kit"],
        "run": f"{report.started.replace('T', ' ')}, {report.seconds:.0f} s, seed {report.seed}",
    }
    return f"<dl>{''.join(f'<dt>{key}<dd>{escape(value)}' for key, value in facts.items())}</dl>"


def _attention(report: Report) -> Iterator[str]:
    """What is not as it should be, with links to the evidence."""
    for verdict in GROUPS:
        found = [id for id, results in report.by_requirement().items() if worst(results) is verdict]
        if found:
            links = " ".join(f'<a href="#{id}">{id}</a>' for id in found)
            yield f'<p class="list"><b class="{verdict}">{verdict}</b> {links}</p>'


def _profiles(report: Report) -> str:
    """How many checks of each profile ended as what; each number leads to them."""
    shown = [verdict for verdict in _ORDER if report.counts[verdict]]
    heads = "".join(f"<th>{verdict}" for verdict in shown)
    rows = []
    for profile in dict.fromkeys(result.profile for result in report.results):
        counts = summary(result for result in report.results if result.profile == profile)
        cells = "".join(
            f'<td class="{verdict}">'
            + (f'<a href="?profile={profile}&amp;verdict={verdict}#all">{count}</a>' * bool(count))
            for verdict in shown
            for count in (counts[verdict],)
        )
        rows.append(f"<tr><th>{escape(profile or 'none')}{cells}")
    return f'<div class="wide"><table><tr><th>profile{heads}{"".join(rows)}</table></div>'


def _filters(report: Report) -> str:
    profiles = dict.fromkeys(result.profile for result in report.results)
    chosen = "".join(f"<option>{escape(name)}</option>" for name in profiles if name)
    verdicts = "".join(
        f'<option value="{verdict}">{verdict} ({report.counts[verdict]})</option>'
        for verdict in _ORDER
        if report.counts[verdict]
    )
    return (
        '<form id="all"><label>Profile<select name="profile"><option value="">all</option>'
        f"{chosen}</select></label>"
        '<label>Verdict<select name="verdict"><option value="">all</option>'
        f"{verdicts}</select></label>"
        '<label>Find<input name="find" type="search" placeholder="PUSH-007"></label>'
        '<output aria-live="polite"></output></form>'
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
    checks = "".join(_check(result, id) for result in sorted(results, key=_gravity))
    opened = " open" if verdict is Verdict.FAIL else ""
    counts = summary(results)
    rest = [f"{counts[end]} {end}" for end in _ORDER if counts[end] and end is not Verdict.PASS]
    told = ", ".join([f"{len(results)} check{'s' * (len(results) > 1)}", *rest])
    return (
        f'<article id="{id}" data-profile="{escape(profile)}" data-verdict="{verdict}">'
        f'<h2><a href="#{id}">{id}</a> <b class="{verdict}">{verdict}</b>'
        f" <small>{escape(profile)}</small></h2>"
        f"<p><em>{item.level}</em> {_marked(item.text)}</p>"
        f"<details{opened}><summary>{told}</summary>{checks}</details></article>"
    )


def _gravity(result: Result) -> int:
    return _ORDER.index(result.verdict)


def _check(result: Result, requirement: str) -> str:
    anchor = f"{requirement}:{escape(result.id)}"
    profile = escape(result.profile)
    parts = [
        f'<section id="{anchor}" data-verdict="{result.verdict}" data-profile="{profile}">',
        f'<h3><a href="#{anchor}">{escape(result.id)}</a>',
        f' <b class="{result.verdict}">{result.verdict}</b> <small>{result.ms} ms</small></h3>',
        f"<p>{_marked(result.title)}</p>",
    ]
    facts = {"expected": result.expected, "actual": result.actual, "detail": result.detail}
    facts |= {"known": result.known, "flaky": result.flaky}
    shown = "".join(f"<dt>{key}<dd>{escape(text)}" for key, text in facts.items() if text)
    if shown:
        parts.append(f"<dl>{shown}</dl>")
    if result.evidence:
        lines = "".join(f"<span>{escape(line)}\n</span>" for line in result.evidence)
        parts.append(f"<h4>Evidence</h4><pre>{lines}</pre>")
    if result.reproduce:
        parts.append(f"<h4>Again</h4><pre><code>{escape(result.reproduce)}</code></pre>")
    return "".join([*parts, "</section>"])


def _marked(text: str) -> str:
    """Backticks as code, the rest as it is."""
    pieces = escape(text).split("`")
    closed = len(pieces) % 2 == 1
    return "".join(
        f"<code>{piece}</code>" if closed and number % 2 else piece
        for number, piece in enumerate(pieces)
    )
