"""The golden packs of the vectors: every sound one is taken in."""

from __future__ import annotations

import pytest

from conformance import vectors
from conformance.expectations import requirement
from conformance.histories import commit
from conformance.outcomes import NotApplicable
from conformance.repository import Repository

SOUND = (
    "plain plain-64-deep plain-empty plain-keys-in-another-order plain-no-format plain-no-keys"
    " plain-objects plain-rich plain-twice plain-unknown-keys plain-unnamed-blob"
).split()
SOUND_FRAMED = (
    "framed framed-24-mib-of-zeros framed-64-deep framed-compressed framed-compressed-no-raw"
    " framed-empty framed-no-columns framed-rich framed-two-frames framed-unnamed-blob"
    " framed-window-1-kib"
).split()


def taken_in(repo: Repository, name: str) -> None:
    """Pushes a golden pack and reads its commits back."""
    about = vectors.table(f"packs/{name}")
    if name == "framed-24-mib-of-zeros" and repo.limit("raw_bytes") < 24 << 20:
        raise NotApplicable("raw_bytes is below the 24 MiB of this pack")
    base = repo.given(commit("root"))
    head = about["commits"][-1]["commit_id"] if about["commits"] else base.id
    repo.push_body(vectors.pack(f"packs/{name}"), head, "golden")
    for record in about["commits"]:
        served = repo.commit(record["commit_id"])
        assert {key: served.get(key) for key in record} == record


@requirement("MPACK-009", "MPACK-005", "MPACK-026", "REC-006")
@pytest.mark.parametrize("name", SOUND)
def test_golden_plain_packs_are_accepted(repo: Repository, name: str) -> None:
    """Each sound plain pack of the vectors is accepted, and its commits come back."""
    taken_in(repo, name)


@requirement("MPACK-010", "MPACK-019", "MPACK-021", "MPACK-024", "MPACK-033")
@pytest.mark.parametrize("name", SOUND_FRAMED)
def test_golden_framed_packs_are_accepted(framed_repo: Repository, name: str) -> None:
    """Each sound framed pack of the vectors is accepted, and its commits come back."""
    taken_in(framed_repo, name)
