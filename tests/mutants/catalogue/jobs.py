"""Flaws in the jobs that follow a push: what is enqueued, and what running them does."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_JOBS = "reference.server.jobs"
_WRITING = "reference.server.writing"
_FILE = "test_jobs.py::"

MUTANTS = (
    Mutant(
        "a-job-names-its-pack-without-prefix",
        _WRITING,
        "'mpack_key', $5::text,",
        "'mpack_key', substr($5::text, 8),",
        flagged_by="JOB-001",
    ),
    Mutant(
        "clone-packs-are-wanted-for-the-default-branch-alone",
        _WRITING,
        "        FROM branches WHERE repo_id = $1 RETURNING",
        "        FROM branches JOIN repos USING (repo_id)\n"
        "        WHERE repo_id = $1 AND branches.name = default_branch RETURNING",
        flagged_by="JOB-002",
        check=_FILE + "test_a_push_enqueues_the_clone_packs_of_all_tips",
    ),
    Mutant(
        "clone-packs-wait-behind-the-index",
        _WRITING,
        "$2::text), $3::integer\n",
        "$2::text), $3::integer + 1\n",
        flagged_by="JOB-002",
        check=_FILE + "test_both_jobs_have_one_priority",
    ),
    Mutant(
        "a-job-is-enqueued-before-its-pack-is-looked-at",
        "reference.server.push",
        "    where = upload_key(repo.id, key)\n",
        """
    where = upload_key(repo.id, key)
    async with service.database.session() as db:
        await db.execute(
            "INSERT INTO jobs (type, payload) VALUES ('mpack.index',"
            " json_build_object('mpack_key', $1::text, 'repo_id', $2::text))",
            *(key, repo.id),
        )
""",
        flagged_by="JOB-003",
    ),
    Mutant(
        "commits-that-are-no-heads-are-built",
        _JOBS,
        "    FROM branches CROSS JOIN",
        "    FROM (SELECT repo_id, commit_id AS head_commit_id FROM commits) AS branches"
        " CROSS JOIN",
        flagged_by="JOB-006",
    ),
    Mutant(
        "an-expired-row-is-not-renewed",
        _WRITING,
        "created_at = now(), expires_at = DEFAULT",
        "created_at = now()",
        flagged_by="JOB-006",
    ),
    Mutant(
        "a-prebuild-does-not-say-what-it-missed",
        _JOBS,
        "hits=hits, misses=misses,",
        "hits=hits,",
        flagged_by="JOB-007",
    ),
    Mutant(
        "a-job-that-nobody-knows-ends-the-worker",
        _JOBS,
        'handler = HANDLERS.get(job["type"])',
        'handler = HANDLERS[job["type"]]',
        flagged_by="JOB-009",
        inspired="https://github.com/celery/celery/issues/53",
    ),
    Mutant(
        "an-index-that-is-whole-is-a-failure",
        _JOBS,
        "    if whole:",
        """
    if whole:
        raise LookupError("there is nothing to repair")
    if whole:""",
        flagged_by="JOB-004",
        check=_FILE + "test_a_job_may_run_again",
    ),
    Mutant(
        "a-repaired-index-has-no-rows",
        _JOBS,
        "        await writing.copy(db, writing.making([tables.index]))\n",
        "",
        flagged_by="JOB-005",
        check=_FILE + "test_the_index_is_repaired",
    ),
)
