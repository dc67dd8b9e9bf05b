"""The specification's examples in bytes, recomputed by the oracle and by the wire code."""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reference.core import verification
from reference.wire import ids, msign, provenance
from reference.wire.records import check_commit, check_snapshot
from tests import oracle

from .histories import checked

SPEC = Path(__file__).parents[2] / "reference/spec"
KINDS = {"blob", "snapshot", "commit", "provenance", "msign"}
KINDS |= {"plain-pack", "framed-pack", "server-ids"}


def vectors() -> list[Any]:
    """Every fenced vector of the pages, as a parameter with its page and name."""
    found = []
    for page in sorted(SPEC.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name, body in re.findall(
            r"^```vector (\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
        ):
            found.append(pytest.param(json.loads(body), id=f"{page.stem}/{name}"))
    return found


VECTORS = vectors()


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    """The vectors of these kinds; a kind without one fails at collection."""
    chosen = [case for case in VECTORS if case.values[0]["kind"] in kinds]
    assert {case.values[0]["kind"] for case in chosen} == set(kinds)
    return pytest.mark.parametrize("vector", chosen)


def unpadded(data: bytes) -> str:
    """Base64url without padding, from the standard library alone."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signer(vector: dict[str, Any]) -> tuple[Ed25519PrivateKey, str]:
    """The private key of a vector's seed, and the text of its public key."""
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed_hex"]))
    return private, "ed25519:" + unpadded(private.public_key().public_bytes_raw())


def test_every_kind_is_known() -> None:
    """A vector that no test reads would prove nothing."""
    kinds = {case.values[0]["kind"] for case in VECTORS}
    assert kinds == KINDS
    names = [case.id for case in VECTORS]
    assert len(set(names)) == len(names)


@pytest.mark.requirement("ID-003", "ID-004")
@of_kind("blob")
def test_blobs(vector: dict[str, Any]) -> None:
    """The id of a content."""
    content = bytes.fromhex(vector["content_hex"])
    assert oracle.blob_id(content) == vector["id"]
    assert ids.blob_id(content) == vector["id"]


@pytest.mark.requirement("ID-006", "ID-007", "ID-009")
@of_kind("snapshot")
def test_snapshots(vector: dict[str, Any]) -> None:
    """The payload and the id of a manifest and its directories."""
    tree = vector["manifest"], vector["directories"]
    assert oracle.snapshot_id(*tree) == vector["id"]
    assert ids.snapshot_payload(*tree).hex() == vector["payload_hex"]
    assert ids.snapshot_id(*tree) == vector["id"]


@pytest.mark.requirement("ID-010", "ID-011", "ID-012")
@of_kind("commit")
def test_commits(vector: dict[str, Any]) -> None:
    """The payload and the id of a commit."""
    assert oracle.commit_id(vector["record"]) == vector["id"]
    assert ids.commit_payload(vector["record"]).hex() == vector["payload_hex"]
    assert ids.commit_id(vector["record"]) == vector["id"]


@pytest.mark.requirement("REC-016", "REC-017")
@of_kind("provenance")
def test_provenance(vector: dict[str, Any]) -> None:
    """The signed digest, the key's text and the signature, which Ed25519 determines."""
    private, key = signer(vector)
    record = vector["record"]
    payload = bytes.fromhex(vector["payload_hex"])
    assert hashlib.sha256(payload).hexdigest() == vector["digest_hex"]
    assert oracle.provenance_digest(record).hex() == vector["digest_hex"]
    assert unpadded(private.sign(bytes.fromhex(vector["digest_hex"]))) == vector["signature"]
    assert key == vector["signer_public_key"] == record["signer_public_key"]
    assert provenance.digest(record).hex() == vector["digest_hex"]
    assert provenance.sign(record, bytes.fromhex(vector["seed_hex"])) == vector["signature"]
    signed = check_commit({**record, "signature": vector["signature"]})
    provenance.verify(signed)
    assert ids.commit_id(signed) == record["commit_id"]


@pytest.mark.requirement("AUTH-001", "AUTH-002", "AUTH-003", "AUTH-004")
@of_kind("msign")
def test_msign(vector: dict[str, Any]) -> None:
    """The signed text, the signature and the whole header."""
    private, key = signer(vector)
    body = bytes.fromhex(vector["body_hex"])
    request = vector["method"], vector["host"], vector["target"]
    text = vector["string_to_sign"].encode()
    assert oracle.msign_text(*request, vector["ts"], body) == text
    assert key == vector["public_key"]
    assert unpadded(private.sign(text)) == vector["signature"]
    seed, body_key = bytes.fromhex(vector["seed_hex"]), oracle.mpack_key(body)
    made = msign.authorization(vector["handle"], seed, *request, body_key, vector["ts"])
    assert made == vector["authorization"]
    credentials = msign.parse(vector["authorization"])
    assert (credentials.handle, credentials.timestamp) == (vector["handle"], vector["ts"])
    msign.verify(credentials, key, vector["ts"], *request, body_key)


def receiver(vector: dict[str, Any]) -> verification.Known:
    """What the receiver of a pack has, where the vector leans on something."""
    known = vector.get("known", {})
    trees = known.get("snapshots", {})
    return verification.Known(
        commits=set(known.get("commits", ())),
        snapshots=set(trees),
        objects=set(known.get("blobs", ())),
        manifest=lambda oid: (trees[oid]["manifest"], trees[oid]["directories"]),
    )


def as_printed(value: Any) -> Any:
    """A decoded value as the vectors print it, with bytes as {"bin": hex}."""
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, list):
        return [as_printed(item) for item in value]
    if isinstance(value, dict):
        return {key: as_printed(item) for key, item in value.items()}
    return value


@pytest.mark.requirement("ID-005", "MPACK-007", "MPACK-044", "MPACK-045")
@of_kind("plain-pack", "framed-pack")
def test_packs(vector: dict[str, Any]) -> None:
    """The key, the records, the blobs, and where each blob lies."""
    pack = bytes.fromhex(vector["pack_hex"])
    assert oracle.mpack_key(pack) == vector["key"]
    found = checked(pack, known=receiver(vector))
    assert found.framed == (vector["kind"] == "framed-pack")
    assert found.commits == [check_commit(record) for record in vector["commits"]]
    assert found.snapshots == [check_snapshot(record) for record in vector["snapshots"]]
    assert found.branch_heads == vector["branch_heads"]
    assert found.meta == vector["meta"]
    assert [{"blob": row.object_id, **as_row(row)} for row in found.rows()] == vector["rows"]
    for commit in vector["commits"]:
        assert oracle.commit_id(commit) == commit["commit_id"]


def as_row(row: Any) -> dict[str, Any]:
    """An index row but for its blob."""
    names = ("frame_offset", "frame_length", "stored", "offset", "length")
    return {name: getattr(row, name) for name in names}


@pytest.mark.requirement("MPACK-004", "MPACK-010", "MPACK-019")
@of_kind("plain-pack", "framed-pack")
def test_packs_by_other_means(vector: dict[str, Any]) -> None:
    """The outer map, the head and the contents, opened by msgpack and zstandard alone."""
    pack = bytes.fromhex(vector["pack_hex"])
    outer = msgpack.unpackb(pack)
    contents = [bytes.fromhex(blob["content_hex"]) for blob in vector["blobs"]]
    assert [oracle.blob_id(content) for content in contents] == [
        blob["object_id"] for blob in vector["blobs"]
    ]
    if vector["kind"] == "framed-pack":
        head = msgpack.unpackb(zstandard.decompress(outer["head"]))
        assert as_printed(head) == vector["head"]
    else:
        assert outer["commits"] == vector["commits"]
        assert [blob["content"] for blob in outer["blobs"]] == contents
    for row, content in zip(vector["rows"], contents, strict=True):
        frame = pack[row["frame_offset"] : row["frame_offset"] + row["frame_length"]]
        raw = frame if row["stored"] else zstandard.decompress(frame)
        assert raw[row["offset"] : row["offset"] + row["length"]] == content


@pytest.mark.requirement("STORAGE-011")
@of_kind("server-ids")
def test_server_ids(vector: dict[str, Any]) -> None:
    """The digests of texts joined by NUL; that the server makes them so is tested with it."""

    def named(*parts: str) -> str:
        return "sha256:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()

    handle, repo_id = vector["handle"], vector["repo_id"]
    assert named("identity", handle, vector["public_key"]) == vector["identity_id"]
    assert named("repo", handle, vector["slug"], vector["created_at"]) == repo_id
    assert named("branch", repo_id, vector["branch"]) == vector["branch_id"]
    cached = named("cache", repo_id, vector["tip_commit_id"], vector["form"])
    assert cached == vector["cache_id"]
