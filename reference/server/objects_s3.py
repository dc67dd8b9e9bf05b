"""The object store in an S3 bucket, through the minio client: AWS, MinIO, or anything like them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import urllib3
from minio import Minio, S3Error
from minio.commonconfig import CopySource
from minio.error import InvalidResponseError, ServerError

from reference.store import durable
from reference.wire.errors import ProtocolError

from .objects import CHUNK_BYTES
from .objects_files import translated as on_disk

_GONE = frozenset({"NoSuchKey", "NoSuchObject", "NotFound"})
_FULL = frozenset({"XMinioStorageFull", "XMinioStorageQuotaExceeded", "QuotaExceeded"})


@contextmanager
def translated() -> Iterator[None]:
    """What S3 answers, as the protocol's errors; a missing object is a missing file."""
    try:
        yield
    except S3Error as problem:
        if problem.code in _GONE:
            raise FileNotFoundError(problem.object_name) from problem
        if problem.code == "PreconditionFailed":
            raise ProtocolError(
                "digest_mismatch", "the upload was replaced while it was read", "PUSH-006"
            ) from problem
        if problem.code in _FULL:
            raise ProtocolError("storage_full", "the bucket is full") from problem
        raise ProtocolError("storage_down", f"the object store: {problem.code}") from problem
    except (urllib3.exceptions.HTTPError, ServerError, InvalidResponseError, OSError) as problem:
        if isinstance(problem, FileNotFoundError):
            raise
        raise ProtocolError("storage_down", "the object store does not answer") from problem


class S3Objects:
    """Objects under a prefix of a bucket: `s3://BUCKET/PREFIX?endpoint=URL&region=R&public=URL`.

    `endpoint` is how the server reaches it, `public` how clients do where that differs.  Keys
    come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """

    def __init__(self, url: str, spool: str) -> None:
        parts = urlsplit(url)
        options = {name: values[0] for name, values in parse_qs(parts.query).items()}
        endpoint = options.get("endpoint", "https://s3.amazonaws.com")
        self.bucket = parts.netloc
        self._prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
        self._spool = spool
        self._region = options.get("region", "us-east-1")
        self._client = self._connect(endpoint)
        public = options.get("public", endpoint)
        self._public = self._client if public == endpoint else self._connect(public)

    def _connect(self, endpoint: str) -> Minio:
        parts = urlsplit(endpoint)
        return Minio(
            parts.netloc,
            access_key=os.environ.get("AWS_ACCESS_KEY_ID"),
            secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
            secure=parts.scheme == "https",
            region=self._region,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=3, read=60),
                maxsize=16,
                retries=urllib3.Retry(total=1, backoff_factor=0.1),
            ),
        )

    def _name(self, key: str) -> str:
        return self._prefix + key

    def check(self) -> None:
        """Raises unless the bucket answers."""
        with translated():
            if not self._client.bucket_exists(self.bucket):
                raise ProtocolError("storage_down", f"there is no bucket {self.bucket}")

    def upload_url(self, base_url: str, key: str, seconds: int) -> str:
        """Where a client may PUT one object, until then; computed here, without a call."""
        expires = timedelta(seconds=seconds)
        return str(self._public.presigned_put_object(self.bucket, self._name(key), expires))

    def link(self, base_url: str, key: str, seconds: int) -> str:
        expires = timedelta(seconds=seconds)
        return str(self._public.presigned_get_object(self.bucket, self._name(key), expires))

    def incoming(self, key: str) -> S3Incoming:
        with translated():
            response = self._client.get_object(self.bucket, self._name(key))
        return S3Incoming(self, key, response)

    def outgoing(self) -> S3Outgoing:
        return S3Outgoing(self, self._spool)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            return b""
        try:
            with translated():
                response = self._client.get_object(
                    self.bucket, self._name(key), offset=start, length=length or 0
                )
                try:
                    return response.read()
                finally:
                    response.close()
                    response.release_conn()
        except ProtocolError as problem:
            if isinstance(problem.__cause__, S3Error) and problem.__cause__.code == "InvalidRange":
                return b""  # from the end on, as a file would
            raise

    def exists(self, key: str) -> bool:
        try:
            with translated():
                self._client.stat_object(self.bucket, self._name(key))
        except FileNotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        with translated():
            self._client.remove_object(self.bucket, self._name(key))

    def list(self, prefix: str) -> Iterator[tuple[str, float]]:
        with translated():
            now = datetime.now(UTC)
            start = self._name(prefix)
            for found in self._client.list_objects(self.bucket, prefix=start, recursive=True):
                if found.object_name is not None and found.last_modified is not None:
                    age = (now - found.last_modified).total_seconds()
                    yield found.object_name[len(self._prefix) :], age

    def copy(self, source: str, target: str, etag: str) -> None:
        """Copies an object within the bucket if it still is the one with this ETag."""
        with translated():
            origin = CopySource(self.bucket, self._name(source), match_etag=etag)
            self._client.copy_object(self.bucket, self._name(target), origin)

    def upload(self, key: str, path: str) -> None:
        """Writes a file's bytes as an object."""
        with translated():
            self._client.fput_object(self.bucket, self._name(key), path)


class S3Incoming:
    """An upload in the bucket, kept by a copy that fails if it changed since it was read."""

    def __init__(self, store: S3Objects, key: str, response: urllib3.BaseHTTPResponse) -> None:
        self._store = store
        self._key = key
        self._response = response
        self._etag = response.headers.get("etag", "").strip('"')

    def __iter__(self) -> Iterator[bytes]:
        with translated():
            yield from self._response.stream(CHUNK_BYTES)

    def seal(self) -> None:
        """Nothing to do ahead: the bucket has the bytes."""

    def accept(self, key: str) -> None:
        try:
            self._store.copy(self._key, key, self._etag)
        except FileNotFoundError:
            raise ProtocolError("upload_missing", "the upload went while it was read") from None

    def close(self) -> None:
        """Gives the connection back."""
        self._response.close()
        self._response.release_conn()


class S3Outgoing:
    """An object on its way: a local file first, since its key is known last."""

    def __init__(self, store: S3Objects, spool: str) -> None:
        self._store = store
        with on_disk(), ExitStack() as stack:
            os.makedirs(spool, exist_ok=True)
            self._draft = stack.enter_context(durable.draft(spool, sync=False))
            self._open = stack.pop_all()

    def write(self, data: bytes) -> None:
        with on_disk():
            self._draft.write(data)

    def keep(self, key: str) -> None:
        self._store.upload(key, self._draft.path)

    def close(self) -> None:
        self._open.close()
