"""The trace accepts a checkout where all adds up and names whatever does not."""

from pathlib import Path

import pytest

from reference.spec import trace as module
from reference.spec.requirements import SpecificationError
from reference.spec.trace import report, trace

CHECKED = "[ID-001] MUST – it.\n"
ROWS = "| id | demand | where |\n| --- | --- | --- |\n| FS1 | fsync | T |\n"
TEST = "@requirement('ID-001', 'FS1')\ndef test_it(): ...\n"


def checkout(folder: Path, **changes: str) -> Path:
    """A checkout with one requirement, one row and one test; `changes` replace files by name."""
    files = {
        "reference/spec/identity.md": changes.pop("identity", CHECKED),
        "reference/spec/checklist.md": changes.pop("checklist", ROWS),
        "tests/test_it.py": changes.pop("test", TEST),
        "conformance/test_push.py": changes.pop("conformance", ""),
        "tests/mutants/all.py": changes.pop("mutants", ""),
    }
    assert not changes
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path, **changes: str) -> list[str]:
    """What the trace finds wrong in a checkout with `changes`."""
    return list(trace(checkout(folder, **changes)).problems)


def test_a_checkout_that_adds_up_has_no_problems(tmp_path: Path) -> None:
    """A requirement, a row and the one test that proves both."""
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.requirement('ID-001', 'FS1')\nasync def test_it(): ...\n",
        "@requirement('ID-001')\n@core.requirement('FS1')\ndef test_it(): ...\n",
        "pytestmark = pytest.mark.requirement('ID-001', 'FS1')\ndef test_it(): ...\n",
        "pytestmark = [requirement('ID-001'), pytest.mark.requirement('FS1')]\n",
        "pytestmark: list = [requirement('ID-001', 'FS1')]\n",
        "@requirement('ID-001', 'FS1')\nclass TestIt: ...\n",
        "class TestIt:\n    pytestmark = requirement('ID-001', 'FS1')\n",
        "class TestIt:\n    @requirement('ID-001', 'FS1')\n    def test_it(self): ...\n",
        "if linux:\n    @requirement('ID-001', 'FS1')\n    def test_it(): ...\n",
        "CASES = [pytest.param(1, marks=pytest.mark.requirement('ID-001', 'FS1'))]\n",
        "@parametrize('x', [param(1, marks=requirement('ID-001', 'FS1'))])\ndef test_it(x): ...\n",
        "TestStore = pytest.mark.requirement('ID-001', 'FS1')(Machine.TestCase)\n",
    ],
)
def test_every_way_to_mark_a_test_is_found(tmp_path: Path, test: str) -> None:
    """Decorators, `pytestmark`, parameters and classes made by hypothesis."""
    assert problems(tmp_path, test=test) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"identity": CHECKED + "\n[ID-002] MUST – more.\n"}, "ID-002 is a MUST that nothing"),
        ({"identity": CHECKED + "\n[ID-002] MUST NOT – more.\n"}, "ID-002 is a MUST NOT that"),
        ({"identity": CHECKED + "pending: 2026-11-21 soon\n"}, "`pending:` is stale"),
        ({"identity": CHECKED + "excluded: no way\n"}, "`excluded:` is stale"),
        ({"test": TEST.replace("FS1", "FS1', 'FS2")}, "FS2 is neither"),
        ({"test": TEST.replace("FS1", "FS1', 'ID-002")}, "ID-002 is neither"),
        ({"mutants": "MUTANTS = [Mutant('no_sync', flagged_by='FS9')]\n"}, "FS9 is neither"),
        ({"mutants": "MUTANTS = [Mutant('no_sync')]\n"}, "needs a literal name and `flagged_by`"),
        ({"test": TEST.replace("test_it", "it")}, "it claims requirements but is no test"),
        ({"test": TEST + "@requirement(name)\ndef test_two(): ...\n"}, "must be literal"),
        ({"test": TEST + "@requirement()\ndef test_two(): ...\n"}, "must be literal"),
        ({"test": TEST.replace(", 'FS1'", "")}, "FS1 has no check in tests"),
        ({"checklist": ROWS.replace("T |", "T, C push |")}, "FS1 has no check in conformance"),
        (
            {"checklist": ROWS.replace("T |", "T; pending 2026-11-21: soon |")},
            "`pending` for tests is stale",
        ),
    ],
)
def test_what_does_not_add_up_is_named(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    """Each flaw is exactly one problem."""
    (problem,) = problems(tmp_path, **changes)
    assert says in problem


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": CHECKED + "\n[ID-002] MUST – more.\npending: 2026-11-21 soon\n"},
        {"identity": CHECKED + "\n[ID-002] MUST – more.\nexcluded: cannot be seen\n"},
        {"identity": CHECKED + "\n[ID-002] SHOULD – more.\n"},
        {"checklist": ROWS.replace("T |", "T, C push; pending 2026-11-21 C: soon |")},
        {
            "checklist": ROWS.replace("T |", "T, C push |"),
            "conformance": "@requirement('FS1')\ndef test_seen(): ...\n",
        },
    ],
)
def test_an_excuse_or_a_weaker_word_will_do(tmp_path: Path, changes: dict[str, str]) -> None:
    """Excuses with a reason, demands that do not bind, and proof in every part."""
    assert problems(tmp_path, **changes) == []


@pytest.mark.parametrize(
    "row",
    [
        "| FS2 | two | X |",
        "| FS2 | two |",
        "| FS-2 | two | T |",
        "| FS1 | again | T |",
        "| FS2 | two | T; pending soon: reason |",
        "| FS2 | two | T; pending 2026-11-21 |",
        "| FS2 | two | T; pending 2026-11-21 C: not its part |",
    ],
)
def test_a_malformed_row_is_an_error_with_its_line(tmp_path: Path, row: str) -> None:
    """The checklist keeps its format as the specification does."""
    with pytest.raises(SpecificationError, match=r"^checklist\.md:4: "):
        trace(checkout(tmp_path, checklist=ROWS + row + "\n"))


def test_the_report_leads_from_demand_to_check_to_mutant(tmp_path: Path) -> None:
    """A reader finds all three under one id."""
    mutants = "MUTANTS = (Mutant('no_sync', flagged_by=('ID-001', 'FS1')),)\n"
    lines = list(report(trace(checkout(tmp_path, mutants=mutants))))
    assert [line.split() for line in lines[:3]] == [
        ["ID-001", "MUST", "it."],
        ["check", "tests/test_it.py::test_it"],
        ["mutant", "no_sync"],
    ]
    assert "1 requirements, 1 binding: 1 checked" in "\n".join(lines)
    assert "1 proofs, 1 mutants, 0 problems" in lines[-1]


def test_the_mutants_own_tests_are_no_mutants(tmp_path: Path) -> None:
    """What a test of the harness makes up proves nothing, and need not be literal."""
    root = checkout(tmp_path)
    (root / "tests/mutants/test_it.py").write_text("MADE_UP = Mutant(name)\n")
    assert list(trace(root).problems) == []


def test_problems_are_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 when all adds up; 1 when something does not, or when the pages cannot be read."""
    root = checkout(tmp_path)
    monkeypatch.setattr(module, "__file__", str(root / "reference" / "spec" / "trace.py"))
    assert module.main() == 0
    checkout(tmp_path, test="")
    assert module.main() == 1
    checkout(tmp_path, identity="[ID-001] must – it.\n")
    assert module.main() == 1
    assert "identity.md:1" in capsys.readouterr().err
