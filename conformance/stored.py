"""The subject's object store from behind: what lies there, and damage done to it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:  # 150 ms of imports that a store of files does not need
    from minio import Minio


class StoredObject(Protocol):
    """An object that a check may read, overwrite and remove behind the subject's back."""

    def read(self) -> bytes | None:
        """Its bytes, unless it is gone."""

    def write(self, content: bytes) -> None:
        """Other bytes under its key."""

    def remove(self) -> None:
        """Nothing under its key."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object that is a file, whatever its mode."""

    path: Path

    def read(self) -> bytes | None:
        """Its bytes, unless it is gone."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """Other bytes in the same file, which is as writable afterwards as before."""
        if not self.path.exists():
            self.path.write_bytes(content)
            return
        mode = self.path.stat().st_mode
        self.path.chmod(0o600)
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def remove(self) -> None:
        """Nothing under its name."""
        self.path.unlink()


@dataclass(frozen=True, slots=True)
class BucketObject:
    """An object in an S3 bucket."""

    url: str
    key: str

    @property
    def _place(self) -> tuple[Minio, str, str]:
        client, name, prefix = _opened(self.url)
        return client, name, prefix + self.key

    def read(self) -> bytes | None:
        """Its bytes, unless it is gone."""
        from minio import S3Error

        client, name, key = self._place
        try:
            response = client.get_object(name, key)
        except S3Error as problem:
            if problem.code == "NoSuchKey":
                return None
            raise
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    def write(self, content: bytes) -> None:
        """Other bytes under its key."""
        client, name, key = self._place
        client.put_object(name, key, io.BytesIO(content), len(content))

    def remove(self) -> None:
        """Nothing under its key."""
        client, name, key = self._place
        client.remove_object(name, key)


def files(root: Path) -> Iterator[tuple[str, int]]:
    """The keys and sizes of a store of files."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            try:
                yield path.relative_to(root).as_posix(), path.stat().st_size
            except FileNotFoundError:
                continue  # collected while we looked


def bucket(url: str) -> Iterator[tuple[str, int]]:
    """The keys and sizes under a prefix of a bucket."""
    client, name, prefix = _opened(url)
    for item in client.list_objects(name, prefix=prefix, recursive=True):
        yield str(item.object_name).removeprefix(prefix), int(item.size or 0)


def _opened(url: str) -> tuple[Minio, str, str]:
    """The client, the bucket and the prefix that `s3://bucket/prefix?endpoint=…` names."""
    from minio import Minio

    parts = urlsplit(url)
    endpoint = urlsplit(parse_qs(parts.query).get("endpoint", ["https://s3.amazonaws.com"])[0])
    client = Minio(
        endpoint.netloc,
        access_key=os.environ.get("AWS_ACCESS_KEY_ID"),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
        secure=endpoint.scheme == "https",
    )
    return client, parts.netloc, parts.path.lstrip("/")
