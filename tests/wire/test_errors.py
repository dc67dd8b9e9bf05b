"""Errors: the table of codes is the specification's, and each refusal names its rule."""

import re
from pathlib import Path

import pytest

from reference.spec import requirements
from reference.wire import errors
from reference.wire.errors import LOCAL, REQUIREMENT, STATUS, ProtocolError, shown

ROOT = Path(__file__).parents[2]


def published_codes() -> dict[str, int]:
    """The table of codes as http.md prints it."""
    page = (ROOT / "reference/spec/http.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", page, re.MULTILINE)
    return {code: int(status) for status, row in rows for code in re.findall(r"`(\w+)`", row)}


def citations() -> list[tuple[str, str]]:
    """Each requirement that the sources of wire and core name, and where."""
    prefixes = "|".join(requirements.TOPICS.values())
    return [
        (f"{path.relative_to(ROOT)}:{number}", cited)
        for folder in ("wire", "core")
        for path in sorted((ROOT / "reference" / folder).glob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for cited in re.findall(rf"\b(?:{prefixes})-\d+\b", line)
    ]


@pytest.mark.requirement("HTTP-011")
def test_the_table_of_codes_is_the_published_one() -> None:
    """Every code of the specification has its status, and there is no other."""
    published = published_codes()
    assert len(published) > 30
    assert published == STATUS


def test_local_words_never_travel() -> None:
    """The words of a local store are no codes of the wire."""
    assert not LOCAL & STATUS.keys()


def test_every_code_names_a_requirement() -> None:
    """A refusal that cites nothing of its own cites the rule its code stands for."""
    assert REQUIREMENT.keys() == STATUS.keys()
    assert ProtocolError("too_large", "x").requirement == REQUIREMENT["too_large"]
    assert ProtocolError("too_large", "x", "MPACK-041").requirement == "MPACK-041"
    assert ProtocolError("integrity", "x").requirement is None


def test_every_cited_requirement_exists() -> None:
    """No comment and no error cites an id that the specification does not have."""
    known = {requirement.id for requirement in requirements.load()}
    cited = citations()
    assert len(cited) > 60
    assert [(place, id) for place, id in cited if id not in known] == []


@pytest.mark.requirement("HTTP-009")
def test_an_error_carries_its_status_and_body() -> None:
    """The body has code, detail and requirement, and whatever else is given."""
    error = ProtocolError("missing_field", "no want", fields=["want"])
    assert error.status == 422
    assert error.body() == {
        "error": {
            "code": "missing_field",
            "detail": "no want",
            "requirement": "HTTP-005",
            "fields": ["want"],
        }
    }
    assert str(error) == "missing_field: no want [HTTP-005]"


def nested(depth: int) -> list[object]:
    """A list in a list in a list."""
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [nested(100_000), b"x" * 10_000_000, "x" * 10_000_000, 10**5000, {"a": nested(5000)}, object()],
    ids=["deep", "bytes", "text", "number", "map", "object"],
)
def test_any_value_is_shown_in_a_few_characters(value: object) -> None:
    """Neither depth nor size makes the text of an error long, slow or impossible."""
    assert len(shown(value)) < 300


@pytest.mark.parametrize("value", [None, True, 1, -1.5, "a\ud800", b"\xff"])
def test_small_values_are_shown_whole(value: object) -> None:
    """What fits is shown as Python writes it."""
    assert shown(value) == repr(value)


def test_the_module_needs_nothing() -> None:
    """Errors are at the bottom: they import nothing of the kit."""
    assert "from ." not in Path(errors.__file__).read_text(encoding="utf-8")
