"""Addresses of services: parsed so that no two readers disagree about the host, and which of them are loopback.

Pure. Whether a host may receive a credential is decided in `endpoints`, what goes past a proxy in `api`; both ask here.
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

HOST = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,250}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]"
PORTS = {"https": 443, "http": 80}
_URL = re.compile(rf"([A-Za-z]+)://({HOST})(?::([0-9]{{1,5}}))?((?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)/?")
# What a resolver may take for an IP address, such as 0x7f.1 and 127.1: it must be one in its usual spelling.
_NUMERIC = re.compile(r"\[.*|(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

_NO_PROXY = re.compile(r"(?:[a-z]+://)?(\[[0-9a-f:.]+\]|[a-z0-9*._-]*[a-z0-9*])(?::([0-9]{1,5}))?/?")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart; no part of it can be read in two ways. The host is in lower case."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}"

    def is_among(self, hosts: frozenset[str]) -> bool:
        """Whether this is one of these hosts, which are with or without a port."""
        return not hosts.isdisjoint((self.host, f"{self.host}:{self.port}"))

    @property
    def is_local(self) -> bool:
        """Whether a connection cannot leave this machine. A name below localhost can, where a resolver answers it."""
        return is_loopback(self.host) and not self.host.endswith(".localhost")


def parse_address(url: str) -> Address | None:
    """The address a URL is, by a narrow grammar; None for anything else."""
    match = _URL.fullmatch(url)
    if not match:
        return None
    scheme, host, port, path = match.group(1).lower(), match.group(2).lower(), match.group(3), match.group(4)
    if scheme not in PORTS or not 0 < int(port or 1) < 65536 or (_NUMERIC.fullmatch(host) and not _ip(host)):
        return None
    return Address(scheme, host, int(port or PORTS[scheme]), path)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without brackets, is this machine: no proxy may stand between.

    The unspecified addresses 0.0.0.0 and :: connect to this machine, too.
    """
    name = host.strip("[]").rstrip(".").lower()
    ip = _ip(name)
    if ip is None:
        return name == "localhost" or name.endswith(".localhost")
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_loopback or ip.is_unspecified


def read_no_proxy(text: str, host: str, port: int) -> tuple[bool, tuple[str, ...]]:
    """Whether a value of NO_PROXY keeps this host and port from a proxy, and its entries that cannot be read.

    An entry is a host, a domain (with or without `.` or `*.` before it), any other pattern with `*`, an IP address or a
    network, with or without brackets and a port, as curl, Go and requests take them; a scheme before it is ignored.
    """
    name, is_direct, unreadable = host.strip("[]").rstrip(".").lower(), False, []
    address = _ip(name)
    for entry in filter(None, re.split(r"[,\s]+", text.lower())):
        with suppress(ValueError):
            network = ipaddress.ip_network(re.sub(r"^\[(.*)\](?=/|$)", r"\1", entry), strict=False)
            is_direct |= address is not None and address in network
            continue
        if not (match := _NO_PROXY.fullmatch(entry)):
            unreadable.append(entry)
            continue
        pattern, has_port = match.group(1).strip("[]").rstrip("."), match.group(2) in (None, str(port))
        is_same = address is not None and address == _ip(pattern)
        is_below = address is None and f".{name}".endswith(f".{pattern.removeprefix('*').removeprefix('.')}")
        is_direct |= has_port and (is_same or is_below or fnmatchcase(name, pattern))
    return is_direct, tuple(unreadable)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
