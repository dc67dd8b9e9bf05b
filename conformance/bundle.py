"""`python -m conformance bundle`, `verify` and `key`: a report that others can trust and compare.

A bundle is one file, the report inside it: what was demanded (version and digest of the
requirements), by which kit, with which verdicts, signed with an Ed25519 key.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reference.spec import requirements
from reference.wire.provenance import public_key, to_base64url

from . import envelope, plugin
from .envelope import EnvelopeError
from .subject import resolve_key
from .verdicts import Result, Verdict, exit_code, summary

COMMANDS = ("bundle", "verify", "key")
STATEMENT = 1
USAGE = 2


class BundleError(Exception):
    """A file is neither a report nor a bundle, or not one to be believed."""


def read(path: Path) -> Any:
    """The JSON of a file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BundleError(f"{path}: cannot be read: {problem}") from None


def checked_report(value: Any, what: object) -> dict[str, Any]:
    """A report whose counts are those of its checks; nobody has to take its summary on trust."""
    if not isinstance(value, dict) or value.get("schema") != 1 or "checks" not in value:
        raise BundleError(f"{what}: this is no report.json of schema 1")
    try:
        results = [Result.from_json(check) for check in value["checks"]]
        counted, told = summary(results), value["summary"]
        parts = (value["kit"], value["subject"]["name"], value["subject"]["profiles"])
    except (KeyError, TypeError, ValueError) as problem:
        raise BundleError(f"{what}: the report is not in its form: {problem!r}") from None
    if counted != told or not all(parts):
        raise BundleError(f"{what}: the summary is {told}, the checks amount to {counted}")
    return value


def make(report: dict[str, Any], seed: bytes) -> bytes:
    """The bundle of a report."""
    demanded = report.get("requirements")
    if not demanded:
        raise BundleError("the report does not say which requirements it is about")
    statement = {
        "statement": STATEMENT,
        "kit": report["kit"],
        "requirements": demanded,
        "report": report,
    }
    text = json.dumps(statement, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return envelope.seal(text.encode("utf-8", "backslashreplace"), seed)


def opened(value: Any, keys: Sequence[str], what: object) -> dict[str, Any]:
    """The report in a bundle that one of `keys` signed; with no keys, the one it names itself."""
    try:
        named = envelope.signer(value)
        trusted = [key for key in keys if envelope.public_bytes(key)] or [named]
        if envelope.public_bytes(named) not in map(envelope.public_bytes, trusted):
            raise BundleError(f"{what}: signed by {named}, which is not the key you named")
        statement = json.loads(envelope.open_with(value, named))
    except EnvelopeError as problem:
        raise BundleError(f"{what}: {problem}") from None
    except ValueError:
        raise BundleError(f"{what}: the payload is not JSON") from None
    if not isinstance(statement, dict) or statement.get("statement") != STATEMENT:
        raise BundleError(f"{what}: the payload is no statement of version {STATEMENT}")
    report = checked_report(statement.get("report"), what)
    for name in ("kit", "requirements"):
        if statement.get(name) != report.get(name):
            raise BundleError(f"{what}: the statement and its report differ in `{name}`")
    return report


def load(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The report that a file is, or holds as a bundle."""
    value = read(path)
    if envelope.is_envelope(value):
        return opened(value, keys, path)
    return checked_report(value, path)


def told(report: dict[str, Any], signer: str) -> Iterator[str]:
    """What a bundle says, and how far it reaches."""
    results = [Result.from_json(check) for check in report["checks"]]
    counts = [f"{count} {name}" for name, count in summary(results).items() if count]
    demanded = report["requirements"]
    yield f"signed by     {signer}"
    yield f"subject       {report['subject']['name']}"
    yield f"claims        {', '.join(report['subject']['profiles'])}"
    yield f"kit           {report['kit']}"
    yield f"requirements  {demanded['version']}, {demanded['digest']}"
    yield f"verdict       {', '.join(counts)}: exit {exit_code(results, report.get('stale', ()))}"
    here = requirements.load()
    if demanded["digest"] != requirements.digest(here):
        yield f"reach         not told: the requirements here are {requirements.digest(here)}"
        return
    examined = [result for result in results if result.verdict in (Verdict.PASS, Verdict.FAIL)]
    proven = {id for result in examined for id in result.requirements}
    claimed = report["subject"]["profiles"]
    seen = {id for check in plugin.collect()[0] for id in check.requirements}
    binding = [item.id for item in here if item.is_must and item.profile in claimed]
    checked = [id for id in binding if id in seen]  # the others only show inside, or in a client
    unseen = [id for id in checked if id not in proven]
    reach = f"{len(checked) - len(unseen)} of {len(checked)} binding requirements of its profiles"
    yield f"reach         {reach}{': not ' + ', '.join(unseen[:8]) if unseen else ''}"


def main(arguments: Sequence[str]) -> int:
    """Runs `bundle`, `verify` or `key`; 0, 1 for a bundle not to be believed, 2 for usage."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.run(asked))
    except BundleError as problem:
        print(problem, file=sys.stderr)
        return 1 if asked.run is _verify else USAGE


def _bundle(asked: argparse.Namespace) -> int:
    report = checked_report(read(asked.report), asked.report)
    if not asked.key.startswith(("env:", "file:")):
        raise BundleError("--key must be env:NAME or file:PATH: others can read a command line")
    try:
        seed = resolve_key(asked.key)
    except ValueError as problem:
        raise BundleError(f"--key {problem}") from None
    out = asked.out or asked.report.with_name("bundle.json")
    try:
        out.write_bytes(make(report, seed))
    except OSError as problem:
        raise BundleError(f"--out {out}: cannot be written: {problem.strerror}") from None
    print(f"{out}, signed by {public_key(seed)}")
    return 0


def _verify(asked: argparse.Namespace) -> int:
    value = read(asked.bundle)
    if not envelope.is_envelope(value):
        raise BundleError(f"{asked.bundle}: this is no signed bundle")
    report = opened(value, asked.key, asked.bundle)
    for line in told(report, envelope.signer(value)):
        print(line)
    return 0


def _key(asked: argparse.Namespace) -> int:
    path: Path = asked.file
    try:
        if not path.exists():
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(to_base64url(secrets.token_bytes(32)) + "\n")
    except OSError as problem:
        raise BundleError(f"{path}: cannot be written: {problem.strerror}") from None
    try:
        print(public_key(resolve_key(f"file:{path}")))
    except ValueError as problem:
        raise BundleError(f"{path}: it {problem}") from None
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance")
    commands = parser.add_subparsers(required=True)
    bundle = commands.add_parser("bundle", help="sign a report.json")
    bundle.add_argument("report", type=Path)
    bundle.add_argument("--key", required=True, help="env:NAME or file:PATH of an Ed25519 seed")
    bundle.add_argument("--out", type=Path, help="where to (bundle.json beside the report)")
    bundle.set_defaults(run=_bundle)
    verify = commands.add_parser("verify", help="check a bundle with the public key alone")
    verify.add_argument("bundle", type=Path)
    verify.add_argument("--key", required=True, action="append", help="a key you trust: ed25519:…")
    verify.set_defaults(run=_verify)
    key = commands.add_parser("key", help="make a seed in FILE unless it is there; its public key")
    key.add_argument("file", type=Path)
    key.set_defaults(run=_key)
    return parser
