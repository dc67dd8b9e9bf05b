"""Everything that is run on the kit; `nox -l` is the manual, one docstring a session.

Words after `--` go to the tool: `nox -s tests -- tests/store -k rename`.
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False  # `tests_all` takes the Pythons that are there
nox.options.sessions = ["lint", "types", "trace", "tests"]

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would compile all anew

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
        if project:  # any other installation compiles; here, each of the first processes would
            session.run("python", "-m", "compileall", "-q", "reference", "conformance")
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
def mutants(session: nox.Session) -> None:
    """Kill matrix: each flaw is noticed, each check notices one; `-- --collateral --sample 20`."""
    install(session)
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """What a crash could leave of the reference's store; `-- --nightly` for the thorough run."""
    install(session)
    adapter = ("python", "-m", "reference", "store")
    session.run("python", "-m", "conformance.crash", *session.posargs, *adapter)
    if "--nightly" in session.posargs:
        subject = ("--server", "conformance/examples/reference.toml")
        session.run("python", "-m", "conformance.crash", "--nightly", *subject)


@nox.session(default=False)
def perf_gates(session: nox.Session) -> None:
    """Published figures and budgets, beside git; `-- --quick`, `-- --stack NAME`, `-- diff A B`."""
    install(session, "perf", "peers")
    session.run("python", "-m", "perf_gates", *session.posargs)


@nox.session(default=False)
def tables(session: nox.Session) -> None:
    """Tables in the documentation from perf_gates/results; `-- --check` fails on a difference."""
    install(session)
    session.run("python", "-m", "perf_gates.tables", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The wire format and the local store against budgets; `-- --benchmark-compare` with the last.

    `-- --benchmark-save=NAME` keeps a baseline in `tests/bench/baselines`.
    """
    install(session, "test", "perf")
    storage = "--benchmark-storage=file://./tests/bench/baselines"
    shown = ("--benchmark-columns=min,median,iqr,rounds", "--benchmark-sort=fullname")
    # What pytest-benchmark warns of is for people to read; only its exit code fails a run.
    warned = ("-W", "default::pytest_benchmark.logger.PytestBenchmarkWarning")
    session.run(
        "pytest",
        "-m",
        "bench",
        "tests/bench",
        "tests/crash",
        storage,
        *shown,
        *warned,
        *session.posargs,
    )


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """The README's tour as it is written there – serve, push, clone – in a temporary folder."""
    install(session)
    readme = Path("README.md").read_text()
    tour = readme.partition("pip install -e .\n")[2].partition("```")[0]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # root's PostgreSQL runs as somebody else
        env = {"MUSEKIT_HOME": f"{folder}/home", "MUSEKIT_DATA": f"{folder}/data"}
        with session.chdir(folder):
            script = f"trap 'kill $! && wait' EXIT\n{tour}"
            session.run("sh", "-eux", "-c", script, env=env, external=True)


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
