"""Signed requests: what the header binds, and each way in which it no longer does."""

from typing import Any

import pytest

from reference.wire import msign
from reference.wire.errors import ProtocolError
from tests import oracle

from .histories import KEY, SEED

NOW = 1767225600
BODY = b'{"want":[],"have":[]}'
REQUEST = ("POST", "127.0.0.1:8000", "/alice/demo/negotiate?x=1")
HEADER = msign.authorization("alice", SEED, *REQUEST, oracle.mpack_key(BODY), NOW)


def verify(header: str = HEADER, now: float = NOW, **changed: Any) -> None:
    """Verifies the request above as it is, or changed."""
    parts = dict(zip(("method", "host", "target"), REQUEST, strict=True))
    request = {**parts, "body": oracle.mpack_key(BODY), **changed}
    msign.verify(msign.parse(header), KEY, now, **request)


def refused(header: str = HEADER, now: float = NOW, changed: dict[str, str] | None = None) -> bool:
    """Whether the request is refused as unauthenticated."""
    try:
        verify(header, now, **changed or {})
    except ProtocolError as error:
        return error.code == "unauthenticated"
    return False


@pytest.mark.requirement("AUTH-002", "AUTH-003", "AUTH-004")
def test_the_signed_text_agrees_with_the_oracle() -> None:
    """Six lines, no line feed at the end."""
    text = msign.string_to_sign(*REQUEST, NOW, oracle.mpack_key(BODY))
    assert text == oracle.msign_text(*REQUEST, NOW, BODY)
    assert text.count(b"\n") == 5


@pytest.mark.requirement("AUTH-003")
def test_the_method_is_signed_in_upper_case() -> None:
    """However the caller writes it."""
    verify(method="post")


@pytest.mark.requirement("AUTH-002")
def test_a_signed_request_verifies() -> None:
    """What was signed is what is verified."""
    verify()


@pytest.mark.requirement("AUTH-005")
@pytest.mark.parametrize(
    "changed",
    [
        {"method": "GET"},
        {"host": "127.0.0.1"},
        {"host": "127.0.0.1:8001"},
        {"target": "/alice/demo/negotiate"},
        {"target": "/alice/demo/negotiate?x=2"},
        {"target": "/alice/demo/negotiate?"},
        {"target": "/alice/demo/Negotiate?x=1"},
        {"body": oracle.mpack_key(b"")},
        {"body": oracle.mpack_key(BODY + b" ")},
        {"host": "\udcff"},
        {"target": "/\ud800"},
    ],
)
def test_each_signed_part_counts(changed: dict[str, str]) -> None:
    """A change of method, host, port, path, query or body is refused."""
    assert refused(changed=changed)


@pytest.mark.requirement("AUTH-005")
def test_the_time_is_signed() -> None:
    """Moving the time into the window does not help."""
    later = NOW + 3600
    assert refused(HEADER.replace(str(NOW), str(later)), later)


@pytest.mark.requirement("AUTH-006")
@pytest.mark.parametrize("away", [-30, -29, 0, 29, 30, 30.9])
def test_inside_the_window(away: float) -> None:
    """Exactly thirty seconds still pass, either way; the clock counts whole seconds."""
    verify(now=NOW + away)


@pytest.mark.requirement("AUTH-006")
@pytest.mark.parametrize("away", [-31, 31, -1e9, 1e9])
def test_outside_the_window(away: float) -> None:
    """Thirty-one do not."""
    assert refused(now=NOW + away)


@pytest.mark.requirement("AUTH-001")
@pytest.mark.parametrize(
    "header",
    [
        "",
        "MSign",
        "Bearer x",
        HEADER + " ",
        " " + HEADER,
        HEADER + "\n",
        HEADER + ' x="y"',
        HEADER.replace("MSign ", "msign "),
        HEADER.replace("MSign ", "MSign  "),
        HEADER.replace(" alg", ", alg"),
        HEADER.replace('alg="ed25519"', 'alg="none"'),
        HEADER.replace('alg="ed25519" ', ""),
        HEADER.replace('"alice"', "alice"),
        HEADER.replace('"alice"', '""'),
        HEADER.replace('"alice"', '"-alice"'),
        HEADER.replace('"alice"', '"al ice"'),
        HEADER.replace('"alice"', '"ali\\"ce"'),
        HEADER.replace('"alice"', f'"{"a" * 65}"'),
        HEADER.replace(f"ts={NOW}", "ts="),
        HEADER.replace(f"ts={NOW}", f"ts=-{NOW}"),
        HEADER.replace(f"ts={NOW}", f"ts=+{NOW}"),
        HEADER.replace(f"ts={NOW}", f"ts={NOW}.0"),
        HEADER.replace(f"ts={NOW}", f'ts="{NOW}"'),
        HEADER.replace(f"ts={NOW}", "ts=" + "9" * 13),
        HEADER.replace(f"ts={NOW}", "ts=١٧٦٧٢٢٥٦٠٠"),
        HEADER[:-2] + '"',
        HEADER[:-1] + 'A"',
        HEADER[:-1] + '="',
        HEADER[:-3] + '+A"',
    ],
)
def test_any_other_form_of_the_header(header: str) -> None:
    """These fields, in this order, single spaces, nothing else."""
    with pytest.raises(ProtocolError) as caught:
        msign.parse(header)
    assert (caught.value.code, caught.value.requirement) == ("unauthenticated", "AUTH-001")


@pytest.mark.requirement("AUTH-002")
def test_a_signature_with_spare_bits_is_refused() -> None:
    """The text of the signature is canonical here too."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = HEADER[-2]
    assert refused(HEADER[:-2] + alphabet[alphabet.index(last) | 1] + '"')


@pytest.mark.requirement("AUTH-002")
def test_another_key_does_not_verify() -> None:
    """Nor does one that is none."""
    for key in (KEY.replace("A6", "A7"), "ed25519:", "", "x" * 43):
        with pytest.raises(ProtocolError, match="unauthenticated"):
            msign.verify(msign.parse(HEADER), key, NOW, *REQUEST, oracle.mpack_key(BODY))


def test_what_a_header_says() -> None:
    """Handle, algorithm, time and signature, nothing proven yet."""
    found = msign.parse(HEADER)
    assert (found.handle, found.algorithm, found.timestamp) == ("alice", "ed25519", NOW)


@pytest.mark.requirement("AUTH-015")
@pytest.mark.parametrize("handle", ["a", "A9", "a.b_c-d", "0" * 64])
def test_handles_that_are_fine(handle: str) -> None:
    """A letter or digit, then up to 63 more, dots, dashes and underscores."""
    assert msign.check_handle(handle) == handle


@pytest.mark.requirement("AUTH-015")
@pytest.mark.parametrize("handle", ["", ".a", "-a", "a/b", "a b", "a\n", "é", "a" * 65, 1, None])
def test_handles_that_are_refused(handle: object) -> None:
    """Anything else is `malformed`."""
    with pytest.raises(ProtocolError) as caught:
        msign.check_handle(handle)
    assert caught.value.code == "malformed"
