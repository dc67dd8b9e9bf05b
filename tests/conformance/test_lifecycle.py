"""Starting subjects and running their commands: nobody waits for what does not come."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.catalogue import Check
from conformance.embedded import free_port
from conformance.lifecycle import Process, run_command, wait_for
from conformance.options import parse
from conformance.plugin import Suite
from conformance.runner import Run
from conformance.subject import Subject
from tests.conformance.impostors import impostor, says

SILENT = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@contextmanager
def prepared(subject: Subject | None, *options: str) -> Iterator[Run]:
    """A run that does not begin."""
    run = Run(Suite(), parse(options), subject, lambda result: None)
    yield run
    shutil.rmtree(run.folder)


def brought_up(subject: Subject, *options: str) -> tuple[str | None, float]:
    """Why a subject does not come up, and the seconds until that was known."""
    with prepared(subject, *options) as run:
        begun = time.monotonic()
        try:
            return run._service.bring_up(), time.monotonic() - begun
        finally:
            run._service.stop()


def test_a_server_that_prints_nothing_is_up_once_it_answers() -> None:
    """Its address is known: no line of output is waited for."""
    port = free_port()
    start = [sys.executable, "-c", SILENT, str(port)]
    subject = Subject(url=f"http://127.0.0.1:{port}", commands={"start": start})
    problem, seconds = brought_up(subject, "--wait", "60")
    assert (problem, seconds < 30) == (None, True)


def test_a_server_that_ends_is_not_waited_for() -> None:
    """Whether it said anything or not."""
    start = [sys.executable, "-c", "import time; time.sleep(0.3)"]  # its whole life
    subject = Subject(url=f"http://127.0.0.1:{free_port()}", commands={"start": start})
    problem, seconds = brought_up(subject, "--wait", "60")
    assert str(problem).startswith("the subject ended at once with exit code 0")
    assert seconds < 30


def test_another_server_at_the_address_is_not_taken_for_the_subject() -> None:
    """It answers before anything was started."""
    with impostor(says("200 OK", "text/plain", b"")) as url:
        subject = Subject(url=url, commands={"start": ["false"]})
        problem, _ = brought_up(subject, "--wait", "60")
    assert problem == f"{url} answers before [process] start is run: end what is there"


def test_a_wait_ends_with_whoever_would_answer(tmp_path: Path) -> None:
    """The last that was seen of the address is told."""
    process = Process(["false"], tmp_path / "log")
    process.start()
    begun = time.monotonic()
    told = wait_for(f"http://127.0.0.1:{free_port()}", 60, process.exited)
    assert "nothing listens" in str(told)
    assert time.monotonic() - begun < 30


def test_a_command_is_out_of_the_terminals_reach() -> None:
    """Ctrl-C ends the checks, and what puts the object store back runs to its end."""
    program = "import os; print(os.getsid(0) == os.getpid())"
    assert run_command([sys.executable, "-c", program], "objects_up").stdout == "True\n"


def test_checks_that_kill_have_a_reference_of_their_own() -> None:
    """Beside others, and where there is another to be had: a subject's own server is one."""
    kill = Check("a/kill", ("DUR-030",), "crash-server", "", exclusive=True)
    read = Check("b/read", ("HTTP-001",), "core-wire", "", exclusive=False)

    def apart(checks: list[Check], subject: Subject | None, *options: str) -> list[Check]:
        with prepared(subject, *options) as run:
            return run._mortal(checks)

    assert apart([kill, read], None, "--jobs", "2") == [kill]
    assert apart([kill], None, "--jobs", "2") == []
    assert apart([kill, read], None, "--jobs", "1") == []
    assert apart([kill, read], Subject(url="http://h:1"), "--jobs", "2") == []
