"""Flaws in how repositories are made, named, initialised and deleted."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_REPOS = "reference.server.repos"
_FILE = "test_repos.py::"

MUTANTS = (
    Mutant(
        "each-odd-character-becomes-a-dash",
        _REPOS,
        '[^A-Za-z0-9]+"',
        '[^A-Za-z0-9]"',
        flagged_by="HTTP-018",
        check=_FILE + "test_a_slug_is_made_from_the_name",
    ),
    Mutant(
        "a-slug-may-end-in-a-dash",
        _REPOS,
        '[:64].rstrip("-")',
        "[:64]",
        flagged_by="HTTP-018",
        check=_FILE + "test_a_dash_that_the_cut_leaves_is_cut_too",
    ),
    Mutant(
        "a-slug-may-be-empty",
        _REPOS,
        "    if not slug:\n",
        "    if slug is None:\n",
        flagged_by="HTTP-018",
        check=_FILE + "test_an_empty_slug_is_malformed",
    ),
    Mutant(
        "repositories-can-be-made-for-others",
        _REPOS,
        "if owner != call.signer:",
        "if call.signer is None:",
        flagged_by="HTTP-019",
        check=_FILE + "test_the_owner_is_whoever_signs",
    ),
    Mutant(
        "a-new-repository-is-forbidden-to-whoever-does-not-sign",
        _REPOS,
        'with a first commit where asked."""\n    auth.require_signed(call.signer)\n',
        'with a first commit where asked."""\n',
        flagged_by="HTTP-019",
        check=_FILE + "test_a_repository_needs_a_signature",
    ),
    Mutant(
        "a-visibility-of-null-is-private",
        _REPOS,
        'fields.text("visibility", "public")',
        'fields.text("visibility", "private" if b"null" in call.body.raw else "public")',
        flagged_by="HTTP-019",
        check=_FILE + "test_a_repository_is_public_unless_told",
    ),
    Mutant(
        "the-database-judges-the-visibility",
        _REPOS,
        '    if visibility not in ("public", "private"):\n',
        "    if not visibility:\n",
        flagged_by="HTTP-019",
        check=_FILE + "test_other_values_are_malformed",
    ),
    Mutant(
        "a-name-that-is-taken-is-answered-as-made",
        _REPOS,
        'raise ProtocolError("repo_exists", f"{owner}/{slug} is there already") from None',
        'return call.answer({"slug": slug, "repoId": repo_id}, 200)',
        flagged_by="HTTP-020",
    ),
    Mutant(
        "the-first-commit-is-the-servers-own",
        _REPOS,
        '"author": repo.owner,',
        '"author": "server",',
        flagged_by="HTTP-021",
        check=_FILE + "test_initialize_makes_one_commit",
    ),
    Mutant(
        "an-empty-repository-shows-a-branch",
        _REPOS,
        '"branch_heads": heads,',
        '"branch_heads": heads or {"main": None},',
        flagged_by="HTTP-021",
        check=_FILE + "test_without_initialize_there_is_nothing",
    ),
    Mutant(
        "a-deleted-repository-is-only-renamed",
        _REPOS,
        '"DELETE FROM repos WHERE repo_id = $1"',
        "\"UPDATE repos SET slug = slug || '-deleted' WHERE repo_id = $1\"",
        flagged_by="HTTP-022",
        check=_FILE + "test_a_deleted_repository_is_gone",
    ),
    Mutant(
        "a-name-made-again-has-the-same-id",
        _REPOS,
        'derived_id("repo", owner, slug, f"{now:%Y-%m-%dT%H:%M:%S.%fZ}")',
        'derived_id("repo", owner, slug)',
        flagged_by="HTTP-022",
        check=_FILE + "test_a_new_repository_has_nothing_of_the_old",
        inspired="https://github.com/gogs/gogs/issues/3124",
    ),
    Mutant(
        "everybody-may-delete",
        _REPOS,
        "    auth.require_owner(repo, call.signer)\n",
        "",
        flagged_by="HTTP-022",
        check=_FILE + "test_only_its_owner_deletes_it",
    ),
    Mutant(
        "a-slug-is-taken-for-everybody",
        "reference.server.schema",
        "        UNIQUE (owner, slug)\n",
        "        UNIQUE (slug)\n",
        flagged_by="HTTP-020",
    ),
    Mutant(
        "the-owner-is-compared-before-all-else",
        _REPOS,
        '    fields.require("owner", "name")\n',
        """
    if fields.text("owner") != call.signer:
        raise ProtocolError("forbidden", "you cannot create repositories of others")
    fields.require("owner", "name")
""",
        flagged_by="HTTP-019",
        check=_FILE + "test_the_owner_is_compared_between_types_and_values",
    ),
    Mutant(
        "a-strangers-name-is-judged",
        _REPOS,
        "    if owner != call.signer:\n",
        "    slug_of(name)\n    if owner != call.signer:\n",
        flagged_by="HTTP-019",
        check=_FILE + "test_the_owner_is_compared_between_types_and_values",
    ),
    Mutant(
        "what-no-row-can-hold-is-white-space",
        "reference.server.bodies",
        "        value = self._values.get(name, default)\n        if not isinstance(value, str) or",
        """
        value = self._values.get(name, default)
        if isinstance(value, str):
            value = value.encode("utf-8", "replace").decode().replace("\\0", " ")
        if not isinstance(value, str) or""",
        flagged_by="HTTP-006",
        check=_FILE + "test_a_text_that_no_row_can_hold_is_malformed",
    ),
    Mutant(
        "letters-of-any-alphabet-are-lowered",
        _REPOS,
        "name).lower()",
        "name.lower())",
        flagged_by="HTTP-018",
        check=_FILE
        + "test_a_slug_is_made_from_the_name "
        + _FILE
        + "test_an_empty_slug_is_malformed",
    ),
)
