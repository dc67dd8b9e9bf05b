"""Flaws in registering keys, in presigned URLs, and in what is told to bystanders."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_REPOS = "reference.server.repos"
_LINKS = "reference.server.objects_files"
_FILE = "test_identities.py::"

MUTANTS = (
    Mutant(
        "a-key-needs-its-prefix",
        _REPOS,
        "        load_key(text)\n",
        """
        if not text.startswith(KEY_PREFIX):
            raise ValueError("not ed25519")
        load_key(text)
""",
        flagged_by="AUTH-015",
        check=_FILE + "test_a_key_can_be_registered",
    ),
    Mutant(
        "the-beginning-of-a-handle-is-looked-at",
        _REPOS,
        "_HANDLE.fullmatch(handle)",
        "_HANDLE.match(handle)",
        flagged_by="AUTH-015",
        check=_FILE + "test_a_bad_handle_is_malformed",
    ),
    Mutant(
        "a-key-may-end-in-a-line-feed",
        _REPOS,
        "        load_key(text)\n",
        "        load_key(text.strip())\n",
        flagged_by="AUTH-015",
        check=_FILE + "test_a_bad_key_is_malformed",
    ),
    Mutant(
        "a-handle-goes-to-whoever-comes-last",
        _REPOS,
        "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        "VALUES ($1, $2, $3) ON CONFLICT (handle) DO UPDATE SET public_key = EXCLUDED.public_key",
        flagged_by="AUTH-016",
    ),
    Mutant(
        "handles-are-compared-without-case",
        _REPOS,
        "FROM identities WHERE handle = $1",
        "FROM identities WHERE lower(handle) = lower($1)",
        flagged_by="AUTH-016",
    ),
    Mutant(
        "a-link-is-good-for-any-method",
        _LINKS,
        "{method}\\n{key}\\n{expires}",
        "{key}\\n{expires}",
        flagged_by="AUTH-014",
        check=_FILE + "test_a_presigned_url_is_its_own_permission",
    ),
    Mutant(
        "a-links-end-is-not-signed",
        _LINKS,
        "{method}\\n{key}\\n{expires}",
        "{method}\\n{key}",
        flagged_by="AUTH-014",
        check=_FILE + "test_an_altered_url_is_refused",
    ),
    Mutant(
        "a-repository-has-one-place-for-uploads",
        "reference.server.objects",
        "/{mpack_key[7:]}",
        "/upload",
        flagged_by="AUTH-014",
        check=_FILE + "test_an_upload_url_is_for_one_key",
    ),
    Mutant(
        "a-bad-signature-is-repeated-in-the-refusal",
        "reference.wire.msign",
        '"the signature does not verify") from None',
        'f"{credentials.signature} does not verify") from None',
        flagged_by="HTTP-044",
        check=_FILE + "test_no_secret_is_in_an_error",
    ),
    Mutant(
        "metrics-are-kept-by-url",
        "reference.server.app",
        'path = route.path if isinstance(route, Route) else "other"',
        'path = scope["path"] + "?" + scope["query_string"].decode("latin-1")',
        flagged_by="HTTP-044",
        check=_FILE + "test_no_secret_is_in_metrics",
    ),
    Mutant(
        "the-log-has-whole-urls",
        "reference.server.app",
        'path=scope["path"][:300]',
        'path=scope["path"] + "?" + scope["query_string"].decode("latin-1")',
        flagged_by="HTTP-044",
        check=_FILE + "test_no_secret_is_in_the_log",
        inspired="https://github.com/astral-sh/uv/pull/19146",
    ),
)
