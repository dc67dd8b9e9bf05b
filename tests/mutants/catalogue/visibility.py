"""Flaws in who may do what: private, public, and what knowing an id is worth."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_AUTH = "reference.server.auth"
_APP = "reference.server.app"
_HISTORY = "reference.server.history"
_FILE = "test_visibility.py::"

MUTANTS = (
    Mutant(
        "a-write-is-looked-up-before-it-must-be-signed",
        _APP,
        '    if access == "write":\n        auth.require_signed(given)\n',
        "",
        flagged_by="AUTH-010",
        check=_FILE + "test_an_anonymous_write_is_401",
    ),
    Mutant(
        "a-private-repository-is-forbidden-and-so-known",
        _AUTH,
        "    if repo is None or (repo.private and repo.owner != who):\n",
        """
    if repo is not None and repo.private and repo.owner != who:
        raise ProtocolError("forbidden", "this repository is private")
    if repo is None:
""",
        flagged_by="AUTH-011",
        check=_FILE
        + "test_a_private_repository_does_not_exist_for_strangers "
        + _FILE
        + "test_a_strangers_write_to_a_private_repository_is_404",
        inspired="https://github.com/go-gitea/gitea/pull/23155",
    ),
    Mutant(
        "a-private-repository-says-so-to-whoever-has-a-key",
        _AUTH,
        "    if repo is None or (repo.private and repo.owner != who):\n",
        """
    if repo is not None and repo.private and who and repo.owner != who:
        raise ProtocolError("forbidden", "this repository is private")
    if repo is None or (repo.private and repo.owner != who):
""",
        flagged_by="HTTP-012",
        check="test_errors.py::test_visibility_comes_before_ownership",
        inspired="https://github.com/artifact-keeper/artifact-keeper/issues/3524",
    ),
    Mutant(
        "everybody-with-a-key-may-write",
        _APP,
        '        if repo and access == "write":\n            auth.require_owner(repo, who)\n',
        "",
        flagged_by="AUTH-012",
        check=_FILE + "test_a_strangers_write_to_a_public_repository_is_403",
    ),
    Mutant(
        "a-blob-is-served-to-whoever-knows-its-id",
        "reference.server.blobs",
        "WHERE m.repo_id = $1",
        "WHERE $1::bytea IS NOT NULL",
        flagged_by="AUTH-013",
        check=_FILE + "test_knowing_an_id_gives_no_access",
        inspired="https://github.com/OpenCSGs/csghub-server/pull/258",
    ),
    Mutant(
        "a-commit-is-served-to-whoever-knows-its-id",
        _HISTORY,
        '"SELECT record FROM commits WHERE repo_id = $1 AND commit_id = $2"',
        '"SELECT record FROM commits WHERE $1::bytea IS NOT NULL AND commit_id = $2"',
        flagged_by="PUSH-018",
        check=_FILE + "test_records_belong_to_their_repository",
    ),
    Mutant(
        "a-blob-of-another-repository-need-not-be-sent",
        _HISTORY,
        "FROM {table} WHERE repo_id = $1 AND",
        "FROM {table} WHERE (repo_id = $1 OR '{table}' = 'object_refs') AND",
        flagged_by="AUTH-013",
        check=_FILE + "test_a_blob_cannot_be_claimed_by_its_id",
        inspired="https://github.com/go-gitea/gitea/pull/38322",
    ),
    Mutant(
        "a-branch-may-stand-on-another-repositorys-commit",
        "reference.server.push",
        "EXISTS (SELECT FROM commits WHERE repo_id = $1 AND commit_id = $3)",
        "EXISTS (SELECT FROM commits WHERE commit_id = $3)",
        flagged_by="AUTH-013",
        check=_FILE + "test_a_head_cannot_be_claimed_by_its_id",
    ),
)
