"""Packs taken in by a local store: verified whole, or nothing."""

from __future__ import annotations

from typing import Any

from conformance import oracle, packs, vectors
from conformance.adapter import Store, text_of
from conformance.expectations import fail, requirement
from conformance.histories import altered, chain, child_of, commit, signed


def receive(store: Store, raw: bytes) -> dict[str, Any]:
    """Offers a pack as a file; the answer."""
    path = store.folder / "incoming.mpack"
    path.write_bytes(raw)
    return store.ask("receive_pack", path=str(path))


def taken(store: Store, raw: bytes) -> dict[str, Any]:
    """Offers a pack that must be taken."""
    answer = receive(store, raw)
    if not answer["ok"]:
        fail("the pack is taken", f"{answer['error']}: {answer.get('detail')}")
    return answer


@requirement("STORE-061", "STORE-015")
def test_a_pack_is_taken_in(store: Store) -> None:
    """Everything in it can be read, no ref moves, and the counts are the pack's."""
    links = chain(3)
    raw = packs.encode({**packs.plain(links[-1]), "branch_heads": {"main": links[-1].id}})
    for _ in range(2):
        answer = taken(store, raw)
        assert [answer[name] for name in ("commits", "snapshots", "blobs")] == [3, 3, 3]
    assert store.do("list_refs")["refs"] == {}
    for link in links:
        record = store.do("get_commit", id=link.id)["record"]
        assert {name: record[name] for name in link.record} == link.record
        assert store.do("get_snapshot", id=link.snapshot)["record"]["delta_upsert"] == link.manifest
        for blob, content in link.blobs.items():
            assert store.get(blob) == content
    store.do("set_ref", branch="main", id=links[-1].id)
    store.sound()


@requirement("STORE-061")
def test_a_pack_may_lean_on_what_is_there(store: Store) -> None:
    """Parents, bases and blobs that the store has need not be in it."""
    root = commit("root")
    taken(store, packs.encode(packs.plain(root)))
    tip = child_of(root)
    answer = taken(store, packs.encode(packs.plain(tip, known=[root])))
    assert answer["commits"] == 1
    store.do("set_ref", branch="main", id=tip.id)
    store.sound()


FLAWS: dict[str, tuple[tuple[str, ...], Any]] = {
    "not msgpack": (("invalid",), lambda value: b"\xc1"),
    "cut": (("invalid",), lambda value: packs.encode(value)[:-3]),
    "format 2": (("invalid",), lambda value: packs.encode({**value, "format": 2})),
    "no message": (("invalid",), lambda value: changed(value, "commits", message=None)),
    "manifest": (("invalid",), lambda value: changed(value, "snapshots", manifest={})),
    "bad path": (
        ("invalid",),
        lambda value: changed(value, "snapshots", delta_upsert={"../x": oracle.EMPTY_BLOB}),
    ),
    "blob": (("integrity",), lambda value: changed(value, "blobs", content=b"another")),
    "snapshot": (("integrity",), lambda value: changed(value, "snapshots", directories=["x"])),
    "commit": (("integrity",), lambda value: changed(value, "commits", author="another")),
    "missing blob": (("integrity",), lambda value: packs.encode({**value, "blobs": []})),
    "missing snapshot": (("integrity",), lambda value: packs.encode({**value, "snapshots": []})),
    "signature": (("integrity",), lambda value: changed(value, "commits", signature="A" * 86)),
}


def changed(value: packs.Value, part: str, **fields: Any) -> bytes:
    """The pack with other fields in the first record of a part."""
    records = [{**value[part][0], **fields}, *value[part][1:]]
    return packs.encode({**value, part: records})


@requirement("STORE-062", "STORE-019")
def test_a_refused_pack_leaves_nothing(store: Store) -> None:
    """Of form: invalid. What does not match, verify or hang together: integrity."""
    value = packs.plain(signed(commit("a")))
    before = store.tree()
    for flaw, (errors, bend) in FLAWS.items():
        answer = receive(store, bend(value))
        if answer["ok"] or answer["error"] not in errors:
            told = f"{answer.get('error', 'taken')}: {answer.get('detail')}"
            fail(" or ".join(errors), told, f"a pack with a bad {flaw}")
    assert store.tree() == before
    taken(store, packs.encode(value))


@requirement("STORE-062")
def test_each_code_has_its_word(store: Store) -> None:
    """A signature without key is integrity, a delta that does not fit its base is invalid."""
    keyless = receive(store, changed(packs.plain(commit("b")), "commits", signature="A" * 86))
    assert (keyless["ok"], keyless.get("error")) == (False, "integrity")
    value = packs.plain(commit("c"))
    for flaw in ({"delta_remove": ["gone"]}, {"directories": ["x", "x"]}):
        answer = receive(store, changed(value, "snapshots", **flaw))
        assert (answer["ok"], answer.get("error")) == (False, "invalid"), flaw


@requirement("STORE-062")
def test_a_pack_that_is_not_there_is_not_found(store: Store) -> None:
    """There is no such file."""
    store.refuses("not_found", "receive_pack", path=str(store.folder / "nothing.mpack"))


@requirement("STORE-061", "STORE-062", "MPACK-039")
def test_hostile_packs_are_refused(store: Store) -> None:
    """Every hostile pack of the vectors is refused, in the adapter's words, and leaves nothing."""
    rows = [row for row in vectors.table("hostile/table") if not row.keys() & {"limits", "head"}]
    before = store.tree()
    wrong: list[str] = []
    for row in rows:
        path = vectors.FOLDER / "hostile" / row["file"]
        answer = store.ask("receive_pack", path=str(path))
        if answer["ok"] or answer["error"] not in ("invalid", "integrity"):
            wrong.append(f"{row['file']} ({row['why']}): {answer}")
    if wrong:
        fail(f"{len(rows)} packs refused", f"{len(wrong)} not", wrong[0])
    assert store.tree() == before


@requirement("STORE-018", "STORE-042")
def test_the_first_record_of_a_commit_stays(store: Store) -> None:
    """Whatever another pack brings under the same id; to a new process, and after a collection."""
    tips = [commit(f"{number}") for number in range(6)]  # of one the right pack is read by chance
    for tip in tips:
        for metadata in ({"n": 1}, {"n": 2}):
            taken(store, packs.encode(packs.plain(altered(tip, metadata=metadata))))
    for step in (store.sound, store.close, lambda: store.do("gc", grace_seconds=3600), store.close):
        step()
        found = [store.do("get_commit", id=tip.id)["record"]["metadata"] for tip in tips]
        assert found == [{"n": 1}] * len(tips)


@requirement("STORE-018")
def test_a_packed_record_stays_when_it_is_committed(store: Store) -> None:
    """A commit that is made again, of the same id, keeps the record that is there."""
    said = {"message": "same", "author": "alice", "committed_at": "2026-01-01T00:00:00Z"}
    made = store.do("commit", branch="one", files={"a": text_of(b"x")}, **said)["commit_id"]
    store.do("commit", branch="two", files={"a": text_of(b"x")}, **said)
    assert store.do("get_commit", id=made)["record"]["branch"] == "one"
    tip = altered(commit("packed", files={"a": b"y"}), metadata={"kept": True})
    taken(store, packs.encode(packs.plain(tip)))
    said = {name: tip.record[name] for name in said}
    again = store.do("commit", branch="three", files={"a": text_of(b"y")}, **said)["commit_id"]
    assert (again, store.do("get_commit", id=again)["record"]["metadata"]) == (
        tip.id,
        {"kept": True},
    )
