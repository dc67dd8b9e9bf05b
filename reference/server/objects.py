"""Where packs lie: one protocol for files and S3.

Every call blocks, so it runs in a thread; but `close`, which at most removes a file.

An object store that does not answer is `storage_down`, a full one `storage_full`; an object that
is not there is `FileNotFoundError`, which is an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

CHUNK_BYTES = 256 * 1024
LINK_SECONDS = 3600
"""How long a link to a pack lives."""


class Incoming(Protocol):
    """An upload being read once, chunk by chunk."""

    def __iter__(self) -> Iterator[bytes]:
        """The bytes of the upload."""
        ...

    def seal(self) -> None:
        """Does ahead what of `accept` can be done before it is known whether it is accepted."""
        ...

    def accept(self, key: str) -> None:
        """Keeps exactly the bytes that were read, durably, under `key`."""
        ...

    def close(self) -> None:
        """Lets go of it; what was not accepted leaves nothing behind."""
        ...


class Outgoing(Protocol):
    """An object that the server writes, named once all of it is known."""

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""
        ...

    def keep(self, key: str) -> None:
        """Makes it durable under `key`."""
        ...

    def close(self) -> None:
        """Lets go of it; what was not kept leaves nothing behind."""
        ...


class ObjectStore(Protocol):
    """Bytes under keys: `uploads/…`, which clients write, and `packs/…`, which only we do."""

    def upload_url(self, base_url: str, key: str, seconds: int) -> str:
        """Where a client may PUT one object, until then."""
        ...

    def link(self, base_url: str, key: str, seconds: int) -> str:
        """Where anybody may GET one object, until then."""
        ...

    def incoming(self, key: str) -> Incoming:
        """Opens an upload."""
        ...

    def outgoing(self) -> Outgoing:
        """Begins an object."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """A range of an object, or all of it from `start` on."""
        ...

    def exists(self, key: str) -> bool:
        """Whether an object is there; raises where that is not known."""
        ...

    def delete(self, key: str) -> None:
        """Removes an object; one that is gone already is no error."""
        ...

    def list(self, prefix: str) -> Iterator[tuple[str, float]]:
        """Keys under a prefix that ends in a slash, and the seconds since each was written."""
        ...

    def check(self) -> None:
        """Raises unless the store answers."""
        ...


def pack_key(mpack_id: str) -> str:
    """Where a verified pack lies."""
    return f"packs/{mpack_id[7:]}"


def upload_key(repo_id: str, mpack_key: str) -> str:
    """Where a client puts a pack, before anybody looked at it."""
    return f"uploads/{repo_id[7:]}/{mpack_key[7:]}"
