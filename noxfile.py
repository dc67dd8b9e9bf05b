"""Everything that is run on the kit; `nox -l` is the manual, one docstring a session.

Words after `--` go to the tool: `nox -s tests -- tests/store -k rename`.
"""

import hashlib
import json
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False  # `tests_all` takes the Pythons that are there
nox.options.sessions = ["lint", "types", "trace", "tests"]

CONSTRAINTS = Path("constraints.txt")
PYPROJECT = Path("pyproject.toml")


def groups(*names: str) -> tuple[str, ...]:
    """The requirements of dependency groups, resolved here: an old pip has no `--group`."""
    return nox.project.dependency_groups(nox.project.load_toml(PYPROJECT), *names)


def install(session: nox.Session, *names: str, project: bool = True) -> None:
    """Install the pinned dependencies of some groups, unless this environment has just those."""
    wanted = hashlib.sha256(PYPROJECT.read_bytes() + CONSTRAINTS.read_bytes()).hexdigest()
    stamp = session.env_dir / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        checkout = ("-e", ".") if project else ()
        session.install("-c", str(CONSTRAINTS), *groups(*names), *checkout)
        stamp.write_text(wanted)


@nox.session
def tests(session: nox.Session) -> None:
    """The kit's own tests, on the Python that runs nox; a process for each processor."""
    install(session, "test")
    session.run("pytest", "--numprocesses=auto", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13"])
def tests_all(session: nox.Session) -> None:
    """The kit's own tests, on each supported Python that this machine has."""
    install(session, "test")
    session.run("pytest", "--numprocesses=auto", *session.posargs)


@nox.session(default=False)
def conformance(session: nox.Session) -> None:
    """The suite against the embedded reference; `-- --url URL` or `-- --subject FILE` for yours."""
    install(session)
    session.run("python", "-m", "conformance", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """What a crash could leave of the reference's store; `-- --nightly` for the thorough run."""
    install(session)
    adapter = ("python", "-m", "reference", "store")
    session.run("python", "-m", "conformance.crash", *session.posargs, *adapter)


@nox.session(default=False)
def perf_gates(session: nox.Session) -> None:
    """Published figures and budgets, beside git; `-- --quick`, `-- --stack containers`."""
    install(session, "perf", "peers")
    session.run("python", "-m", "perf_gates", *session.posargs)


@nox.session(default=False)
def tables(session: nox.Session) -> None:
    """Tables in the documentation from perf_gates/results; `-- --check` fails on a difference."""
    install(session)
    session.run("python", "-m", "perf_gates.tables", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Times and memory of the wire format and the local store, each against its budget."""
    install(session, "test", "perf")
    session.run("pytest", "-m", "bench", "tests/bench", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting (ruff), and which package may import which (import-linter)."""
    install(session, "lint", project=False)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Static types, strict, everywhere (mypy)."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session(python=False)
def trace(session: nox.Session) -> None:
    """From each requirement to its checks and mutants; fails on a MUST that nothing proves."""
    session.run(sys.executable, "-m", "reference.spec.trace", *session.posargs, external=True)


@nox.session(default=False)
def pin(session: nox.Session) -> None:
    """Resolve all dependencies anew and rewrite constraints.txt; commit the result."""
    report = Path(session.create_tmp()) / "report.json"
    flags = ("--dry-run", "--ignore-installed", "--quiet", "--report", str(report))
    session.run("python", "-m", "pip", "install", *flags, "-e", ".", *groups("dev"))
    found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    pins = sorted(f"{item['name'].lower()}=={item['version']}\n" for item in found)
    heading = "# Exact versions for every nox session; rewritten by `nox -s pin`.\n"
    CONSTRAINTS.write_text(heading + "".join(pin for pin in pins if not pin.startswith("musekit=")))
