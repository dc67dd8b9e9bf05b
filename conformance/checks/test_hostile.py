"""The hostile packs of the golden vectors: each refused with its code, nothing kept."""

from __future__ import annotations

from typing import Any

import pytest

from conformance import framing, vectors
from conformance.expectations import check_refusal, fail, prepared, requirement, unchanged
from conformance.histories import commit
from conformance.outcomes import NotApplicable
from conformance.repository import Repository
from conformance.world import World
from reference.wire.errors import STATUS

ROOM = 64 << 20
"""The raw bytes that every attack fits into; a subject with less may find some too large."""


def by(name: str, *marks: pytest.MarkDecorator) -> Any:
    """The attacks on one requirement."""
    return pytest.param(name, marks=marks, id=name)


@pytest.mark.parametrize(
    "name",
    [
        by("ID-002", requirement("ID-002")),
        by("ID-003", requirement("ID-003")),
        by("ID-009", requirement("ID-009")),
        by("ID-012", requirement("ID-012")),
        by("ID-017", requirement("ID-017")),
        by("ID-018", requirement("ID-018")),
        by("ID-019", requirement("ID-019")),
        by("ID-020", requirement("ID-020")),
        by("ID-021", requirement("ID-021")),
        by("ID-022", requirement("ID-022")),
        by("ID-023", requirement("ID-023")),
        by("REC-001", requirement("REC-001")),
        by("REC-003", requirement("REC-003")),
        by("REC-004", requirement("REC-004")),
        by("REC-005", requirement("REC-005")),
        by("REC-006", requirement("REC-006")),
        by("REC-009", requirement("REC-009")),
        by("REC-010", requirement("REC-010")),
        by("REC-011", requirement("REC-011")),
        by("REC-018", requirement("REC-018")),
        by("REC-020", requirement("REC-020")),
        by("REC-021", requirement("REC-021")),
        by("SNAP-001", requirement("SNAP-001")),
        by("SNAP-002", requirement("SNAP-002")),
        by("SNAP-003", requirement("SNAP-003")),
        by("SNAP-005", requirement("SNAP-005")),
        by("SNAP-006", requirement("SNAP-006")),
        by("SNAP-008", requirement("SNAP-008")),
        by("SNAP-009", requirement("SNAP-009")),
        by("SNAP-010", requirement("SNAP-010")),
        by("SNAP-013", requirement("SNAP-013")),
        by("MPACK-001", requirement("MPACK-001")),
        by("MPACK-002", requirement("MPACK-002")),
        by("MPACK-003", requirement("MPACK-003")),
        by("MPACK-004", requirement("MPACK-004")),
        by("MPACK-005", requirement("MPACK-005")),
        by("MPACK-006", requirement("MPACK-006")),
        by("MPACK-008", requirement("MPACK-008")),
        by("MPACK-009", requirement("MPACK-009")),
        by("MPACK-010", requirement("MPACK-010")),
        by("MPACK-011", requirement("MPACK-011")),
        by("MPACK-012", requirement("MPACK-012")),
        by("MPACK-013", requirement("MPACK-013")),
        by("MPACK-014", requirement("MPACK-014")),
        by("MPACK-015", requirement("MPACK-015")),
        by("MPACK-016", requirement("MPACK-016")),
        by("MPACK-017", requirement("MPACK-017")),
        by("MPACK-018", requirement("MPACK-018")),
        by("MPACK-020", requirement("MPACK-020")),
        by("MPACK-028", requirement("MPACK-028")),
        by("MPACK-030", requirement("MPACK-030")),
        by("MPACK-031", requirement("MPACK-031")),
        by("MPACK-032", requirement("MPACK-032")),
        by("MPACK-033", requirement("MPACK-033")),
        by("MPACK-034", requirement("MPACK-034")),
        by("MPACK-035", requirement("MPACK-035")),
        by("MPACK-036", requirement("MPACK-036")),
        by("MPACK-038", requirement("MPACK-038")),
        by("MPACK-039", requirement("MPACK-039")),
        by("PUSH-008", requirement("PUSH-008")),
    ],
)
def test_attacks_are_refused(repo: Repository, world: World, name: str) -> None:
    """Each pack made to break this rule is refused with the rule's code and changes nothing."""
    with prepared("GET refs"):
        small = () if repo.limit("raw_bytes") >= ROOM else ("too_large",)
        capable = repo.takes_framed()
    packs = [(row, vectors.hostile(row)) for row in vectors.attacks(name)]
    packs = [(row, raw) for row, raw in packs if capable or b"\xa4head" not in raw[:32]]
    if not packs:
        raise NotApplicable(
            "every one of them is framed, and the subject does not announce the capability"
        )
    if any(b"\xa4head" in raw[:32] for _, raw in packs):
        framing.require_framed(world, repo)
    wrong: list[str] = []
    root = commit("root")
    with prepared("a pack of one commit"):
        repo.push_body(repo.pack(root), root.id)
    with unchanged(repo):
        for row, raw in packs:
            target = f"{repo.path}/push/unpack?branch=hostile&head={row.get('head', root.id)}"
            answer = repo.client.send("POST", target, raw)
            try:
                codes = {row["code"], *row.get("also", ()), *small}
                status = answer.status if len(codes) > 1 else STATUS[row["code"]]
                check_refusal(answer, status, *codes)
            except AssertionError as problem:
                wrong.append(f"{row['file']} ({row['why']}): {problem}")
    if wrong:
        fail(f"{len(packs)} packs refused as they should be", f"{len(wrong)} not", wrong[0])
    sound = commit("sound")
    repo.push_body(repo.pack(sound), sound.id, "sound")
