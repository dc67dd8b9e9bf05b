"""A frozen requirement keeps its meaning, or the changelog says what became of it."""

from pathlib import Path

import pytest

from reference.spec import releases, requirements
from reference.spec.requirements import load

ID_1 = "[ID-001] MUST – one.\n"
ID_2 = "[ID-002] MUST – two.\nprofile: push\n"
CHANGELOG = "# Changelog\n\n## 0.2\n\n{}\n## 0.1\n\nThe first.\n"


def problems(
    folder: Path, page: str, changelog: str = CHANGELOG.format(""), version: str = "0.2"
) -> list[str]:
    """What is wrong when ID-001 and ID-002 were frozen as 0.1 and the page says something now."""
    path = folder / "identity.md"
    path.write_text(f"{ID_1}\n{ID_2}")
    frozen = folder / releases.FOLDER / "0.1.txt"
    frozen.parent.mkdir()
    frozen.write_text(releases.document("0.1", load(folder)))
    path.write_text(page)
    (folder / releases.CHANGELOG).write_text(changelog)
    return list(releases.problems_of(folder, version, load(folder)))


@pytest.mark.parametrize(
    ("page", "entry", "told"),
    [
        (f"{ID_1}\n{ID_2}", "", None),
        (f"{ID_1}\n{ID_2.replace('push', 'fetch')}", "", None),
        (f"{ID_1}\n{ID_2.replace('two', 'to')}", "", "ID-002 means something else since 0.1"),
        (f"{ID_1}\n{ID_2.replace('two', 'to')}", "- ID-002: clearer.\n", None),
        (f"{ID_1}\n{ID_2.replace('MUST', 'MAY')}", "", "ID-002 means something else since 0.1"),
        (ID_1, "", "ID-002 vanished since 0.1"),
        (ID_1, "- ID-002: was never kept.\n", None),
        (f"{ID_1}\n{ID_2}\n[ID-003] MAY – x.\n", "", "ID-003 is new since 0.1"),
        (f"{ID_1}\n{ID_2}\n[ID-003] MAY – x.\n", "- ID-003: new.\n", None),
        (f"{ID_1.replace('one', 'a')}\n{ID_2.replace('two', 'b')}", "- ID-001, ID-002: x.\n", None),
        (f"{ID_1}\n{ID_2}", "- ID-002: changed.\n", "ID-002 is as it was in 0.1"),
        (f"{ID_1}\n{ID_2}", "- ID-002 changed.\n", "expected `- PUSH-007, PUSH-009: what changed`"),
    ],
)
def test_what_changed_is_in_the_changelog(
    tmp_path: Path, page: str, entry: str, told: str | None
) -> None:
    """A new meaning, a new id, one that vanished; and no entry about nothing."""
    found = problems(tmp_path, page, CHANGELOG.format(entry))
    assert [told in problem for problem in found] == [True] if told else found == []


def test_a_frozen_version_does_not_change_at_all(tmp_path: Path) -> None:
    """Not even with an entry: whoever has the version has its meaning."""
    page = f"{ID_1}\n{ID_2.replace('two', 'to')}"
    changelog = "## 0.1\n\n- ID-002: clearer.\n"
    found = problems(tmp_path, page, changelog, version="0.1")
    told = "ID-002 means something else, but 0.1 is frozen: move VERSION in"
    files = "reference/spec/requirements.py and say so in reference/spec/CHANGELOG.md"
    assert found == [f"{told} {files}"]


def test_versions_go_forward(tmp_path: Path) -> None:
    """By number, and each with its section."""
    page = f"{ID_1}\n{ID_2}"
    assert problems(tmp_path, page, version="0.10") == [
        "reference/spec/CHANGELOG.md: version 0.10 of the requirements has no section"
    ]
    frozen = tmp_path / releases.FOLDER / "0.10.txt"
    frozen.write_text(releases.document("0.10", load(tmp_path)))
    found = list(releases.problems_of(tmp_path, "0.2", load(tmp_path)))
    told = "version 0.2 is older than the frozen 0.10"
    assert found == [f"reference/spec/requirements.py: {told}"]


def test_a_broken_release_is_told(tmp_path: Path) -> None:
    """A line that is no id with its digest."""
    (tmp_path / releases.FOLDER).mkdir()
    (tmp_path / releases.FOLDER / "0.1.txt").write_text("# x\nID-001 sha256:0\n")
    found: list[str] = []
    releases.read(tmp_path, found)
    assert found == ["reference/spec/releases/0.1.txt:2: expected an id and a digest"]


def test_a_report_and_a_release_speak_of_the_same_digest() -> None:
    """The heading of a release is what reports and bundles carry."""
    items = load()
    heading = releases.document(requirements.VERSION, items).splitlines()[0]
    assert heading == f"# requirements {requirements.VERSION}, {requirements.digest(items)}"
