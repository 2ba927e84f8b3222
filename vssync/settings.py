"""Everything a run takes from flags and environment, in one frozen value, and the embedded service's place.

The environment is read once, by the command line; everything below gets it as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from vssync.endpoints import Endpoint, Who
from vssync.errors import UsageProblem, VssyncError

_WORKERS, _EMBEDDED_WORKERS = 16, 2  # more threads do not make a service in this process faster


@dataclass(frozen=True, slots=True)
class Settings:
    """Who runs this, on which manifest, and how; never part of a plan."""

    manifest: str = "."
    env: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    limits: str = ""  # changes to the provider's rate limits, as `uploads=500`
    who: Who = field(default_factory=Who)
    allow_outside: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ask: Callable[[str], str] | None = None  # a passphrase, from a person at a terminal

    def threads(self, endpoint: Endpoint) -> int:
        """How many threads to use for a service."""
        return self.workers or (_EMBEDDED_WORKERS if endpoint.embedded else _WORKERS)


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` flags as a mapping.

    Raises UsageProblem for one without `=`.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageProblem(f"--var {text}: must be NAME=VALUE")
        found[name] = value
    return found


def embedded(manifest: Path, *, create: bool = False) -> httpx.BaseTransport:
    """The local service beside a manifest, as a transport that closes it.

    Its folder is made now with `create`, otherwise by the first write. Raises VssyncError for one that cannot be used.
    """
    from vssync.local import LocalDataError, LocalTransport, open_service

    try:
        service = open_service(manifest.parent / ".vssync" / "local", create=create)
    except LocalDataError as error:
        raise VssyncError(str(error)) from error
    return LocalTransport(service, service.close)
