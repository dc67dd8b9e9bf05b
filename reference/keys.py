"""The user's own key: an Ed25519 seed and the handle it signs as, for this user alone."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from reference.store import durable
from reference.wire import provenance
from reference.wire.errors import ProtocolError
from reference.wire.records import Commit


class Identity(NamedTuple):
    """A handle and the seed of its key; the seed never leaves this machine."""

    handle: str
    seed: bytes

    @property
    def public_key(self) -> str:
        """The key's public half, as `ed25519:<base64url>`."""
        return provenance.public_key(self.seed)

    def sign(self, commit: Commit) -> Commit:
        """The commit with its provenance signature; the key must be part of its id already."""
        return {**commit, "signature": provenance.sign(commit, self.seed)}


def _path() -> str:
    home = os.environ.get("MUSEKIT_HOME")
    if not home:
        base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        home = f"{base}/musekit"
    return f"{home}/identity.json"


def load() -> Identity:
    """The user's identity, or `not_found` with the command that makes one."""
    try:
        with open(_path(), encoding="utf-8") as file:
            stored = json.load(file)
        seed = provenance.from_base64url(stored["seed"], 32)
        return Identity(str(stored["handle"]), seed)
    except FileNotFoundError:
        raise ProtocolError("not_found", "no key yet: musekit keygen --handle NAME") from None
    except (ValueError, KeyError, TypeError) as problem:
        raise ProtocolError("integrity", f"{_path()} is damaged: {problem}") from None


def generate(handle: str) -> Identity:
    """A new key, kept with mode 0600; one that is there is never overwritten."""
    identity = Identity(handle, os.urandom(32))
    stored = {"handle": handle, "seed": provenance.to_base64url(identity.seed)}
    if not durable.create(_path(), json.dumps(stored).encode() + b"\n", mode=0o600):
        why = "move it away, or set MUSEKIT_HOME for a second identity"
        raise ProtocolError("conflict", f"there is a key already in {_path()}: {why}")
    return identity
