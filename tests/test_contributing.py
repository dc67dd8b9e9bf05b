"""The example in CONTRIBUTING.md is the one in the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PIECES = re.findall(r"`([\w/.]+\.(?:md|py))`[^\n]*:\n\n *```\w*\n(.*?) *```", PAGE, re.DOTALL)


def test_the_example_has_its_three_parts() -> None:
    """A line of the specification, a check, a mutant."""
    folders = [Path(name).parts[0] for name, _ in PIECES]
    assert folders == ["reference", "conformance", "tests"]


@pytest.mark.parametrize(("name", "piece"), PIECES, ids=[name for name, _ in PIECES])
def test_the_example_stands_in_the_tree(name: str, piece: str) -> None:
    """Word for word, so that whoever looks it up finds it."""

    def lines(text: str) -> str:
        return "\n".join(line.strip() for line in text.strip().splitlines())

    assert lines(piece) in lines((ROOT / name).read_text(encoding="utf-8"))
