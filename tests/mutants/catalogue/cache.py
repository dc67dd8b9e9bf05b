"""Flaws in the clone cache: whose rows answer, when they end, and what a hit touches."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_FETCH = "reference.server.fetch"
_FILE = "test_cache.py::"
_ROW = "WHERE repo_id = $1 AND tip_commit_id = $2 AND form = $3"

MUTANTS = (
    Mutant(
        "every-clone-is-built-anew",
        _FETCH,
        "want[0], form) if cacheable else None",
        "want[0], form) if len(want) > 1 else None",
        flagged_by="FETCH-013",
    ),
    Mutant(
        "the-cache-answers-whatever-is-had",
        _FETCH,
        "cacheable = len(set(want)) == 1 and not have",
        "cacheable = len(set(want)) == 1",
        flagged_by="FETCH-011",
    ),
    Mutant(
        "the-cache-answers-for-another-tip",
        _FETCH,
        _ROW,
        "WHERE repo_id = $1 AND $2::bytea IS NOT NULL AND form = $3",
        flagged_by="FETCH-014",
        check=_FILE + "test_rows_of_another_tip_never_answer",
    ),
    Mutant(
        "the-cache-answers-for-another-repository",
        _FETCH,
        _ROW,
        "WHERE $1::bytea IS NOT NULL AND tip_commit_id = $2 AND form = $3",
        flagged_by="FETCH-014",
        check=_FILE + "test_rows_of_another_repository_never_answer",
    ),
    Mutant(
        "the-cache-answers-in-another-form",
        _FETCH,
        _ROW,
        "WHERE repo_id = $1 AND tip_commit_id = $2 AND $3::text IS NOT NULL",
        flagged_by="FETCH-014",
        check=_FILE + "test_rows_of_another_form_never_answer",
        inspired="https://github.com/apache/trafficserver/pull/7104",
    ),
    Mutant(
        "presign-builds-what-is-not-there",
        _FETCH,
        '        raise ProtocolError("not_cached"',
        """
        found = await build(call.service, call.repo, want, [], form)
    if found is None:
        raise ProtocolError("not_cached\"""",
        flagged_by="FETCH-016",
        check=_FILE + "test_presign_builds_nothing",
    ),
    Mutant(
        "presign-looks-at-the-first-want",
        _FETCH,
        "    if len(want) != 1:\n",
        "    if len(want) < 1:\n",
        flagged_by="FETCH-016",
        check=_FILE + "test_presign_takes_one_want",
    ),
    Mutant(
        "presign-does-not-look-at-what-is-had",
        _FETCH,
        'None if fields.ids("have") else await cached(',
        "await cached(",
        flagged_by="FETCH-016",
        check=_FILE + "test_presign_with_a_have_is_not_cached",
    ),
    Mutant(
        "the-worker-sleeps-through-a-push",
        "reference.server.jobs",
        "await asyncio.wait_for(woken.wait(), POLL_SECONDS)",
        "await asyncio.sleep(3600)",
        flagged_by="JOB-010",
        check=_FILE + "test_every_tip_is_cached_soon",
    ),
    Mutant(
        "a-row-never-expires",
        _FETCH,
        "AND form = $3 AND expires_at > now()",
        "AND form = $3",
        flagged_by="FETCH-015",
    ),
    Mutant(
        "a-hit-looks-whether-its-pack-is-there",
        _FETCH,
        "    mpack_id, commits, blobs = found\n",
        """
    mpack_id, commits, blobs = found
    call.service.objects.exists(pack_key(mpack_id))
""",
        flagged_by="FETCH-012",
    ),
    Mutant(
        "the-log-does-not-name-the-tip",
        _FETCH,
        "cache=cache.upper(), tip=want[0], ms=ms",
        "cache=cache.upper(), ms=ms",
        flagged_by="FETCH-019",
    ),
)
