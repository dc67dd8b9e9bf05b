"""Finds which check claims which requirement, by reading sources without running them."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Mark:
    """One id that a check, or a mutant, names."""

    id: str
    name: str
    folder: str


def find_checks(root: Path, folder: str, problems: list[str]) -> list[Mark]:
    """The ids in `@requirement(…)` decorators, `pytestmark` and parameters under `root/folder`."""
    return [
        Mark(id, "::".join(filter(None, (where, name))), folder)
        for where, tree in _sources(root, folder)
        for name, call in _claims(tree, "", where, problems)
        for id in _literal_ids(call.args, f"{where}:{call.lineno}", problems)
    ]


def find_mutants(root: Path, folder: str, problems: list[str]) -> list[Mark]:
    """The ids that `Mutant(…, flagged_by=…)` entries under `root/folder` must be flagged by."""
    marks = []
    for where, tree in _sources(root, folder):
        if Path(where).name.startswith("test_"):
            continue  # tests of the machinery make mutants of nothing
        for call in _calls(tree, lambda name: name == "Mutant"):
            values = {keyword.arg: keyword.value for keyword in call.keywords}
            name = call.args[0] if call.args else values.get("name")
            flags = values.get("flagged_by", values.get("flags"))
            at = f"{where}:{call.lineno}"
            if not (isinstance(name, ast.Constant) and isinstance(name.value, str) and flags):
                problems.append(f"{at}: a mutant needs a literal name and `flagged_by`")
                continue
            items = flags.elts if isinstance(flags, ast.Tuple | ast.List | ast.Set) else [flags]
            marks += [Mark(id, name.value, folder) for id in _literal_ids(items, at, problems)]
    return marks


def _sources(root: Path, folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((root / folder).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        yield path.relative_to(root).as_posix(), ast.parse(source, str(path))


def _calls(node: ast.AST, matches: Callable[[str], bool]) -> Iterator[ast.Call]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if matches(name):
                yield call


def _claims(
    scope: ast.AST, prefix: str, where: str, problems: list[str]
) -> Iterator[tuple[str, ast.Call]]:
    """Each requirement mark in `scope` with the name of the check that carries it."""

    def marks(node: ast.AST) -> Iterator[ast.Call]:
        return _calls(node, lambda name: name.endswith("requirement"))

    for node in ast.iter_child_nodes(scope):
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            name = f"{prefix}::{node.name}".removeprefix("::")
            claimed = [call for decorator in node.decorator_list for call in marks(decorator)]
            if claimed and not node.name.lower().startswith("test"):
                problems.append(f"{where}:{node.lineno}: {name} claims requirements but is no test")
            yield from ((name, call) for call in claimed)
            if isinstance(node, ast.ClassDef):
                yield from _claims(node, name, where, problems)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            own = "" if ast.unparse(target) == "pytestmark" else ast.unparse(target)
            name = "::".join(filter(None, (prefix, own)))
            yield from ((name, call) for call in marks(node.value))
        elif isinstance(node, ast.stmt):
            yield from _claims(node, prefix, where, problems)


def _literal_ids(nodes: list[ast.expr], at: str, problems: list[str]) -> list[str]:
    ids = [node.value for node in nodes if isinstance(node, ast.Constant)]
    texts = [id for id in ids if isinstance(id, str)]
    if not texts or len(texts) != len(nodes):
        problems.append(f"{at}: the ids must be literal texts, so that they can be traced")
    return texts
