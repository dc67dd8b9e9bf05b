"""How the command line puts things: counted nouns, and names that cannot steer a terminal."""

from __future__ import annotations

import sys

_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the direction of writing, so that a name reads as another."""


def shown(text: str) -> str:
    """One line, what steers a terminal or turns the text escaped; authors may be anybody."""
    if text.isprintable():
        return text
    from unicodedata import category

    steers = ("Cc", "Cs", "Zl", "Zp")
    return "".join(ascii(c)[1:-1] if category(c) in steers or c in _TURNS else c for c in text)


def say(line: str) -> None:
    """Prints one line of a command's result."""
    print(shown(line))


def warn(line: str) -> None:
    """Prints one line that is not part of the result: a note or an error."""
    print(shown(f"musekit: {line}"), file=sys.stderr)


def counted(number: int, noun: str) -> str:
    """A number and its noun: 1 branch, 2 branches."""
    ending = "es" if noun.endswith("ch") else "s"
    return f"{number} {noun}{'' if number == 1 else ending}"
