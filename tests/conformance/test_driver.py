"""What checks are made of: histories, packs, refusals, the ledger, the adapter."""

import json
import sys
from pathlib import Path

import httpx
import msgpack
import pytest

from conformance import histories, oracle, packs, transcript
from conformance.adapter import Store
from conformance.client import Client, Connection, Identity
from conformance.expectations import refused, unchanged
from conformance.histories import chain, child_of, commit, merge_of, signed
from conformance.ledger import Ledger, clean_up
from conformance.outcomes import CouldNotRun, Unmet
from conformance.redaction import redact
from conformance.repository import Repository
from conformance.subject import Subject
from conformance.world import World
from reference.wire import msign, provenance, reader
from tests import oracle as kit

ALICE = Identity("alice", bytes(range(32)))


def client(handler: object) -> Client:
    """A client whose server is a function."""
    connection = Connection("http://h:1")
    assert callable(handler)
    connection.http = httpx.MockTransport(handler)
    return Client(connection, ALICE)


def test_both_oracles_agree() -> None:
    """The suite's ids are those of the kit's own second opinion."""
    root = commit("a", files={"a": b"1", "é": b""}, directories=["z", "d"])
    tip = merge_of(child_of(root, "x"), signed(child_of(root, "y")))
    for node in histories.ancestry(tip):
        assert node.id == kit.commit_id(node.record)
        assert node.snapshot == kit.snapshot_id(node.manifest, node.directories)
    assert oracle.digest(b"x") == kit.mpack_key(b"x")
    assert oracle.blob_id(b"") == kit.EMPTY_BLOB


def test_a_signed_commit_verifies() -> None:
    """The suite signs as the specification says."""
    provenance.verify(signed(commit("a")).record)


@pytest.mark.parametrize("form", ["plain", "framed", "written"])
def test_packs_are_sound(form: str) -> None:
    """Each form reads back as what went in."""
    tip = chain(4)[-1]
    value = packs.plain(tip)
    raw = {
        "plain": lambda: packs.encode(value),
        "framed": lambda: packs.framed(value).encode(),
        "written": lambda: packs.written(value),
    }[form]()
    contents = packs.read(raw)
    assert list(contents.commits) == [node.id for node in histories.ancestry(tip)]
    assert contents.trees()[tip.snapshot] == (tip.manifest, [])
    assert contents.blobs == tip.blobs
    assert len(reader.read([raw]).commits) == 4


@pytest.mark.parametrize("part", ["commits", "snapshots", "blobs"])
def test_a_wrong_pack_from_a_subject_is_noticed(part: str) -> None:
    """Ids of what a subject sends are recomputed."""
    value = packs.plain(commit("a"))
    field = {"commits": "message", "snapshots": "delta_upsert", "blobs": "content"}[part]
    wrong = {"commits": "x", "snapshots": {"x": oracle.EMPTY_BLOB}, "blobs": b"x"}[part]
    value[part][0][field] = wrong
    with pytest.raises(Unmet):
        packs.read(packs.encode(value)).trees()


def answering(status: int, body: object, kind: str = "application/json") -> Client:
    """A server that always says this."""
    text = json.dumps(body).encode() if kind == "application/json" else b"<html>"
    return client(lambda _: httpx.Response(status, content=text, headers={"content-type": kind}))


ERROR = {"error": {"code": "unknown_repo", "detail": "no such", "requirement": None}}


def test_a_refusal_for_the_right_reason_is_taken() -> None:
    """Status and code as expected."""
    with refused(404, "unknown_repo", "unknown_commit") as errors:
        answering(404, ERROR).call("GET", "/x")
    assert errors[0]["detail"] == "no such"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"ok": True}, "application/json"),
        (403, ERROR, "application/json"),
        (404, {"error": {"code": "forbidden", "detail": "x"}}, "application/json"),
        (404, {"error": {"code": "not_found", "detail": "x"}}, "application/json"),
        (404, {"error": {"code": "unknown_repo"}}, "application/json"),
        (404, {"error": "unknown_repo"}, "application/json"),
        (404, [], "application/json"),
        (404, None, "text/html"),
        (500, None, "text/html"),
    ],
)
def test_any_other_refusal_is_not(status: int, body: object, kind: str) -> None:
    """Another status or code, a code with another's status, a body without form."""
    with pytest.raises(Unmet), refused(404, "unknown_repo"):
        answering(status, body, kind).call("GET", "/x")


def test_unchanged_notices_a_moved_ref() -> None:
    """What a refused call must not do."""
    heads: dict[str, str] = {}

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/refs"):
            return httpx.Response(200, json={"branch_heads": heads, "default_branch": "main"})
        return httpx.Response(404, json=ERROR)

    repo = Repository(client(handler), "o", "s", "id")
    with unchanged(repo, commit("a")):
        pass
    with pytest.raises(Unmet), unchanged(repo):
        heads["main"] = oracle.ABSENT


def test_unchanged_notices_what_stays_behind() -> None:
    """A blob of a refused push that can be read is a change."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/refs"):
            return httpx.Response(200, json={"branch_heads": {}, "default_branch": "main"})
        return httpx.Response(200 if "/o/" in request.url.path else 404, json=ERROR)

    repo = Repository(client(handler), "o", "s", "id")
    with pytest.raises(Unmet), unchanged(repo, commit("a")):
        pass


def test_refs_are_asked_for_again_after_a_write() -> None:
    """Until then the last answer will do for what was there before."""
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200, json={"branch_heads": {}, "default_branch": "main"})

    repo = Repository(client(handler), "o", "s", "id")
    for _ in range(2):
        repo.seen(lately=True)
    assert asked == ["GET"]
    repo.seen()
    client(handler).ask("POST", "/elsewhere")
    repo.seen(lately=True)
    assert asked == ["GET", "GET", "POST", "GET"]


def test_requests_are_signed() -> None:
    """Over what is really sent: the raw target, the host with its port, the body."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=msgpack.packb({"a": 1}), headers=KIND)

    KIND = {"content-type": "application/x-msgpack"}
    assert client(handler).call("POST", "/a/b?x=%2F", {"b": 2}) == {"a": 1}
    request = seen[0]
    given = msign.parse(request.headers["authorization"])
    key = provenance.public_key(ALICE.seed)
    body = oracle.digest(request.content)
    now = given.timestamp
    msign.verify(given, key, now, "POST", "h:1", "/a/b?x=%2F", body)


def test_the_ledger_lists_what_could_not_be_removed(tmp_path: Path) -> None:
    """Everything that was made and not deleted is deleted; what stays is told."""
    ledger = Ledger(tmp_path / "ledger")
    for id in ("one", "two", "three"):
        ledger.created(id, f"alice/{id}")
    ledger.deleted("one")
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        return httpx.Response(500 if "two" in request.url.path else 204)

    left = clean_up(ledger, client(handler))
    assert sorted(asked) == ["three", "two"]
    assert [name.partition(" ")[0] for name in left] == ["alice/two"]


@pytest.mark.parametrize(
    "text",
    [
        'MSign handle="a" alg="ed25519" ts=1 sig="' + "s3cret" * 14 + '"',
        "https://s3/b/k?X-Amz-Signature=s3cret",
        "http://h/_objects/k?expires=1&token=s3cret-s3cret",
        "postgresql://me:s3cret@h/d",
        '{"signature": "' + "s3cret" * 14 + '"}',
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    """Signatures, permissions and passwords do not get into reports."""
    assert "s3cret" not in redact(text)
    assert redact(redact(text)) == redact(text)


def scripted(tmp_path: Path, body: str) -> Store:
    """A store adapter with this for its batch."""
    path = tmp_path / "adapter.py"
    path.write_text(f"import sys, time\nfor line in sys.stdin:\n    {body}\n")
    return Store([sys.executable, str(path)], tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "print('hello', flush=True)",
        "print('[]', flush=True)",
        "print('{}', flush=True)",
        'print(\'{"ok": false, "error": "odd"}\', flush=True)',
        "sys.exit(7)",
    ],
)
def test_an_adapter_that_babbles_is_told_so(tmp_path: Path, body: str) -> None:
    """Whatever is no answer is the subject's failure, not the suite's."""
    store = scripted(tmp_path, body)
    with pytest.raises(Unmet):
        store.ask("list_refs")
    store.close()


@pytest.mark.parametrize("text", ["#!/no/such/interpreter\n", "neither a script nor a program"])
def test_an_adapter_that_cannot_be_started_is_not_judged(tmp_path: Path, text: str) -> None:
    """The system refuses to run the file, whichever form is asked for."""
    program = tmp_path / "store"
    program.write_text(text)
    program.chmod(0o755)
    store = Store([str(program)], tmp_path)
    for begin in (store.init, store.start):
        with pytest.raises(CouldNotRun, match=r"^\[store\] command does not run: "):
            begin()


def test_an_adapter_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever."""
    monkeypatch.setattr("conformance.adapter.SECONDS", 0.5)
    store = scripted(tmp_path, "time.sleep(60)")  # the adapter that hangs
    with pytest.raises(Unmet, match="an answer within"):
        store.ask("list_refs")
    store.close()


def test_a_stuck_queue_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first check waits long for the jobs, the next ones briefly."""
    stuck = Subject(url="http://127.0.0.1:1", commands={"jobs_idle": ["false"]})
    world = World(stuck, "token", 1, Ledger(tmp_path / "ledger"), patience=0.2)
    monkeypatch.setattr("conformance.world.SHORT_PATIENCE", 0.0)
    with pytest.raises(CouldNotRun, match="not done within 0 s"):
        world.jobs_idle()
    assert world.patience == 0.0
    patient = World(Subject(commands={"jobs_idle": ["true"]}), "token", 1, world.ledger)
    patient.jobs_idle()
    assert patient.patience > 60


@pytest.mark.parametrize(
    ("body", "width", "told"),
    [
        (b"", 9, ""),
        (b'{"a": 1}\n', 9, '{"a": 1}\n'),
        ("ünd".encode(), 2, "ün"),
        ("ü".encode() * 99, 4, "üüüü"),
        (b"\x83\xa6format\x01", 9, "9 bytes"),
        (b"x\0y", 9, "3 bytes"),
        (b"\xff" * 500, 9, "500 bytes"),
    ],
)
def test_a_body_is_shown_if_it_can_be_read(body: bytes, width: int, told: str) -> None:
    """Text as text, cut; anything else by its size."""
    assert transcript.shown(body, width) == told
