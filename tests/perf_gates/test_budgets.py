"""budgets.toml: what it holds, and what is said of one that is wrong."""

import sys
from pathlib import Path

import pytest

from perf_gates import budgets, measuring
from perf_gates.budgets import BudgetError
from perf_gates.scenarios import SCENARIOS
from reference.spec import checklist

SPECIFICATION = Path(__file__).parents[2] / "reference" / "spec"
ROW = """
[sources]
BG2 = "step 1"

[[row]]
id = "a"
source = "BG2"
what = "something"
scenario = "negotiate"
measure = "refs"
unit = "ms"
check = "it is right"
"""


def written(folder: Path, text: str) -> Path:
    """A budgets file with this text."""
    path = folder / "budgets.toml"
    path.write_text(text)
    return path


def test_every_row_names_a_scenario_and_options_that_it_has() -> None:
    """The kit's own rows can all be measured."""
    found = budgets.load()
    measuring.check(found.rows)
    assert len({row.id for row in found.rows}) == len(found.rows) > 80


def test_every_published_figure_has_a_row() -> None:
    """Each row of the checklist that the performance gates prove is the source of a figure."""
    rows = checklist.read(SPECIFICATION / "checklist.md")
    demanded = {row.id for row in rows if "perf_gates" in row.folders}
    assert demanded - {"K2", "K3", "K4", "K5"} == {
        row.source for row in budgets.load().rows if row.source[0].isupper()
    }


def test_scenarios_cover_what_their_rows_come_from() -> None:
    """What a module says it proves is what its figures are the figures of."""
    for row in budgets.load().rows:
        if row.source[0].isupper():
            module = sys.modules[SCENARIOS[row.scenario].__module__]
            assert row.source in module.COVERS, row.id


def test_rows_of_one_kind_share_their_runs() -> None:
    """Steps of one scenario with the same options are measured together."""
    rows = [row for row in budgets.load().rows if row.id.startswith(("step3", "step4"))]
    assert len(rows) == 5
    assert len(measuring.grouped(rows)) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("budget = -1", "budget has to be positive"),
        ("budget = true", "budget has to be int or float"),
        ("beside = 'git'", "a ratio has the unit ×"),
        ("tier = 'slow'", "tier 'slow' is none of quick, full"),
        ("bound = 'about'", "bound 'about' is none of most, least"),
        ("colour = 'red'", "unknown field colour"),
        ("runs = 0", "runs has to be positive"),
        ("stacks = ['cloud']", "stacks has to name some of embedded, containers, external"),
        ("stacks = []", "stacks has to name some of"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, wrong: str, said: str) -> None:
    """One sentence names the row and the field."""
    with pytest.raises(BudgetError, match=f"row a: {said}"):
        budgets.load(written(tmp_path, ROW + wrong + "\n"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('unit = "ms"', 'unit = "hours"', "unit 'hours' is none of"),
        ('source = "BG2"', 'source = "BG99"', r"source BG99 is not in \[sources\]"),
        ('measure = "refs"', "", "measure is missing"),
        ('what = "something"', "what = 3", "what has to be a text"),
        ("[[row]]", "[[rows]]", "unknown tables: rows"),
        ("[sources]", "[sources", "budgets.toml"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Whatever is wrong ends in a sentence, never in a traceback."""
    with pytest.raises(BudgetError, match=said):
        budgets.load(written(tmp_path, ROW.replace(old, new)))


def test_the_same_id_twice_is_wrong(tmp_path: Path) -> None:
    """Ids are how figures of two runs are compared."""
    second = ROW.partition("[[row]]")[2]
    with pytest.raises(BudgetError, match="there is an earlier row with this id"):
        budgets.load(written(tmp_path, f"{ROW}[[row]]{second}"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('scenario = "dance"', "row a: no scenario 'dance'"),
        ('scenario = "negotiate"\nwith = { shoes = 2 }', "negotiate has no option 'shoes'"),
        ('scenario = "clone"', "row a: clone needs the option 'shape'"),
    ],
)
def test_a_scenario_or_option_that_is_not_there(tmp_path: Path, row: str, said: str) -> None:
    """This is found before anything is started."""
    text = ROW.replace('scenario = "negotiate"', row)
    with pytest.raises(BudgetError, match=said):
        measuring.check(budgets.load(written(tmp_path, text)).rows)
