"""The files of a store: names, contents, modes."""

from __future__ import annotations

import hashlib
import json
import stat
import tomllib
from typing import Any

import pytest

from conformance import oracle, packs
from conformance.adapter import Store
from conformance.expectations import fail, requirement
from conformance.histories import chain


@requirement("STORE-001", "STORE-002", "FS5")
def test_head_has_two_forms(store: Store) -> None:
    """A branch or a commit, and a line feed; main after init."""
    head = store.inside / "HEAD"
    assert head.read_bytes() == b"ref: refs/heads/main\n"
    assert store.do("get_head")["branch"] == "main"
    first, _ = store.commit()
    store.do("set_head", branch="feat/x")
    assert head.read_bytes() == b"ref: refs/heads/feat/x\n"
    store.do("set_head", commit=first)
    assert head.read_bytes() == b"commit: " + first.encode() + b"\n"
    assert store.do("get_head")["commit"] == first


@requirement("STORE-001")
def test_another_head_is_an_integrity_error(store: Store) -> None:
    """Whatever has neither form is damaged."""
    wrong = [b"", b"nonsense", b"ref: refs/heads/\n", b"ref: refs/heads/../x\n", b"commit: x\n"]
    for content in wrong:
        (store.inside / "HEAD").write_bytes(content)
        store.refuses("integrity", "get_head")
    store.do("set_head", branch="main")
    assert store.do("get_head")["branch"] == "main"


@requirement("STORE-002")
def test_head_may_name_a_branch_without_commits(store: Store) -> None:
    """Before its first commit, and at any time."""
    store.commit()
    store.do("set_head", branch="not/yet")
    assert store.do("get_head")["branch"] == "not/yet"
    store.sound()


@requirement("STORE-003", "FS5")
def test_a_ref_is_the_id_alone(store: Store) -> None:
    """71 bytes, no line feed, segments as folders."""
    first, _ = store.commit()
    store.do("set_ref", branch="feat/deep/x", id=first)
    for name in ("main", "feat/deep/x"):
        assert (store.inside / "refs" / "heads" / name).read_bytes() == first.encode()


@requirement("STORE-004")
def test_repo_json_tells_the_format(store: Store) -> None:
    """A JSON object whose format is 1; other keys are kept."""
    path = store.inside / "repo.json"
    value = json.loads(path.read_bytes())
    assert (isinstance(value, dict), value["format"]) == (True, 1)
    path.chmod(0o644)
    path.write_text(json.dumps({**value, "unheard_of": 1}))
    store.commit()
    store.init()
    assert json.loads(path.read_bytes()).get("unheard_of") == 1


@requirement("STORE-004")
def test_another_format_is_not_touched(store: Store) -> None:
    """A store of a format nobody knows is refused."""
    path = store.inside / "repo.json"
    path.chmod(0o644)
    path.write_text('{"format": 2}')
    before = store.tree()
    done = store.run("batch", b'{"op": "put_blob", "data": "YQ=="}\n')
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode == 0 and any(answer["ok"] for answer in answers):
        fail("a refusal", done.stdout.decode()[:200])
    assert store.tree() == before


@requirement("STORE-005", "STORE-010", "FS10")
@pytest.mark.parametrize("content", [b"", b"hello\n", b"\0" * 100_000])
def test_a_loose_object_is_what_is_hashed(store: Store, content: bytes) -> None:
    """Its file holds type, length, NUL and content, has mode 0444, and hashes to its name."""
    path = store.loose(store.put(content))
    data = path.read_bytes()
    assert data == b"blob %d\0" % len(content) + content
    assert hashlib.sha256(data).hexdigest() == path.parent.name + path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


@requirement("STORE-006", "STORE-010", "STORE-054")
def test_a_commit_record_is_one_json_object(store: Store) -> None:
    """With every default, under its id, mode 0444."""
    first, snapshot = store.commit(message="é", author="zoë")
    path = store.record("commits", first)
    record = json.loads(path.read_bytes().decode("utf-8"))
    assert oracle.commit_id(record) == first
    wanted: dict[str, Any] = {
        "commit_id": first,
        "snapshot_id": snapshot,
        "branch": "main",
        "parent_commit_id": None,
        "metadata": {},
        "sem_ver_bump": "none",
        "format_version": 7,
        "signature": "",
    }
    assert {name: record.get(name, "absent") for name in wanted} == wanted
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


@requirement("STORE-007", "STORE-010")
def test_a_snapshot_record_is_one_json_object(store: Store) -> None:
    """A root or a delta, under its id, mode 0444."""
    _, snapshot = store.commit(files={"a": b"1", "d/b": b"2"}, directories=["empty"])
    path = store.record("snapshots", snapshot)
    record = json.loads(path.read_bytes().decode("utf-8"))
    assert (record["snapshot_id"], "manifest" in record) == (snapshot, False)
    assert "delta_upsert" in record or record.get("parent_snapshot_id")
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


@requirement("STORE-008")
def test_a_root_is_never_far(store: Store) -> None:
    """Over a hundred commits, every record reaches a root in fewer than 64 steps."""
    for number in range(100):
        store.commit(files={"a": b"%d" % number, "b": b""})
    records = {}
    for path in (store.inside / "snapshots").glob("*/*.json"):
        record = json.loads(path.read_bytes())
        records[record["snapshot_id"]] = record.get("parent_snapshot_id")
    for name in records:
        steps, at = 0, name
        while records.get(at) is not None:
            steps, at = steps + 1, records[at]
        assert steps < 64
    assert len(records) == 100


@requirement("STORE-009", "STORE-010", "STORE-016")
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_pack_is_kept_as_received(store: Store, damage: str) -> None:
    """Its bytes under its key; an index that is missing or damaged is remade."""
    tip = chain(3)[-1]
    raw = packs.encode(packs.plain(tip))
    path = store.folder / "a.mpack"
    path.write_bytes(raw)
    store.do("receive_pack", path=str(path))
    kept = store.inside / "objects" / "pack" / f"{oracle.digest(raw)[7:]}.mpack"
    assert (kept.read_bytes() == raw, stat.S_IMODE(kept.stat().st_mode)) == (True, 0o444)
    store.close()
    index = kept.with_suffix(".idx")
    if index.exists():
        index.unlink()
        if damage == "damaged":
            index.write_bytes(b"damaged")
    for blob, content in tip.blobs.items():
        assert store.get(blob) == content
    store.sound()


@requirement("STORE-011")
def test_config_is_toml_and_keeps_what_it_does_not_know(store: Store) -> None:
    """Remotes are tables; other tables and keys come back."""
    value = {"remotes": {"origin": {"url": "http://h/o/s"}}, "mine": {"n": 1, "t": ["a"]}}
    store.do("set_state", kind="config", value=value)
    assert tomllib.loads((store.inside / "config.toml").read_text()) == value
    assert store.do("get_state", kind="config")["value"] == value


@requirement("STORE-054", "STORE-057")
def test_a_commit_reads_back_in_root_form(store: Store) -> None:
    """The snapshot in full, whatever it is stored as."""
    store.commit(files={"a": b"1", "b": b"2"})
    _, snapshot = store.commit(files={"a": b"1", "c": b"3"}, directories=["z", "d"])
    record = store.do("get_snapshot", id=snapshot)["record"]
    manifest = {"a": oracle.blob_id(b"1"), "c": oracle.blob_id(b"3")}
    wanted: dict[str, Any] = {
        "parent_snapshot_id": None,
        "delta_upsert": manifest,
        "delta_remove": [],
    }
    assert {name: record[name] for name in wanted} == wanted
    assert sorted(record["directories"]) == ["d", "z"]
    assert oracle.snapshot_id(manifest, ["d", "z"]) == snapshot
