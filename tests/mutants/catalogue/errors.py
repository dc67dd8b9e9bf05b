"""Flaws in how a request is refused: its form, the order of checks, what stays behind."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_APP = "reference.server.app"
_FILE = "test_errors.py::"

MUTANTS = (
    Mutant(
        "a-healthy-server-gives-no-reasons",
        _APP,
        '"reasons": reasons}',
        '"reasons": reasons or None}',
        flagged_by="HTTP-042",
    ),
    Mutant(
        "an-unknown-route-gets-the-frameworks-page",
        _APP,
        "            HTTPException: partial(_not_routed, service),\n",
        "",
        flagged_by="HTTP-009",
        check=_FILE + "test_a_refusal_tells_its_code",
    ),
    Mutant(
        "a-head-is-answered-unseen",
        "reference.server.blobs",
        "    service, request = call.service, call.request\n",
        """
    service, request = call.service, call.request
    if request.method == "HEAD":
        return Response(status_code=200)
""",
        flagged_by="HTTP-009",
        check=_FILE + "test_a_refused_head_has_no_body",
    ),
    Mutant(
        "an-unknown-snapshot-is-an-unknown-commit",
        "reference.server.repos",
        'ProtocolError("unknown_snapshot"',
        'ProtocolError("unknown_commit"',
        flagged_by="HTTP-011",
        check=_FILE + "test_what_is_not_there_is_404",
    ),
    Mutant(
        "a-repository-id-must-look-like-one",
        "reference.server.repos",
        'raw = to_raw(text) if is_id(text) else b""',
        "raw = to_raw(check_id(text))",
        flagged_by="HTTP-007",
        check=_FILE + "test_a_repository_id_is_opaque",
    ),
    Mutant(
        "a-body-is-judged-before-its-sender",
        _APP,
        "    given = auth.credentials(request)\n    if access",
        """
    if access == "write" and handler is not push.unpack_body:
        bodies.decode(request.headers.get("content-type", ""), await request.body())
    given = auth.credentials(request)
    if access""",
        flagged_by="HTTP-012",
        check=_FILE
        + "test_the_signature_comes_first "
        + _FILE
        + "test_ownership_comes_before_the_body",
        inspired="https://github.com/openwallet-foundation/acapy/issues/2666",
    ),
    Mutant(
        "every-statement-stands-for-itself",
        "reference.server.database",
        "async with connection.transaction():",
        "if True:",
        flagged_by="HTTP-013",
        check=_FILE + "test_a_refused_push_leaves_nothing",
    ),
    Mutant(
        "another-method-is-an-unknown-route",
        _APP,
        '"method_not_allowed" if problem.status_code == 405 else "not_found"',
        '"not_found"',
        flagged_by="HTTP-015",
        check=_FILE + "test_another_method_is_405",
    ),
    Mutant(
        "an-unknown-route-is-the-start-page",
        _APP,
        '    code = "method_not_allowed" if problem',
        """
    if request.method == "GET":
        return PlainTextResponse("<!doctype html>", 200, media_type="text/html")
    code = "method_not_allowed" if problem""",
        flagged_by="HTTP-015",
        check=_FILE + "test_another_route_is_404",
    ),
    Mutant(
        "a-nul-in-a-path-reaches-the-database",
        "reference.server.auth",
        'if "\\0" in owner + slug:',
        "if not owner + slug:",
        flagged_by="HTTP-014",
        check=_FILE + "test_no_path_is_a_fault",
        inspired="https://github.com/filipedeschamps/tabnews.com.br/issues/731",
    ),
    Mutant(
        "a-weight-that-is-no-number-is-a-fault",
        "reference.server.bodies",
        'all(weight.strip("0.") for weight in weights)',
        "all(float(weight) > 0 for weight in weights)",
        flagged_by="HTTP-014",
        check=_FILE + "test_no_header_is_a_fault",
    ),
    Mutant(
        "half-a-character-reaches-the-database",
        "reference.server.bodies",
        'or "\\0" in value or not _is_unicode(value):',
        'or "\\0" in value:',
        flagged_by="HTTP-014",
        check=_FILE + "test_no_text_is_a_fault",
    ),
)
