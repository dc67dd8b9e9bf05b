"""git's own `http-backend` behind a small threaded server: `python git_server.py ROOT PORT`.

Kept connections, bodies streamed both ways, gzip as git sends it, protocol version 2: what a
well-kept server does, in a process of its own so that it shares nothing with whoever measures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

CHUNK = 1 << 17


class Backend(BaseHTTPRequestHandler):
    """Hands each request to `git http-backend`, or to a file under `bundles/`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = CHUNK
    root = Path()

    def do_GET(self) -> None:
        """References, packs, bundles."""
        path = urlsplit(self.path).path
        if path.startswith("/bundles/"):
            self._send_file(self.root / path.lstrip("/"))
        else:
            self._run()

    def do_POST(self) -> None:
        """Fetches and pushes."""
        self._run()

    def log_message(self, format: str, *values: object) -> None:
        """Says nothing."""

    def _send_file(self, path: Path) -> None:
        with path.open("rb") as file:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            shutil.copyfileobj(file, self.wfile, CHUNK)
            self.wfile.flush()

    def _run(self) -> None:
        parts = urlsplit(self.path)
        length = self.headers.get("Content-Length", "")
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
        if length:
            environment["CONTENT_LENGTH"] = length
        process = subprocess.Popen(
            ["git", "http-backend"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        # Read and written at once, or a full pipe on either side would stop both.
        feeder = threading.Thread(target=self._feed, args=(process.stdin, length))
        feeder.start()
        assert isinstance(process.stdout, BufferedReader)
        self._answer(process.stdout)
        feeder.join()
        process.stdout.close()
        process.wait()

    def _feed(self, pipe: IO[bytes], length: str) -> None:
        try:
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    pipe.write(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
            else:
                left = int(length or 0)
                while left and (data := self.rfile.read(min(left, CHUNK))):
                    pipe.write(data)
                    left -= len(data)
            pipe.close()
        except BrokenPipeError:
            self.close_connection = True  # it refused: what is left of the body is not read

    def _answer(self, output: BufferedReader) -> None:
        status, headers = 200, []
        while line := output.readline().strip():
            name, _, value = line.decode("latin-1").partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while data := output.read1(CHUNK):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    """Many connections at once; a client that hangs up is no error."""

    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Tells of everything but lost connections."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main(root: str, port: str) -> None:
    """Serves until it is killed."""
    Backend.root = Path(root)
    Server(("127.0.0.1", int(port)), Backend).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
