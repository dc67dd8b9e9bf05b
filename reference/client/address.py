"""Where a request goes: URLs taken apart, and which of them a signature may travel to."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from reference.wire.errors import ProtocolError

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = re.compile(r"127\.[0-9]+\.[0-9]+\.[0-9]+")
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host and a port: what one connection leads to."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def stays_here(self) -> bool:
        """Whether what is sent there does not leave this machine, by its name alone."""
        name = self.host.removeprefix("::ffff:")
        return name in ("localhost", "::1") or _LOOPBACK.fullmatch(name) is not None

    def addresses(self) -> list[str]:
        """The host's numeric addresses."""
        try:  # as bytes: a text would import the tables of international names
            found = socket.getaddrinfo(self.host.encode(), self.port, type=socket.SOCK_STREAM)
        except OSError as problem:
            raise unreachable(self, problem) from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def unreachable(origin: Origin, why: object) -> ProtocolError:
    """No answer came; a URL's path and query, which may be secrets, are never told."""
    detail = getattr(why, "strerror", None) or str(why) or type(why).__name__
    return ProtocolError("io", f"{origin} cannot be reached: {detail}", remote=True)


def split(url: object) -> tuple[Origin, str]:
    """An absolute URL as its origin and its request target."""
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url):
        raise ProtocolError("invalid", "a URL has printable ASCII characters only")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ProtocolError("invalid", "that is no URL") from None
    if parts.scheme not in _PORTS or not host:
        raise ProtocolError("invalid", "a URL begins with http:// or https:// and a host")
    if parts.username is not None:
        raise ProtocolError("invalid", "a URL holds no user: requests are signed with your key")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(parts.scheme, host, port or _PORTS[parts.scheme]), target


def split_repository(url: str) -> tuple[Origin, str, str]:
    """A repository's URL as its server, owner and slug."""
    origin, target = split(url)
    segments = target.strip("/").split("/")
    if len(segments) != 2 or not all(segments) or "?" in target:
        raise ProtocolError("invalid", f"{url}: expected http(s)://host/owner/slug")
    return origin, segments[0], segments[1]
