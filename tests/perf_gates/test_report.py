"""The document and its forms."""

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from perf_gates.budgets import Row
from perf_gates.contests import OURS, Contest
from perf_gates.measuring import Measured, Outcome, judge
from perf_gates.report import files, html, markdown, plots, terminal
from perf_gates.report.document import Document, document
from perf_gates.verdicts import Verdict
from tests.perf_gates.machine import MACHINE

PROMISED = {"id", "source", "what", "unit", "budget", "published", "median", "min", "max", "runs"}
"""The fields of a row that others read, besides the verdict and the peers."""


def row(id: str, measure: str = "push", **more: Any) -> Row:
    """A row of a push."""
    texts: dict[str, Any] = {"source": "BG5", "what": "a <push> & more", "check": "it is there"}
    numbers = {"unit": "ms", "budget": 300.0, "published": 364.0, **more}
    options = {"shape": "simple"}
    return Row(id=id, scenario="push", measure=measure, options=options, **texts | numbers)


@pytest.fixture
def made() -> Document:
    """A run with a row of each kind of verdict."""
    samples = {
        OURS: {"push": [0.2, 0.21, 0.2], "step pack": [0.05] * 3, "step upload": [0.1] * 3},
        "git": {"push": [0.8, 0.84, 0.8]},
    }
    contest = Contest({}, absent={"mercurial": "hg is not installed"})
    rows = [
        row("fast"),
        row("slow", budget=100.0),
        row("shown", budget=None),
        row("beside", unit="×", beside="git", budget=0.26, published=None),
        row("growth-simple", budget=0.0),
        row("growth-simple-x10"),
    ]
    outcomes = [judge(row, contest, samples, 0.0) for row in rows]
    outcomes.append(Outcome(row("gone"), Verdict.COULD_NOT_RUN, "no database"))
    measured = Measured(outcomes, [(rows[0], samples)], {"fast": 1.5})
    about = {"tier": "quick", "seconds": 3, "neighbour_cores": 0.1, "images": {}}
    return document(measured, MACHINE, "embedded", {"BG5": "step 3"}, about)


def test_the_document_keeps_its_promises(made: Document) -> None:
    """What CI reads is there under the names that are written down."""
    assert made["schema"] == 1
    assert made["stack"] == "embedded"
    assert made["spent"] == {"fast": 1.5}
    for entry in made["rows"]:
        assert entry.keys() >= PROMISED | {"verdict", "peer"}
    verdicts = {entry["id"]: entry["verdict"] for entry in made["rows"]}
    assert verdicts["fast"] == verdicts["beside"] == "pass"
    assert (verdicts["slow"], verdicts["shown"]) == ("fail", None)
    assert verdicts["gone"] == "could-not-run"
    assert json.loads(json.dumps(made)) == made


def test_numbers_are_in_the_rows_unit(made: Document) -> None:
    """Beside a ratio stand the peer's own milliseconds."""
    rows = {entry["id"]: entry for entry in made["rows"]}
    assert rows["fast"]["median"] == 200
    assert rows["beside"]["median"] == 0.25
    git = rows["beside"]["peer"]["git"]
    assert (git["median"], git["unit"], git["ratio"]) == (800, "ms", 0.25)
    assert rows["fast"]["peer"]["mercurial"]["verdict"] == "could-not-run"


def test_the_time_line_is_the_commands_own(made: Document) -> None:
    """Steps in order, and the whole."""
    [line] = made["timelines"]
    assert line == {"title": "push simple", "steps": [["pack", 50], ["upload", 100]], "total": 200}


def test_every_row_is_in_every_form(made: Document) -> None:
    """Terminal, Markdown and HTML tell the same."""
    texts = ["\n".join(terminal.lines(made)), markdown.page(made), html.page(made)]
    for text in texts:
        assert "no database" in text
        assert "A processor" in text
    for entry in made["rows"]:
        assert entry["id"] in texts[0]
        assert f'id="{entry["id"]}"' in texts[2]


class Page(HTMLParser):
    """Sees whether tags close and what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.seen: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(made: Document) -> None:
    """One file: no script, no font, no picture from elsewhere; texts are escaped."""
    page = Page()
    text = html.page(made)
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert page.seen["svg"] >= 4
    assert "a &lt;push&gt; &amp; more" in text
    assert "<push>" not in text


def test_bars_need_something_to_show() -> None:
    """No figure, no plot."""
    assert plots.bars([]) == ""


def test_the_report_is_three_files(made: Document, tmp_path: Path) -> None:
    """In a folder that is made for them."""
    files.write(made, tmp_path / "report")
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"perf.json", "perf.md", "perf.html"}
    assert json.loads((tmp_path / "report" / "perf.json").read_text()) == made
