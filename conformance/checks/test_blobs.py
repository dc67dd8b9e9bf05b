"""Blobs over HTTP: bytes, caching, ranges, and routes by repository id."""

from __future__ import annotations

import pytest

from conformance import oracle
from conformance.client import Client
from conformance.expectations import check_refusal, requirement
from conformance.histories import commit
from conformance.repository import Repository

CONTENT = bytes(range(256)) * 8


def blob(repo: Repository) -> str:
    """Pushes a blob of 2 kB."""
    repo.given(commit("a", files={"a": CONTENT}))
    return oracle.blob_id(CONTENT)


@requirement("HTTP-033", "BP3")
def test_a_blob_has_its_id_as_etag(repo: Repository) -> None:
    """The bytes as application/octet-stream, the id in quotes as a strong ETag."""
    id = blob(repo)
    answer = repo.blob(id)
    kind = answer.headers.get("content-type", "").split(";")[0]
    assert (answer.status, answer.body, kind) == (200, CONTENT, "application/octet-stream")
    assert answer.headers.get("etag") == f'"{id}"'


@requirement("HTTP-033")
@pytest.mark.parametrize("pattern", ['"{}"', '"x", "{}"', 'W/"{}"', "*"])
def test_a_blob_that_is_there_already_is_304(repo: Repository, pattern: str) -> None:
    """If-None-Match with the ETag saves the bytes."""
    id = blob(repo)
    answer = repo.blob(id, **{"if-none-match": pattern.format(id)})
    assert (answer.status, answer.body) == (304, b"")
    assert repo.blob(id, **{"if-none-match": '"x"'}).status == 200


@requirement("HTTP-034")
def test_public_blobs_may_be_cached_by_everybody(repo: Repository) -> None:
    """They are public and immutable for a year."""
    control = repo.blob(blob(repo)).headers.get("cache-control", "")
    directives = {part.strip() for part in control.split(",")}
    assert directives == {"public", "max-age=31536000", "immutable"}


@requirement("HTTP-034")
def test_private_blobs_are_not(private_repo: Repository) -> None:
    """They are private and not public."""
    control = private_repo.blob(blob(private_repo)).headers.get("cache-control", "")
    directives = {part.strip() for part in control.split(",")}
    assert ("private" in directives, "public" in directives) == (True, False)


@requirement("HTTP-035")
def test_head_has_the_headers_of_get(repo: Repository) -> None:
    """HEAD differs from GET by its body alone."""
    id = blob(repo)
    get, head = repo.blob(id), repo.client.send("HEAD", f"{repo.path}/o/{id}")
    assert (head.status, head.body) == (200, b"")
    names = ("etag", "content-type", "content-length", "cache-control", "accept-ranges")
    assert {n: head.headers.get(n) for n in names} == {n: get.headers.get(n) for n in names}


@requirement("HTTP-035")
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("5-9", 5, 9), ("2000-", 2000, 2047), ("-7", 2041, 2047), ("9-9999", 9, 2047)],
)
def test_a_range_is_a_part(repo: Repository, asked: str, first: int, last: int) -> None:
    """One byte range is 206 with its place."""
    answer = repo.blob(blob(repo), range=f"bytes={asked}")
    assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
    assert answer.headers.get("content-range") == f"bytes {first}-{last}/2048"


@requirement("HTTP-035")
@pytest.mark.parametrize("asked", ["2048-", "9999-99999", "9" * 30 + "-", "-0"])
def test_a_range_outside_is_416(repo: Repository, asked: str) -> None:
    """A range that begins after the end cannot be satisfied; the answer says how long it is."""
    answer = repo.blob(blob(repo), range=f"bytes={asked}")
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers.get("content-range") == "bytes */2048"


@requirement("HTTP-035")
def test_several_ranges_are_answered_somehow(repo: Repository) -> None:
    """With parts, or with the whole blob."""
    answer = repo.blob(blob(repo), range="bytes=0-0,5-6")
    assert answer.status in (200, 206)
    if answer.status == 200:
        assert answer.body == CONTENT
    else:
        assert answer.headers.get("content-type", "").startswith("multipart/byteranges")
        assert all(part in answer.body for part in (b"bytes 0-0/2048", b"bytes 5-6/2048"))


@requirement("HTTP-036")
def test_a_blob_can_be_read_by_repository_id(repo: Repository, anyone: Client) -> None:
    """/o/{id}?repo_id= serves what that repository has; without repo_id nothing."""
    id = blob(repo)
    answer = anyone.send("GET", f"/o/{id}?repo_id={repo.id}")
    assert (answer.status, answer.body, answer.headers.get("etag")) == (200, CONTENT, f'"{id}"')
    check_refusal(anyone.send("GET", f"/o/{id}"), 404, "unknown_blob")
    unknown = anyone.send("GET", f"/o/{oracle.ABSENT}?repo_id={repo.id}")
    check_refusal(unknown, 404, "unknown_blob")


@requirement("HTTP-036", "AUTH-013", "AUTH-011")
def test_a_repository_id_gives_no_access(
    repo: Repository, private_repo: Repository, owner: Client, other: Client, anyone: Client
) -> None:
    """By repository id, too, only who may see it is served, and only what it has."""
    content = f"secret of {private_repo.slug}".encode()
    private_repo.given(commit("a", files={"a": content}))
    id = oracle.blob_id(content)
    assert owner.send("GET", f"/o/{id}?repo_id={private_repo.id}").body == content
    for client in (other, anyone):
        hidden = client.send("GET", f"/o/{id}?repo_id={private_repo.id}")
        check_refusal(hidden, 404, "unknown_repo", "unknown_blob")
        check_refusal(client.send("GET", f"/o/{id}?repo_id={repo.id}"), 404, "unknown_blob")


@requirement("HTTP-036")
def test_without_a_repository_id_no_path_is_looked_at(anyone: Client) -> None:
    """/o/{anything} without repo_id is 404, also where it is no id."""
    check_refusal(anyone.send("GET", "/o/none"), 404, "unknown_blob")
