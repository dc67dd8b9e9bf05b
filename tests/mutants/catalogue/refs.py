"""Flaws in what refs show, and in what negotiation finds."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_REPOS = "reference.server.repos"
_HISTORY = "reference.server.history"
_FILE = "test_refs.py::"
_KNOWN = "SELECT commit_id FROM commits WHERE repo_id = $1 AND commit_id = ANY($2)"
_BEST = 'max(sorted(bases), key=lambda own: instant(bases[own]["committed_at"]))'

MUTANTS = (
    Mutant(
        "refs-are-cached-for-whoever-has-no-key",
        _REPOS,
        "    limits = call.service.limits\n",
        """
    if call.signer is None:
        heads = refs.__dict__.setdefault(call.repo.id, heads)
    limits = call.service.limits
""",
        flagged_by="HTTP-024",
        check=_FILE + "test_heads_are_current",
    ),
    Mutant(
        "refs-name-the-repository-by-its-path",
        _REPOS,
        '"repo_id": call.repo.id,',
        '"repo_id": f"{call.repo.owner}/{call.repo.slug}",',
        flagged_by="HTTP-024",
        check=_FILE + "test_refs_name_the_repository",
    ),
    Mutant(
        "the-default-branch-is-the-newest",
        "reference.server.writing",
        '" AND NOT EXISTS (SELECT FROM branches WHERE repo_id = $2))"',
        '")"',
        flagged_by="HTTP-025",
    ),
    Mutant(
        "capabilities-are-a-map",
        _REPOS,
        'CAPABILITIES = ["framed"]',
        'CAPABILITIES = {"framed": True}',
        flagged_by="HTTP-026",
        check=_FILE + "test_capabilities_are_texts",
    ),
    Mutant(
        "framed-packs-are-announced-and-refused",
        "reference.server.intake",
        "        needs = verification.outside(pack)\n",
        """
        if pack.framed:
            raise ProtocolError("malformed", "a pack has commits, snapshots and blobs")
        needs = verification.outside(pack)
""",
        flagged_by="HTTP-026",
        check=_FILE + "test_framed_works_both_ways",
    ),
    Mutant(
        "one-limit-is-not-told",
        _REPOS,
        '                "manifest_bytes": limits.manifest_bytes,\n',
        "",
        flagged_by="HTTP-027",
    ),
    Mutant(
        "what-is-acknowledged-comes-in-reverse",
        _REPOS,
        "ack = [commit_id for commit_id in have if commit_id in here]",
        "ack = [commit_id for commit_id in reversed(have) if commit_id in here]",
        flagged_by="HTTP-028",
        check=_FILE + "test_ack_lists_what_is_known_in_order",
    ),
    Mutant(
        "commits-of-other-repositories-are-acknowledged",
        _REPOS,
        _KNOWN,
        "SELECT commit_id FROM commits WHERE $1::bytea IS NOT NULL AND commit_id = ANY($2)",
        flagged_by="HTTP-028",
        check=_FILE + "test_another_repositorys_commit_is_not_acknowledged",
    ),
    Mutant(
        "snapshots-are-acknowledged-too",
        _REPOS,
        f'"{_KNOWN}",',
        f'"{_KNOWN}"\n'
        '            " UNION SELECT snapshot_id FROM snapshot_refs"\n'
        '            " WHERE repo_id = $1 AND snapshot_id = ANY($2)",',
        flagged_by="HTTP-028",
        check=_FILE + "test_a_snapshot_is_no_commit",
    ),
    Mutant(
        "the-base-is-sought-below-branches-alone",
        _HISTORY,
        "for starts in (want, heads):",
        "for starts in (heads,):",
        flagged_by="HTTP-029",
        check=_FILE + "test_the_base_is_reachable_from_what_is_wanted",
    ),
    Mutant(
        "the-base-is-sought-below-wants-alone",
        _HISTORY,
        "for starts in (want, heads):",
        "for starts in (want,):",
        flagged_by="HTTP-029",
        check=_FILE + "test_the_base_falls_back_to_branches",
    ),
    Mutant(
        "times-are-compared-as-texts",
        _HISTORY,
        _BEST,
        'max(sorted(bases), key=lambda own: str(bases[own]["committed_at"]))',
        flagged_by="HTTP-029",
        check=_FILE + "test_of_several_bases_the_latest_counts",
    ),
    Mutant(
        "times-are-compared-to-the-microsecond",
        "reference.core.history",
        '(fraction or "").rstrip("0")',
        '(fraction or "")[:6].rstrip("0")',
        flagged_by="HTTP-029",
        check=_FILE + "test_instants_are_compared_exactly",
    ),
    Mutant(
        "of-equal-bases-the-largest-id-counts",
        _HISTORY,
        _BEST,
        'max(sorted(bases)[::-1], key=lambda own: instant(bases[own]["committed_at"]))',
        flagged_by="HTTP-029",
        check=_FILE + "test_of_equal_bases_the_smallest_id_counts",
    ),
    Mutant(
        "negotiation-is-always-ready",
        _REPOS,
        '"ready": base is not None or not have',
        '"ready": True',
        flagged_by="HTTP-030",
    ),
    Mutant(
        "the-newest-of-what-is-acknowledged-is-the-base",
        _HISTORY,
        "records(db, repo, map(from_raw, found.bases))",
        "records(db, repo, ack)",
        flagged_by="HTTP-029",
        check=_FILE + "test_a_clock_that_went_back_changes_no_base",
    ),
)
