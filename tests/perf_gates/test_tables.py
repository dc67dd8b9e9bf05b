"""Tables in pages come from kept results and from nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest

from perf_gates import tables
from perf_gates.tables import mark
from tests.perf_gates.machine import MACHINE

ROW: dict[str, Any] = {
    "id": "step3-unpack",
    "source": "BG5",
    "what": "unpack",
    "unit": "ms",
    "bound": "most",
    "budget": 500,
    "published": 288.9,
    "median": 60.0,
    "low": 50.0,
    "high": 70.0,
    "runs": 9,
    "verdict": "pass",
    "beside": None,
    "peer": {},
}
BESIDE = {
    **ROW,
    "id": "push-git",
    "source": "beside",
    "unit": "×",
    "beside": "git",
    "published": None,
    "median": 0.25,
    "budget": 0.3,
    "peer": {"git": {"median": 800, "unit": "ms"}},
}
RESULT = {
    "schema": 1,
    "stack": "embedded",
    "machine": MACHINE,
    "tier": "full",
    "seconds": 9,
    "measured_at": "2026-01-01T00:00:00Z",
    "neighbour_cores": 0.0,
    "rows": [ROW, BESIDE],
}
PAGE = "# Title\n\n<!-- perf: published -->\nold\n<!-- /perf -->\n\nwords\n"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "better"),
        ({"low": 250, "high": 300}, "reproduced"),
        ({"low": 300, "high": 330}, "reproduced"),
        ({"low": 330, "high": 400}, "not reproduced here"),
        ({"median": None}, "not reproduced here"),
        ({"bound": "least", "low": 300, "high": 310}, "better"),
        ({"bound": "least", "low": 100, "high": 110}, "not reproduced here"),
        ({"bound": "least", "low": 250, "high": 270}, "reproduced"),
        ({"published": None}, "holds"),
        ({"published": None, "verdict": "fail"}, "does not hold here"),
        ({"published": None, "verdict": "too-noisy"}, "too noisy to tell"),
        ({"published": None, "verdict": None}, "shown"),
    ],
)
def test_marks(values: dict[str, Any], word: str) -> None:
    """Better only where the whole interval is; a figure near the published one reproduces it."""
    assert mark({**ROW, **values}) == word


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two pages and one kept result."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(PAGE)
    (tmp_path / "docs" / "performance.md").write_text(PAGE.replace("published", "beside-git"))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "embedded.json").write_text(json.dumps(RESULT))
    return tmp_path


def run(checkout: Path, *words: str) -> int:
    """The command on this checkout."""
    return tables.main(words, checkout, checkout / "results")


@pytest.mark.requirement("K4")
def test_tables_are_made_from_results(checkout: Path) -> None:
    """Published and ours stand side by side; the rest of the page is left alone."""
    assert run(checkout) == 0
    text = (checkout / "README.md").read_text()
    assert "| BG5 | unpack | ≤ 500 ms | 289 ms | 60 ms | better |" in text
    assert text.startswith("# Title\n\n<!-- perf: published -->\n")
    assert text.endswith("<!-- /perf -->\n\nwords\n")
    assert "0.25× (git 800 ms), holds" in (checkout / "docs" / "performance.md").read_text()


def test_check_fails_on_a_page_that_is_not_what_its_result_says(checkout: Path) -> None:
    """And changes nothing; after the tables are made anew it passes."""
    before = (checkout / "README.md").read_text()
    assert run(checkout, "--check") == 1
    assert (checkout / "README.md").read_text() == before
    assert run(checkout) == 0
    assert run(checkout, "--check") == 0
    text = (checkout / "README.md").read_text()
    (checkout / "README.md").write_text(text.replace("60 ms", "6 ms"))
    assert run(checkout, "--check") == 1


def test_keep_takes_a_result_in(checkout: Path) -> None:
    """By its stack; what is no result is refused."""
    taken = checkout / "perf.json"
    taken.write_text(json.dumps({**RESULT, "stack": "containers"}))
    assert run(checkout, "--keep", str(taken)) == 0
    assert (checkout / "results" / "containers.json").exists()
    taken.write_text("{}")
    assert run(checkout, "--keep", str(taken)) == 2


def test_an_unknown_table_is_told(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which page, which name, and what there is."""
    (checkout / "README.md").write_text(PAGE.replace("published", "fastest"))
    assert run(checkout) == 2
    assert "README.md: no table 'fastest'" in capsys.readouterr().err


def test_the_pages_of_this_checkout_are_up_to_date() -> None:
    """What stands in README.md and docs/ is what the kept results say."""
    assert tables.main(["--check"]) == 0
