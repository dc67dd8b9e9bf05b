"""Signed bundles: others verify and compare them with the public key alone."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance import bundle, diff, envelope
from conformance.report import files
from conformance.report.model import Report
from conformance.verdicts import Result, Verdict
from reference.wire.provenance import public_key, to_base64url

SEED = bytes(range(32))
OTHER = bytes(32)
KEY = public_key(SEED)
VECTOR = Path(__file__).parent / "bundle-vector.json"

Envelope = dict[str, Any]


def reported(folder: Path, *verdicts: Verdict) -> Path:
    """A report of checks that ended so."""
    subject = {"name": "mine", "url": "", "profiles": ["push"], "capabilities": []}
    results = [
        Result(f"push/{number}", ("PUSH-009",), "push", verdict, "It ünders.")
        for number, verdict in enumerate(verdicts or (Verdict.PASS, Verdict.FAIL))
    ]
    files.write(Report(subject, 1, results), folder)
    return folder / "report.json"


@pytest.fixture
def seed(tmp_path: Path) -> str:
    """A private key, as it is named on the command line."""
    path = tmp_path / "seed"
    path.write_text(to_base64url(SEED))
    return f"file:{path}"


@pytest.fixture
def made(tmp_path: Path, seed: str) -> Path:
    """A signed bundle."""
    assert bundle.main(["bundle", str(reported(tmp_path)), "--key", seed]) == 0
    return tmp_path / "bundle.json"


def test_a_bundle_verifies_with_the_public_key_alone(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says by whom, about what, against which requirements, and how far it reaches."""
    assert bundle.main(["verify", str(made), "--key", KEY]) == 0
    told = capsys.readouterr().out
    for part in (KEY, "mine", "sha256:", "1 pass, 1 fail: exit 1", "binding requirements"):
        assert part in told
    assert "reach         1 of" in told


@pytest.mark.parametrize("verdict", [v for v in Verdict if v not in (Verdict.PASS, Verdict.FAIL)])
def test_what_was_not_examined_is_out_of_reach(
    tmp_path: Path, seed: str, verdict: Verdict, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check that could not run shows nothing of its requirement."""
    assert bundle.main(["bundle", str(reported(tmp_path, verdict)), "--key", seed]) == 0
    assert bundle.main(["verify", str(tmp_path / "bundle.json"), "--key", KEY]) == 0
    assert "reach         0 of" in capsys.readouterr().out


def test_a_bundle_holds_the_report_as_it_was(made: Path, tmp_path: Path) -> None:
    """Nothing is left out of what is signed."""
    assert bundle.load(made, [KEY]) == json.loads((tmp_path / "report.json").read_text())


def payload(value: Envelope, change: Callable[[Any], None]) -> None:
    """Changes what is inside, and leaves the signature."""
    statement = json.loads(b64decode(value["payload"]))
    change(statement)
    value["payload"] = b64encode(json.dumps(statement).encode()).decode()


TAMPERED: dict[str, Callable[[Envelope], None]] = {
    "a verdict": lambda v: payload(v, lambda s: s["report"]["checks"][1].update(verdict="pass")),
    "the kit": lambda v: payload(v, lambda s: s.update(kit="9")),
    "the requirements": lambda v: payload(v, lambda s: s["requirements"].update(version="9")),
    "the kind": lambda v: v.update(payloadType="text/plain"),
    "a short signature": lambda v: v["signatures"][0].update(sig="YWJj"),
    "no base64": lambda v: v.update(payload="%"),
    "no signature": lambda v: v.update(signatures=[]),
    "two signatures": lambda v: v["signatures"].append(v["signatures"][0]),
    "another's name": lambda v: v["signatures"][0].update(keyid=public_key(OTHER)),
    "no key": lambda v: v["signatures"][0].update(keyid="ed25519:x"),
    "no payload": lambda v: v.pop("payload"),
}


@pytest.mark.parametrize("how", TAMPERED)
@pytest.mark.parametrize("trusted", [KEY, public_key(OTHER)])
def test_what_was_tampered_with_is_refused(
    made: Path, how: str, trusted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, an exit of 1, and no word of what it claims."""
    value = json.loads(made.read_text())
    TAMPERED[how](value)
    made.write_text(json.dumps(value))
    assert bundle.main(["verify", str(made), "--key", trusted]) == 1
    shown = capsys.readouterr()
    assert "verdict" not in shown.out
    assert shown.err.count("\n") == 1


def test_somebody_elses_bundle_is_refused(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sound signature by a key that nobody named proves nothing."""
    assert bundle.main(["verify", str(made), "--key", public_key(OTHER)]) == 1
    assert "not the key you named" in capsys.readouterr().err


SIGNED_LIES: dict[str, Callable[[Any], None]] = {
    "summary": lambda s: s["report"]["summary"].update({"pass": 2, "fail": 0}),
    "kit": lambda s: s.update(kit="9"),
    "requirements": lambda s: s["requirements"].update(version="9"),
    "verdict": lambda s: s["report"]["checks"][0].update(verdict="fine"),
    "form": lambda s: s["report"]["checks"][0].pop("id"),
    "statement": lambda s: s.update(statement=2),
}


@pytest.mark.parametrize("how", SIGNED_LIES)
def test_a_signed_bundle_must_add_up(made: Path, how: str) -> None:
    """The counts are those of the checks, the statement is that of its report."""
    statement = json.loads(b64decode(json.loads(made.read_text())["payload"]))
    SIGNED_LIES[how](statement)
    made.write_bytes(envelope.seal(json.dumps(statement).encode(), SEED))
    assert bundle.main(["verify", str(made), "--key", KEY]) == 1


def test_the_signature_is_that_of_dsse(made: Path) -> None:
    """Any DSSE implementation can verify: checked here with another Ed25519 than the suite's."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    value = json.loads(made.read_text())
    body, kind = b64decode(value["payload"]), value["payloadType"].encode()
    text = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(body)).encode(), body])
    key = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    key.verify(b64decode(value["signatures"][0]["sig"]), text)


def test_an_older_bundle_can_still_be_read() -> None:
    """The form is a promise: this file was made when it was settled, and is never remade."""
    report = bundle.load(VECTOR, [KEY])
    assert [check["verdict"] for check in report["checks"]] == ["pass", "fail"]


def test_bundles_compare_like_reports(
    tmp_path: Path, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle against a report; one by a stranger is refused when a key is named."""
    old = reported(tmp_path / "old", Verdict.PASS)
    new = reported(tmp_path / "new", Verdict.FAIL)
    assert bundle.main(["bundle", str(old), "--key", seed]) == 0
    signed = str(old.with_name("bundle.json"))
    assert diff.main([signed, str(new)]) == 1
    assert "push/0: pass → fail" in capsys.readouterr().out
    assert diff.main([str(new), signed, "--key", KEY]) == 0
    assert diff.main([str(new), signed, "--key", public_key(OTHER)]) == 2


def test_diff_says_that_the_requirements_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same verdict under other requirements is not the same."""
    path = reported(tmp_path)
    other = json.loads(path.read_text())
    other["requirements"]["version"] = "0.0"
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert diff.main([str(tmp_path / "other.json"), str(path)]) == 0
    assert "the requirements changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (to_base64url(SEED), "others can read a command line"),
        ("env:NO_SUCH_KEY", "NO_SUCH_KEY, which is not set"),
        ("file:no such file", "cannot be read"),
    ],
)
def test_a_private_key_is_named_and_not_shown(
    tmp_path: Path, key: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes from the environment or a file."""
    assert bundle.main(["bundle", str(reported(tmp_path)), "--key", key]) == 2
    assert told in capsys.readouterr().err


def test_a_seed_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Readable by its owner alone; asked again, the same public key."""
    path = tmp_path / "key"
    assert [bundle.main(["key", str(path)]) for _ in range(2)] == [0, 0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[1]
    assert lines[0].startswith("ed25519:")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_seed_may_have_a_new_folder(tmp_path: Path) -> None:
    """The folder is made for its owner alone; a file in its place is one sentence."""
    assert bundle.main(["key", str(tmp_path / "keys" / "mine")]) == 0
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert bundle.main(["key", str(tmp_path / "keys" / "mine" / "below")]) == 2


def test_a_bundle_without_a_folder_is_one_sentence(
    tmp_path: Path, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--out` names a place that is there."""
    out = tmp_path / "nowhere" / "bundle.json"
    command = ["bundle", str(reported(tmp_path)), "--key", seed, "--out", str(out)]
    assert bundle.main(command) == 2
    told = capsys.readouterr().err
    assert told == f"--out {out}: cannot be written: No such file or directory\n"


def test_verify_refuses_what_is_no_bundle(tmp_path: Path) -> None:
    """A report without a signature is none, nor is a file that is not there."""
    assert bundle.main(["verify", str(reported(tmp_path)), "--key", KEY]) == 1
    assert bundle.main(["verify", str(tmp_path / "nothing"), "--key", KEY]) == 1
    assert bundle.main(["bundle", str(tmp_path / "nothing"), "--key", "env:X"]) == 2
