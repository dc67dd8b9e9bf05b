"""Whole runs against servers that are none: a clear verdict, never a pass, never a traceback."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conformance.embedded import free_port
from tests.conformance.impostors import Answer, closes, hangs, impostor, says

ROOT = Path(__file__).parents[2]
SECONDS = 90


def conformance(*arguments: str, report: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the suite as a command."""
    command = [sys.executable, "-m", "conformance", *arguments]
    command += ["--report", str(report)] if report else []
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def verdicts(report: Path) -> dict[str, int]:
    """The summary of a report."""
    summary: dict[str, int] = json.loads((report / "report.json").read_text())["summary"]
    return summary


def test_nothing_listens(tmp_path: Path) -> None:
    """Every check could not run, soon, and the reason is said once."""
    begun = time.monotonic()
    done = conformance("--url", f"http://127.0.0.1:{free_port()}", "--wait", "1", report=tmp_path)
    assert done.returncode == 3
    assert done.stdout.count("nothing listens at") == 1
    assert (verdicts(tmp_path)["pass"], verdicts(tmp_path)["fail"]) == (0, 0)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("answer", "told"), [(hangs, "does not answer"), (closes, "closes the connection")]
)
def test_a_server_without_answers(tmp_path: Path, answer: Answer, told: str) -> None:
    """One that hangs, and one that hangs up, is told apart from one that is not there."""
    with impostor(answer) as url:
        done = conformance("--url", url, "--wait", "1", report=tmp_path)
    assert done.returncode == 3
    assert told in done.stdout
    assert (verdicts(tmp_path)["pass"], verdicts(tmp_path)["fail"]) == (0, 0)


@pytest.mark.parametrize(
    ("status", "checks"),
    [
        ("404 Not Found", ("--id", "refs", "--id", "blobs")),
        ("200 OK", ("--id", "refs", "--id", "blobs")),
        *(
            pytest.param(status, ("--profile", "core-wire"), marks=pytest.mark.nightly)
            for status in ("404 Not Found", "200 OK", "500 Oh", "302 Found")
        ),
    ],
)
def test_a_server_of_something_else(tmp_path: Path, status: str, checks: tuple[str, ...]) -> None:
    """A page of HTML for everything passes no check, and is not could-not-run throughout."""
    with impostor(says(status, "text/html", b"<html>hello</html>")) as url:
        done = conformance("--url", url, *checks, "--wait", "2", report=tmp_path)
    assert done.returncode == 1
    assert verdicts(tmp_path)["pass"] == 0
    assert verdicts(tmp_path)["suite-error"] == 0


def test_a_store_that_is_none(tmp_path: Path) -> None:
    """A command that does nothing right is told so, and passes nothing."""
    subject = tmp_path / "subject.toml"
    subject.write_text(
        '[subject]\nprofiles = ["store-kill"]\n[store]\ncommand = ["echo", "hello"]\n'
    )
    done = conformance("--subject", str(subject), "--id", "store_adapter", report=tmp_path)
    assert done.returncode in (1, 3)
    assert (verdicts(tmp_path)["pass"], verdicts(tmp_path)["suite-error"]) == (0, 0)


def test_a_store_command_that_is_not_there(tmp_path: Path) -> None:
    """Nothing was judged, so nothing fails; the reason is said once."""
    subject = tmp_path / "subject.toml"
    subject.write_text(
        '[subject]\nprofiles = ["store-kill"]\n[store]\ncommand = ["./no-such-store"]\n'
    )
    done = conformance("--subject", str(subject), report=tmp_path)
    assert done.returncode == 3
    assert done.stdout.count("[store] command does not run: ") == 1
    assert (verdicts(tmp_path)["pass"], verdicts(tmp_path)["fail"]) == (0, 0)


@pytest.mark.parametrize(
    ("command", "told"),
    [([], "CMD is missing"), (["./no-such-store"], "and './no-such-store' is none")],
)
def test_a_store_to_explore_that_is_not_there(command: list[str], told: str) -> None:
    """The explorer names the command that it cannot run."""
    explorer = [sys.executable, "-m", "conformance.crash", *command]
    done = subprocess.run(
        explorer, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, told in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["false"], "the subject ended at once with exit code 1 and wrote nothing"),
        (["sh", "-c", "echo no >&2; exit 7"], "the subject ended at once with exit code 7: no"),
    ],
)
def test_a_subject_that_ends_at_once(tmp_path: Path, command: list[str], told: str) -> None:
    """How it ended is told, whether it wrote anything or not."""
    subject = tmp_path / "subject.toml"
    subject.write_text(
        f'[subject]\nprofiles = ["push"]\n[process]\nstart = {json.dumps(command)}\n'
    )
    done = conformance("--subject", str(subject), "--id", "PUSH-009", report=tmp_path)
    assert (done.returncode, f"{told}\n" in done.stdout) == (3, True)


def test_a_run_that_checked_nothing_says_why(tmp_path: Path) -> None:
    """The requirement that was asked for belongs to a profile that is not claimed."""
    url = f"http://127.0.0.1:{free_port()}"
    done = conformance("--url", url, "--id", "HTTP-033", report=tmp_path)
    assert done.returncode == 3
    assert "not applicable: HTTP-033" in done.stdout
    assert "does not claim the profile storage-blob-only" in done.stdout


def test_a_report_that_cannot_be_written_is_told_before_the_checks(tmp_path: Path) -> None:
    """A file stands where the folder should be: exit 2, and nobody waits for a subject."""
    (tmp_path / "report").write_text("")
    url = f"http://127.0.0.1:{free_port()}"
    done = conformance("--url", url, "--wait", "60", report=tmp_path / "report")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"--report {tmp_path / 'report'}: cannot be written: File exists"
    ]


def test_a_report_that_is_lost_at_the_end_is_still_told(tmp_path: Path) -> None:
    """What was found stands at the terminal, and the exit says that something could not run."""
    (tmp_path / "report.json").mkdir()
    url = f"http://127.0.0.1:{free_port()}"
    done = conformance("--url", url, "--id", "PUSH-009", "--wait", "0", report=tmp_path)
    assert done.returncode == 3
    for part in ("nothing listens at", "verdict    ", f"report     {tmp_path}: cannot be written"):
        assert part in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--url", "ftp://x"], "--url must begin with http"),
        (["--id", "NO-001"], "no check has this id"),
        (["--profile", "nothing"], "invalid choice"),
        (["--subject", "no such file.toml"], "cannot be read"),
        (["--url", "http://x", "--subject", "y"], "not allowed with"),
        (["--wait", "-1"], "--wait must not be negative"),
        (["--baseline", "no such file.toml", "--url", "http://127.0.0.1:1"], "cannot be read"),
    ],
)
def test_what_cannot_be_meant_exits_2(arguments: list[str], told: str) -> None:
    """One sentence, and nothing is run."""
    done = conformance(*arguments)
    assert (done.returncode, told in done.stderr) == (2, True)


def test_list_shows_checks_and_runs_none() -> None:
    """`--list` needs no subject."""
    done = conformance("--list", "--id", "PUSH-009")
    assert done.returncode == 0
    assert "push/a_stale_head_is_refused" in done.stdout
    assert all("PUSH-009" in line for line in done.stdout.splitlines())


def test_whoever_reads_only_the_first_lines_gets_no_traceback() -> None:
    """`… --list | head` closes the pipe early."""
    command = [sys.executable, "-m", "conformance", "--list"]
    listing = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert listing.stdout is not None
    listing.stdout.close()
    _, errors = listing.communicate(timeout=60)
    assert (listing.returncode, b"Traceback" in errors) == (3, False)


class Registry(ThreadingHTTPServer):
    """Makes and deletes repositories, and is slow about everything else."""

    daemon_threads = True

    def __init__(self) -> None:
        self.repos: set[str] = set()
        self.made = threading.Event()
        super().__init__(("127.0.0.1", 0), RegistryHandler)


class RegistryHandler(BaseHTTPRequestHandler):
    """Just enough of the calls for checks to begin."""

    protocol_version = "HTTP/1.1"
    server: Registry

    def _answer(self, status: int, value: Any = None) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Registers anybody, creates anything."""
        value = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        if self.path == "/api/identities":
            self._answer(201, {"handle": value["handle"], "identity_id": "x"})
        elif self.path == "/api/repos":
            id = f"id-{value['name']}"
            self.server.repos.add(id)
            self.server.made.set()
            self._answer(201, {"slug": value["name"], "repoId": id})
        else:
            self.do_GET()

    def do_GET(self) -> None:
        """Answers health at once, and all else late."""
        if self.path != "/healthz":
            time.sleep(0.5)  # long enough to be interrupted in
        self._answer(200, {"ready": True, "reasons": []})

    def do_DELETE(self) -> None:
        """Deletes."""
        self.server.repos.discard(self.path.rpartition("/")[2])
        self._answer(204)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_repository(tmp_path: Path, number: int) -> None:
    """Ctrl-C in the middle ends with a report, and with everything deleted."""
    with Registry() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        command = [sys.executable, "-m", "conformance", "--url", url, "--report", str(tmp_path)]
        run = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
        assert server.made.wait(30)
        os.killpg(run.pid, number)
        output, errors = run.communicate(timeout=60)
        server.shutdown()
    assert server.repos == set()
    assert b"Traceback" not in output + errors
    assert (run.returncode in (1, 3), b"the run was interrupted" in output) == (True, True)
