"""A subject's server during a run: started where that is ours to do, waited for, and stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .lifecycle import Process, silence, wait_for
from .redaction import redact
from .subject import Subject


@dataclass(slots=True)
class Service:
    """The server of one subject; `process` only where the suite started it."""

    subject: Subject
    log: Path
    seconds: float
    process: Process | None = None

    def bring_up(self) -> str | None:
        """Starts the server if that is ours to do, and waits for it; why it is not there."""
        subject = self.subject
        if command := subject.commands.get("start"):
            if subject.url and not silence(subject.url + subject.ready, 1.0):
                return f"{subject.url} answers before [process] start is run: end what is there"
            self.process = Process(command, self.log)
            try:
                told = self.process.start(0.0 if subject.url else self.seconds)
            except OSError as problem:
                return f"[process] start does not run: {problem}"
            subject.url = subject.url or str(told.get("url", "")).rstrip("/")
        silent: str | None = "no address: [subject] url is missing, [process] start printed none"
        if subject.url:
            silent = wait_for(subject.url + subject.ready, self.seconds, self._ended)
        if self.process and self._ended():
            return redact(f"the subject ended at once {self.process.end()}")
        return f"{silent}, for {self.seconds:g} s" if silent else None

    def stop(self) -> None:
        """Ends what was started."""
        if self.process is not None:
            self.process.stop()

    def _ended(self) -> bool:
        return self.process is not None and self.process.exited()
