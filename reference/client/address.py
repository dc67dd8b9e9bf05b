"""Where a request goes: URLs taken apart, and which of them a signature may travel to."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

from reference.wire.errors import ProtocolError

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = re.compile(r"127\.[0-9]+\.[0-9]+\.[0-9]+")
_PRINTABLE = re.compile(r"[!-~]+")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<user>[^/?#@]*@)?"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^/?#@:\[\]]+))(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<target>(?:/[^?#]*)?(?:\?[^#]*)?)(?:#.*)?"
)


class Origin(NamedTuple):
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
    found = _URL.fullmatch(url)
    scheme = found["scheme"].lower() if found else ""
    if found is None or scheme not in _PORTS or int(found["port"] or 0) > 65535:
        raise ProtocolError("invalid", "a URL begins with http:// or https:// and a host")
    if found["user"] is not None:
        raise ProtocolError("invalid", "a URL holds no user: requests are signed with your key")
    target: str = found["target"].removesuffix("?")
    target = target if target.startswith("/") else "/" + target
    host = (found["six"] or found["name"]).lower()
    return Origin(scheme, host, int(found["port"] or 0) or _PORTS[scheme]), target


def quoted(text: str) -> str:
    """A text as the value of a query."""
    return "".join(
        chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in text.encode()
    )


def split_repository(url: str) -> tuple[Origin, str, str]:
    """A repository's URL as its server, owner and slug."""
    origin, target = split(url)
    segments = target.strip("/").split("/")
    if len(segments) != 2 or not all(segments) or "?" in target:
        raise ProtocolError("invalid", f"{url}: expected http(s)://host/owner/slug")
    return origin, segments[0], segments[1]
