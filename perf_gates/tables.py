"""Tables in README.md and docs/ made from kept results: `python -m perf_gates.tables [--check]`.

A table stands between `<!-- perf: NAME -->` and `<!-- /perf -->`; what is between is written here
and nowhere else.  `--keep FILE` takes a perf.json in as the kept result of its stack.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .budgets import requirement
from .report.document import SCHEMA, Document
from .report.numbers import budget, number
from .report.terminal import machine

COVERS = requirement("K4")
ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
NEAR = 0.10
"""A figure this near to the published one reproduces it."""
_BLOCK = re.compile(r"(<!-- perf: (\S+) -->\n)(.*?)(<!-- /perf -->)", re.DOTALL)
Results = Mapping[str, Document]


class TableError(Exception):
    """A table cannot be made; the text says which and why."""


def load(folder: Path = RESULTS) -> Results:
    """The kept results by stack."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("schema") != SCHEMA:
            raise TableError(f"{path}: not a result of schema {SCHEMA}")
        found[str(document["stack"])] = document
    return found


def keep(source: Path, folder: Path = RESULTS) -> Path:
    """Takes a perf.json in."""
    document = json.loads(source.read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA or "rows" not in document:
        raise TableError(f"{source}: not a perf.json of schema {SCHEMA}")
    folder.mkdir(exist_ok=True)
    path = folder / f"{document['stack']}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def mark(row: Document) -> str:
    """What a reader may say of a published figure, or of a gate, on this machine."""
    if row["median"] is None:
        return "not reproduced here"
    if row["published"] is None:
        words = {"pass": "holds", "fail": "does not hold here", "too-noisy": "too noisy to tell"}
        return words.get(row["verdict"], "shown")
    sign = -1 if row["bound"] == "least" else 1  # how to read "below" where more is better
    ends = sorted(sign * row[end] for end in ("low", "high"))
    if ends[1] < sign * row["published"]:
        return "better"
    near = sign * row["published"] + NEAR * row["published"]
    return "reproduced" if ends[0] <= near else "not reproduced here"


def published(results: Results) -> Iterator[str]:
    """Every figure and gate of the sources, published and ours side by side."""
    heads = ["source", "what", "gate", "published"]
    for stack in results:
        heads += [f"{stack}", ""]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in _union(results, lambda row: row["source"][0].isupper()):
        unit = row["unit"]
        cells = [row["source"], row["what"], _with_unit(budget(row), unit)]
        cells.append(_with_unit(number(row["published"]), unit))
        for document in results.values():
            here = _find(document, row["id"])
            median = number(here["median"]) if here else "–"
            cells += [_with_unit(median, unit), mark(here) if here else "not reproduced here"]
        yield f"| {' | '.join(cells)} |"


def beside(results: Results) -> Iterator[str]:
    """Ours over git's in the same run, and the target."""
    heads = ["what", "target", *results]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in _union(results, lambda row: row["beside"] == "git"):
        cells = [f"{row['id'].removesuffix('-git')}: {row['what']}", budget(row)]
        for document in results.values():
            here = _find(document, row["id"])
            cells.append(_ratio(here) if here else "–")
        yield f"| {' | '.join(cells)} |"


def targets(results: Results) -> Iterator[str]:
    """The project's own targets and figures that are shown."""
    heads = ["what", "budget", *results]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in _union(results, lambda row: row["source"][0].islower() and row["unit"] != "×"):
        unit = row["unit"]
        cells = [row["what"], _with_unit(budget(row), unit)]
        for document in results.values():
            here = _find(document, row["id"])
            cells.append(_with_unit(number(here["median"]), unit) if here else "–")
        yield f"| {' | '.join(cells)} |"


def machines(results: Results) -> Iterator[str]:
    """Where the kept results come from."""
    for stack, document in results.items():
        runs = f"tier {document['tier']}, {document['seconds']} s"
        yield f"- {stack}: {machine(document)}; {runs}, measured {document['measured_at']}."


TABLES: dict[str, Callable[[Results], Iterator[str]]] = {
    "published": published,
    "beside-git": beside,
    "targets": targets,
    "machines": machines,
}


def _union(results: Results, wanted: Callable[[Document], bool]) -> list[Document]:
    rows: dict[str, Document] = {}
    for document in results.values():
        for row in document["rows"]:
            if wanted(row):
                rows.setdefault(row["id"], row)
    return list(rows.values())


def _find(document: Document, id: str) -> Document | None:
    return next((row for row in document["rows"] if row["id"] == id), None)


def _with_unit(text: str, unit: str) -> str:
    return text if text == "–" or unit == "count" else f"{text} {unit}"


def _ratio(row: Document) -> str:
    if row["median"] is None:
        return row["verdict"] or "–"
    peer = row["peer"]["git"]
    git = _with_unit(number(peer["median"]), peer["unit"])
    return f"{row['median']:.2f}× (git {git}), {mark(row)}"


def rewritten(text: str, results: Results, where: str) -> str:
    """A page with its tables made anew."""

    def block(found: re.Match[str]) -> str:
        if found[2] not in TABLES:
            raise TableError(f"{where}: no table {found[2]!r}: there are {', '.join(TABLES)}")
        lines = "\n".join(TABLES[found[2]](results))
        return f"{found[1]}\n{lines}\n\n{found[4]}"

    return _BLOCK.sub(block, text)


def main(words: Sequence[str] | None = None, root: Path = ROOT, folder: Path = RESULTS) -> int:
    """Rewrites the pages; with --check says which are not what their results say, and returns 1."""
    parser = argparse.ArgumentParser("python -m perf_gates.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    parser.add_argument("--keep", type=Path, action="append", default=[], metavar="FILE")
    arguments = parser.parse_args(words)
    try:
        for source in arguments.keep:
            print(f"kept {keep(source, folder)}")
        results = load(folder)
        stale = []
        for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
            text = path.read_text(encoding="utf-8")
            made = rewritten(text, results, path.name)
            if made != text:
                stale.append(path)
                if not arguments.check:
                    path.write_text(made, encoding="utf-8")
    except (TableError, OSError, json.JSONDecodeError) as problem:
        print(problem, file=sys.stderr)
        return 2
    for path in stale:
        print(f"{path.relative_to(root)}: {'differs' if arguments.check else 'rewritten'}")
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
