"""What is little is done at once: how much that is, and that it is the same as in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from reference.server.at_once import AT_ONCE
from reference.server.bodies import HELD_BYTES, spooled
from reference.server.trees import LITTLE_ENTRIES, Trees
from reference.wire.errors import ProtocolError
from reference.wire.ids import mpack_key


def _request(chunks: list[bytes]) -> Request:
    def messages() -> Iterator[dict[str, Any]]:
        for number, chunk in enumerate(chunks, 1):
            yield {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}

    sent = messages()

    async def receive() -> dict[str, Any]:
        return next(sent)

    return Request({"type": "http", "headers": []}, receive)


@pytest.mark.parametrize("size", [1, HELD_BYTES - 1, HELD_BYTES, HELD_BYTES + 1, 3 * HELD_BYTES])
@pytest.mark.parametrize("chunk", [HELD_BYTES // 3, HELD_BYTES, 4 * HELD_BYTES])
async def test_a_body_is_the_same_in_memory_and_in_a_file(
    tmp_path: Any, size: int, chunk: int
) -> None:
    """Whatever its size and its pieces; a file is made only for what is too large to hold."""
    whole = bytes(n % 251 for n in range(size))
    pieces = [whole[start : start + chunk] for start in range(0, size, chunk)]
    spool = tmp_path / "spool"
    async with spooled(_request(pieces), size, str(spool)) as body:
        assert body.key == mpack_key(whole)
        assert body.file is not None
        assert body.file.read() == whole
    assert spool.exists() == (size > HELD_BYTES)
    with pytest.raises(ProtocolError, match="too_large"):
        async with spooled(_request(pieces), size - 1, str(spool)):
            pass
    assert not spool.exists() or not list(spool.iterdir())


def _snapshot(paths: int) -> dict[str, Any]:
    return {"delta_upsert": {f"{n}": "" for n in range(paths)}, "delta_remove": []}


def test_few_entries_are_little() -> None:
    """Entries of all manifests together, each as often as it is rebuilt; none that was kept."""
    assert Trees({"a": _snapshot(10)}).takes_little(2, [_snapshot(5)])
    assert not Trees({"a": _snapshot(LITTLE_ENTRIES)}).takes_little(1)
    assert not Trees({}).takes_little(1, [_snapshot(LITTLE_ENTRIES)])
    assert not Trees({}).takes_little(LITTLE_ENTRIES, [_snapshot(1)])
    assert not Trees({"a": _snapshot(1)}, {"a": b""}).takes_little(1)
    long = {"delta_upsert": {"x" * 40_000: ""}, "delta_remove": []}
    assert not Trees({}).takes_little(1, [long])


def test_many_snapshots_are_not_even_looked_at() -> None:
    """Whether it is little is asked where nothing may take long."""
    assert not Trees({}).takes_little(1, [{}] * LITTLE_ENTRIES)


def test_what_fails_at_once_is_told_where_it_is_asked_for() -> None:
    """As a thread's result would be."""
    assert AT_ONCE.submit(int, "7").result() == 7
    failed = AT_ONCE.submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        failed.result()
