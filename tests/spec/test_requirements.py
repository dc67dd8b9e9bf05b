"""The parser of the specification reads what is well formed and names the line of what is not."""

from pathlib import Path

import pytest

from reference.spec import requirements
from reference.spec.requirements import Requirement, SpecificationError, digest, load


def page(folder: Path, name: str, text: str) -> Path:
    """Write one page of a specification and give back its folder."""
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def one(folder: Path, text: str) -> Requirement:
    """The only requirement in an identity page that says `text`."""
    (requirement,) = load(page(folder, "identity", text))
    return requirement


def fault(folder: Path, text: str, name: str = "identity") -> str:
    """What the parser says about a page that it refuses."""
    with pytest.raises(SpecificationError) as caught:
        load(page(folder, name, text))
    return str(caught.value)


def test_a_paragraph_is_one_requirement(tmp_path: Path) -> None:
    """Lines wrap until a blank one; prose around it is not part of it."""
    text = "# Identity\n\nProse.\n\n[ID-001] MUST – the id is\nthe digest.\n\nMore prose.\n"
    assert one(tmp_path, text) == Requirement(
        id="ID-001",
        topic="identity",
        level="MUST",
        text="the id is the digest.",
        pending=None,
        excluded=None,
        profile=None,
        file="identity.md",
        line=5,
    )


@pytest.mark.parametrize("level", ["MUST", "MUST NOT", "SHOULD", "MAY"])
def test_every_level_is_read(tmp_path: Path, level: str) -> None:
    """Only MUST and MUST NOT are binding."""
    requirement = one(tmp_path, f"[ID-001] {level} – it.\n")
    assert requirement.level == level
    assert requirement.is_must == level.startswith("MUST")


def test_attributes_follow_the_text(tmp_path: Path) -> None:
    """`profile:` and `pending:` are lines of the paragraph, not words of the text."""
    requirement = one(
        tmp_path, "[ID-001] MUST – it.\nprofile: push\npending: 2026-11-21 wants a server\n"
    )
    assert requirement.text == "it."
    assert requirement.profile == "push"
    assert requirement.pending == "2026-11-21 wants a server"
    assert requirement.excluded is None


def test_excluded_keeps_its_reason(tmp_path: Path) -> None:
    """A requirement that cannot be tested says why."""
    assert one(tmp_path, "[ID-001] MUST – it.\nexcluded: no clock\n").excluded == "no clock"


def test_fenced_blocks_are_not_read(tmp_path: Path) -> None:
    """An example of the format, or of bytes, demands nothing; a longer fence may hold a shorter."""
    block = "````\n```\n[ID-009] MUST – no.\n```\n[ID-008] bad\n````\n"
    assert one(tmp_path, block + "[ID-001] MUST – it.\n```vector x\n{}\n```\n").text == "it."


def test_a_reference_inside_a_paragraph_is_text(tmp_path: Path) -> None:
    """A line that wraps just before a cited id goes on."""
    text = "[ID-001] MUST – as in\n[REC-002], it.\n"
    assert one(tmp_path, text).text == "as in [REC-002], it."


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("x\n\n[ID-001] MUST - hyphen.\n", "identity.md:3", "en dash"),
        ("[ID-001] SHALL – it.\n", "identity.md:1", "expected"),
        ("[ID-1] MUST – it.\n", "identity.md:1", "expected"),
        ("[ID-0001] MUST – it.\n", "identity.md:1", "expected"),
        ("[id-001] MUST – it.\n", "identity.md:1", "expected"),
        ("- [ID-001] MUST – it.\n", "identity.md:1", "expected"),
        ("  [ID-001] MUST – it.\n", "identity.md:1", "expected"),
        ("**[ID-001]** MUST – it.\n", "identity.md:1", "expected"),
        ("[ID-001] MUST –\n", "identity.md:1", "expected"),
        ("[ID-001] MUST – a.\n[ID-002] MUST – b.\n", "identity.md:2", "blank line"),
        ("[REC-001] MUST – it.\n", "identity.md:1", "begin with ID-"),
        ("[XYZ-001] MUST – it.\n", "identity.md:1", "begin with ID-"),
        ("[ID-001] MUST – a.\n\n[ID-001] MUST – b.\n", "identity.md:3", "identity.md:1"),
        ("[ID-001] MUST – a.\n\n[ID-003] MUST – b.\n", "identity.md", "ID-002 is missing"),
        ("[ID-001] MUST – it.\npending: later\n", "identity.md:1", "YYYY-MM-DD"),
        ("[ID-001] MUST – it.\npending: 2026-02-30 no such day\n", "identity.md:1", "YYYY-MM-DD"),
        ("[ID-001] MUST – it.\npending: 2026-11-21\n", "identity.md:1", "YYYY-MM-DD"),
        ("[ID-001] MUST – it.\nexcluded:\n", "identity.md:1", "empty"),
        ("[ID-001] MUST – it.\nprofile: pull\n", "identity.md:1", "unknown profile"),
        ("[ID-001] MUST – it.\nprofile: push\nprofile: auth\n", "identity.md:1", "two lines"),
        ("[ID-001] MUST – it.\nprofile: push\nand on.\n", "identity.md:1", "goes on"),
        (
            "[ID-001] MUST – it.\nexcluded: no\npending: 2026-11-21 yes\n",
            "identity.md:1",
            "both",
        ),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, text: str, at: str, says: str) -> None:
    """Whatever is nearly a requirement is an error, never silently prose."""
    message = fault(tmp_path, text)
    assert message.startswith(at)
    assert says in message


def test_a_page_without_a_topic_states_no_requirement(tmp_path: Path) -> None:
    """A new topic is added to the table first."""
    assert "no topic" in fault(tmp_path, "[ID-001] MUST – it.\n", name="ideas")


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    """One run tells everything there is to mend."""
    message = fault(tmp_path, "[ID-001] must – a.\n\n[REC-001] MUST – b.\n")
    assert [line.split(" ")[0] for line in message.splitlines()] == [
        "identity.md:1:",
        "identity.md:3:",
    ]


def test_the_digest_covers_ids_levels_and_texts(tmp_path: Path) -> None:
    """Wrapping, order and notes about checking leave it; a changed word does not."""
    original = digest([one(tmp_path, "[ID-001] MUST – the id.\n")])
    assert digest([one(tmp_path, "\n[ID-001] MUST – the\nid.\nprofile: push\n")]) == original
    assert digest([one(tmp_path, "[ID-001] MUST – the ID.\n")]) != original
    assert digest([one(tmp_path, "[ID-001] MAY – the id.\n")]) != original


def test_the_specification_itself_reads() -> None:
    """Every topic has its page, and the pages keep their format."""
    topics = {requirement.topic for requirement in load()}
    assert topics == set(requirements.TOPICS)
