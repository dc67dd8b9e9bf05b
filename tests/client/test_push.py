"""Push: one pack, one move, whatever happens to the connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reference.client import transport
from reference.client.fetch import SAMPLE, sample
from reference.client.progress import Steps
from reference.client.push import push
from reference.client.remote import Remote
from reference.store import refs
from reference.store.repository import Repository
from reference.wire.errors import ProtocolError
from reference.wire.ids import mpack_key
from reference.wire.reader import read

from .meddler import Forward, Meddler, Reply, Seen, Spoil, answer, busy, drop, edited, lose
from .workspace import Workspace

BODY = ("refs", "unpack")
STEPS = ("refs", "mpack-presign", "PUT", "unpack-mpack")


@pytest.mark.requirement("BP8", "PUSH-024")
def test_result_tells_what_was_stored(remote: Remote, work: Workspace) -> None:
    """A push's result has ok, message, head, heads, stored counts and what was there already."""
    first = work.commit(a="1", b="2")
    result = work.push(remote)
    assert result.ok
    assert "main" in result.message
    assert result.head == first
    assert result.heads == {"main": first}
    stored = (result.stored_commits, result.stored_snapshots, result.stored_blobs)
    assert (*stored, result.already_present) == (1, 1, 2, 0)
    second = work.commit(a="1", b="2", c="3")
    again = work.push(remote)
    stored = (again.stored_commits, again.stored_snapshots, again.stored_blobs)
    assert (*stored, again.already_present) == (1, 1, 1, 2)
    assert remote.refs().heads == again.heads == {"main": second}


@pytest.mark.requirement("BP8", "PUSH-001", "AUTH-018")
@pytest.mark.usefixtures("by_upload")
def test_pack_is_put_as_octet_stream_without_authorization(
    remote: Remote, hub: Meddler, work: Workspace
) -> None:
    """The upload is the pack's bytes to a link that carries its own permission."""
    work.commit(a="1")
    work.push(remote)
    [upload] = [seen for seen in hub.seen if seen.method == "PUT"]
    [unpack] = [seen for seen in hub.seen if seen.step == "unpack-mpack"]
    assert upload.headers["Content-Type"] == "application/octet-stream"
    assert "Authorization" not in upload.headers
    assert "Authorization" in unpack.headers
    assert json.loads(unpack.body)["mpack_key"] == mpack_key(upload.body)


@pytest.mark.requirement("PUSH-025", "PUSH-016", "BP4")
@pytest.mark.parametrize("spoil", [drop, lose, busy], ids=["dropped", "answer lost", "busy"])
@pytest.mark.parametrize(
    ("calls", "step"), [(calls, step) for calls in (BODY, STEPS) for step in calls]
)
def test_push_survives_a_lost_step(
    remote: Remote,
    hub: Meddler,
    work: Workspace,
    request: pytest.FixtureRequest,
    calls: tuple[str, ...],
    step: str,
    spoil: Spoil,
) -> None:
    """A step whose connection drops, or that finds the server busy, is repeated: one push."""
    head = work.commit(a="1")
    if calls == STEPS:
        request.getfixturevalue("by_upload")
    hub.first(step, spoil)
    result = work.push(remote)
    assert hub.steps().count(step) == 2
    assert result.ok
    assert remote.refs().heads == {"main": head}
    assert work.push(remote).message == "main is up to date"


@pytest.mark.requirement("PUSH-021")
def test_a_small_pack_is_the_body_of_one_call(
    remote: Remote, hub: Meddler, work: Workspace
) -> None:
    """Two requests make a push; the branch's name travels quoted."""
    head = work.commit("fix/a b&c=é", a="1")
    assert work.push(remote, "fix/a b&c=é").heads == {"fix/a b&c=é": head}
    assert [step for step in hub.steps() if step in (*BODY, *STEPS)] == list(BODY)
    [unpack] = [seen for seen in hub.seen if seen.step == "unpack"]
    assert read([unpack.body]).commits[0]["commit_id"] == head


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_that_call_gets_an_upload(
    remote: Remote, hub: Meddler, work: Workspace, status: int
) -> None:
    """As does a pack that is too large for it; any other refusal is one."""
    head = work.commit(a="1")
    hub.first("unpack", answer(status, b"no such thing"))
    assert work.push(remote).heads == {"main": head}
    assert hub.steps()[-3:] == list(STEPS[1:])
    work.commit(a="2")
    hub.first("unpack", answer(413, b"too much"))
    with pytest.raises(ProtocolError, match="too_large"):
        work.push(remote)


@pytest.mark.requirement("PUSH-025")
@pytest.mark.usefixtures("by_upload")
def test_attempts_end(remote: Remote, hub: Meddler, work: Workspace) -> None:
    """A server that stays busy is left alone after a few attempts, with its error."""
    work.commit(a="1")
    hub.every("unpack-mpack", busy)
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert refused.value.code == "storage_down"
    assert refused.value.extra["remote"]
    assert hub.steps().count("unpack-mpack") == transport.ATTEMPTS


@pytest.mark.requirement("BP8", "PUSH-023", "HTTP-044")
@pytest.mark.usefixtures("by_upload")
def test_refused_upload_quotes_little_and_no_secret(
    remote: Remote, hub: Meddler, work: Workspace
) -> None:
    """The error has the first 200 characters of the answer, without the link's signature."""
    work.commit(a="1")
    sent = []

    def refuse(seen: Seen, forward: Forward) -> Reply:
        query = seen.path.partition("?")[2]
        sent.append(query)
        return 400, {}, (f"no: {query} " + "x" * 500).encode()

    hub.first("PUT", refuse)
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    text = str(refused.value)
    assert "no: …" in text
    assert 150 < text.count("x") <= 200
    assert sent[0] not in text
    assert sent[0].rpartition("=")[2] not in text
    assert hub.steps().count("PUT") == 1
    assert "unpack-mpack" not in hub.steps()


@pytest.mark.requirement("BP8", "PUSH-023")
@pytest.mark.parametrize("status", [201, 206, 302, 409, 500])
@pytest.mark.usefixtures("by_upload")
def test_only_200_and_204_are_an_upload(
    remote: Remote, hub: Meddler, work: Workspace, status: int
) -> None:
    """Any other answer to an upload is an error, and nothing is unpacked."""
    work.commit(a="1")
    hub.first("PUT", answer(status, b"hm", Location="http://127.0.0.1:1/"))
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert refused.value.extra["remote"]
    assert str(status) in refused.value.detail
    assert remote.refs().heads == {}


@pytest.mark.requirement("BP8")
@pytest.mark.usefixtures("by_upload")
def test_204_is_an_upload(remote: Remote, hub: Meddler, work: Workspace) -> None:
    """Storage that answers 204 has taken the pack."""
    work.commit(a="1")

    def no_content(
        seen: object, forward: Callable[[], object]
    ) -> tuple[int, dict[str, str], bytes]:
        forward()
        return 204, {}, b""

    hub.first("PUT", no_content)
    assert work.push(remote).ok


@pytest.mark.requirement("PUSH-023")
@pytest.mark.parametrize(
    "body", [b"{}", b'{"ok": false}', b'{"ok": true, "blobs_written": "1"}', b"[]", b"<html>", b""]
)
@pytest.mark.usefixtures("by_upload")
def test_nothing_but_ok_is_success(
    remote: Remote, hub: Meddler, work: Workspace, body: bytes
) -> None:
    """A 200 that does not say ok is not a push."""
    work.commit(a="1")
    hub.first("unpack-mpack", answer(200, body))
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert refused.value.code == "malformed"
    assert refused.value.extra["remote"]


@pytest.mark.requirement("HTTP-046", "BP10")
@pytest.mark.usefixtures("by_upload")
def test_earlier_name_of_the_upload_url(remote: Remote, hub: Meddler, work: Workspace) -> None:
    """A server that says uploadUrl is understood."""
    work.commit(a="1")
    rename = edited(lambda value: value.update(uploadUrl=value.pop("upload_url")))
    hub.first("mpack-presign", rename)
    assert work.push(remote).ok


@pytest.mark.requirement("PUSH-009", "BP11")
def test_diverged_branch_is_refused_before_anything_is_sent(
    remote: Remote, hub: Meddler, work: Workspace
) -> None:
    """What is no fast-forward is not even packed; with force it goes."""
    work.commit(a="1")
    work.push(remote)
    other = work.commit("other", a="2")
    refs.write(work.dot, "main", other)
    hub.seen.clear()
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert refused.value.code == "not_fast_forward"
    assert hub.steps() == ["refs"]
    assert work.push(remote, force=True).heads == {"main": other}


@pytest.mark.requirement("PUSH-013", "BP9")
@pytest.mark.usefixtures("by_upload")
def test_lost_race_is_told(
    connect: Callable[..., Remote], remote: Remote, hub: Meddler, work: Workspace
) -> None:
    """A branch that moved after it was looked at makes the push fail, and stays where it is."""
    first = work.commit(a="1")
    work.push(remote)
    rival, mine = work.commit("rival", a="2"), work.commit(a="3")
    hub.first("refs", edited(lambda refs: refs["branch_heads"].update(main=first)))
    refs.write(work.dot, "rival", rival)

    def overtaken(seen: Seen, forward: Forward) -> Reply:
        found = forward()
        hub.spoil = lambda seen, forward: forward()
        push(work.repository, connect(), "main", rival, True, Steps())
        return found

    hub.first("mpack-presign", overtaken)
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert refused.value.code in ("not_fast_forward", "ref_moved")
    assert remote.refs().heads == {"main": rival}
    assert refs.read(work.dot, "main") == mine


@pytest.mark.requirement("HTTP-027", "MPACK-037")
@pytest.mark.parametrize("name", ["pack_bytes", "raw_bytes", "records"])
@pytest.mark.parametrize("capability", ["framed", "none"])
def test_limits_are_kept_before_sending(
    remote: Remote, hub: Meddler, work: Workspace, name: str, capability: str
) -> None:
    """What is more than the server announces to take is refused here, in clear words."""
    work.commit(a="1" * 50, b="2")
    said = edited(lambda r: r.update(limits={**r["limits"], name: 3}, capabilities=[capability]))
    hub.first("refs", said)
    with pytest.raises(ProtocolError) as refused:
        work.push(remote)
    assert refused.value.code == "too_large"
    assert "takes 3" in refused.value.detail
    assert hub.steps() == ["refs"]


@pytest.mark.requirement("HTTP-026", "FETCH-003")
@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.usefixtures("by_upload")
def test_form_follows_the_capability(
    remote: Remote, hub: Meddler, work: Workspace, framed: bool
) -> None:
    """A framed pack goes only to a server that says it takes one."""
    work.commit(a="1")
    names = ["framed", "else"] if framed else ["else"]
    hub.first("refs", edited(lambda refs: refs.update(capabilities=names)))
    assert work.push(remote).stored_blobs == 1
    [upload] = [seen for seen in hub.seen if seen.method == "PUT"]
    assert read([upload.body]).framed == framed


@pytest.mark.requirement("PUSH-007", "DP5")
@pytest.mark.parametrize(
    ("loose", "framed"),
    [(False, True), (True, True), (False, False)],
    ids=["packed", "loose", "plain"],
)
def test_measured_fixture_is_pushed_whole(
    remote: Remote, hub: Meddler, shape: Callable[[str, bool], Path], loose: bool, framed: bool
) -> None:
    """1,031 commits and as many snapshots are written, from a pack or from loose objects."""
    if not framed:
        hub.first("refs", edited(lambda refs: refs.update(capabilities=[])))
    repository = Repository(str(shape("simple", loose)))
    head = refs.read(repository.dot, "main")
    assert head is not None
    result = push(repository, remote, "main", head, False, Steps())
    assert (result.stored_commits, result.stored_snapshots) == (1031, 1031)
    assert result.stored_blobs == 5855
    assert remote.refs().heads == {"main": head}


@pytest.mark.requirement("BG8")
@pytest.mark.usefixtures("by_upload")
def test_whole_pack_is_sent_as_it_lies(
    remote: Remote, hub: Meddler, shape: Callable[[str, bool], Path]
) -> None:
    """Where a pack is exactly what is wanted, nothing is compressed again."""
    repository = Repository(str(shape("simple", False)))
    head = refs.read(repository.dot, "main")
    assert head is not None
    push(repository, remote, "main", head, False, Steps())
    [upload] = [seen for seen in hub.seen if seen.method == "PUT"]
    [pack] = repository.packs()
    assert upload.body == Path(pack.path).read_bytes()


@pytest.mark.requirement("HTTP-028")
@pytest.mark.usefixtures("by_upload")
def test_unknown_head_is_negotiated(
    connect: Callable[..., Remote], remote: Remote, hub: Meddler, work: Workspace
) -> None:
    """Where the server is at a commit that is not here, what lies below it is not sent again."""
    base = work.commit(a="1")
    work.push(remote)
    ahead = work.commit(a="2")
    work.push(remote)
    refs.write(work.dot, "main", base)
    mine = work.commit("side", a="1", b="2")
    hidden = f"{work.dot}/commits/{ahead[7:9]}/{ahead[9:]}.json"
    Path(hidden).unlink()
    work.repository.forget()
    hub.seen.clear()
    result = work.push(remote, "side")
    assert hub.steps()[:2] == ["refs", "negotiate"]
    assert result.heads == {"main": ahead, "side": mine}
    [upload] = [seen for seen in hub.seen if seen.method == "PUT"]
    assert [commit["commit_id"] for commit in read([upload.body]).commits] == [mine]


@pytest.mark.requirement("PUSH-019")
def test_new_branch_on_a_known_commit(remote: Remote, work: Workspace) -> None:
    """A branch at a commit that the server has needs no more than an empty pack."""
    head = work.commit(a="1")
    work.push(remote)
    refs.write(work.dot, "release/1", head)
    result = work.push(remote, "release/1")
    assert result.heads == {"main": head, "release/1": head}
    assert (result.stored_commits, result.stored_blobs) == (0, 0)


def test_sample_thins_out(work: Workspace) -> None:
    """The newest commits are all named, older ones ever more sparsely."""
    made = [work.commit(a=str(n)) for n in range(SAMPLE + 20)]
    newest_first = made[::-1]
    chosen = sample(work.repository, [made[-1]])
    at = [newest_first.index(commit) for commit in chosen]
    assert at == [*range(SAMPLE), SAMPLE, SAMPLE + 1, SAMPLE + 3, SAMPLE + 7, SAMPLE + 15]


@pytest.mark.requirement("BG1")
def test_large_push_is_built_in_bounded_memory(
    remote: Remote, hub: Meddler, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames beyond a share of memory wait in a file that has no name, and the pack is the same."""
    from reference.client import parcel
    from reference.store import packing

    work.commit(**{f"f{n}": f"{n}" * 300_000 for n in range(9)})
    for module in (packing, parcel):
        monkeypatch.setattr(module, "MEMORY_BYTES", 100)
    assert work.push(remote).stored_blobs == 9
    assert list(Path(work.dot, "objects/pack").iterdir()) == []
