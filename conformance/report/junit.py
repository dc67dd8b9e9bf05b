"""JUnit's XML, which every CI system shows."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from conformance.verdicts import Result, Verdict

from .model import Report

_TAGS = {
    Verdict.FAIL: "failure",
    Verdict.SUITE_ERROR: "error",
    Verdict.COULD_NOT_RUN: "error",
    Verdict.NOT_APPLICABLE: "skipped",
}
_ILLEGAL = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def document(report: Report) -> bytes:
    """The report as one test suite a profile."""
    root = ElementTree.Element("testsuites", name="conformance", time=f"{report.seconds:.1f}")
    for profile in dict.fromkeys(result.profile for result in report.results):
        results = [result for result in report.results if result.profile == profile]
        suite = ElementTree.SubElement(root, "testsuite", name=profile, tests=str(len(results)))
        for name in ("failure", "error", "skipped"):
            count = sum(_TAGS.get(result.verdict) == name for result in results)
            suite.set(name if name == "skipped" else f"{name}s", str(count))
        for result in results:
            _case(suite, result)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _case(suite: ElementTree.Element, result: Result) -> None:
    group, _, name = result.id.partition("/")
    requirements = f" [{', '.join(result.requirements)}]"
    case = ElementTree.SubElement(
        suite, "testcase", classname=group, name=_legal(name + requirements)
    )
    case.set("time", f"{result.ms / 1000:.3f}")
    if tag := _TAGS.get(result.verdict):
        tag = "skipped" if result.known else tag
        expected = f"expected {result.expected}, got {result.actual}" if result.expected else ""
        message = result.known or expected or result.detail
        outcome = ElementTree.SubElement(case, tag, message=_legal(message))
        outcome.set("type", str(result.verdict))
        lines = [result.title, result.detail, *result.evidence, result.reproduce]
        outcome.text = _legal("\n".join(filter(None, lines)))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)
