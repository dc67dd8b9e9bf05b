"""Flaws in what is read and written: JSON and msgpack, fields and their types."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_BODIES = "reference.server.bodies"
_FILE = "test_bodies.py::"
_IS_MSGPACK = 'content_type.partition(";")[0].strip().lower() == MSGPACK'

MUTANTS = (
    Mutant(
        "a-content-type-may-have-no-parameters",
        _BODIES,
        _IS_MSGPACK,
        "content_type == MSGPACK",
        flagged_by="HTTP-001",
        check=_FILE + "test_content_type_describes_the_request",
    ),
    Mutant(
        "a-body-is-recognised-by-its-first-byte",
        _BODIES,
        _IS_MSGPACK,
        'raw[:1] >= b"\\x80"',
        flagged_by="HTTP-001",
        check=_FILE + "test_the_wrong_kind_of_body_does_not_parse",
    ),
    Mutant(
        "an-answer-has-the-form-of-the-request",
        _BODIES,
        'if wants_msgpack(",".join(request.headers.getlist("accept"))):',
        'if request.headers.get("content-type") == MSGPACK:',
        flagged_by="HTTP-002",
        check=_FILE + "test_accept_alone_chooses_the_answer",
    ),
    Mutant(
        "an-error-is-always-json",
        "reference.server.app",
        "bodies.answer(request, problem.body(), problem.status)",
        "bodies.Response(bodies.json.dumps(problem.body()), problem.status, None, bodies.JSON)",
        flagged_by="HTTP-009",
        check=_FILE + "test_errors_follow_accept_too",
    ),
    Mutant(
        "msgpack-leaves-null-fields-out",
        _BODIES,
        'msgpack.packb(value, unicode_errors="replace")',
        "msgpack.packb({name: item for name, item in value.items() if item is not None})",
        flagged_by="HTTP-003",
    ),
    Mutant(
        "of-a-key-that-stands-twice-the-last-counts",
        _BODIES,
        "if len(found) != len(pairs):",
        "if len(found) > len(pairs):",
        flagged_by="HTTP-004",
    ),
    Mutant(
        "deep-json-is-a-fault",
        _BODIES,
        "except (ValueError, RecursionError) as problem:",
        "except ValueError as problem:",
        flagged_by="HTTP-004",
        inspired="https://github.com/flop-labs/technocore-chat/issues/130",
    ),
    Mutant(
        "only-the-first-missing-field-is-named",
        _BODIES,
        '"HTTP-005", fields=missing',
        '"HTTP-005", fields=missing[:1]',
        flagged_by="HTTP-005",
        check=_FILE + "test_missing_fields_are_named",
    ),
    Mutant(
        "missing-fields-are-named-in-prose-alone",
        _BODIES,
        '"HTTP-005", fields=missing',
        '"HTTP-005"',
        flagged_by="HTTP-005",
        check=_FILE
        + "test_missing_fields_are_named "
        + _FILE
        + "test_missing_fields_of_a_new_repository_are_named",
    ),
    Mutant(
        "a-number-may-name-a-branch",
        _BODIES,
        "return check_branch(self._values[name])",
        "return check_branch(str(self._values[name]))",
        flagged_by="HTTP-006",
        check=_FILE + "test_fields_have_their_types",
    ),
    Mutant(
        "null-is-a-value-like-any-other",
        _BODIES,
        "{name: value for name, value in values.items() if value is not None}",
        "dict(values)",
        flagged_by="HTTP-006",
        check=_FILE + "test_optional_fields_may_be_null_and_unknown_ones_are_ignored",
    ),
    Mutant(
        "any-text-is-true",
        _BODIES,
        "        if not isinstance(value, bool):\n",
        "        value = bool(value)\n        if not isinstance(value, bool):\n",
        flagged_by="HTTP-006",
        check=_FILE + "test_optional_fields_have_their_types",
    ),
    Mutant(
        "a-body-of-a-megabyte-is-too-large",
        _BODIES,
        "BODY_BYTES = 8 * 1024 * 1024",
        "BODY_BYTES = 1024 * 1024",
        flagged_by="HTTP-008",
    ),
    Mutant(
        "json-may-be-in-any-unicode",
        _BODIES,
        "json.loads(raw.decode(), ",
        "json.loads(raw, ",
        flagged_by="HTTP-004",
        check=_FILE + "test_a_body_that_does_not_parse_is_malformed",
    ),
    Mutant(
        "nan-is-a-number",
        _BODIES,
        ", parse_constant=_refuse)",
        ")",
        flagged_by="HTTP-004",
        check=_FILE + "test_a_body_that_does_not_parse_is_malformed",
    ),
)
