"""Flaws in who a request is taken to be from: the header, what it covers, its time."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_AUTH = "reference.server.auth"
_MSIGN = "reference.wire.msign"
_FILE = "test_auth.py::"

_VERIFY = (
    "    msign.verify(given, key, time(), request.method, host, raw_target(request), body_key)\n"
)
_INDULGENT = """
    target, now = raw_target(request), time()
    try:
        msign.verify(given, key, now, request.method, host, target, body_key)
    except ProtocolError:
        msign.verify(given, key, now, request.method, {host}, {target}, {body})
"""
"""Tries what earlier clients signed by mistake, too."""

MUTANTS = (
    Mutant(
        "a-deletion-is-signed-without-its-body",
        _AUTH,
        "raw_target(request), body_key)",
        'raw_target(request), "" if request.method == "DELETE" else body_key)',
        flagged_by="AUTH-002",
        check=_FILE + "test_a_signed_request_is_accepted",
    ),
    Mutant(
        "further-fields-in-the-header-are-ignored",
        _MSIGN,
        "_HEADER.fullmatch(header)",
        "_HEADER.match(header)",
        flagged_by="AUTH-001",
        check=_FILE + "test_a_bent_header_is_refused",
    ),
    Mutant(
        "white-space-in-the-header-does-not-matter",
        _MSIGN,
        "_HEADER.fullmatch(header)",
        '_HEADER.fullmatch(" ".join(header.split()))',
        flagged_by="AUTH-001",
        check=_FILE + "test_any_other_form_is_refused " + _FILE + "test_a_bent_header_is_refused",
    ),
    Mutant(
        "a-signature-has-several-texts",
        "reference.wire.provenance",
        "if len(data) != size or to_base64url(data) != text:",
        "if len(data) != size:",
        flagged_by="AUTH-002",
        check=_FILE + "test_a_signature_has_one_text",
    ),
    Mutant(
        "the-query-need-not-be-signed",
        _AUTH,
        _VERIFY,
        _INDULGENT.format(host="host", target='target.partition("?")[0]', body="body_key"),
        flagged_by="AUTH-005",
        check=_FILE + "test_a_signed_request_cannot_be_altered",
    ),
    Mutant(
        "the-host-that-counts-is-the-servers-own",
        _AUTH,
        'host = request.headers.get("host", "")',
        'host = "%s:%s" % request.scope["server"]',
        flagged_by="AUTH-005",
        check=_FILE + "test_a_signed_request_cannot_be_altered",
    ),
    Mutant(
        "a-body-need-not-be-signed",
        _AUTH,
        _VERIFY,
        _INDULGENT.format(
            host="host",
            target="target",
            body='"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
        ),
        flagged_by="AUTH-005",
        check=_FILE + "test_what_is_signed_cannot_be_changed",
    ),
    Mutant(
        "the-port-need-not-be-signed",
        _AUTH,
        _VERIFY,
        _INDULGENT.format(host='host.partition(":")[0]', target="target", body="body_key"),
        flagged_by="AUTH-003",
        check=_FILE + "test_the_port_belongs_to_the_host",
    ),
    Mutant(
        "the-query-is-encoded-anew-before-it-is-verified",
        _AUTH,
        'query: bytes = request.scope["query_string"]',
        "query: bytes = str(request.query_params).encode()",
        flagged_by="AUTH-003",
        check=_FILE + "test_the_target_is_signed_as_sent",
        inspired="https://github.com/mhart/aws4/issues/14",
    ),
    Mutant(
        "no-body-may-be-signed-as-an-empty-map",
        _AUTH,
        _VERIFY,
        _INDULGENT.format(
            host="host",
            target="target",
            body='"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"',
        ),
        flagged_by="AUTH-004",
        check=_FILE + "test_no_body_is_an_empty_body",
    ),
    Mutant(
        "a-signature-holds-for-hours",
        _MSIGN,
        "WINDOW_SECONDS = 30",
        "WINDOW_SECONDS = 7200",
        flagged_by="AUTH-006",
        check=_FILE + "test_another_time_is_refused",
    ),
    Mutant(
        "a-signature-from-the-future-holds",
        _MSIGN,
        "abs(int(now) - credentials.timestamp)",
        "int(now) - credentials.timestamp",
        flagged_by="AUTH-006",
        check=_FILE + "test_another_time_is_refused",
    ),
    Mutant(
        "a-clock-may-not-be-ahead",
        _MSIGN,
        "if abs(int(now) - credentials.timestamp) > WINDOW_SECONDS:",
        "if not 0 <= int(now) - credentials.timestamp <= WINDOW_SECONDS:",
        flagged_by="AUTH-006",
        check=_FILE + "test_a_clock_may_be_a_little_off",
        inspired="https://github.com/Kitura/Swift-JWT/issues/31",
    ),
    Mutant(
        "a-repeated-negotiation-is-taken-for-an-attack",
        _AUTH,
        "    return given.handle\n",
        """
    used = signer.__dict__.setdefault("used", set())
    if request.url.path.endswith("/negotiate") and given.signature in used:
        raise ProtocolError("unauthenticated", "this signature was used before")
    used.add(given.signature)
    return given.handle
""",
        flagged_by="AUTH-006",
        check=_FILE + "test_a_replay_within_the_window_is_accepted",
    ),
    Mutant(
        "an-unknown-handle-is-told-from-a-bad-signature",
        _AUTH,
        '    key = row["public_key"] or _NOBODY\n',
        '    if not (key := row["public_key"]) and given:\n'
        '        raise ProtocolError("unauthenticated", f"no {given.handle}", "AUTH-007")\n',
        flagged_by="AUTH-007",
    ),
    Mutant(
        "a-401-does-not-say-what-is-wanted",
        "reference.server.app",
        '        response.headers["www-authenticate"] = msign.CHALLENGE\n',
        "        pass\n",
        flagged_by="AUTH-008",
    ),
    Mutant(
        "another-scheme-makes-a-request-anonymous",
        _AUTH,
        "    return msign.parse(headers[0])\n",
        '    return msign.parse(headers[0]) if headers[0].startswith("MSign ") else None\n',
        flagged_by="AUTH-009",
    ),
    Mutant(
        "a-time-is-signed-as-it-is-sent",
        _MSIGN,
        "    return Credentials(found[1], found[2], int(found[3]), found[4])\n",
        """
    sent = type("Sent", (int,), {"__str__": lambda number: found[3]})
    return Credentials(found[1], found[2], sent(found[3]), found[4])
""",
        flagged_by="AUTH-002",
        check=_FILE + "test_leading_zeros_of_the_time_are_not_signed",
    ),
)
