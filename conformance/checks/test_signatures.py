"""Signatures of authors: over what, in which form, and that one bad one is enough."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from conformance import oracle, packs
from conformance.checks.test_records import set_field
from conformance.expectations import only_if_right, requirement
from conformance.histories import SEED, child_of, commit, signed
from conformance.repository import Repository
from reference.wire import provenance


@requirement("REC-016", "REC-017", "BP2")
def test_a_signed_commit_is_accepted(repo: Repository) -> None:
    """A signature over the six texts holds, with and without agent, and comes back."""
    plain = signed(commit("plain"))
    full = signed(child_of(plain, "full"), agent_id="a", model_id="m é", toolchain_id="t")
    repo.push(plain, full)
    repo.holds(full)


@requirement("REC-016", "REC-021", "BP2")
@pytest.mark.parametrize("field", ["agent_id", "model_id", "toolchain_id", "prompt_hash"])
def test_what_is_signed_cannot_be_changed(repo: Repository, field: str) -> None:
    """Each signed text outside the id, changed after signing, is a bad signature."""
    tip = signed(commit("a"))
    only_if_right(repo, tip, set_field(field, "another"), "bad_signature")


def last_bits(text: str) -> str:
    """Another text that sloppy decoders take for the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = text[:-1] + alphabet[alphabet.index(text[-1]) | 1]
    pad = "=" * (-len(text) % 4)
    assert urlsafe_b64decode(other + pad) == urlsafe_b64decode(text + pad) != b""
    return other


BAD_SIGNATURES = {
    "another": lambda text: ("A" if text[0] != "A" else "B") + text[1:],
    "short": lambda text: text[:-1],
    "long": lambda text: text + "A",
    "padded": lambda text: text + "==",
    "standard alphabet": lambda text: "+/" + text[2:],
    "spaced": lambda text: text + "\n",
    "spare bits": last_bits,
}


@requirement("REC-018", "REC-021", "BP2")
@pytest.mark.parametrize("how", list(BAD_SIGNATURES))
def test_a_bad_signature_is_refused(repo: Repository, how: str) -> None:
    """Another signature, another form, or a text that is not the canonical one is refused."""
    tip = signed(commit("a"))
    bad = BAD_SIGNATURES[how](tip.record["signature"])
    only_if_right(repo, tip, set_field("signature", bad), "bad_signature")


@requirement("REC-017", "REC-018", "REC-021")
@pytest.mark.parametrize("how", ["no prefix", "spare bits", "another key", "short"])
def test_a_bad_key_is_refused(repo: Repository, how: str) -> None:
    """The key is `ed25519:` and 43 characters, canonical, and the one that signed."""
    tip = signed(commit("a"))
    key = tip.record["signer_public_key"]
    wrong = {
        "no prefix": key.removeprefix("ed25519:"),
        "spare bits": "ed25519:" + last_bits(key.removeprefix("ed25519:")),
        "another key": signed(commit("b"), bytes(32)).record["signer_public_key"],
        "short": key[:-1],
    }[how]

    def bend(pack: packs.Value) -> None:
        record = pack["commits"][0]
        record["signer_public_key"] = wrong
        record["commit_id"] = oracle.commit_id(record)
        record["signature"] = provenance.sign(record, SEED)  # so that only the key is wrong

    only_if_right(repo, tip, bend, "bad_signature")


@requirement("REC-019")
@pytest.mark.parametrize("key", ["", "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg", "x"])
def test_an_unsigned_commit_is_accepted(repo: Repository, key: str) -> None:
    """Without a signature nothing is verified, whatever the key says."""
    tip = commit("a", signer_public_key=key)
    repo.push(tip)
    repo.holds(tip)


@requirement("REC-020", "BP2")
def test_a_signature_needs_a_key(repo: Repository) -> None:
    """A signature without a key has a code of its own."""
    tip = commit("a")
    bend = set_field("signature", signed(tip, SEED).record["signature"])
    only_if_right(repo, tip, bend, "signature_without_key")


@requirement("REC-022")
def test_one_bad_commit_refuses_the_whole_pack(repo: Repository) -> None:
    """A bad signature among good commits keeps all of them out."""
    one, two = signed(commit("one")), signed(commit("two"))
    tip = signed(child_of(one, "three"))

    def bend(pack: packs.Value) -> None:
        pack["commits"][-1]["signature"] = two.record["signature"]

    only_if_right(repo, tip, bend, "bad_signature")
