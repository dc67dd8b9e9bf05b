"""`.museignore`: a small part of gitignore, compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple


class Rule(NamedTuple):
    """One line: what it matches, and whether it takes back what an earlier one ignored."""

    pattern: re.Pattern[str]
    whole_path: bool
    folders_only: bool
    ignores: bool


def parse(text: str) -> list[Rule]:
    """The rules of a file's text, in order."""
    rules = []
    for line in text.split("\n"):
        line = line.removesuffix("\r").rstrip(" ")
        if not line or line.startswith("#"):
            continue
        ignores = not line.startswith("!")
        body = line.removeprefix("!")
        folders_only = body.endswith("/")
        body = body.removesuffix("/")
        whole_path = "/" in body
        body = body.removeprefix("/")
        if body:
            rules.append(Rule(_compile(body), whole_path, folders_only, ignores))
    return rules


def _compile(body: str) -> re.Pattern[str]:
    """An expression that never goes back: what is between two stars matches at its first place.

    A later place would leave less for the rest, so no pattern, however many stars, takes long.
    """
    blocks: list[list[str]] = [[]]
    for segment in body.split("/"):
        if segment == "**":
            blocks.append([])
        else:
            blocks[-1].append(_segment(segment))
    if len(blocks) == 1:
        return re.compile("/".join(blocks[0]))
    first, *middle, last = blocks
    expression = "".join(f"{segment}/" for segment in first)
    for block in filter(None, middle):
        expression += "(?>(?:[^/]++/)*?" + "".join(f"{segment}/" for segment in block) + ")"
    expression += "(?:[^/]++/)*" + "/".join(last) if last else ".+"
    return re.compile(expression, re.DOTALL)


def _segment(pattern: str) -> str:
    first, *rest = (
        "".join("[^/]" if character == "?" else re.escape(character) for character in literal)
        for literal in re.split(r"\*+", pattern)
    )
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{literal})" for literal in middle) + f"[^/]*{last}"


def matcher(rules: list[Rule]) -> Callable[[str, bool], bool]:
    """Whether a path, of a folder or not, is ignored by itself; the last match decides."""

    def ignored(path: str, is_folder: bool) -> bool:
        name = path.rpartition("/")[2]
        for rule in reversed(rules):
            if rule.folders_only and not is_folder:
                continue
            if rule.pattern.fullmatch(path if rule.whole_path else name):
                return rule.ignores
        return False

    return ignored
