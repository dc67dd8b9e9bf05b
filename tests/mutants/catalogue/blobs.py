"""Flaws in how a blob travels: its headers, parts of it, and by which ids it is found."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_BLOBS = "reference.server.blobs"
_FILE = "test_blobs.py::"
_WHO = 'who = "private" if repo.private else "public"'

MUTANTS = (
    Mutant(
        "a-blobs-etag-is-weak",
        _BLOBS,
        """"etag": f'"{object_id}"',""",
        """"etag": f'W/"{object_id}"',""",
        flagged_by="HTTP-033",
        check=_FILE + "test_a_blob_has_its_id_as_etag",
    ),
    Mutant(
        "only-one-bare-etag-is-compared",
        _BLOBS,
        '[tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]',
        '[request.headers.get("if-none-match", "")]',
        flagged_by="HTTP-033",
        check=_FILE + "test_a_blob_that_is_there_already_is_304",
    ),
    Mutant(
        "no-blob-may-be-cached-by-a-proxy",
        _BLOBS,
        _WHO,
        'who = "private"',
        flagged_by="HTTP-034",
        check=_FILE + "test_public_blobs_may_be_cached_by_everybody",
        inspired="https://github.com/go-gitea/gitea/issues/21391",
    ),
    Mutant(
        "a-private-blob-may-be-cached-by-a-proxy",
        _BLOBS,
        _WHO,
        'who = "public"',
        flagged_by="HTTP-034",
        check=_FILE + "test_private_blobs_are_not",
    ),
    Mutant(
        "a-head-has-no-length",
        _BLOBS,
        '    asked = [tag.strip() for tag in request.headers.get("if-none-match", "")',
        """
    if request.method == "HEAD":
        return Response(status_code=200, headers=headers)
    asked = [tag.strip() for tag in request.headers.get("if-none-match", "")""",
        flagged_by="HTTP-035",
        check=_FILE + "test_head_has_the_headers_of_get",
        inspired="https://github.com/serverpod/relic/issues/175",
    ),
    Mutant(
        "the-last-bytes-are-the-first-ones",
        _BLOBS,
        "start, end = max(size - int(found[2]), 0), size - 1",
        "start, end = 0, min(int(found[2]), size - 1)",
        flagged_by="HTTP-035",
        check=_FILE + "test_a_range_is_a_part",
        inspired="https://github.com/lukeed/sirv/issues/155",
    ),
    Mutant(
        "a-range-that-ends-after-the-blob-is-refused",
        _BLOBS,
        "min(int(found[2] or size - 1), size - 1)",
        "int(found[2] or size - 1)",
        flagged_by="HTTP-035",
        check=_FILE + "test_a_range_is_a_part",
        inspired="https://github.com/hzrd149/blossom-server/pull/49",
    ),
    Mutant(
        "a-range-outside-does-not-tell-the-size",
        _BLOBS,
        'headers={**headers, "content-range": f"bytes */{size}"}',
        "headers=headers",
        flagged_by="HTTP-035",
        check=_FILE + "test_a_range_outside_is_416",
    ),
    Mutant(
        "of-several-ranges-the-first-is-sent",
        _BLOBS,
        "_RANGE.fullmatch(asked.strip())",
        "_RANGE.match(asked.strip())",
        flagged_by="HTTP-035",
        check=_FILE + "test_several_ranges_are_answered_somehow",
    ),
    Mutant(
        "a-blob-without-a-repository-is-a-bad-request",
        _BLOBS,
        'ProtocolError("unknown_blob", "without repo_id',
        'ProtocolError("missing_field", "without repo_id',
        flagged_by="HTTP-036",
        check=_FILE + "test_a_blob_can_be_read_by_repository_id",
    ),
    Mutant(
        "a-repository-id-opens-a-private-repository",
        "reference.server.auth",
        'WHERE repo_id = $1", repo_id)\n    return visible(Repo.of(row) if row else None, who)',
        'WHERE repo_id = $1", repo_id)\n    return Repo.of(row) if row else visible(None, who)',
        flagged_by="HTTP-036",
        check=_FILE + "test_a_repository_id_gives_no_access",
    ),
    Mutant(
        "an-id-is-looked-at-before-the-repository",
        _BLOBS,
        '    text = call.request.query_params.get("repo_id")\n',
        '    check_id(call.request.path_params["id"], "blob")\n'
        '    text = call.request.query_params.get("repo_id")\n',
        flagged_by="HTTP-036",
        check=_FILE + "test_without_a_repository_id_no_path_is_looked_at",
    ),
    Mutant(
        "a-number-of-many-digits-is-no-number",
        _BLOBS,
        r"bytes=(\d{0,4000})-",
        r"bytes=(\d{0,18})-",
        flagged_by="HTTP-035",
        check=_FILE + "test_a_range_outside_is_416",
    ),
)
