"""`.museignore`: a small part of gitignore, compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
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
    segments = body.split("/")
    parts = []
    for n, segment in enumerate(segments):
        last = n == len(segments) - 1
        if segment == "**":
            parts.append(".+" if last else "(?:.+/)?")
        else:
            inner = "".join(
                {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
                for character in re.sub(r"\*+", "*", segment)
            )
            parts.append(inner if last else inner + "/")
    return re.compile("".join(parts), re.DOTALL)


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
