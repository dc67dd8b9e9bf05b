"""Paths and branch names: what may stand in a snapshot and name a line of history."""

import pytest

from reference.wire.errors import ProtocolError
from reference.wire.names import ancestors, check_branch, check_path, check_tree

DEEPEST = "a/" * 2047 + "ab"
LONGEST = "é" * 127 + "a"


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b/c",
        "...",
        "..a",
        "a..",
        ".musex",
        "a/.muse",
        "a/.MUSE/b",
        ".muse.d/x",
        " ",
        "a b",
        "a\nb",
        "-",
        "*",
        "C:",
        "con",
        "é",
        "😀/～",
        LONGEST,
        DEEPEST,
        "/".join(["x" * 255] * 16),
    ],
)
def test_paths_that_are_fine(path: str) -> None:
    """Anything but what the rules name may be a path."""
    assert check_path(path) == path


@pytest.mark.parametrize(
    ("path", "requirement"),
    [
        ("", "ID-018"),
        ("/", "ID-018"),
        ("/a", "ID-018"),
        ("a/", "ID-018"),
        ("a//b", "ID-018"),
        (".", "ID-018"),
        ("..", "ID-018"),
        ("a/./b", "ID-018"),
        ("a/../b", "ID-018"),
        ("../a", "ID-018"),
        ("a/..", "ID-018"),
        ("a\0b", "ID-019"),
        ("\0", "ID-019"),
        ("a\\b", "ID-019"),
        ("..\\a", "ID-019"),
        (".muse", "ID-020"),
        (".muse/HEAD", "ID-020"),
        (".MUSE", "ID-020"),
        (".MuSe/x", "ID-020"),
        ("a" * 256, "ID-021"),
        ("b/" + "a" * 256 + "/c", "ID-021"),
        ("é" * 128, "ID-021"),
        (DEEPEST + "c", "ID-021"),
        ("\ud800", "ID-017"),
        ("a/\udfff", "ID-017"),
    ],
)
@pytest.mark.requirement("ID-017", "ID-018", "ID-019", "ID-020", "ID-021")
def test_paths_that_are_refused(path: str, requirement: str) -> None:
    """Each rule refuses as `invalid_path` and names itself."""
    with pytest.raises(ProtocolError) as caught:
        check_path(path)
    assert (caught.value.code, caught.value.requirement) == ("invalid_path", requirement)


@pytest.mark.requirement("ID-017", "ID-025")
@pytest.mark.parametrize("value", [None, 1, b"a", ["a"], {"a": "b"}, True])
def test_what_is_no_text_is_malformed(value: object) -> None:
    """A path or branch of another type is `malformed`, not `invalid_…`."""
    for check in (check_path, check_branch):
        with pytest.raises(ProtocolError) as caught:
            check(value)
        assert caught.value.code == "malformed"


@pytest.mark.requirement("ID-024")
def test_paths_are_not_normalised() -> None:
    """Composed and decomposed, upper and lower case are different paths."""
    check_tree(["\u00e9", "e\u0301", "A", "a"], [])


@pytest.mark.requirement("ID-022", "ID-023")
@pytest.mark.parametrize(
    ("files", "directories"),
    [
        (["a", "a/b"], []),
        (["a/b", "a"], []),
        (["a", "a-b", "a/b/c"], []),
        (["a"], ["a/b"]),
        (["a/b"], ["a/b/c/d"]),
        (["a"], ["a"]),
        ([], ["a", "a"]),
        (["x"], ["d", "e", "d"]),
    ],
)
def test_trees_that_contradict_themselves(files: list[str], directories: list[str]) -> None:
    """A file cannot be a folder too, and a directory is listed once: `path_conflict`."""
    with pytest.raises(ProtocolError) as caught:
        check_tree(files, directories)
    assert caught.value.code == "path_conflict"


@pytest.mark.requirement("ID-022", "ID-023")
def test_directories_may_hold_files_and_each_other() -> None:
    """Explicit directories are not only the empty ones."""
    check_tree(["a/b", "a-b", "a.b"], ["a", "c", "c/d"])


def test_ancestors_go_outwards() -> None:
    """The innermost folder comes first."""
    assert ancestors("a/b/c") == ["a/b", "a"]
    assert ancestors("a") == []


@pytest.mark.parametrize(
    "name", ["main", "feat/x", "a.b", "a-b", "é", "x" * 255, "😀" * 255, "a/b/c", "HEAD", "@", " "]
)
@pytest.mark.requirement("ID-025", "ID-027")
def test_branch_names_that_are_fine(name: str) -> None:
    """1 to 255 characters, and a slash inside."""
    assert check_branch(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 256,
        "a\\b",
        "a\0",
        "a\rb",
        "a\n",
        "a\tb",
        "a..b",
        "a//b",
        ".a",
        "a.",
        "/a",
        "a/",
        ".",
        "/",
        "a/./b",
        "a/../b",
        "./a",
        "a/.",
        "\ud800",
        "a\udc00b",
    ],
)
@pytest.mark.requirement("ID-025", "ID-026", "ID-027")
def test_branch_names_that_are_refused(name: str) -> None:
    """Each rule refuses as `invalid_branch`."""
    with pytest.raises(ProtocolError) as caught:
        check_branch(name)
    assert caught.value.code == "invalid_branch"
