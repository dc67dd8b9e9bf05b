"""Flaws in the earlier names of the calls."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_PUSH = "reference.server.push"
_FILE = "test_legacy.py::"

MUTANTS = (
    Mutant(
        "an-earlier-name-counts-in-newer-words",
        _PUSH,
        '"stored_objects": "blobs",',
        '"stored_blobs": "blobs",',
        flagged_by="HTTP-045",
        check=_FILE + "test_a_bundle_is_a_pack",
    ),
    Mutant(
        "an-earlier-name-moves-any-branch",
        _PUSH,
        'fields.flag("force"))',
        'fields.flag("force") or key_name == "bundle_id")',
        flagged_by="HTTP-045",
        check=_FILE + "test_a_bundle_is_checked_like_a_pack",
    ),
    Mutant(
        "an-earlier-name-takes-any-size",
        _PUSH,
        'if fields.size("size_bytes") > limit:',
        'if key_name == "mpack_key" and fields.size("size_bytes") > limit:',
        flagged_by="HTTP-045",
        check=_FILE + "test_presigning_a_bundle_is_checked_too",
    ),
    Mutant(
        "objects-are-not-blobs",
        "reference.wire.reader",
        '        if key in ("blobs", "objects"):\n',
        '        if key in ("blobs",):\n',
        flagged_by="HTTP-045",
        check=_FILE + "test_a_pack_as_the_body_keeps_working",
    ),
)
