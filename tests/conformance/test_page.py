"""The HTML report in a real browser: filters, links, narrow screens, the dark, and no network."""

from pathlib import Path

import pytest

from conformance.report import files
from conformance.report.model import Report
from conformance.verdicts import Result, Verdict
from tests.conformance.browser import Question, browser, told, too_wide

pytestmark = pytest.mark.skipif(
    browser() is None, reason="could not run: no Chromium here (CHROMIUM=… names one)"
)

LONG = "x" * 700


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every verdict, and texts that fit nowhere."""
    fails = Result("push/b[x y]", ("PUSH-009",), "push", Verdict.FAIL, "It holds.", LONG, LONG)
    fails.evidence = [f"GET /{LONG} → 500 {{}}", "GET /b → 200"]
    fails.reproduce = f"python -m conformance --id 'push/b[x y]' --seed {LONG}"
    results = [
        Result("push/a", ("PUSH-009", "FETCH-001"), "push", Verdict.PASS, "It is `so`.", ms=7),
        fails,
        Result("fetch/c", ("FETCH-001",), "fetch", Verdict.COULD_NOT_RUN, detail="needs [x]"),
        Result("auth/d", ("AUTH-001",), "auth", Verdict.NOT_APPLICABLE, detail="not claimed"),
        Result("auth/e", ("AUTH-002",), "auth", Verdict.SUITE_ERROR, detail="KeyError"),
    ]
    subject = {"name": f"mine {LONG}", "url": "http://h", "profiles": [], "capabilities": []}
    report = Report(subject, 1, results, stale=["x"], left=["y"])
    return files.write(report, tmp_path_factory.mktemp("page"))


VISIBLE = """
    const visible = (selector) => [...window.document.querySelectorAll(selector)]
        .filter((node) => node.offsetParent !== null).map((node) => node.id);
"""
OPEN = "window.document.querySelectorAll('details').forEach((node) => { node.open = true; });"


def test_nothing_is_wider_than_the_screen(page: Path) -> None:
    """On a desk and on a phone there is nothing to scroll sideways for."""
    assert not too_wide(page, OPEN)


@pytest.mark.parametrize("dark", [True, False])
def test_it_can_be_read_in_the_light_and_in_the_dark(page: Path, dark: bool) -> None:
    """Every text has a contrast of 4.5 at least against the page, by the formula of WCAG."""
    script = """
        const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
                const share = part / 255;
                return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const style = (node) => window.getComputedStyle(node);
        const paper = light(style(window.document.body).backgroundColor);
        const ratios = [...window.document.querySelectorAll("p, b, dd, dt, th, td, h1, small, pre")]
            .map((node) => light(style(node).color))
            .map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
        return [paper, Math.min(...ratios)];
    """
    [(paper, contrast)] = told(page, Question(script), dark=dark)
    assert (paper < 0.1) == dark
    assert contrast >= 4.5


FILTERED = {
    ("", "", ""): (["AUTH-001", "AUTH-002", "PUSH-009", "FETCH-001"], 6),
    ("push", "", ""): (["PUSH-009", "FETCH-001"], 3),
    ("", "fail", ""): (["PUSH-009"], 1),
    ("push", "pass", ""): (["PUSH-009", "FETCH-001"], 2),
    ("auth", "fail", ""): ([], 0),
    ("", "", "fetch/c"): (["FETCH-001"], 2),
    ("", "", "no such word"): ([], 0),
}


def filtering(profile: str, verdict: str, find: str) -> Question:
    """What is to be seen after somebody filled in the form."""
    return Question(f"""
        const form = window.document.querySelector("form");
        form.elements.profile.value = "{profile}";
        form.elements.verdict.value = "{verdict}";
        form.elements.find.value = "{find}";
        form.dispatchEvent(new window.Event("input"));
        {OPEN} {VISIBLE}
        return [visible("article"), visible("section").length, visible(".none").length];
    """)


def test_filters_leave_what_was_asked_for(page: Path) -> None:
    """By profile, verdict and word; where nothing is left, that is said."""
    found = told(page, *(filtering(*chosen) for chosen in FILTERED))
    wanted = [[ids, sections, int(not ids)] for ids, sections in FILTERED.values()]
    assert dict(zip(FILTERED, found, strict=True)) == dict(zip(FILTERED, wanted, strict=True))


def test_an_address_with_a_filter_shows_the_same(page: Path) -> None:
    """What was filtered can be sent to somebody else."""
    script = f"{VISIBLE} return visible('article');"
    addresses = ("?verdict=fail", "?profile=auth&verdict=suite-error")
    found = told(page, *(Question(script, address=address) for address in addresses))
    assert found == [["PUSH-009"], ["AUTH-002"]]


def test_a_link_to_a_check_opens_it(page: Path) -> None:
    """Even when a filter in the same address would hide it."""
    script = """
        const target = window.document.getElementById("FETCH-001:fetch/c");
        const box = target.getBoundingClientRect();
        return [target.offsetParent !== null, box.top >= 0 && box.top < 844];
    """
    anchor = "#FETCH-001:fetch/c"
    plain, filtered = told(
        page,
        Question(script, address=anchor),
        Question(script, address=f"?verdict=suite-error{anchor}"),
    )
    assert (plain, filtered) == ([True, True], [True, True])


def test_every_link_leads_somewhere(page: Path) -> None:
    """Anchors exist; the page names no other place."""
    script = """
        const links = [...window.document.querySelectorAll("a")].map((a) => a.getAttribute("href"));
        const anchors = links.map((href) => href.replace(/^\\?[^#]*/, ""));
        return [links.length, anchors
            .filter((href) => !window.document.getElementById(decodeURIComponent(href.slice(1))))];
    """
    [(count, broken)] = told(page, Question(script))
    assert count > 10
    assert broken == []


def test_requirement_verdict_evidence_and_command_stand_together(page: Path) -> None:
    """One article tells all there is about a requirement, the failing check first."""
    script = """
        const article = window.document.getElementById("PUSH-009");
        const section = article.querySelector("section");
        return [article.querySelector("b").textContent, section.id, article.innerText];
    """
    [(verdict, first, text)] = told(page, Question(script))
    assert (verdict, first) == ("fail", "PUSH-009:push/b[x y]")
    for part in ("MUST", "GET /b → 200", "python -m conformance --id 'push/b[x y]'", "1 fail"):
        assert part in text
