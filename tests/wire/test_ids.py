"""Ids: their one text form, and what each kind is computed over."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.wire import ids
from reference.wire.errors import ProtocolError
from tests import oracle

from .strategies import fields, paths, trees

DIGITS = "0123456789abcdef" * 4
OID = "sha256:" + DIGITS


@pytest.mark.requirement("ID-003")
def test_the_empty_blob_has_the_id_everybody_knows() -> None:
    """The id of no bytes at all is the published constant."""
    assert ids.blob_id(b"") == oracle.EMPTY_BLOB


@pytest.mark.requirement("ID-003", "ID-004")
def test_a_blob_is_hashed_with_its_type_and_length_in_front() -> None:
    """`hello` and a line feed are hashed as `blob 6`, NUL, and themselves."""
    assert ids.blob_id(b"hello\n")[7:] == hashlib.sha256(b"blob 6\0hello\n").hexdigest()


@pytest.mark.requirement("ID-003")
def test_the_same_bytes_differ_in_each_role() -> None:
    """No payload has one id as a blob, a snapshot and a commit."""
    assert len({ids.typed_id(kind, b"") for kind in ("blob", "snapshot", "commit")}) == 3


@pytest.mark.requirement("ID-005")
def test_the_key_of_a_pack_has_nothing_in_front() -> None:
    """A pack's key is the plain digest of its bytes."""
    assert ids.mpack_key(b"abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()


@pytest.mark.requirement("ID-006", "ID-009")
def test_a_snapshot_payload_is_paths_and_digits_then_directories() -> None:
    """Files with the digits of their blobs, then directories with `dir`, all joined by NUL."""
    payload = ids.snapshot_payload({"b": OID, "a": OID}, ["z", "y"])
    digits = DIGITS.encode()
    assert payload == b"a\0%s\0b\0%s\0y\0dir\0z\0dir" % (digits, digits)


@pytest.mark.requirement("ID-008")
def test_an_empty_snapshot_has_an_empty_payload() -> None:
    """Nothing is hashed but the type and the length."""
    assert ids.snapshot_payload({}) == b""


@pytest.mark.requirement("ID-007")
def test_paths_are_ordered_by_their_bytes() -> None:
    """`-` before `.` before `/`, and U+FF5E before an emoji, which UTF-16 order would swap."""
    order = ["a", "a-b", "a.b", "a/b", "\uff5e", "😀"]
    payload = ids.snapshot_payload(dict.fromkeys(reversed(order), OID))
    assert [part.decode() for part in payload.split(b"\0")[::2]] == order


@pytest.mark.requirement("ID-010", "ID-011")
def test_a_commit_payload_is_six_parts() -> None:
    """Sorted parents, snapshot, message, time, author and key, joined by NUL."""
    first, second = "sha256:" + "b" * 64, "sha256:" + "a" * 64
    record = {
        "parent_commit_id": first,
        "parent2_commit_id": second,
        "snapshot_id": OID,
        "message": "m",
        "committed_at": "t",
        "author": "a",
        "signer_public_key": "k",
    }
    parents = b"a" * 64 + b"\0" + b"b" * 64
    assert ids.commit_payload(record) == b"%s\0%s\0m\0t\0a\0k" % (parents, DIGITS.encode())


@pytest.mark.requirement("ID-010", "ID-011")
def test_absent_texts_and_parents_count_as_empty() -> None:
    """A root commit with only the required fields still has five NULs."""
    record = {"snapshot_id": OID, "message": "", "committed_at": "t"}
    assert ids.commit_payload(record) == b"\0%s\0\0t\0\0" % DIGITS.encode()


@pytest.mark.requirement("ID-012")
def test_two_texts_of_one_instant_are_two_commits() -> None:
    """The time enters the hash as it is written."""
    record = {"snapshot_id": OID, "message": ""}
    texts = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+01:00")
    assert len({ids.commit_id({**record, "committed_at": text}) for text in texts}) == 3


@pytest.mark.requirement("ID-013")
def test_other_fields_and_the_order_of_parents_do_not_count() -> None:
    """Metadata, branch, agent and signature are no part of a commit's identity."""
    record = {"snapshot_id": OID, "message": "m", "committed_at": "t"}
    one, other = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    merge = {**record, "parent_commit_id": one, "parent2_commit_id": other}
    swapped = {**record, "parent_commit_id": other, "parent2_commit_id": one}
    more = {"metadata": {"x": 1}, "branch": "b", "agent_id": "a", "signature": "s", "other": 1}
    assert ids.commit_id(merge) == ids.commit_id({**swapped, **more})


@pytest.mark.requirement("ID-001")
def test_an_id_is_accepted_as_it_is() -> None:
    """The prefix and 64 lower-case digits, all of them hexadecimal."""
    assert ids.check_id(OID) == OID


@pytest.mark.requirement("ID-002")
@pytest.mark.parametrize(
    "value",
    [
        "",
        DIGITS,
        OID[:-1],
        OID + "0",
        OID + "\n",
        OID + " ",
        " " + OID,
        OID.upper(),
        "sha256:" + DIGITS.upper(),
        "SHA256:" + DIGITS,
        "sha1:" + DIGITS,
        "sha256:" + "g" * 64,
        "sha256:" + "٠" * 64,
        "sha256:../../../../" + "0" * 52,
        OID.encode(),
        None,
        0,
        True,
        1.5,
        [OID],
        {OID: OID},
    ],
)
def test_anything_else_is_no_id(value: object) -> None:
    """Another case, length, prefix, type, or a byte before or after, is `invalid_id`."""
    assert not ids.is_id(value)
    with pytest.raises(ProtocolError, match="sha256") as caught:
        ids.check_id(value, "object_id")
    assert (caught.value.code, caught.value.requirement) == ("invalid_id", "ID-002")
    assert "object_id" in caught.value.detail


@given(st.binary(min_size=32, max_size=32))
def test_raw_and_text_stand_for_each_other(digest: bytes) -> None:
    """32 bytes become a text and the same bytes again."""
    text = ids.from_raw(digest)
    assert ids.is_id(text)
    assert ids.to_raw(text) == digest


@given(st.binary(max_size=300))
def test_blob_ids_agree_with_the_oracle(content: bytes) -> None:
    """Two independent computations give one id."""
    assert ids.blob_id(content) == oracle.blob_id(content)


@given(trees())
def test_snapshot_ids_agree_with_the_oracle(tree: tuple[dict[str, bytes], list[str]]) -> None:
    """Two independent computations give one id, whatever the order of insertion."""
    files, directories = tree
    manifest = {path: oracle.blob_id(content) for path, content in files.items()}
    backwards = dict(reversed(manifest.items()))
    expected = oracle.snapshot_id(manifest, directories)
    assert ids.snapshot_id(backwards, reversed(directories)) == expected


@pytest.mark.requirement("ID-014")
@given(st.dictionaries(paths, st.sampled_from([OID, OID[:-1] + "0"])), st.sets(paths))
def test_a_snapshot_payload_can_be_read_back(manifest: dict[str, str], folders: set[str]) -> None:
    """The payload tells files from directories and where each part ends: nothing is lost."""
    payload = ids.snapshot_payload(manifest, folders)
    parts = payload.decode().split("\0") if payload else []
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    assert {path: "sha256:" + value for path, value in pairs if value != "dir"} == manifest
    assert {path for path, value in pairs if value == "dir"} == folders


@pytest.mark.requirement("ID-014")
@given(fields, st.sets(st.sampled_from(["sha256:" + d * 64 for d in "0af"]), max_size=2))
def test_a_commit_payload_can_be_read_back(record: dict[str, str], parents: set[str]) -> None:
    """Since no text holds a NUL, the last five parts and then the parents can be told apart."""
    first, second = (*sorted(parents), None, None)[:2]
    whole = {
        **record,
        "snapshot_id": OID,
        "parent_commit_id": first,
        "parent2_commit_id": second,
    }
    *ancestors, snapshot, message, time, author, key = (
        ids.commit_payload(whole).decode().split("\0")
    )
    assert {"sha256:" + parent for parent in ancestors if parent} == parents
    assert ("sha256:" + snapshot, message, time) == (OID, record["message"], record["committed_at"])
    assert (author, key) == (record.get("author", ""), "")
    assert ids.commit_id(whole) == oracle.commit_id(whole)
