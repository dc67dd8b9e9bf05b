"""Flaws in merges that the server makes."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SERVER = "reference.server.merge"
_CORE = "reference.core.merge"
_FILE = "test_merge.py::"

MUTANTS = (
    Mutant(
        "a-target-that-is-not-there-is-a-fault",
        _SERVER,
        "for branch in (source, target):",
        "for branch in (source,):",
        flagged_by="HTTP-037",
        check=_FILE + "test_both_branches_must_exist",
    ),
    Mutant(
        "a-merge-always-makes-a-commit",
        _SERVER,
        "if bases == [ours]:",
        "if ours == theirs:",
        flagged_by="HTTP-037",
        check=_FILE + "test_a_merge_that_can_fast_forward_does",
    ),
    Mutant(
        "what-is-merged-already-is-merged-again",
        _SERVER,
        "if bases == [theirs]:",
        "if theirs == ours:",
        flagged_by="HTTP-037",
        check=_FILE + "test_a_merge_of_what_is_there_does_nothing",
    ),
    Mutant(
        "a-merges-first-parent-is-the-source",
        _SERVER,
        '"parent_commit_id": ours,\n        "parent2_commit_id": theirs,',
        '"parent_commit_id": theirs,\n        "parent2_commit_id": ours,',
        flagged_by="HTTP-038",
    ),
    Mutant(
        "a-file-that-one-side-removed-comes-back",
        _CORE,
        "            chosen = other\n",
        "            chosen = other or mine\n",
        flagged_by="HTTP-039",
        check=_FILE + "test_files_merge_by_path",
    ),
    Mutant(
        "a-directory-that-one-side-removed-comes-back",
        _CORE,
        "return added | (base & ours & theirs)",
        "return added | base",
        flagged_by="HTTP-039",
        check=_FILE + "test_directories_merge_as_a_set",
    ),
    Mutant(
        "unrelated-histories-are-not-merged",
        _SERVER,
        "            base = min(bases, default=None)",
        """
            if not bases:
                raise ProtocolError("merge_conflict", "the histories are unrelated", conflicts=[])
            base = min(bases, default=None)""",
        flagged_by="HTTP-039",
        check=_FILE + "test_unrelated_histories_merge_on_nothing",
    ),
    Mutant(
        "of-two-bases-the-largest-id-counts",
        _SERVER,
        "base = min(bases, default=None)",
        "base = max(bases, default=None)",
        flagged_by="HTTP-039",
        check=_FILE + "test_of_two_bases_the_smallest_id_counts",
    ),
    Mutant(
        "an-edit-wins-over-a-removal",
        _CORE,
        "elif mine == before:",
        "elif mine == before or mine is None:",
        flagged_by="HTTP-040",
    ),
    Mutant(
        "conflicts-are-in-no-order",
        _CORE,
        "sorted(conflicts, key=str.encode)",
        "sorted(conflicts, reverse=True)",
        flagged_by="HTTP-040",
    ),
    Mutant(
        "a-merge-that-must-wait-is-a-fault",
        "reference.server.writing",
        "FOR NO KEY UPDATE",
        "FOR NO KEY UPDATE NOWAIT",
        flagged_by="HTTP-041",
    ),
    Mutant(
        "a-merge-is-on-the-sources-branch",
        _SERVER,
        "theirs, message, author, target)",
        "theirs, message, author, source)",
        flagged_by="HTTP-038",
    ),
    Mutant(
        "a-merge-overwrites-what-came-in-between",
        _SERVER,
        "        await writing.begin(db, repo)\n"
        "        heads = await history.branch_heads(db, repo.raw)\n",
        """
        heads = await history.branch_heads(db, repo.raw)
        await writing.begin(db, repo)
        await db.execute(
            "UPDATE branches SET head_commit_id = $3 WHERE repo_id = $1 AND name = $2",
            *(repo.raw, target, ids.to_raw(heads[target])),
        )
""",
        flagged_by="HTTP-041",
    ),
)
