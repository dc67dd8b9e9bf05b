"""Flaws in what a fetch gives: the closure, what is left out of it, and how it is told."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_FETCH = "reference.server.fetch"
_CLOSURE = "reference.core.closure"
_FILE = "test_fetch.py::"
_FORM = 'return "framed" if "framed" in capabilities else "plain"'
_BUILD = "        found = await build(call.service, call.repo, want, have, form)\n"

MUTANTS = (
    Mutant(
        "nothing-may-be-wanted",
        _FETCH,
        "    if not want:\n",
        "    if want is None:\n",
        flagged_by="FETCH-001",
        check=_FILE + "test_an_empty_want_is_malformed",
    ),
    Mutant(
        "wants-that-nobody-knows-are-passed-over",
        _FETCH,
        'raise ProtocolError("unknown_commit", f"no commit {min(missing)} here", "FETCH-001")',
        "want[:] = [own for own in want if own not in missing]",
        flagged_by="FETCH-001",
        check=_FILE + "test_an_unknown_want_is_refused",
    ),
    Mutant(
        "what-is-had-must-be-known",
        _FETCH,
        "        found = await cached(db, call.repo, want[0], form) if cacheable else None\n",
        """
        await _require_commits(db, call.repo, have)
        found = await cached(db, call.repo, want[0], form) if cacheable else None
""",
        flagged_by="FETCH-002",
    ),
    Mutant(
        "every-pack-is-framed",
        _FETCH,
        _FORM,
        'return "framed"',
        flagged_by="FETCH-003",
        check=_FILE + "test_a_pack_is_plain_unless_asked",
    ),
    Mutant(
        "a-capability-that-is-not-known-is-refused",
        _FETCH,
        "    " + _FORM,
        """
    if capabilities - {"framed"}:
        raise ProtocolError("malformed", "capabilities: unknown ones")
    return "framed" if capabilities else "plain"
""",
        flagged_by="FETCH-003",
        check=_FILE + "test_a_pack_may_be_framed_when_asked",
    ),
    Mutant(
        "the-short-name-serves-from-the-cache-alone",
        "reference.server.app",
        '"/{owner}/{slug}/fetch", fetch.fetch)',
        '"/{owner}/{slug}/fetch", fetch.presign_cached)',
        flagged_by="FETCH-004",
    ),
    Mutant(
        "the-url-of-a-private-pack-gives-no-permission",
        _FETCH,
        "    url = call.service.objects.link(call.base_url, pack_key(mpack_id), LINK_SECONDS)\n",
        """
    url = call.service.objects.link(call.base_url, pack_key(mpack_id), LINK_SECONDS)
    if call.repo.private:
        url = url.partition("?")[0]
""",
        flagged_by="FETCH-005",
        check=_FILE + "test_a_packs_url_needs_no_signature",
    ),
    Mutant(
        "only-first-parents-are-followed",
        "reference.server.history",
        "(first,) if second is None else (first, second)",
        "(first,)",
        flagged_by="FETCH-006",
        check=_FILE + "test_a_clone_is_the_whole_closure",
    ),
    Mutant(
        "of-several-wants-the-first-counts",
        _FETCH,
        _BUILD,
        _BUILD.replace("want,", "want[:1],"),
        flagged_by="FETCH-006",
        check=_FILE + "test_several_wants_are_one_pack",
    ),
    Mutant(
        "on-top-of-something-only-heads-can-be-wanted",
        _FETCH,
        _BUILD,
        """
        async with call.service.database.session() as db:
            heads = (await history.branch_heads(db, call.repo.raw)).values()
        if have and not set(want) <= set(heads):
            raise ProtocolError("unknown_commit", "no head of a branch")
"""
        + _BUILD,
        flagged_by="FETCH-006",
        check=_FILE + "test_an_old_commit_can_be_wanted",
    ),
    Mutant(
        "a-zero-at-the-end-of-a-time-is-lost",
        "reference.server.rows",
        "_pack_message(record)),",
        '_pack_message({**record, "committed_at": record["committed_at"].replace(".0", "")})),',
        flagged_by="REC-008",
        check=_FILE + "test_records_come_back_as_they_were",
    ),
    Mutant(
        "only-the-boundary-of-what-is-had-is-left-out",
        "reference.server.gathering",
        "    if there:\n",
        "    if not have:\n",
        flagged_by="FETCH-007",
        check=_FILE + "test_old_blobs_that_come_back_are_left_out",
    ),
    Mutant(
        "commits-that-are-had-are-sent-again",
        "reference.server.gathering",
        "Sweep(map(to_raw, want), map(to_raw, there))",
        "Sweep(map(to_raw, want))",
        flagged_by="FETCH-006",
        check=_FILE + "test_what_is_had_is_left_out",
    ),
    Mutant(
        "deltas-are-sent-as-they-were-pushed",
        _CLOSURE,
        "    if base in known or (base is None and preferred not in known):\n",
        "    if record:\n",
        flagged_by="FETCH-008",
        check=_FILE + "test_no_delta_stands_on_what_only_the_server_has",
        inspired="https://github.com/fusebit/cloud-git/issues/3",
    ),
    Mutant(
        "a-delta-repeats-the-whole-manifest",
        _CLOSURE,
        "        record = _delta_on_known(look, commit, parent, known)\n",
        """
        record = _delta_on_known(look, commit, parent, known)
        record = {**record, "delta_upsert": dict(look.tree(commit["snapshot_id"])[0])}
""",
        flagged_by="SNAP-015",
        check=_FILE + "test_deltas_say_only_what_differs",
    ),
    Mutant(
        "commits-are-counted-as-blobs",
        _FETCH,
        '{**body, "blob_count": blobs,',
        '{**body, "blob_count": commits,',
        flagged_by="FETCH-009",
    ),
    Mutant(
        "nothing-new-is-an-error",
        _FETCH,
        _BUILD,
        """
        if set(want) <= set(have):
            raise ProtocolError("not_found", "there is nothing to send")
"""
        + _BUILD,
        flagged_by="FETCH-010",
    ),
)
