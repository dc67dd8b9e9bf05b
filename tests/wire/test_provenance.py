"""Who made a commit: signatures in their one canonical text, and every way to get one wrong."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from reference.wire import provenance
from reference.wire.errors import ProtocolError
from tests import oracle

from .histories import KEY, SAMPLE, SEED, Version, history

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SIGNED = SAMPLE.commits[2]


def refusal(commit: dict[str, Any]) -> ProtocolError:
    """The error that refuses the signature of `commit`."""
    with pytest.raises(ProtocolError) as caught:
        provenance.verify(commit)
    return caught.value


def test_the_sample_is_signed() -> None:
    """The tests below change a commit that verifies as it stands."""
    assert SIGNED["signature"]
    provenance.verify(SIGNED)


@pytest.mark.requirement("REC-016")
def test_what_is_signed_agrees_with_the_oracle() -> None:
    """The digest is over six texts joined by NUL, ids with their prefix."""
    commit = {**SIGNED, "agent_id": "a", "model_id": "m", "toolchain_id": "t", "prompt_hash": "é"}
    assert provenance.digest(commit) == oracle.provenance_digest(commit)


@pytest.mark.requirement("REC-017")
def test_keys_and_signatures_have_their_texts() -> None:
    """86 characters of signature, and 43 of key behind a prefix."""
    assert len(SIGNED["signature"]) == 86
    assert provenance.public_key(SEED) == KEY
    assert len(KEY) == len("ed25519:") + 43


@pytest.mark.requirement("REC-019")
@pytest.mark.parametrize("key", ["", KEY, "nonsense"])
def test_an_unsigned_commit_is_skipped(key: str) -> None:
    """With or without a key, no signature is nothing to verify."""
    provenance.verify({**SIGNED, "signature": "", "signer_public_key": key})


@pytest.mark.requirement("REC-020")
def test_a_signature_without_a_key() -> None:
    """Told apart from a bad one."""
    error = refusal({**SIGNED, "signer_public_key": ""})
    assert (error.code, error.requirement) == ("signature_without_key", "REC-020")


@pytest.mark.requirement("REC-016", "REC-021")
@pytest.mark.parametrize(
    "name", ["commit_id", "author", "agent_id", "model_id", "toolchain_id", "prompt_hash"]
)
def test_each_signed_text_counts(name: str) -> None:
    """A change of any of the six breaks the signature."""
    assert refusal({**SIGNED, name: "other"}).code == "bad_signature"


@pytest.mark.requirement("REC-016")
@pytest.mark.parametrize("name", ["message", "branch", "metadata", "signer_key_id", "unknown"])
def test_nothing_else_is_signed(name: str) -> None:
    """Other fields are covered by the commit's id or by nothing."""
    provenance.verify({**SIGNED, name: "other"})


def spare_bits(text: str) -> str:
    """The same bytes in a text whose unused bits are not zero."""
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) | 1]


@pytest.mark.requirement("REC-018", "REC-021")
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: text + "==",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:40] + "\n" + text[41:],
        lambda text: text[:40] + "+" + text[41:],
        lambda text: text[:40] + "/" + text[41:],
        lambda text: text[:40] + "é" + text[41:],
        lambda text: text[:40] + "~" + text[41:],
        spare_bits,
        lambda text: "A" * len(text),
        lambda text: text[:9] + ("A" if text[9] != "A" else "B") + text[10:],
        lambda text: "x" * 1_000_000,
    ],
)
def test_another_text_of_signature_or_key(change: Any) -> None:
    """One value has one text: padding, other alphabets, spare bits and length are refused."""
    signature = SIGNED["signature"]
    assert refusal({**SIGNED, "signature": change(signature)}).code == "bad_signature"
    assert refusal({**SIGNED, "signer_public_key": change(KEY)}).code == "bad_signature"


@pytest.mark.requirement("REC-017", "REC-021")
@pytest.mark.parametrize("key", [KEY[8:], "ED25519:" + KEY[8:], "rsa:" + KEY[8:], "ed25519:"])
def test_a_key_without_its_prefix(key: str) -> None:
    """The prefix is part of the key's text."""
    error = refusal({**SIGNED, "signer_public_key": key})
    assert (error.code, error.requirement) == ("bad_signature", "REC-021")


def test_the_key_id_is_not_used() -> None:
    """It is for people."""
    provenance.verify({**SIGNED, "signer_key_id": "anything"})


@pytest.mark.requirement("REC-018")
@given(st.binary(max_size=70))
def test_base64url_has_one_text_for_a_value(data: bytes) -> None:
    """Bytes become text and the same bytes again, and no other text gives them."""
    text = provenance.to_base64url(data)
    assert text == urlsafe_b64encode(data).decode().rstrip("=")
    assert provenance.from_base64url(text, len(data)) == data
    for other in (text + "=", text + "A", text[:-1], text + "AAAA"):
        if other != text:
            with pytest.raises(ValueError):
                provenance.from_base64url(other, len(data))


ORDER = 2**252 + 27742317777372353535851937790883648493
BASE = bytes.fromhex("58" + "66" * 31)
IDENTITY = (1).to_bytes(32, "little")


def test_weak_signatures_below_would_pass_a_lenient_check() -> None:
    """OpenSSL takes a key of small order, with which one signature fits every message."""
    lenient = Ed25519PublicKey.from_public_bytes(IDENTITY)
    for message in (b"one", b"other"):
        lenient.verify(BASE + (1).to_bytes(32, "little"), message)


@pytest.mark.requirement("REC-021")
def test_a_key_of_small_order_proves_nothing() -> None:
    """A signature that would fit whatever is signed is refused."""
    key = "ed25519:" + provenance.to_base64url(IDENTITY)
    signature = provenance.to_base64url(BASE + (1).to_bytes(32, "little"))
    assert refusal({**SIGNED, "signer_public_key": key, "signature": signature}).code == (
        "bad_signature"
    )


@pytest.mark.requirement("REC-021")
def test_a_number_beyond_the_order_is_another_text_of_the_same() -> None:
    """S plus the group's order satisfies the equation too, and is refused."""
    raw = provenance.from_base64url(SIGNED["signature"], 64)
    number = int.from_bytes(raw[32:], "little") + ORDER
    other = provenance.to_base64url(raw[:32] + number.to_bytes(32, "little"))
    assert refusal({**SIGNED, "signature": other}).code == "bad_signature"


@pytest.mark.requirement("REC-021")
def test_a_commitment_of_small_order_is_refused() -> None:
    """An R that is the identity: only the key's owner can make it, and still it does not count."""
    secret = bytearray(hashlib.sha512(SEED).digest()[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    key = provenance.from_base64url(KEY.removeprefix("ed25519:"), 32)
    hashed = hashlib.sha512(IDENTITY + key + oracle.provenance_digest(SIGNED)).digest()
    number = int.from_bytes(hashed, "little") * int.from_bytes(secret, "little") % ORDER
    signature = IDENTITY + number.to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(key).verify(signature, oracle.provenance_digest(SIGNED))
    weak = {**SIGNED, "signature": provenance.to_base64url(signature)}
    assert refusal(weak).code == "bad_signature"


def many(count: int) -> list[dict[str, Any]]:
    """A line of signed commits."""
    tree = {"a": b""}
    versions = [Version(tree, parents=(n - 1,) if n else (), signed=True) for n in range(count)]
    return history(*versions).commits


MANY = many(140)


@pytest.mark.requirement("REC-022")
@pytest.mark.parametrize("at", [0, 1, 63, 64, 138, 139])
@pytest.mark.parametrize("count", [1, 63, 64, 140])
def test_one_bad_signature_is_found_wherever_it_stands(at: int, count: int) -> None:
    """The work is shared among threads and none of it is lost."""
    commits = MANY[:count]
    provenance.verify_all(commits)
    if at < count:
        commits = [*commits[:at], {**commits[at], "author": "somebody else"}, *commits[at + 1 :]]
        with pytest.raises(ProtocolError, match=commits[at]["commit_id"]) as caught:
            provenance.verify_all(commits)
        assert caught.value.code == "bad_signature"


def test_no_failure_in_a_thread_counts_as_verified() -> None:
    """A record that is not even one breaks the whole, in whichever thread it is met."""
    for at in (0, 1):
        commits: list[Any] = list(MANY)
        commits[at] = {"signature": SIGNED["signature"], "signer_public_key": KEY}
        with pytest.raises(KeyError):
            provenance.verify_all(commits)
