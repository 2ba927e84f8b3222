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


def embedded(manifest: Path) -> httpx.BaseTransport:
    """The local service beside a manifest, as a transport that closes it.

    Raises VssyncError for a folder that cannot be used, or that a link leads out of the manifest's: a checkout is text
    that anybody may propose.
    """
    from vssync.local import LocalDataError, LocalTransport, open_service

    folder = manifest.parent / ".vssync" / "local"
    if not folder.resolve().is_relative_to(manifest.parent.resolve()):
        raise VssyncError(f"{folder}: leads out of the manifest's folder; remove the link")
    try:
        service = open_service(folder)
    except LocalDataError as error:
        raise VssyncError(str(error)) from error
    return LocalTransport(service, service.close)
