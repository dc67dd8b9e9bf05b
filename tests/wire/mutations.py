"""Ways to damage a pack: its bytes, the values inside, the head that is compressed again."""

from collections.abc import Callable
from random import Random
from typing import Any

import msgpack
import zstandard

from .histories import opened

ODD_NUMBERS = (0, 1, 2, 3, 4, 7, 127, 128, 255, 256, 2**16, 2**31, 2**32 - 2, 2**32 - 1, 2**63)
LENGTH_CODES = b"\xc4\xc5\xc6\xd9\xda\xdb\xdc\xdd\xde\xdf\xc7\xc8\xc9"


def flip(random: Random, data: bytes) -> bytes:
    """Some bits change."""
    found = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 8])):
        if found:
            found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def overwrite(random: Random, data: bytes) -> bytes:
    """A byte becomes a length code, or an interesting one, and what follows a huge length."""
    found = bytearray(data)
    at = random.randrange(len(found) + 1)
    wide = random.choice([b"", b"\xff", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x7f\xff\xff\xff"])
    found[at : at + 1 + len(wide)] = bytes([random.choice(LENGTH_CODES)]) + wide
    return bytes(found)


def truncate(random: Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: random.randrange(len(data) + 1)]


def splice(random: Random, data: bytes) -> bytes:
    """A run of bytes is copied over, moved, doubled or lost."""
    start, end, at = (random.randrange(len(data) + 1) for _ in range(3))
    piece = data[min(start, end) : max(start, end)][: random.choice([1, 4, 32, 71, 400])]
    keep = random.choice([0, len(piece)])
    return data[:at] + piece + data[at + keep :]


def drop(random: Random, data: bytes) -> bytes:
    """Some bytes in the middle are missing."""
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice([1, 2, 4, 32, 100]) :]


BYTE_MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    flip,
    overwrite,
    truncate,
    splice,
    drop,
)


def odd_value(random: Random) -> Any:
    """A value that fits nowhere, or nearly."""
    deep: Any = 0
    for _ in range(random.choice([1, 64, 65, 300])):
        deep = random.choice([[deep], {"k": deep}])
    text = random.choice(["", "\0", "a/b", "../x", ".muse", "a" * 300, "sha256:", "é" * 2000])
    number = random.choice(ODD_NUMBERS)
    odd = [None, True, 0.5, float("nan"), float("inf"), -1, number, text, text.encode(), deep]
    odd += [[], {}, [text], {text: number}, {number: text}, "sha256:" + "0" * 64, bytes(32)]
    odd += [number.to_bytes(8, "little")[:4], msgpack.ExtType(random.randrange(128), b"x")]
    return random.choice(odd)


def change_inside(random: Random, value: Any) -> Any:
    """The value with one thing changed, somewhere at any depth."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        found = dict(value)
        what = random.random()
        if what < 0.1:
            del found[key]
        elif what < 0.2:
            found[random.choice(["manifest", "head", "", "x", f"{key}x"])] = found.pop(key)
        elif what < 0.3:
            found[random.choice(list(value))] = value[key]
        else:
            found[key] = change_inside(random, value[key])
        return found
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        what = random.random()
        if what < 0.1:
            return value[:at] + value[at + 1 :]
        if what < 0.2:
            return [*value, value[at]]
        if what < 0.3:
            return random.sample(value, len(value))
        return [*value[:at], change_inside(random, value[at]), *value[at + 1 :]]
    if isinstance(value, bytes) and value and random.random() < 0.8:
        if random.random() < 0.5:  # a number of a column
            at = random.randrange(len(value)) // 4 * 4
            number = random.choice([*ODD_NUMBERS[:-1], random.randrange(12)])
            return value[:at] + number.to_bytes(4, "little") + value[at + 4 :]
        return random.choice(BYTE_MUTATIONS)(random, value)
    if isinstance(value, str) and value and random.random() < 0.6:
        at = random.randrange(len(value))
        return value[:at] + random.choice(["\0", "/", "..", "é", "A", "0", ""]) + value[at + 1 :]
    return odd_value(random)


def change_plain(random: Random, pack: bytes) -> bytes:
    """A plain pack with values changed and packed again."""
    whole = msgpack.unpackb(pack, strict_map_key=False)
    for _ in range(random.choice([1, 1, 2, 5])):
        whole = change_inside(random, whole)
    return bytes(msgpack.packb(whole))


def change_framed(random: Random, pack: bytes) -> bytes:
    """A framed pack with its head changed, as values or as bytes, and compressed again."""
    head, frames = opened(pack)
    outer: Any = {"format": 1, "head": b"", "frames": frames}
    what = random.random()
    if what < 0.6:
        for _ in range(random.choice([1, 1, 2, 5])):
            head = change_inside(random, head)
    raw = msgpack.packb(head)
    if 0.6 <= what < 0.8:
        raw = random.choice(BYTE_MUTATIONS)(random, raw)
    outer["head"] = zstandard.compress(raw)
    if 0.8 <= what < 0.9:
        outer["frames"] = [random.choice(BYTE_MUTATIONS)(random, frame) for frame in frames]
    elif what >= 0.9:
        outer = change_inside(random, outer)
    return bytes(msgpack.packb(outer))


def mutate(random: Random, pack: bytes, is_framed: bool) -> bytes:
    """The pack, damaged in one of the ways above."""
    if random.random() < 0.4:
        damaged = pack
        for _ in range(random.choice([1, 1, 3])):
            damaged = random.choice(BYTE_MUTATIONS)(random, damaged)
        return damaged
    return change_framed(random, pack) if is_framed else change_plain(random, pack)
