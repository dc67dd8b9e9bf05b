"""The options of `musekit serve`: what cannot be meant is one sentence."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from reference.server import main, serving
from reference.wire.errors import ProtocolError


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--port", "99999"], "--port: must be a number from 0 to 65535: '99999'"),
        (["--port", "-1"], "--port: must be a number from 0 to 65535: '-1'"),
        (["--limit", "pack_bytes=-1"], "pack_bytes must be a whole number, 0 or more: '-1'"),
        (["--limit", "pack_bytes"], "pack_bytes must be a whole number, 0 or more: ''"),
        (["--limit", "nonsense=1"], "no such limit: nonsense; there are pack_bytes, "),
    ],
)
def test_an_option_is_refused_in_words(
    tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 before anything is started; the value and what would be right are named."""
    data = tmp_path / "data"
    with pytest.raises(SystemExit) as ended:
        main.serve(["--data", str(data), *options])
    assert (ended.value.code, data.exists()) == (2, False)
    assert told in capsys.readouterr().err


def test_an_address_that_is_taken_is_named() -> None:
    """With the way out of it."""
    with contextlib.closing(serving.listen("127.0.0.1", 0)) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ProtocolError) as refused:
            serving.listen("127.0.0.1", port)
    told = f"127.0.0.1:{port} is taken; --port 0 takes a free one"
    assert (refused.value.code, refused.value.detail) == ("io", told)
