"""What every check finds: the subject, three people who talk to it, and names of its own."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import adapter
from .adapter import Store
from .client import Client, Connection, Refused, succeeded
from .histories import salt
from .inspection import Inspection
from .ledger import Ledger
from .lifecycle import Process, run_command, until, wait_for
from .outcomes import CouldNotRun, Fields, NotApplicable, Unmet
from .redaction import redact
from .repository import Repository
from .subject import Subject, identity

RESTART_SECONDS = 60.0
SHORT_PATIENCE = 15.0
LOG_LINES = 12


@dataclass(slots=True)
class World:
    """One run's view of the subject; cheap to make, so that each process of a run has its own."""

    subject: Subject
    token: str
    seed: int
    ledger: Ledger
    read_only: bool = False
    unready: str = ""
    log: Path | None = None
    process: Process | None = None
    helper: Process | None = None
    connection: Connection = field(init=False)
    blank: Store | None = None
    framed: str | None = None
    namespace: str = ""
    made: int = 0
    patience: float = 120.0

    def __post_init__(self) -> None:
        self.connection = Connection(self.subject.url)

    @property
    def owner(self) -> Client:
        """Whoever owns the repositories of the checks."""
        return Client(self.connection, identity(self.subject.owner))

    @property
    def other(self) -> Client:
        """A stranger with a key."""
        return Client(self.connection, identity(self.subject.other))

    @property
    def anyone(self) -> Client:
        """A stranger without one."""
        return Client(self.connection)

    @property
    def inspect(self) -> Inspection:
        """The subject's insides, as far as it shows them."""
        return Inspection(self.subject)

    def begin(self, check: str) -> None:
        """Gives a check its own names, contents and dice."""
        digits = hashlib.sha256(check.encode()).hexdigest()[:10]
        self.namespace = f"{self.token}-{digits}"
        self.made = 0
        salt.set(f"{self.namespace} {self.seed}")

    @property
    def dice(self) -> random.Random:
        """Numbers that the seed decides."""
        return random.Random(f"{self.seed} {self.namespace.partition('-')[2]}")

    def name(self) -> str:
        """A repository name that nobody used."""
        self.made += 1
        return f"conf-{self.namespace}-{self.made}"

    def require_writes(self) -> None:
        """Ends the check unless this run may create things on the subject."""
        if self.read_only:
            raise NotApplicable("the run is read-only")
        if self.unready:
            raise CouldNotRun(self.unready)

    def create(self, client: Client | None = None, **fields: Any) -> Fields:
        """POST /api/repos, written into the ledger."""
        self.require_writes()
        client = client or self.owner
        assert client.identity is not None
        value: dict[str, Any] = {"owner": client.identity.handle, "name": self.name(), **fields}
        self.ledger.creating(value["owner"], value["name"])
        answer = succeeded(client.ask("POST", "/api/repos", value))
        if answer.status not in (200, 201):
            raise Unmet("200 or 201", str(answer))
        made = answer.fields
        if not isinstance(made.get("repoId"), str) or not isinstance(made.get("slug"), str):
            raise Unmet("slug and repoId", str(answer))
        self.ledger.created(made["repoId"], f"{value['owner']}/{made['slug']}")
        return made

    def repository(self, client: Client | None = None, **fields: Any) -> Repository:
        """A new repository of the owner's, or of another client's."""
        client = client or self.owner
        assert client.identity is not None
        made = self.create(client, **fields)
        return Repository(client, client.identity.handle, made["slug"], made["repoId"])

    def store(self) -> Store:
        """An empty local store of the check's own: a copy, for each `init` would be a process."""
        if not self.subject.store:
            raise CouldNotRun('needs [store] command = ["…"] in the subject file')
        if self.blank is None:
            self.blank = adapter.fresh(self.subject.store, self.ledger.path.parent)
        return self.blank.copy()

    def command(self, name: str) -> str:
        """Runs one of the subject's own commands; its output."""
        command = self.subject.commands.get(name)
        if not command:
            raise CouldNotRun(f'needs [process] {name} = ["…"] in the subject file')
        return run_command(command, name).stdout

    def jobs_idle(self) -> None:
        """Waits until the subject says that no job is waiting or running.

        Long at first, since an earlier run may have left it much to do; briefly after it once was
        not done, or every further check would wait as long for a queue that is stuck.
        """
        if "jobs_idle" not in self.subject.commands:
            raise CouldNotRun('needs [process] jobs_idle = ["…"] in the subject file')

        def idle() -> bool:
            try:
                self.command("jobs_idle")
            except CouldNotRun:
                return False
            return True

        seconds = self.patience
        if not until(idle, seconds, 0.1):
            self.patience = SHORT_PATIENCE
            raise CouldNotRun(f"jobs were not done within {seconds:.0f} s")

    @contextmanager
    def without_objects(self) -> Iterator[None]:
        """While inside, the object store is away."""
        for name in ("objects_down", "objects_up"):
            if name not in self.subject.commands:
                raise CouldNotRun(f'needs [process] {name} = ["…"] in the subject file')
        self.command("objects_down")
        try:
            yield
        finally:
            self.command("objects_up")
            self.connection.renew()  # a store that was stopped has closed what was kept open
            late = wait_for(self.subject.url + self.subject.ready, RESTART_SECONDS)
        if late:
            raise CouldNotRun(f"after [process] objects_up the subject is not ready: {late}")

    def second(self) -> str:
        """The address of another server process on the same data, started when first asked for."""
        if "second" not in self.subject.commands or not self.subject.second_url:
            raise CouldNotRun('needs [process] second = ["…"] and second_url = "http://…"')
        url = self.subject.second_url
        if self.helper is None:
            self.helper = Process(
                self.subject.commands["second"], self.ledger.path.parent / "2.log"
            )
            self.helper.start()
        if problem := wait_for(url + self.subject.ready, RESTART_SECONDS, self.helper.exited):
            raise CouldNotRun(f"[process] second does not run: {problem}")
        return url

    def end(self) -> None:
        """Stops what this world started."""
        if self.helper is not None:
            self.helper.stop()

    def restart(self) -> None:
        """Starts the subject again after it was killed, on the same address and data."""
        process = self.owned()
        process.start()
        ready = self.subject.url + self.subject.ready
        if problem := wait_for(ready, RESTART_SECONDS, process.exited):
            raise Unmet("the subject comes back", f"{problem}; {process.last_words()}")
        self.connection.renew()

    def owned(self) -> Process:
        """The subject's process, which the suite started and may kill."""
        if self.process is None:
            raise CouldNotRun('needs [process] start = ["…"] in the subject file')
        return self.process

    def log_text(self) -> str:
        """Everything the subject wrote to its output so far."""
        if self.log is None or not self.log.exists():
            raise CouldNotRun('needs [process] start = ["…"], whose output is the log')
        return self.log.read_text("utf-8", "replace")

    def last_log_lines(self) -> list[str]:
        """What the subject wrote last, where the suite can see it: why it answered as it did."""
        if self.log is None or not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 16_384))
            lines = log.read().decode("utf-8", "replace").splitlines()
        return [redact(line)[:400] for line in lines[-LOG_LINES:]]

    def to_json(self) -> str:
        """This world for a worker process, keys included: goes through a pipe, not to a disk."""
        plain = {
            "subject": self.subject.as_json(),
            "token": self.token,
            "seed": self.seed,
            "ledger": str(self.ledger.path),
            "read_only": self.read_only,
            "unready": self.unready,
            "log": str(self.log) if self.log else None,
        }
        return json.dumps(plain)

    @classmethod
    def from_json(cls, text: str) -> World:
        """The world that `to_json` wrote."""
        value = json.loads(text)
        log = Path(value["log"]) if value["log"] else None
        subject, ledger = Subject.from_json(value["subject"]), Ledger(Path(value["ledger"]))
        plain = {name: value[name] for name in ("token", "seed", "read_only", "unready")}
        return cls(subject=subject, ledger=ledger, log=log, **plain)


def introduce(world: World) -> str:
    """Registers both identities where the subject lets one; why nobody can write, or nothing."""
    if world.read_only or not world.subject.register:
        return ""
    for client in (world.owner, world.other):
        assert client.identity is not None
        value = {"handle": client.identity.handle, "public_key": public_key(client)}
        try:
            answer = world.anyone.ask("POST", "/api/identities", value)
            succeeded(answer)
        except Refused as refusal:
            return (
                f"POST /api/identities was refused: {refusal.actual}. If keys are registered in"
                " another way, name known ones under [auth] and set register = false"
            )
        except Unmet as problem:
            return f"POST /api/identities: {problem}"
    return ""


def public_key(client: Client) -> str:
    """The text of a client's public key."""
    from reference.wire.provenance import public_key as text

    assert client.identity is not None
    return text(client.identity.seed)
