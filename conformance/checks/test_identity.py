"""Ids: what they look like and what they are computed over."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from conformance import oracle, packs, vectors
from conformance.expectations import check_refusal, only_if_right, requirement
from conformance.histories import altered, child_of, commit, merge_of, with_tree
from conformance.repository import Repository


@requirement("ID-001")
def test_every_id_in_an_answer_is_written_in_full(repo: Repository) -> None:
    """Refs, records and fetches write ids as `sha256:` and 64 lower-case digits."""
    tip = repo.given(commit("a"))
    record, answer = repo.commit(tip.id), repo.fetch(tip).answer
    ids = [repo.heads()["main"], record["commit_id"], record["snapshot_id"], answer["mpack_id"]]
    ids += repo.snapshot(tip.snapshot)["delta_upsert"].values()
    assert [id for id in ids if len(id) != 71 or id[:7] != "sha256:" or id != id.lower()] == []


@requirement("ID-002")
@pytest.mark.parametrize("field", ["mpack_key", "head"])
def test_other_texts_are_no_ids_in_requests(repo: Repository, field: str) -> None:
    """Upper case, another length, a missing prefix or a newline make no id."""
    tip = commit("a")
    sound = {"mpack_key": oracle.ABSENT, "branch": "main", "head": tip.id}
    for text in vectors.refused("ids"):
        answer = repo.ask("POST", "push/unpack-mpack", {**sound, field: text})
        check_refusal(answer, 422, "invalid_id")


@requirement("ID-002")
@pytest.mark.parametrize("route", ["negotiate", "fetch/mpack"])
def test_other_texts_are_no_ids_in_lists(repo: Repository, route: str) -> None:
    """The same holds inside want and have."""
    for text in vectors.refused("ids"):
        check_refusal(repo.ask("POST", route, {"want": [text]}), 422, "invalid_id")


@requirement("ID-003", "ID-004")
@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b"\r\n\r\n", b"\0\xff\xfe", b"blob 6\0hello\n", bytes(range(256)) * 300],
    ids=["empty", "text", "carriage returns", "not text", "looks hashed", "75 kB"],
)
def test_a_blob_is_hashed_with_its_type_and_length(repo: Repository, content: bytes) -> None:
    """A blob is stored and served byte for byte under the id of its type, length and content."""
    tip = commit("a", files={"file": content})
    repo.push(tip)
    answer = repo.blob(oracle.blob_id(content))
    assert (answer.status, answer.body) == (200, content)


@requirement("ID-003")
def test_a_blob_named_by_its_plain_digest_is_refused(repo: Repository) -> None:
    """The digest of the bytes alone is not the id of a blob."""
    tip = commit("a")
    content = next(iter(tip.blobs.values()))
    plain = "sha256:" + hashlib.sha256(content).hexdigest()

    def rename(pack: packs.Value) -> None:
        pack["blobs"][0]["object_id"] = plain

    only_if_right(repo, tip, rename, "blob_mismatch")


TREES: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "empty": ({}, ()),
    "only a directory": ({}, ("empty",)),
    "directory beside files": ({"a/b": b"1"}, ("empty", "a")),
    "byte order": (dict.fromkeys(("a/b", "a-b", "a.b", "\U0001f600", "\uff5e"), b""), ()),
    "directories in byte order": ({}, ("\U0001f600", "\uff5e", "a-b", "a.b")),
    "same blob twice": ({"one": b"same", "two": b"same"}, ()),
    "unnormalised": ({"\u00e9": b"1", "e\u0301": b"2"}, ("A", "a")),
}


@requirement("ID-006", "ID-007", "ID-008", "ID-009", "ID-024")
@pytest.mark.parametrize("name", list(TREES))
def test_a_tree_is_known_by_its_files_and_directories(repo: Repository, name: str) -> None:
    """Snapshots of awkward trees are accepted under the id of their payload, and served whole."""
    files, directories = TREES[name]
    tip = with_tree(f"{name} {repo.slug}", files, directories=directories)
    repo.push(tip)
    repo.holds(tip)


@requirement("ID-009")
def test_directories_belong_to_the_identity(repo: Repository) -> None:
    """A snapshot whose id leaves its directories out is refused."""
    tip = commit("a", directories=["empty"])
    bare = oracle.snapshot_id(tip.manifest)

    def rename(pack: packs.Value) -> None:
        pack["snapshots"][0]["snapshot_id"] = bare
        pack["commits"][0]["snapshot_id"] = bare
        pack["commits"][0]["commit_id"] = oracle.commit_id(pack["commits"][0])

    only_if_right(repo, tip, rename, "snapshot_mismatch", "unknown_head")


@requirement("ID-009", "HTTP-032")
def test_the_order_of_directories_does_not_matter(repo: Repository) -> None:
    """A record may list directories in any order; they are served in path order."""
    tip = commit("a", directories=["z", "b/c", "b", "a-b"])
    value = packs.plain(tip)
    value["snapshots"][0]["directories"] = ["b/c", "z", "a-b", "b"]
    repo.push_body(packs.encode(value), tip.id)
    assert repo.snapshot(tip.snapshot)["directories"] == ["a-b", "b", "b/c", "z"]


@requirement("ID-010", "ID-011", "ID-014")
def test_a_commit_is_known_by_six_texts(repo: Repository) -> None:
    """Roots, children and merges with awkward texts are accepted under the id of their payload."""
    root = commit("", author="")
    child = child_of(root, "line one\nline two ", author="Zoë \U0001f600")
    other = child_of(root, "\u00e9 and e\u0301", signer_public_key="ed25519:x")
    repo.push(root, child, other, merge_of(child, other))
    repo.holds(merge_of(child, other))


@requirement("ID-012", "REC-008")
@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T01:00:00+01:00",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00-00:00",
        "2026-01-01T00:00:00.10Z",
        "2026-02-28T23:59:59.123456789123+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_a_time_is_a_text(repo: Repository, text: str) -> None:
    """`committed_at` is hashed, kept and served exactly as it was written."""
    tip = commit("a", committed_at=text)
    repo.push(tip)
    assert repo.commit(tip.id)["committed_at"] == text
    assert repo.fetch(tip).pack.commits[tip.id]["committed_at"] == text


OTHER_FIELDS: dict[str, Any] = {
    "metadata": {"a": 1},
    "branch": "elsewhere",
    "agent_id": "agent",
    "model_id": "model",
    "sem_ver_bump": "major",
    "breaking_changes": ["one"],
    "structured_delta": {"x": [1]},
    "format_version": 8,
    "unheard_of": [1, {"a": None}],
}


@requirement("ID-013")
@pytest.mark.parametrize("field", list(OTHER_FIELDS))
def test_no_other_field_is_identity(repo: Repository, field: str) -> None:
    """Any other field may differ without the commit id differing."""
    tip = commit("a")
    with_field = altered(tip, **{field: OTHER_FIELDS[field]})
    assert with_field.id == tip.id
    repo.push(with_field)
    assert repo.commit(tip.id)[field] == OTHER_FIELDS[field]


@requirement("ID-013")
def test_the_order_of_parents_is_not_identity(repo: Repository) -> None:
    """A merge and its mirror have one id; the record that came is the one that is served."""
    root = commit("root")
    one, two = child_of(root, "one"), child_of(root, "two")
    merge = merge_of(two, one)
    mirror = altered(merge, parent_commit_id=one.id, parent2_commit_id=two.id)
    assert mirror.id == merge.id
    repo.push(mirror)
    assert repo.commit(merge.id)["parent_commit_id"] == one.id


@requirement("ID-015")
@pytest.mark.parametrize("level", ["pack", "blob", "snapshot", "commit"])
def test_each_id_is_recomputed(repo: Repository, level: str) -> None:
    """Content that is not what its id says is refused, at each of the four levels."""
    tip = commit("a")
    if level == "pack":
        raw = repo.pack(tip)
        url = repo.presign(raw)
        repo.put(url, repo.pack(commit("b")))
        body = {"mpack_key": oracle.digest(raw), "branch": "main", "head": tip.id}
        check_refusal(repo.ask("POST", "push/unpack-mpack", body), 422, "digest_mismatch")
        repo.push(tip)
        return

    def swap(pack: packs.Value) -> None:
        if level == "blob":
            pack["blobs"][0]["content"] += b"!"
        if level == "snapshot":
            pack["snapshots"][0]["delta_upsert"]["more"] = tip.manifest["a.txt"]
        if level == "commit":
            pack["commits"][0]["message"] += "!"

    only_if_right(repo, tip, swap, f"{level}_mismatch")
