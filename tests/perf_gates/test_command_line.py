"""`python -m perf_gates`: what it says where it cannot measure."""

import socket
from pathlib import Path

import pytest

from perf_gates.__main__ import chosen, main
from perf_gates.budgets import load


def test_the_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With their ids, of the tier asked for."""
    assert main(["--list"]) == 0
    everything = capsys.readouterr().out.splitlines()
    assert main(["--list", "--quick"]) == 0
    quick = capsys.readouterr().out.splitlines()
    assert 10 < len(quick) < len(everything) < len(load().rows)


def test_rows_are_chosen_by_the_beginning_of_their_ids() -> None:
    """Whatever their tier."""
    rows = load().rows
    found = chosen(rows, "embedded", True, ["warm-"])
    assert {row.id for row in found} == {"warm-1", "warm-10", "warm-30"}


def test_calls_to_an_object_store_are_counted_where_there_is_one() -> None:
    """Files are none; with containers the whole table is measured."""
    rows = load().rows
    left = {row.id for row in rows} - {row.id for row in chosen(rows, "embedded", False, [])}
    kinds = ("step", "simple", "put", "get", "copy", "head", "delete")
    assert left == {f"calls-{kind}" for kind in kinds}
    assert chosen(rows, "containers", False, []) == list(rows)


@pytest.mark.parametrize("words", [["--id", "nothing"], ["--runs", "0"]])
def test_nothing_to_do_is_wrong_usage(words: list[str]) -> None:
    """Not a green run."""
    assert main(words) == 2


def test_wrong_budgets_are_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence on what is wrong."""
    path = tmp_path / "budgets.toml"
    path.write_text("[[row]]\nid = 'a'\n")
    assert main(["--budgets", str(path)]) == 2
    assert "row a: source is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--stack", "external"], "needs --url, or --postgres and --objects"),
        (["--serve", "false"], "the server did not start"),
        (["--serve", "echo no"], "the server did not start"),
    ],
)
def test_no_server_could_not_run(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3 and why, never a traceback."""
    assert main(["--quick", *words]) == 3
    assert said in capsys.readouterr().err


def test_nobody_there_could_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A URL where nothing listens, within the wait."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setattr("perf_gates.subject.Subject.wait.__defaults__", (0.2,))
    url = f"http://127.0.0.1:{port}"
    assert main(["--quick", "--stack", "external", "--url", url]) == 3
    assert f"nothing answers at {url}" in capsys.readouterr().err
