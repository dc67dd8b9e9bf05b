"""Flaws in what a push verifies, moves, counts and refuses."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_PUSH = "reference.server.push"
_INTAKE = "reference.server.intake"
_WRITING = "reference.server.writing"
_ROWS = "reference.server.rows"
_VERIFICATION = "reference.core.verification"
_EARLY = """\
    async with service.database.transaction() as early:
        await writing.begin(early, repo)
        first = await history.last_position(early, repo.raw)
        rows = writing.making(writing.PackTables(repo, intake.key, pack, first).all())
"""

MUTANTS = (
    Mutant(
        "manifests-are-not-rebuilt",
        _VERIFICATION,
        "        if named != computed:\n",
        "        if not computed:\n",
        flagged_by="SNAP-009",
        check="test_push.py::test_everything_is_verified_before_the_answer"
        " test_snapshots.py::test_every_manifest_is_rebuilt"
        " test_snapshots.py::test_a_root_without_directories_has_none"
        " test_framed.py::test_wrong_contents_show_in_the_manifest"
        " test_identity.py::test_each_id_is_recomputed",
    ),
    Mutant(
        "only-the-last-manifest-is-rebuilt",
        _VERIFICATION,
        "        if named != computed:\n",
        "        if named != computed and index == len(pack.snapshots) - 1:\n",
        flagged_by="SNAP-009",
        check="test_snapshots.py::test_every_manifest_is_rebuilt",
    ),
    Mutant(
        "commit-ids-are-not-recomputed",
        _VERIFICATION,
        '        if computed != commit["commit_id"]:\n',
        "        if not computed:\n",
        flagged_by="REC-011",
        check="test_push.py::test_everything_is_verified_before_the_answer"
        " test_records.py::test_a_commit_that_is_not_its_id_is_refused"
        " test_identity.py::test_each_id_is_recomputed"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "parents-may-be-missing",
        _VERIFICATION,
        "needs.commits - known.commits",
        "set()",
        flagged_by="MPACK-028",
        check="test_push.py::test_everything_is_verified_before_the_answer"
        " test_packs.py::test_a_missing_parent_is_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-second-parent-may-be-missing",
        _VERIFICATION,
        "for parent in parents(commit)}",
        "for parent in parents(commit)[:1]}",
        flagged_by="MPACK-028",
        check="test_packs.py::test_a_missing_parent_is_refused",
    ),
    Mutant(
        "any-head-is-taken",
        _VERIFICATION,
        "    if not known and all(",
        "    if not known and not pack.commits and all(",
        flagged_by="PUSH-008",
        check="test_push.py::test_the_head_is_in_the_pack_or_here"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "every-push-is-forced",
        _PUSH,
        "    if current is None or move.force or current == move.head:\n",
        "    if move:\n",
        flagged_by="PUSH-009",
        check="test_push.py::test_a_stale_head_is_refused"
        " test_push.py::test_only_descendants_move_a_branch"
        " test_retries.py::test_a_retry_after_the_branch_moved_on_is_refused"
        " test_retries.py::test_force_in_the_query",
        inspired="https://github.com/mirage/irmin/issues/596",
    ),
    Mutant(
        "an-ancestor-is-a-fast-forward-too",
        _PUSH,
        "    if await history.descends(db, repo.raw, line - records.keys(), current):\n",
        "    if await history.descends(db, repo.raw, line - records.keys(), current) or (\n"
        "        await history.descends(db, repo.raw, [current], move.head)\n"
        "    ):\n",
        flagged_by="PUSH-009",
        check="test_push.py::test_only_descendants_move_a_branch",
    ),
    Mutant(
        "descent-is-looked-for-among-first-parents",
        _ROWS,
        "parents(records[commit_id]) if commit_id in records",
        "parents(records[commit_id])[:1] if commit_id in records",
        flagged_by="PUSH-009",
        check="test_push.py::test_descent_may_go_through_either_parent",
    ),
    Mutant(
        "a-new-branch-must-descend-from-another",
        _PUSH,
        "(SELECT head_commit_id FROM branches WHERE repo_id = $1 AND name = $2) AS head",
        "(SELECT head_commit_id FROM branches WHERE repo_id = $1"
        " ORDER BY name = $2 DESC LIMIT 1) AS head",
        flagged_by="PUSH-009",
        check="test_push.py::test_a_new_branch_takes_any_head",
    ),
    Mutant(
        "force-is-ignored",
        _PUSH,
        "    if current is None or move.force or current == move.head:\n",
        "    if current is None or current == move.head:\n",
        flagged_by="PUSH-010",
        check="test_push.py::test_force_moves_a_branch_anywhere",
    ),
    Mutant(
        "force-spares-the-verification",
        _PUSH,
        "(work, _prove, ",
        "(work, (lambda *_: []) if move.force else _prove, ",
        flagged_by="PUSH-010",
        check="test_push.py::test_force_spares_no_other_check",
    ),
    Mutant(
        "blobs-are-not-indexed",
        _WRITING,
        "        return rows.index(self.key, self.contents, self._raws)\n",
        "        return rows.index(self.key, Pack(framed=True), [])\n",
        flagged_by="PUSH-014",
        check="test_push.py::test_what_was_pushed_can_be_read_at_once"
        " test_storage.py::test_a_blob_lies_in_a_pack",
    ),
    Mutant(
        "rows-are-written-before-anything-is-verified",
        _PUSH,
        "    worker: Executor = ",
        _EARLY + "        await writing.copy(early, rows)\n"
        "    await asyncio.sleep(0.3)\n"
        "    worker: Executor = ",
        flagged_by="PUSH-011",
        check="test_push.py::test_everything_is_verified_before_the_answer"
        " test_races.py::test_losers_leave_nothing"
        " test_crash.py::test_a_push_that_was_killed_is_whole_or_absent",
    ),
    Mutant(
        "blobs-and-snapshots-are-written-whether-or-not-the-branch-moves",
        _PUSH,
        "    worker: Executor = ",
        _EARLY + "        await writing.copy(early, rows[:-1])\n    worker: Executor = ",
        flagged_by="PUSH-013",
        check="test_races.py::test_losers_leave_nothing",
    ),
    # Counts and retries.
    Mutant(
        "counts-are-what-was-sent",
        _PUSH,
        '    counts = (written["commits"], written["snapshot_refs"], blobs)\n',
        "    counts = (len(pack.commits), len(pack.snapshots), len(pack.blob_ids))\n",
        flagged_by="PUSH-015",
        check="test_retries.py::test_counts_are_what_is_new",
    ),
    Mutant(
        "snapshots-of-other-repositories-are-not-counted",
        _PUSH,
        'written["snapshot_refs"], blobs',
        'written["snapshots"], blobs',
        flagged_by="PUSH-015",
        check="test_retries.py::test_counts_do_not_depend_on_other_repositories",
    ),
    Mutant(
        "a-retry-needs-the-upload-again",
        _PUSH,
        "    return found is not None\n",
        "    return False\n",
        flagged_by="PUSH-016",
        check="test_retries.py::test_a_retry_succeeds_and_changes_nothing",
    ),
    Mutant(
        "a-retry-is-counted-again",
        _PUSH,
        "    return dict.fromkeys(_COUNTS, 0)\n\n",
        "    return dict.fromkeys(_COUNTS, 1)\n\n",
        flagged_by="PUSH-016",
        check="test_retries.py::test_a_retry_succeeds_and_changes_nothing"
        " test_retries.py::test_a_retry_by_body_succeeds_too"
        " test_races.py::test_the_same_push_at_once_is_one_push",
    ),
    Mutant(
        "a-known-pack-moves-nothing",
        _PUSH,
        "        current = await _check_move(db, repo, nothing, move)\n",
        "        return dict.fromkeys(_COUNTS, 0)\n"
        "        current = await _check_move(db, repo, nothing, move)\n",
        flagged_by="PUSH-016",
        check="test_retries.py::test_a_retry_after_the_branch_moved_on_is_refused"
        " test_retries.py::test_an_empty_pack_makes_a_branch",
    ),
    Mutant(
        "a-later-record-overwrites",
        _WRITING,
        ' ORDER BY 1, 2"\n            " ON CONFLICT DO NOTHING"',
        ' ORDER BY 1, 2"\n            + (" ON CONFLICT (repo_id, commit_id) DO UPDATE SET record'
        ' = EXCLUDED.record" if table == "commits" else " ON CONFLICT DO NOTHING")',
        flagged_by="PUSH-017",
        check="test_retries.py::test_the_first_record_stays",
    ),
    Mutant(
        "a-pack-needs-commits",
        _INTAKE,
        "        needs = verification.outside(pack)\n",
        "        if not pack.commits:\n"
        '            raise ProtocolError("malformed", "a pack without commits")\n'
        "        needs = verification.outside(pack)\n",
        flagged_by="PUSH-019",
        check="test_retries.py::test_an_empty_pack_makes_a_branch"
        " test_golden.py::test_golden_plain_packs_are_accepted",
    ),
    Mutant(
        "the-packs-own-head-names-the-branch",
        _PUSH,
        "        counts = await _take_in(service, repo, intake, upload, move, upload.seal)\n",
        "        move = Move(next(iter(intake.pack.branch_heads), move.branch), move.head, False)\n"
        "        counts = await _take_in(service, repo, intake, upload, move, upload.seal)\n",
        flagged_by="PUSH-020",
        check="test_retries.py::test_the_packs_own_heads_are_ignored",
    ),
    Mutant(
        "the-packs-own-head-is-never-read",
        _PUSH,
        "len(pack.branch_heads) == 1:\n",
        "not pack.branch_heads:\n",
        flagged_by="PUSH-021",
        check="test_retries.py::test_a_body_names_its_branch_itself",
    ),
    Mutant(
        "of-several-heads-the-first-is-meant",
        _PUSH,
        "len(pack.branch_heads) == 1:\n        [(branch, head)] = pack.branch_heads.items()\n",
        "pack.branch_heads:\n        branch, head = next(iter(pack.branch_heads.items()))\n",
        flagged_by="PUSH-021",
        check="test_retries.py::test_a_body_with_no_or_several_heads_is_refused",
    ),
    Mutant(
        "half-of-a-branch-and-its-head-is-guessed",
        _PUSH,
        "    if branch is None and head is None and len(pack.branch_heads) == 1:\n"
        "        [(branch, head)] = pack.branch_heads.items()\n",
        "    if len(pack.branch_heads) == 1:\n"
        "        [(own, tip)] = pack.branch_heads.items()\n"
        "        branch = own if branch is None else branch\n"
        "        head = tip if head is None else head\n",
        flagged_by="PUSH-021",
        check="test_retries.py::test_parameters_are_judged_as_given",
    ),
    Mutant(
        "the-first-of-a-repeated-parameter-counts",
        _PUSH,
        "    query = call.request.query_params\n",
        "    query = dict(reversed(call.request.query_params.multi_items()))\n",
        flagged_by="PUSH-021",
        check="test_retries.py::test_the_last_of_a_repeated_parameter_counts",
    ),
    Mutant(
        "force-false-is-a-true-text",
        _PUSH,
        'flag in ("true", "1"))',
        'bool(query.get("force")))',
        flagged_by="PUSH-021",
        check="test_retries.py::test_force_in_the_query",
    ),
    Mutant(
        "a-body-has-to-say-that-it-is-a-pack",
        _PUSH,
        "    upload, intake = await _read(service, partial(BodyUpload, ",
        '    if "json" in call.request.headers.get("content-type", ""):\n'
        '        raise ProtocolError("malformed", "a pack is not JSON")\n'
        "    upload, intake = await _read(service, partial(BodyUpload, ",
        flagged_by="PUSH-021",
        check="test_retries.py::test_a_body_is_a_pack_whatever_it_is_called",
    ),
    Mutant(
        "a-push-writes-so-many-records",
        _ROWS,
        "for object_id in sorted(found)]",
        "for object_id in sorted(found)[:150]]",
        flagged_by="PUSH-014",
        check="test_retries.py::test_a_longer_history_goes_through",
    ),
    # Pushes at the same time.
    Mutant(
        "the-head-is-compared-before-the-lock",
        _PUSH,
        "            await writing.begin(db, repo)\n            try:\n"
        "                current = await _check_move(db, repo, pack, move)\n",
        "            try:\n"
        "                await _check_move(db, repo, pack, move)\n"
        "                await asyncio.sleep(0.1)\n"
        "                await writing.begin(db, repo)\n"
        "                current = (await history.branch_heads(db, repo.raw)).get(move.branch)\n",
        flagged_by="PUSH-012",
        check="test_races.py::test_one_of_racing_pushes_wins"
        " test_races.py::test_every_acknowledged_head_is_in_the_history"
        " test_races.py::test_several_processes_are_one_server",
        inspired="https://github.com/dolthub/doltlite/pull/1470",
    ),
    Mutant(
        "a-locked-repository-is-not-seen",
        _WRITING,
        "FOR NO KEY UPDATE",
        "FOR NO KEY UPDATE SKIP LOCKED",
        flagged_by="PUSH-013",
        check="test_races.py::test_different_branches_do_not_disturb_each_other",
    ),
)
