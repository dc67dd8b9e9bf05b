"""perf.html in a real browser: wide and narrow, light and dark, plots that say what rows say."""

import json
from pathlib import Path
from typing import Any

import pytest

from perf_gates import tables
from perf_gates.report import html
from tests.conformance.browser import Question, browser, told, too_wide

pytestmark = pytest.mark.skipif(
    browser() is None, reason="could not run: no Chromium here (CHROMIUM=… names one)"
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """A kept result, with a text that fits nowhere and a curve of each kind."""
    [path, *_] = sorted(tables.RESULTS.glob("*.json"))
    found: dict[str, Any] = json.loads(path.read_text())
    row = next(row for row in found["rows"] if row["unit"] == "ms" and row["median"])
    for id, factor in (("new-files-1", 1), ("new-files-10", 9), ("new-files-30", 28)):
        grown = {name: row[name] * factor for name in ("median", "low", "high")}
        found["rows"].append({**row, **grown, "id": id, "what": f"{id} {'x' * 300}"})
    return found


@pytest.fixture(scope="module")
def page(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It as a page."""
    path = tmp_path_factory.mktemp("page") / "perf.html"
    path.write_text(html.page(document), encoding="utf-8")
    return path


def test_nothing_is_wider_than_the_screen(page: Path) -> None:
    """On a desk and on a phone there is nothing to scroll sideways for but a plot."""
    assert not too_wide(page)


def test_on_a_phone_every_row_has_its_verdict_in_sight(
    page: Path, document: dict[str, Any]
) -> None:
    """The table becomes a list, and figures say what they are."""
    script = """
        const cells = [...window.document.querySelectorAll("td:last-child:not([colspan])")];
        const inside = cells.filter((cell) => {
            const box = cell.getBoundingClientRect();
            return box.width > 0 && box.left >= 0 && box.right <= window.innerWidth;
        });
        const named = window.document.querySelector("td[data-head=here]");
        return [inside.length, window.getComputedStyle(named, "::before").content];
    """
    [[inside, head]] = told(page, Question(script, width=390))
    assert inside == len(document["rows"])
    assert "here" in head


def test_a_bar_that_passes_ends_before_its_budget(page: Path) -> None:
    """Bars and marks are on one scale; each has a width, and each curve goes through its points."""
    script = """
        const svg = window.document.querySelector(".plot svg");
        const wrong = [];
        for (const bar of svg.querySelectorAll("rect")) {
            const box = bar.getBBox();
            const marks = [...svg.querySelectorAll("line.budget")].filter((line) => {
                const mark = line.getBBox();
                return mark.y < box.y + 6 && mark.y + mark.height > box.y + 6;
            });
            const over = marks.some((line) => line.getBBox().x < box.x + box.width);
            if (box.width <= 0 || (bar.matches(".pass") && over)) wrong.push(bar.textContent);
        }
        const curves = window.document.querySelectorAll("polyline.curve").length;
        return [wrong, svg.querySelectorAll("rect").length, curves];
    """
    [[wrong, bars, curves]] = told(page, Question(script))
    assert wrong == []
    assert bars > 10
    assert curves >= 1


@pytest.mark.parametrize("dark", [True, False])
def test_it_can_be_read_in_the_light_and_in_the_dark(page: Path, dark: bool) -> None:
    """Every text has a contrast of 4.5 at least against what it stands on."""
    script = """
        const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
                const share = part / 255;
                return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (node) => {
            const own = window.getComputedStyle(node).backgroundColor;
            return own === "rgba(0, 0, 0, 0)" && node.parentElement
                ? ground(node.parentElement) : own;
        };
        const poor = new Set();
        for (const node of window.document.querySelectorAll("p, span, td, th, small, h1, h2, b")) {
            const colour = window.getComputedStyle(node).color;
            const [a, b] = [light(colour), light(ground(node))].sort((x, y) => y - x);
            if ((a + 0.05) / (b + 0.05) < 4.5) poor.add(`${node.className}: ${colour}`);
        }
        return [light(ground(window.document.body)), [...poor]];
    """
    [[ground, poor]] = told(page, Question(script), dark=dark)
    assert poor == []
    assert (ground < 0.1) is dark
