"""Names: which texts are paths, directories and branches."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from conformance import vectors
from conformance.client import Client
from conformance.expectations import check_refusal, requirement
from conformance.histories import commit, with_tree
from conformance.repository import Repository


@requirement("ID-017", "ID-018", "ID-019", "ID-020", "ID-021")
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_bad_paths_are_refused(repo: Repository, kind: str) -> None:
    """Traversal, absolute, empty, backslashed, NUL, `.muse` and overlong paths are no paths."""
    for path in vectors.refused("paths"):
        files = {path: b"x"} if kind == "file" else {}
        tip = with_tree("bad", files, directories=[path] if kind == "directory" else [])
        answer = repo.client.send(
            "POST", f"{repo.path}/push/unpack?branch=main&head={tip.id}", repo.pack(tip)
        )
        check_refusal(answer, 422, "invalid_path")
    repo.push(commit("good"))


@requirement("ID-018", "ID-020", "ID-021", "ID-024")
def test_good_paths_are_accepted(repo: Repository) -> None:
    """Whatever is not forbidden is a path, and is served as it came."""
    for path in vectors.accepted("paths"):
        tip = with_tree("one path", {path: b"x"}, tuple(repo.accepted[-1:]))
        repo.push(tip)
        assert list(repo.snapshot(tip.snapshot)["delta_upsert"]) == [path]


@requirement("ID-022", "ID-023")
@pytest.mark.parametrize(
    ("files", "directories"),
    [
        ({"a": b"1", "a/b": b"2"}, []),
        ({"a": b"1", "a/b/c": b"2", "a-b": b"3"}, []),
        ({"a": b"1"}, ["a"]),
        ({"a": b"1"}, ["a/b"]),
        ({"b": b"1"}, ["a", "a"]),
    ],
    ids=["file in file", "deep in file", "directory is file", "directory in file", "twice"],
)
def test_a_tree_has_no_conflicts(
    repo: Repository, files: dict[str, bytes], directories: list[str]
) -> None:
    """No file is a folder of another path, and no directory is listed twice or is a file."""
    tip = with_tree("conflict", files, directories=directories)
    answer = repo.client.send(
        "POST", f"{repo.path}/push/unpack?branch=main&head={tip.id}", repo.pack(tip)
    )
    check_refusal(answer, 422, "path_conflict")
    repo.push(commit("without"))


@requirement("ID-023")
def test_a_directory_may_hold_files(repo: Repository) -> None:
    """An explicit directory may have files in it."""
    tip = commit("a", files={"src/a": b"1"}, directories=["src", "src/empty"])
    repo.push(tip)
    repo.holds(tip)


@requirement("ID-025", "ID-026", "ID-027")
def test_bad_branch_names_are_refused(repo: Repository) -> None:
    """Empty, overlong, dotted, slashed and control characters make no branch name."""
    tip = repo.given(commit("a"))
    key = repo.upload(repo.pack(tip))
    names: list[str] = [*vectors.refused("branches"), "lone \ud800"]
    for name in names:
        value = {"mpack_key": key, "branch": name, "head": tip.id}
        answer = repo.ask("POST", "push/unpack-mpack", value)
        check_refusal(answer, 422, "invalid_branch", *(["malformed"] if "\ud800" in name else []))
    assert repo.heads() == {"main": tip.id}


@requirement("ID-025")
def test_a_branch_name_is_text(repo: Repository) -> None:
    """A branch that is no text is malformed."""
    tip = repo.given(commit("a"))
    value = {"mpack_key": repo.upload(repo.pack(tip)), "head": tip.id}
    for wrong in (7, True, ["main"], {"main": 1}):
        answer = repo.ask("POST", "push/unpack-mpack", {**value, "branch": wrong})
        check_refusal(answer, 422, "malformed")
    repo.unpack(value["mpack_key"], tip.id, "other")


@requirement("ID-025", "ID-027", "ID-028")
def test_good_branch_names_are_accepted(repo: Repository) -> None:
    """Whatever is not forbidden names a branch, `feat` beside `feat/x` included."""
    tip = repo.given(commit("a"))
    key = repo.upload(repo.pack(tip))
    names = {*vectors.accepted("branches"), "feat", "feat/x", "Feat", "\u00e9", "e\u0301"}
    for name in sorted(names):
        repo.unpack(key, tip.id, name)
    assert repo.heads() == dict.fromkeys({"main", *names}, tip.id)


@requirement("ID-002", "HTTP-007")
@pytest.mark.parametrize("route", ["commits", "snapshots", "o"])
def test_an_id_in_a_path_is_an_id(repo: Repository, route: str, anyone: Client) -> None:
    """A text in a path that is not an id is refused as such."""
    for text in filter(None, vectors.refused("ids")):
        answer = anyone.ask("GET", f"{repo.path}/{route}/{quote(text, safe='')}")
        check_refusal(answer, 422, "invalid_id")
