"""`.museignore`, rule by rule and against a matcher that works another way."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.store import ignore

segments = st.sampled_from(["a", "b", "ab", "a.b", "*", "?", "**", "a*", "*b", "?b", "***", "a**b"])
names = st.sampled_from(["a", "b", "ab", "a.b", "c", "aab", "\n", "é", "A"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


def ignored(text: str, path: str, is_folder: bool = False) -> bool:
    """Whether rules ignore a path by itself."""
    return ignore.matcher(ignore.parse(text))(path, is_folder)


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("", [], ["a", ""]),
        ("# a\n\n   \n#b", [], ["a", "# a", "#b", " "]),
        ("*.log", ["a.log", "x/y.log", ".log"], ["a.log.txt", "a.LOG", "log"]),
        ("*.log   ", ["a.log"], ["a.log   "]),
        ("*.log\r\nb\r", ["a.log", "b"], ["a.log\r"]),
        ("/build", ["build"], ["src/build", "build/x"]),
        ("doc/*.pdf", ["doc/a.pdf", "doc/.pdf"], ["doc/x/a.pdf", "x/doc/a.pdf"]),
        ("/doc/*.pdf", ["doc/a.pdf"], ["x/doc/a.pdf"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["b", "ab", "a/b/c", "x/a/b"]),
        ("**/b", ["b", "a/b", "a/x/b"], ["ab", "b/a"]),
        ("out/**", ["out/a", "out/a/b"], ["out", "a/out/b"]),
        ("**", ["a", "a/b"], []),
        ("a?c", ["abc", "x/a.c"], ["ac", "abbc", "a/c"]),
        ("a*c", ["ac", "abbc"], ["a/c", "acb"]),
        ("[ab]", ["[ab]"], ["a", "b"]),
        (r"\*", [r"\a", "\\"], ["*"]),
        ("a+b(c)|d^$", ["a+b(c)|d^$"], ["aab", "d"]),
        ("*.log\n!keep.log", ["a.log"], ["keep.log", "x/keep.log"]),
        ("!keep.log\n*.log", ["a.log", "keep.log"], []),
        ("*\n!a\nx/*\n", ["b", "x/a"], ["a"]),
        ("a b", ["a b"], ["a", "b"]),
        ("é", ["é", "x/é"], ["e"]),
        ("/", [], ["a", ""]),
        ("!", [], ["a", "!"]),
        ("a*", ["a\nb"], ["b\na"]),
    ],
)
@pytest.mark.requirement("STORE-032", "STORE-033", "STORE-035", "STORE-036")
def test_rules_mean_what_the_specification_says(text: str, yes: list[str], no: list[str]) -> None:
    """Both what they match and what looks like it."""
    assert [path for path in yes if not ignored(text, path)] == []
    assert [path for path in no if ignored(text, path)] == []


@pytest.mark.requirement("STORE-034")
def test_a_slash_at_the_end_means_folders_only() -> None:
    """At any depth, or anchored by another slash."""
    assert ignored("tmp/", "x/tmp", is_folder=True)
    assert not ignored("tmp/", "x/tmp")
    assert ignored("/tmp/", "tmp", is_folder=True)
    assert not ignored("/tmp/", "x/tmp", is_folder=True)
    assert ignored("a/b/", "a/b", is_folder=True)
    assert not ignored("tmp/\n!tmp", "tmp", is_folder=True)
    assert ignored("tmp\n!tmp/", "tmp")


@given(pattern=st.lists(segments, min_size=1, max_size=4).map("/".join), path=paths)
@pytest.mark.requirement("STORE-033", "STORE-035")
def test_patterns_match_as_by_a_matcher_without_expressions(pattern: str, path: str) -> None:
    """The definition once more, segment by segment and character by character."""
    expected = (
        matches(tuple(pattern.split("/")), tuple(path.split("/")))
        if "/" in pattern
        else matches((pattern,), (path.rpartition("/")[2],))
    )
    assert ignored(pattern, path) == expected


@cache
def matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether segments match segments."""
    if not pattern:
        return not path
    if pattern == ("**",):
        return bool(path)
    if pattern[0] == "**":
        return any(matches(pattern[1:], path[n:]) for n in range(len(path) + 1))
    return bool(path) and same(pattern[0], path[0]) and matches(pattern[1:], path[1:])


@cache
def same(pattern: str, text: str) -> bool:
    """Whether one segment matches another."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return same(pattern[1:], text) or (bool(text) and same(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and same(pattern[1:], text[1:])


def test_no_pattern_takes_forever() -> None:
    """Many stars against a long name that almost matches."""
    assert not ignored("*a" * 30, "a" * 255 + "b")
    assert not ignored("**/" * 20 + "x", "a/" * 100 + "a")
