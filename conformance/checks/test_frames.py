"""Frames from strangers: judged by their headers before anything is spent on them."""

from __future__ import annotations

import pytest
import zstandard

from conformance import packs
from conformance.checks.test_framed import Bend, only_if_right
from conformance.expectations import refused, requirement, unchanged
from conformance.histories import Commit, commit
from conformance.outcomes import NotApplicable
from conformance.packs import Framed, squeeze
from conformance.repository import Repository


def undeclared(raw: bytes) -> bytes:
    """A frame that does not say how much it holds."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(raw)


def trained(raw: bytes) -> bytes:
    """A frame that needs a dictionary."""
    samples: list[bytes | bytearray | memoryview] = [
        f"sample {n} of text that repeats {n % 7}".encode() for n in range(4000)
    ]
    dictionary = zstandard.train_dictionary(1024, samples)
    return zstandard.ZstdCompressor(dict_data=dictionary).compress(raw)


FRAMES: dict[str, tuple[str, Bend]] = {
    "no magic": ("MPACK-030", lambda raw: b"\0\0\0\0" + squeeze(raw)[4:]),
    "a skippable frame": ("MPACK-030", lambda raw: b"\x50\x2a\x4d\x18\x04\0\0\0abcd"),
    "no size": ("MPACK-031", undeclared),
    "more than the sizes": ("MPACK-032", lambda raw: squeeze(raw + b"!")),
    "less than the sizes": ("MPACK-032", lambda raw: squeeze(raw[:-1])),
    "a dictionary": ("MPACK-034", trained),
    "cut": ("MPACK-035", lambda raw: squeeze(raw)[:-1]),
    "empty": ("MPACK-035", lambda raw: b""),
    "followed": ("MPACK-035", lambda raw: squeeze(raw) + b"\0"),
    "two frames": ("MPACK-035", lambda raw: squeeze(raw) + squeeze(b"")),
    "corrupt": ("MPACK-035", lambda raw: squeeze(raw)[:-2] + b"\xff\xff"),
}


@requirement("MPACK-030", "MPACK-031", "MPACK-032", "MPACK-034", "MPACK-035")
@pytest.mark.parametrize("how", list(FRAMES))
def test_a_bad_frame_is_refused(framed_repo: Repository, how: str) -> None:
    """No magic, no or another size, a dictionary, a cut, rest, or damage: a bad frame."""
    tip = commit("a", files={"a": b"text that compresses " * 40})

    def bend(framed: Framed) -> None:
        framed.payloads = [FRAMES[how][1](content) for content in framed.contents]

    only_if_right(framed_repo, tip, bend, "bad_frame")


@requirement("MPACK-033")
def test_a_wide_window_is_refused(framed_repo: Repository) -> None:
    """A frame whose window is above 8 MiB is a bad frame."""
    if framed_repo.limit("raw_bytes") < 9 << 20:
        raise NotApplicable("raw_bytes is below the 9 MiB that this takes")
    tip = commit("a", files={"zeros": bytes(9 << 20)})

    def bend(framed: Framed) -> None:
        framed.payloads = [squeeze(bytes(9 << 20), 22)]

    only_if_right_or_stored(framed_repo, tip, bend)


def only_if_right_or_stored(repo: Repository, tip: Commit, bend: Bend) -> None:
    """Like `only_if_right`, the sound neighbour compressed with a window of 8 MiB at most."""
    value = packs.plain(tip)
    bent = packs.framed(value)
    bend(bent)
    assert zstandard.get_frame_parameters(bent.payloads[0]).window_size > 8 << 20
    with unchanged(repo, tip), refused(422, "bad_frame"):
        repo.push_body(bent.encode(), tip.id)
    sound = packs.framed(value)
    parameters = zstandard.ZstdCompressionParameters(window_log=20, write_content_size=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    sound.payloads = [compressor.compress(content) for content in sound.contents]
    repo.push_body(sound.encode(), tip.id)


@requirement("MPACK-036")
@pytest.mark.parametrize("extra", [b"!", None], ids=["longer", "shorter"])
def test_a_stored_frame_has_its_length(framed_repo: Repository, extra: bytes | None) -> None:
    """A frame stored as it is has exactly the sum of its blobs' sizes."""

    def bend(framed: Framed) -> None:
        framed.head["raw"] = bytes([1])
        framed.payloads = [c + extra if extra else c[:-1] for c in framed.contents]

    only_if_right(framed_repo, commit("a"), bend, "bad_frame")
