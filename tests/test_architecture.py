"""Facts about the sources that no import rule can state."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DURABLE = "reference/store/durable.py"
VAGUE_NAMES = {"utils", "util", "helpers", "common", "manager", "base", "misc"}

# A pure module may not even import what reaches the clock, the disk or the network.
IMPURE = set(
    "asyncio asyncpg fcntl glob http httpx minio mmap os pathlib select selectors shutil signal"
    " socket sqlite3 ssl starlette subprocess tempfile time uvicorn uvloop".split()
)
CLOCKS = {"now", "today", "utcnow"}

# Calls that create, change or rename a file, by module; any other way to write goes through these.
WRITING_CALLS = {
    "os": {"link", "mkfifo", "mknod", "rename", "renames", "replace", "symlink", "truncate"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move"},
    "tempfile": {
        "NamedTemporaryFile",
        "SpooledTemporaryFile",
        "TemporaryDirectory",
        "TemporaryFile",
        "mkdtemp",
        "mkstemp",
    },
}
WRITING_METHODS = {"write_text", "write_bytes", "hardlink_to", "symlink_to"}
READING_FLAGS = {"O_RDONLY", "O_DIRECTORY", "O_CLOEXEC", "O_NOFOLLOW", "O_PATH", "O_NOATIME"}


@cache
def tree(path: Path) -> ast.Module:
    """The parsed source at `path`."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules(*folders: str) -> list[Path]:
    """Every source under `folders`; never none, or the test that asks would prove nothing."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def place(path: Path, node: ast.AST) -> str:
    """Where `node` stands, as `file:line: source`."""
    line = getattr(node, "lineno", 0)
    return f"{path.relative_to(ROOT).as_posix()}:{line}: {ast.unparse(node).splitlines()[0]}"


def imported(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Each module that the source at `path` imports, in full, anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).with_suffix("").parts[: -node.level or None]
            yield ".".join([*(package if node.level else ()), node.module or ""]), node


def opens_for_writing(call: ast.Call, mode_at: int) -> bool:
    """Whether an open() might write: its mode is not a literal one that only reads."""
    modes = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    modes += call.args[mode_at : mode_at + 1]
    if not modes:
        return False
    mode = modes[0]
    return not isinstance(mode, ast.Constant) or bool(set(str(mode.value)) & set("wax+"))


def writes(call: ast.Call) -> bool:
    """Whether `call` could create, change or rename a file without the atomic write."""
    if call.args and ast.unparse(call.args[0]) == "os.devnull":
        return False
    match call.func:
        case ast.Name("open"):
            return opens_for_writing(call, 1)
        case ast.Attribute(ast.Name("os" as module), "open"):
            flags = {
                node.attr for node in ast.walk(call.args[1]) if isinstance(node, ast.Attribute)
            }
            return not flags or not flags <= READING_FLAGS
        case ast.Attribute(ast.Name("os" | "io"), "fdopen" | "open"):
            return opens_for_writing(call, 1)
        case ast.Attribute(ast.Name(module), name) if module in WRITING_CALLS:
            return name in WRITING_CALLS[module]
        case ast.Attribute(_, "open"):
            return opens_for_writing(call, 0)
        case ast.Attribute(_, "rename" | "replace"):  # of a path: text.replace takes two
            return len(call.args) == 1 and not call.keywords
        case ast.Attribute(_, name):
            return name in WRITING_METHODS
    return False


def file_writes(path: Path) -> Iterator[ast.AST]:
    """Each place at `path` that writes to files, or imports the means to under another name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and writes(node):
            yield node
        elif isinstance(node, ast.ImportFrom) and node.module in {*WRITING_CALLS, "io"}:
            names = {alias.name for alias in node.names}
            if names & (WRITING_CALLS.get(node.module or "", set()) | {"open", "fdopen"}):
                yield node
        elif isinstance(node, ast.Import) and any(
            alias.asname and alias.name in WRITING_CALLS for alias in node.names
        ):
            yield node


@pytest.mark.requirement("FS14")
def test_only_the_atomic_write_writes() -> None:
    """Nothing in the reference writes, renames or copies a file but the one durable module."""
    others = [path for path in modules("reference") if path != ROOT / DURABLE]
    assert [place(path, node) for path in others for node in file_writes(path)] == []


@pytest.mark.parametrize(
    "source",
    [
        "open(p, 'w')",
        "open(p, mode='ab')",
        "open(p, mode)",
        "io.open(p, 'r+')",
        "p.open('x')",
        "os.open(p, os.O_RDONLY | os.O_CREAT)",
        "os.open(p, flags)",
        "os.fdopen(fd, 'wb')",
        "os.replace(a, b)",
        "a.rename(b)",
        "a.replace(b)",
        "p.write_text(t)",
        "shutil.copy(a, b)",
        "tempfile.mkstemp()",
        "from os import replace",
        "from tempfile import NamedTemporaryFile as T",
        "import os as o",
    ],
)
def test_each_way_to_write_is_seen(tmp_path: Path, source: str) -> None:
    """The rule above is alive: a module with this line breaks it."""
    path = tmp_path / "module.py"
    path.write_text(source)
    assert len(list(file_writes(path))) == 1


def test_reading_is_not_writing(tmp_path: Path) -> None:
    """The rule above leaves alone what only reads, or is about texts."""
    path = tmp_path / "module.py"
    path.write_text(
        "open(p); open(p, 'rb'); p.open(); os.open(p, os.O_RDONLY | os.O_DIRECTORY)\n"
        "os.open(os.devnull, os.O_WRONLY)\n"
        "text.replace('a', 'b'); moment.replace(tzinfo=None); p.read_bytes()\nimport os, shutil\n"
    )
    assert list(file_writes(path)) == []


def test_wire_and_core_are_pure() -> None:
    """What decides imports nothing that reaches the clock, the disk or the network."""
    impure = []
    for path in modules("reference/wire", "reference/core"):
        for name, node in imported(path):
            if name.split(".")[0] in IMPURE:
                impure.append(place(path, node))
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CLOCKS:
                impure.append(place(path, node))
    assert impure == []


def is_suppressing_all(call: ast.Call) -> bool:
    """Whether this is contextlib's `suppress` of every exception."""
    if not ast.unparse(call.func).endswith("suppress"):
        return False
    return not {"Exception", "BaseException"}.isdisjoint(map(ast.unparse, call.args))


def test_no_failure_is_swallowed() -> None:
    """Nothing catches every exception just to carry on."""
    swallowed = []
    for path in modules("reference", "conformance", "perf_gates", "fixtures", "tests"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "BaseException"
                idle = all(
                    isinstance(step, ast.Pass | ast.Continue)
                    or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
                    for step in node.body
                )
                if idle and caught in {"Exception", "BaseException"}:
                    swallowed.append(place(path, node))
            elif isinstance(node, ast.Call) and is_suppressing_all(node):
                swallowed.append(place(path, node))
    assert swallowed == []


def test_second_opinions_are_independent() -> None:
    """The oracle of ids and the crash explorer need the standard library and themselves alone."""
    opinions = [path for path in modules("tests") if path.name == "oracle.py"]
    opinions += modules("conformance/crash")
    foreign = [
        place(path, node)
        for path in opinions
        for name, node in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("conformance.crash")
    ]
    assert foreign == []


def test_every_module_has_a_name_that_says_what_it_is() -> None:
    """Nobody finds anything in a drawer for everything."""
    folders = ("reference", "conformance", "perf_gates", "fixtures", "tests")
    assert [path for path in modules(*folders) if path.stem in VAGUE_NAMES] == []


def test_every_module_of_the_reference_is_short() -> None:
    """A module is one idea: 400 lines are too many."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in modules("reference")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_every_session_is_documented() -> None:
    """`nox -l` is the manual."""
    sessions = [
        node
        for node in tree(ROOT / "noxfile.py").body
        if isinstance(node, ast.FunctionDef)
        and any("nox.session" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    assert {"tests", "lint", "types", "trace"} <= {session.name for session in sessions}
    assert [session.name for session in sessions if not ast.get_docstring(session)] == []


def called(path: Path) -> Iterator[str]:
    """Each library of which the source at `path` calls something that it imported."""
    names: dict[str, str] = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = node.module.split(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            callee = node.func
            while isinstance(callee, ast.Attribute):
                callee = callee.value
            if isinstance(callee, ast.Name) and callee.id in names:
                yield names[callee.id]


def given(path: Path) -> Iterator[str]:
    """Which plugins of pytest the tests at `path` are run by."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield "pytest_asyncio"
        if isinstance(node, ast.FunctionDef) and "benchmark" in [a.arg for a in node.args.args]:
            yield "pytest_benchmark"


@pytest.mark.requirement("K5")
def test_every_named_library_does_real_work() -> None:
    """What was asked for by name is called where it belongs, not only installed."""
    product = {name for path in modules("reference") for name in called(path)}
    assert {"asyncpg", "cryptography", "minio", "msgpack", "zstandard"} <= product
    around = {name for path in modules("conformance", "perf_gates") for name in called(path)}
    assert {"httpx", "pytest", "testcontainers"} <= around
    tests = {name for path in modules("tests") for name in (*called(path), *given(path))}
    assert {"hypothesis", "pytest_asyncio", "pytest_benchmark"} <= tests
    assert "nox" in set(called(ROOT / "noxfile.py"))
