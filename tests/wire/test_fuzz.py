"""Damaged packs: whatever the bytes, a refusal with a code or a pack that proves itself.

`FUZZ_SECONDS=300 FUZZ_SEED=7 pytest -s -o faulthandler_timeout=0 tests/wire/test_fuzz.py` runs
longer, and what a seed found it finds again.
"""

import os
import random
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, thread_time

import pytest

from reference.wire.errors import STATUS, ProtocolError
from reference.wire.pack import Limits
from tests import oracle

from .histories import SAMPLE, Version, checked, framed, history, plain
from .mutations import mutate

SECONDS = float(os.environ.get("FUZZ_SECONDS", "7"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
LIMITS = Limits(pack_bytes=4 << 20, raw_bytes=4 << 20, records=5000, manifest_bytes=8 << 20)
MEMORY = 1 << 30
LARGE = history(
    Version({"large": bytes(range(256)) * 4096, "small": b"x"}, ["d/e"]),
    Version({"large": b"line of text\n" * 90_000}, ["d"], (0,), 0),
    Version({f"{n % 7}/{n}": b"%d" % n for n in range(200)}, [], (1,)),
    Version({f"{n % 7}/{n}": b"%d" % (n // 2) for n in range(300)}, ["x"], (2, 0), 2, signed=True),
)
CORPUS = [
    (make(made), make is framed) for made in (SAMPLE, LARGE, history()) for make in (plain, framed)
]


@contextmanager
def little_memory() -> Iterator[None]:
    """A cap on the process's address space: what exceeds it is a MemoryError, and is seen."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def code_of(error: ProtocolError) -> str:
    """The code of a refusal that is one: in the table, with its rule, in a sentence."""
    assert error.code in STATUS
    assert error.requirement is not None
    assert len(error.detail) < 10_000
    return error.code


def judge(pack: bytes) -> str:
    """The code that refuses a pack, or `accepted` for one whose every id was recomputed."""
    try:
        found = checked(pack, LIMITS)
    except ProtocolError as error:
        return code_of(error)
    assert all(oracle.commit_id(commit) == commit["commit_id"] for commit in found.commits)
    return "accepted"


def test_what_is_damaged_below_is_whole() -> None:
    """Every pack of the corpus is accepted as it stands, or damage would prove nothing."""
    assert {judge(pack) for pack, _ in CORPUS} == {"accepted"}


@pytest.mark.requirement("MPACK-039", "HTTP-014")
def test_damaged_packs_end_in_a_refusal() -> None:
    """Nothing but `ProtocolError` escapes, within a second each, in a capped address space."""
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    end = monotonic() + SECONDS
    number = 0
    with little_memory():
        while monotonic() < end:
            number += 1
            chance = random.Random(f"{SEED}/{number}")
            damaged = mutate(chance, *chance.choice(CORPUS))
            began = thread_time()
            try:
                outcomes[judge(damaged)] += 1
            except BaseException:
                print(f"FUZZ_SEED={SEED}, number {number}, pack {damaged[:4000].hex()}")
                raise
            slowest = max(slowest, thread_time() - began)
            assert slowest < 1, f"FUZZ_SEED={SEED}, number {number} took {slowest:.1f} s"
    print(f"FUZZ_SEED={SEED}: {number} packs, slowest {slowest:.3f} s, {dict(outcomes)}")
    assert {"malformed", "bad_frame", "accepted", "invalid_id", "snapshot_mismatch"} <= set(
        outcomes
    )


@pytest.mark.requirement("MPACK-001", "MPACK-039")
@pytest.mark.parametrize("seed", range(4))
def test_noise_is_no_pack(seed: int) -> None:
    """Random bytes, and random bytes behind the start of a pack."""
    chance = random.Random(seed)
    for _ in range(300):
        noise = chance.randbytes(chance.randrange(300))
        for start in (b"", b"\x81", b"\x83\xa6format\x01\xa4head", b"\x81\xa7commits\x91\x84"):
            assert judge(start + noise) in STATUS
