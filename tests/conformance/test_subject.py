"""The subject file: one clear sentence for each thing wrong in it."""

from pathlib import Path

import pytest

from conformance import subject
from conformance.subject import SubjectError

EXAMPLES = Path(subject.__file__).parent / "examples"
SOUND = '[subject]\nurl = "http://127.0.0.1:1"\nprofiles = ["push"]\n'


def problems(tmp_path: Path, text: str) -> list[str]:
    """What is said about a file with this text."""
    path = tmp_path / "subject.toml"
    path.write_text(text)
    with pytest.raises(SubjectError) as caught:
        subject.load(path)
    assert all(str(path) in problem for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["reference", "containers", "store"])
def test_the_examples_are_sound(name: str) -> None:
    """What the documentation shows can be used as it stands."""
    assert subject.load(EXAMPLES / f"{name}.toml").profiles


def test_an_example_with_keys_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote example names keys that are not here, and says which."""
    monkeypatch.delenv("ALICE_KEY", raising=False)
    with pytest.raises(SubjectError) as caught:
        subject.load(EXAMPLES / "remote.toml")
    assert "ALICE_KEY, which is not set" in caught.value.problems[0]
    assert "mallory.seed" in caught.value.problems[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "[subject] profiles is missing or empty: nothing would be checked."),
        ("nonsense", "this is not TOML"),
        (SOUND + "extra = 1", "[subject] has no key `extra`; it may have name, url,"),
        (SOUND + "[extra]", "The file has no key `extra`; it may have subject, auth,"),
        (SOUND.replace("push", "pull"), "[subject] profiles names `pull`, which is none of core-"),
        (SOUND.replace('["push"]', '"push"'), "[subject] profiles must be a list of texts, not a"),
        (SOUND.replace("http:", "ftp:"), "[subject] url must begin with http:// or https://"),
        ('[subject]\nprofiles = ["push"]', "[subject] url is missing, and push needs one"),
        (SOUND + '[auth]\nowner = "alice"', "[auth] owner must be { handle = …, key = … }."),
        (SOUND + '[auth]\nowner = { handle = "-", key = "x" }', "[auth] owner.handle must match"),
        (SOUND + '[auth]\nother = { key = "short" }', "[auth] other.key must be the base64url of"),
        (SOUND + '[auth]\nother = { key = "env:NO_SUCH" }', "NO_SUCH, which is not set."),
        (SOUND + "[auth]\nregister = false", "[auth] owner.key is generated, but register = false"),
        (SOUND + '[auth]\nregister = "yes"', "[auth] register must be true or false."),
        (SOUND + '[inspect]\nobjects = "/srv"', "[inspect] objects must begin with file:// or s3:"),
        (SOUND + '[process]\nstart = "run"', "[process] start must be a list of texts, not a text"),
        (SOUND + "[limits]\npack_bytes = 0", "[limits] pack_bytes must be a whole number above 0."),
        (SOUND + "[store]\ncommand = [1]", "[store] command must hold texts only, not a number"),
        (SOUND + '[process]\nsecond = ["x"]', "[process] second needs second_url: the address it"),
        (SOUND + '[process]\nsecond_url = "http://x"', "[process] second_url needs second: the"),
        (
            SOUND + '[process]\nsecond = ["x"]\nsecond_url = "x"',
            "[process] second_url must begin with http:// or https://: x.",
        ),
        (SOUND + '[process]\nobjects_down = ["x"]', "[process] objects_down needs objects_up, or"),
        (SOUND + '[process]\nready = "healthz"', "[process] ready must be a path that begins with"),
        (SOUND + "[inspect.queries]\njobs = 'x'", "[inspect.queries] needs [inspect] postgres"),
    ],
)
def test_each_problem_is_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    """It names the section, the key, and what would be right."""
    assert any(told in problem for problem in problems(tmp_path, text))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Nobody mends a file line by line."""
    text = '[subject]\nurl = 7\nprofiles = ["x", 7]\n[store]\ncommand = "y"\n[more]\n'
    assert len(problems(tmp_path, text)) >= 5


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """No traceback for a mistyped name."""
    with pytest.raises(SubjectError, match="cannot be read: No such file"):
        subject.load(tmp_path / "nothing.toml")


def test_generated_keys_have_handles_of_their_own(tmp_path: Path) -> None:
    """A second run would otherwise find its handle taken by another key."""
    path = tmp_path / "subject.toml"
    path.write_text(SOUND + '[auth]\nowner = { handle = "alice", key = "generate" }')
    one, two = subject.load(path), subject.load(path)
    assert one.owner[0].startswith("alice-")
    assert one.owner != two.owner


def test_a_report_shows_no_key(tmp_path: Path) -> None:
    """What a report tells of a subject holds neither keys nor credentials."""
    path = tmp_path / "subject.toml"
    path.write_text(SOUND + '[inspect]\npostgres = "postgresql://me:secret@h/d"')
    shown = str(subject.load(path).shown())
    assert "secret" not in shown
    assert "key" not in shown
