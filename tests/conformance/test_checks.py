"""Single checks against subjects that are none: what shows nothing never passes."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import httpx
import pytest

from conformance import framing
from conformance.adapter import Store
from conformance.checks import test_hostile, test_races, test_store_races, test_upload
from conformance.client import Client, Connection, Identity
from conformance.expectations import accepted
from conformance.histories import commit
from conformance.ledger import Ledger
from conformance.lifecycle import Process
from conformance.outage import command
from conformance.outcomes import CouldNotRun, NotApplicable, Unmet
from conformance.plugin import Suite
from conformance.repository import Repository
from conformance.subject import Subject
from conformance.verdicts import Verdict
from conformance.world import World
from tests.conformance.impostors import Answer, closes, hangs, impostor, says

OWNER = Identity("owner", bytes(range(32)))


def repository(answer: dict[str, object]) -> Repository:
    """A repository on a server that says this to everything."""
    connection = Connection("http://h:1")
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    connection.http = transport
    return Repository(Client(connection, OWNER), "owner", "slug", "id")


def world(folder: Path, *capabilities: str) -> World:
    """A subject that claims these capabilities."""
    subject = Subject(url="http://h:1", capabilities=capabilities)
    return World(subject, "token", 1, Ledger(folder / "ledger"))


LIMITS = {"pack_bytes": 1 << 30, "raw_bytes": 1 << 30}
CONSENT: dict[str, object] = {
    "branch_heads": {},
    "capabilities": [],
    "limits": LIMITS,
    "upload_url": "http://h:1/u",
}


def test_attacks_of_a_form_that_is_not_taken_show_nothing(tmp_path: Path) -> None:
    """Where all packs against a rule are framed, and no framed pack is taken."""
    with pytest.raises(NotApplicable):
        test_hostile.test_attacks_are_refused(repository(CONSENT), world(tmp_path), "MPACK-013")
    with pytest.raises(Unmet):
        test_hostile.test_attacks_are_refused(repository(CONSENT), world(tmp_path), "MPACK-008")


@pytest.mark.parametrize(
    "said",
    [{"capabilities": None, "limits": None}, {"capabilities": {}, "limits": {"records": 1.5}}],
)
def test_what_is_announced_has_its_type(said: dict[str, object]) -> None:
    """A server that announces nonsense fails; the suite does not stumble over it."""
    repo = repository({**CONSENT, **said})
    with pytest.raises(Unmet, match="capabilities"):
        repo.takes_framed()
    with pytest.raises(Unmet, match="records"):
        repo.limit("records")


SOUND = {"repoId": "id", "slug": "slug", **CONSENT, "capabilities": ["framed"]}


@pytest.mark.parametrize(
    ("claimed", "announced", "ending"),
    [
        ([], [], NotApplicable),
        (["framed"], [], CouldNotRun),
        (["framed"], ["framed"], CouldNotRun),
        ([], ["framed"], CouldNotRun),
    ],
)
def test_what_is_claimed_is_looked_for(
    tmp_path: Path, claimed: list[str], announced: list[str], ending: type[Exception]
) -> None:
    """A capability that only the subject file tells of, and a form that is always refused."""
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if request.url.path.endswith("unpack-mpack"):
            error = {"code": "malformed", "detail": "no"}
            return httpx.Response(422, json={"error": error})
        return httpx.Response(200, json={**SOUND, "capabilities": announced})

    subject = world(tmp_path, *claimed)
    subject.connection.http = httpx.MockTransport(answer)
    for _ in range(2):
        with pytest.raises(ending):
            framing.require_framed(subject, subject.repository())
    assert sum(path.endswith("unpack-mpack") for path in calls) == len(announced)


def test_the_plain_half_is_asked_of_every_server(tmp_path: Path) -> None:
    """One that does not announce `framed` is spared the framed case alone."""
    subject, ended = world(tmp_path), dict[str, Verdict]()
    answer = httpx.Response(200, json={**SOUND, "capabilities": []})
    subject.connection.http = httpx.MockTransport(lambda request: answer)
    plain, framed = (f"packs/a_cut_pack_is_refused[{form}]" for form in ("plain", "framed"))
    Suite(subject, {plain, framed}, lambda result: ended.update({result.id: result.verdict})).run()
    assert ended == {plain: Verdict.FAIL, framed: Verdict.NOT_APPLICABLE}


@pytest.mark.parametrize(("takes", "ending"), [("others", Unmet), ("nothing", CouldNotRun)])
def test_a_refusal_by_who_refuses_everything_shows_nothing(
    takes: str, ending: type[Exception]
) -> None:
    """The sound pack is refused: a failure only of a server that takes another."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" or (takes == "others" and "branch=least" in str(request.url)):
            return httpx.Response(200, json=CONSENT)
        error = {"code": "malformed", "detail": "no"}
        return httpx.Response(422, json={"error": error})

    repo = repository(CONSENT)
    repo.client.connection.http = httpx.MockTransport(answer)
    with pytest.raises(ending):
        accepted(repo, b"", commit("a"))


def test_a_race_that_all_win_is_a_failure() -> None:
    """Not the suite's error, though there is no loser to look at."""
    with pytest.raises(Unmet, match="one winner"):
        test_races.test_losers_leave_nothing(repository(CONSENT))


@pytest.mark.parametrize(
    ("answer", "first"),
    [
        (hangs, None),
        (closes, b""),
        (says("413 Too Large", "text/plain", b""), b"HTTP/1.1 413 Too Large"),
    ],
)
def test_waiting_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, first: bytes | None
) -> None:
    """A server that just waits is told from one that hangs up."""
    monkeypatch.setattr(test_upload, "PATIENCE", 0.3)
    with impostor(answer) as url:
        repo = Repository(Client(Connection(url), OWNER), "owner", "slug", "id")
        assert test_upload.too_long_a_push(repo, 100_000) == first


@pytest.mark.parametrize(("limit", "ending"), [(1 << 10, Unmet), (1 << 30, CouldNotRun)])
def test_waiting_for_a_body_beyond_the_limit_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, limit: int, ending: type[Exception]
) -> None:
    """It is a failure where all of the body was sent."""
    monkeypatch.setattr(test_upload, "too_long_a_push", lambda repo, length: None)
    with pytest.raises(ending):
        test_upload.test_a_body_beyond_the_limit_is_refused(
            repository({**CONSENT, "limits": {"pack_bytes": limit}})
        )


ENDS_EARLY = """
import base64, hashlib, json, sys
for line in sys.stdin:
    asked = json.loads(line)
    data = base64.b64decode(asked.get("data", ""))
    if data.startswith(b"stream"):
        break
    print(json.dumps({"ok": True, "id": hashlib.sha256(data).hexdigest()}), flush=True)
"""


def test_a_process_that_ends_by_itself_survives_no_kill(tmp_path: Path) -> None:
    """Nothing was acknowledged when it was killed."""
    store = Store([sys.executable, "-c", dedent(ENDS_EARLY)], tmp_path)
    try:
        with pytest.raises(Unmet, match="end of output"):
            test_store_races.test_a_kill_in_a_stream_of_writes_loses_nothing(store, 10)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("killed", "broken", "verdict"),
    [
        ([], [], Verdict.COULD_NOT_RUN),
        ([SimpleNamespace(place="objects")], [], Verdict.PASS),
        ([], ["a promise"], Verdict.FAIL),
    ],
)
def test_a_server_that_never_died_in_a_push_was_not_examined(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    killed: list[object],
    broken: list[object],
    verdict: Verdict,
) -> None:
    """Every push was over before its step came."""
    done = SimpleNamespace(killed=killed, broken=broken, unreached=3)
    monkeypatch.setattr(command, "kill_everywhere", lambda *arguments, **how: done)
    examine = partial(command._kill, world(tmp_path), Process(["true"], tmp_path / "log"), [], 4)
    assert command._judged("kill", examine).verdict is verdict
