"""The object store in a folder, and the presigned links by which the server serves it itself."""

from __future__ import annotations

import errno
import hmac
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from time import time
from urllib.parse import urlencode

from reference.store import durable
from reference.wire.errors import ProtocolError

from .objects import CHUNK_BYTES

LINKS = "/_objects/"
_MARK = "musekit-objects"


@contextmanager
def translated() -> Iterator[None]:
    """A failing disk as the protocol's errors; a missing file stays a missing file."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ProtocolError("storage_full", "no room is left for packs") from problem
        raise ProtocolError("storage_down", f"the object store: {problem.strerror}") from problem


class FileObjects:
    """Objects as files under `root`, each whole or not there."""

    def __init__(self, root: str, secret: bytes, fresh: bool = True) -> None:
        """Opens a folder; made only where it is `fresh`: one that had packs is away, not empty."""
        self.root = os.path.abspath(root)
        self._secret = secret
        if fresh and not os.path.exists(self.root):  # an empty mount point must not pass for it
            durable.write(f"{self.root}/{_MARK}", b"packs of a musekit server\n")

    def path(self, key: str) -> str:
        """The file of an object."""
        return f"{self.root}/{key}"

    def check(self) -> None:
        """Raises unless the store's folder is in its place."""
        if not os.path.exists(f"{self.root}/{_MARK}"):
            raise ProtocolError("storage_down", "the object store's folder is not there")

    # Presigned links: method, key and expiry under a key that only the servers know.

    def upload_url(self, base_url: str, key: str, seconds: int) -> str:
        return self._url(base_url, "PUT", key, seconds)

    def link(self, base_url: str, key: str, seconds: int) -> str:
        return self._url(base_url, "GET", key, seconds)

    def _url(self, base_url: str, method: str, key: str, seconds: int) -> str:
        expires = str(int(time()) + seconds)
        query = urlencode({"expires": expires, "signature": self._sign(method, key, expires)})
        return f"{base_url}{LINKS}{key}?{query}"

    def _sign(self, method: str, key: str, expires: str) -> str:
        signed = f"{method}\n{key}\n{expires}".encode()
        return hmac.new(self._secret, signed, sha256).hexdigest()

    def verify_link(self, method: str, key: str, expires: str, signature: str) -> None:
        """Raises `bad_url` unless this server made this link for this use, and it still holds."""
        expected = self._sign("GET" if method == "HEAD" else method, key, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise ProtocolError("bad_url", "the link is not one of this server's", "AUTH-014")
        if int(expires) < time():
            raise ProtocolError("bad_url", "the link has expired", "AUTH-014")

    # Objects.

    @contextmanager
    def draft_upload(self) -> Iterator[durable.Draft]:
        """A file for an upload: not synced, for nothing is promised before it is accepted."""
        self.check()
        folder = f"{self.root}/uploads"
        with translated():
            os.makedirs(folder, exist_ok=True)
            with durable.draft(folder, sync=False) as draft:
                yield draft

    def incoming(self, key: str) -> FileIncoming:
        self.check()
        return FileIncoming(self.path(key), f"{self.root}/packs")

    def outgoing(self) -> FileOutgoing:
        self.check()
        return FileOutgoing(self.root)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.check()
        with translated(), open(self.path(key), "rb") as file:
            file.seek(start)
            return file.read(length)

    def exists(self, key: str) -> bool:
        found = os.path.exists(self.path(key))
        self.check()
        return found

    def delete(self, key: str) -> None:
        self.check()
        with translated():
            try:
                durable.remove(self.path(key))
            except FileNotFoundError:
                return

    def list(self, prefix: str) -> Iterator[tuple[str, float]]:
        self.check()
        now = time()
        for folder, _, names in os.walk(self.path(prefix)):
            for name in names:
                if not name.startswith(durable.TEMP_PREFIX):
                    path = os.path.join(folder, name)
                    with suppress(FileNotFoundError):  # an upload whose push was answered
                        yield path[len(self.root) + 1 :], now - os.stat(path).st_mtime


class FileIncoming:
    """An upload in a file; it is copied as it is verified, so what is kept is what was read."""

    def __init__(self, path: str, packs: str) -> None:
        self._packs = packs
        with translated(), ExitStack() as stack:
            self._file = stack.enter_context(open(path, "rb"))
            self._draft = stack.enter_context(durable.draft(packs))
            self._open = stack.pop_all()

    def __iter__(self) -> Iterator[bytes]:
        with translated():
            while chunk := self._file.read(CHUNK_BYTES):
                self._draft.write(chunk)
                yield chunk

    def seal(self) -> None:
        """Makes the bytes durable, still without a name."""
        with translated():
            self._draft.seal(0o444)

    def accept(self, key: str) -> None:
        with translated():
            self._draft.keep(f"{self._packs}/{os.path.basename(key)}", mode=0o444)

    def close(self) -> None:
        self._open.close()


class FileOutgoing:
    """An object being written into the folder of packs."""

    def __init__(self, root: str) -> None:
        self._root = root
        with translated(), ExitStack() as stack:
            self._draft = stack.enter_context(durable.draft(f"{root}/packs"))
            self._open = stack.pop_all()

    def write(self, data: bytes) -> None:
        with translated():
            self._draft.write(data)

    def keep(self, key: str) -> None:
        with translated():
            self._draft.keep(f"{self._root}/{key}", mode=0o444)

    def close(self) -> None:
        self._open.close()
