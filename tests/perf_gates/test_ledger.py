"""The load test's ledger: what was acknowledged has to be there."""

import httpx
import pytest

from perf_gates.ledger import Ledger
from reference.wire.ids import blob_id, commit_id

URL = "http://server/alice/load"
BLOB = b"content"
FIRST = {
    "parent_commit_id": None,
    "parent2_commit_id": None,
    "snapshot_id": "sha256:" + "1" * 64,
    "message": "one",
    "committed_at": "2026-01-01T00:00:00Z",
    "author": "alice",
    "signer_public_key": "",
}
SECOND = {**FIRST, "message": "two", "parent_commit_id": commit_id(FIRST)}
COMMITS = {commit_id(record): record for record in (FIRST, SECOND)}


def server(main: str, blob: bytes = BLOB, commits: int = 2) -> httpx.Client:
    """A server with a branch, the first so many commits, and a blob."""
    there = dict(list(COMMITS.items())[:commits])

    def answer(request: httpx.Request) -> httpx.Response:
        kind, _, name = request.url.path.removeprefix("/alice/load/").partition("/")
        if kind == "refs":
            return httpx.Response(200, json={"branch_heads": {"main": main}})
        if kind == "commits" and name in there:
            return httpx.Response(200, json=there[name])
        return httpx.Response(200 if kind == "o" else 404, content=blob)

    return httpx.Client(transport=httpx.MockTransport(answer))


def ledger(*heads: str) -> Ledger:
    """A ledger of pushes that were acknowledged."""
    made = Ledger()
    for head in heads:
        made.add(URL, head, blob_id(BLOB))
    return made


def test_everything_there_is_nothing_missing() -> None:
    """Also when the last push was never acknowledged because the test ended."""
    first, second = COMMITS
    assert not list(ledger(first, second).missing(server(second)))
    assert not list(ledger(first).missing(server(second)))


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (server(commit_id(FIRST)), "not at or after"),
        (server(commit_id(SECOND), commits=1), "commit sha256:"),
        (server(commit_id(SECOND), blob=b"other"), "blob sha256:"),
    ],
)
def test_each_loss_is_told(client: httpx.Client, said: str) -> None:
    """A branch that is behind, a commit that is gone, a blob that is another."""
    assert any(said in sentence for sentence in ledger(*COMMITS).missing(client))
