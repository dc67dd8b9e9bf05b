"""Reports: one model, five faces."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conformance import diff, verdicts
from conformance.baseline import Baseline
from conformance.report import files, terminal
from conformance.report.model import Report
from conformance.verdicts import Result, Verdict

SCHEMA = json.loads((Path(files.__file__).parent / "report.schema.json").read_text())


def results() -> list[Result]:
    """One of each verdict, with awkward texts."""
    fails = Result("push/b", ("PUSH-009",), "push", Verdict.FAIL, "It holds.", "a <b> & c", "x\0y")
    fails.evidence = ["GET /a → 500 <script>alert(1)</script>"]
    fails.reproduce = "python -m conformance --id 'push/b'"
    return [
        Result("push/a", ("PUSH-009", "BP11"), "push", Verdict.PASS, "It is `so`.", ms=7),
        fails,
        Result("fetch/c", ("FETCH-001",), "fetch", Verdict.COULD_NOT_RUN, detail="needs [x]"),
        Result("auth/d", ("AUTH-001",), "auth", Verdict.NOT_APPLICABLE, detail="not claimed"),
        Result("auth/e", ("AUTH-002",), "auth", Verdict.SUITE_ERROR, detail="KeyError"),
    ]


def report(*found: Result, **fields: Any) -> Report:
    """A report of these results, or of the ones above."""
    subject = {"name": "mine <1>", "url": "http://h", "profiles": ["push"], "capabilities": []}
    return Report(subject, 1, found or results(), **fields)


def violations(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Where a value breaks a schema, for the words of JSON Schema that ours uses."""
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
    }
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value} is none of the values")
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{at}: no {schema['type']}"]
    if isinstance(value, dict):
        found += [f"{at}: lacks {name}" for name in schema.get("required", ()) if name not in value]
        known = schema.get("properties", {})
        for name, item in value.items():
            if name in known:
                found += violations(item, known[name], f"{at}/{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{at}: unknown {name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += violations(item, schema.get("items", {}), f"{at}/{number}")
    return found


def test_report_json_obeys_its_schema(tmp_path: Path) -> None:
    """Every key, in its form."""
    files.write(report(stale=["x"], left=["y"]), tmp_path)
    value = json.loads((tmp_path / "report.json").read_text())
    assert violations(value, SCHEMA) == []
    assert value["summary"] == {
        "pass": 1,
        "fail": 1,
        "not-applicable": 1,
        "could-not-run": 1,
        "suite-error": 1,
    }


def test_the_schema_refuses(tmp_path: Path) -> None:
    """The schema is alive: a wrong report breaks it."""
    value = report().as_json()
    value["checks"][0]["verdict"] = "fine"
    del value["checks"][1]["ms"]
    value["more"] = 1
    assert len(violations(value, SCHEMA)) == 3


def test_junit_can_be_read(tmp_path: Path) -> None:
    """Failures and errors are told apart, and no character breaks the XML."""
    files.write(report(), tmp_path)
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert [len(root.findall(f".//{tag}")) for tag in ("testcase", "failure", "error")] == [5, 1, 2]
    failure = root.find(".//failure")
    assert failure is not None
    assert "python -m conformance --id" in (failure.text or "")


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """No network, nothing unescaped, a place for each requirement and check."""
    page = files.write(report(), tmp_path).read_text()
    assert "<script>alert" not in page
    assert 'src="' not in page
    assert "http://" not in page.replace("http://h", "")
    for anchor in ('id="PUSH-009"', 'id="PUSH-009:push/b"', 'href="#PUSH-009:push/b"'):
        assert anchor in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_the_badge_is_a_picture(tmp_path: Path) -> None:
    """Its text can be read by those who cannot see it."""
    files.write(report(), tmp_path)
    root = ElementTree.parse(tmp_path / "badge.svg").getroot()
    assert root.get("aria-label") == "muse conformance: 1/4"


def shown(of: Report, **how: bool) -> str:
    """The report at a terminal."""
    plain = {"verbose": False, "quiet": False, "colour": False}
    return "\n".join(terminal.lines(of, "here", **{**plain, **how}))


def test_the_terminal_tells_all_that_matters() -> None:
    """What failed, against what, the seed, where the report is."""
    text = shown(report(left=["o/s (id): 500"]))
    for part in ("push/b", "a <b> & c", "needs [x]", "mine <1>", "seed 1", "here", "o/s (id): 500"):
        assert part in text
    assert "PUSH-009    fail" in shown(report(), verbose=True)


def test_the_same_ground_is_told_once() -> None:
    """A hundred checks with one cause are one paragraph."""
    same = [
        Result(f"a/{n}", ("ID-001",), "core-wire", Verdict.COULD_NOT_RUN, detail="no address")
        for n in range(100)
    ]
    assert shown(report(*same)).count("no address") == 1


def test_a_line_to_add_needs_no_evidence() -> None:
    """Whoever offers too little is told the line, and not what was said before it was missed."""
    lacking = Result("a/1", ("ID-001",), "core-wire", Verdict.COULD_NOT_RUN)
    lacking.detail, lacking.evidence = 'needs [process] gc = ["…"]', ["GET /x → 200"]
    text = shown(report(lacking))
    assert '1 check: a/1\n    needs [process] gc = ["…"]' in text
    assert "GET /x" not in text


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["pass"], 0),
        (["pass", "not-applicable"], 0),
        (["not-applicable"], 3),
        ([], 3),
        (["pass", "could-not-run"], 3),
        (["pass", "suite-error"], 3),
        (["pass", "could-not-run", "fail"], 1),
        (["flaky pass"], 3),
        (["pass", "flaky fail"], 0),
    ],
)
def test_exit_codes(names: list[str], code: int) -> None:
    """Only a run in which something passed, and nothing else happened, is green."""
    found = [Result(name, (), "push", Verdict(name.split()[-1])) for name in names]
    Baseline({}, {name: "one core" for name in names if " " in name}).apply(found)
    assert verdicts.exit_code(found) == code


def test_diff_tells_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Worse, better, new and gone; worse is an exit of 1."""
    old, new = tmp_path / "old", tmp_path / "new"
    files.write(report(), old)
    changed = results()[:3]
    changed[0].verdict, changed[1].verdict = Verdict.FAIL, Verdict.PASS
    changed.append(Result("new/x", ("ID-001",), "core-wire", Verdict.PASS))
    files.write(report(*changed), new)
    names = [str(old / "report.json"), str(new / "report.json")]
    assert diff.main(names) == 1
    told = capsys.readouterr().out
    for line in ("push/a: pass → fail", "push/b: fail → pass", "new/x: absent → pass"):
        assert line in told
    assert "auth/d: not-applicable → absent" in told
    assert diff.main([names[0], names[0]]) == 0
    assert diff.main(names[::-1]) == 1


@pytest.mark.parametrize(
    ("verdict", "flaky", "codes"),
    [
        (None, "", (1, 0)),
        (Verdict.NOT_APPLICABLE, "", (1, 0)),
        (Verdict.NOT_APPLICABLE, "one core", (0, 0)),
        (Verdict.FAIL, "one core", (0, 0)),
    ],
)
def test_a_pass_that_is_gone_is_worse(
    tmp_path: Path, verdict: Verdict | None, flaky: str, codes: tuple[int, int]
) -> None:
    """Removed or no longer applicable, nothing proves it any more; a flaky one never did."""
    passing, lacking = results()[0], results()[2]
    files.write(report(passing, lacking), tmp_path / "old")
    ended = [Result("push/a", (), "push", verdict, flaky=flaky)] if verdict else []
    files.write(report(*ended, lacking), tmp_path / "new")
    old, new = (str(tmp_path / name / "report.json") for name in ("old", "new"))
    assert (diff.main([old, new]), diff.main([new, old])) == codes


def test_diff_refuses_what_is_no_report(tmp_path: Path) -> None:
    """Two files, both reports."""
    (tmp_path / "x").write_text("{}")
    assert diff.main([str(tmp_path / "x")] * 2) == 2
    with pytest.raises(SystemExit, match="2"):
        diff.main([])
