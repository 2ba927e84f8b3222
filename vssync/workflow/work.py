"""A manifest loaded and its service connected: what every verb begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vssync import auth, settings, sources
from vssync.api import Client, Clock, SystemClock, connect
from vssync.endpoints import Endpoint, resolve
from vssync.model import Capabilities, ServiceSpec
from vssync.settings import Settings
from vssync.sources import Loaded
from vssync.threads import Pool

Hashed = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Line:
    """A service connected, with or without a manifest."""

    endpoint: Endpoint
    client: Client
    pool: Pool
    credential: auth.Credential | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A manifest loaded and its service connected."""

    settings: Settings
    loaded: Loaded
    endpoint: Endpoint
    client: Client
    pool: Pool
    credential: auth.Credential | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the manifest says the service can do; what it does not say is found out while running."""
        return Capabilities(**self.loaded.desired.service.capabilities)


def load(given: Settings, *, hashed: bool = True, on_hashed: Hashed | None = None) -> Loaded:
    """The manifest, resolved against the files it names; ManifestError with every problem otherwise."""
    return sources.load(
        Path(given.manifest),
        env=given.env,
        variables=given.variables,
        allow_outside=given.allow_outside,
        hashed=hashed,
        on_hashed=on_hashed,
    )


@contextmanager
def begin(given: Settings, loaded: Loaded, *, clock: Clock | None = None) -> Iterator[Work]:
    """Connects to a loaded manifest's service; closes it on both ways out."""
    with connected(given, loaded.desired.service, Path(given.manifest), clock=clock) as line:
        yield Work(given, loaded, line.endpoint, line.client, line.pool, line.credential)


@contextmanager
def connected(given: Settings, service: ServiceSpec, beside: Path, *, clock: Clock | None = None) -> Iterator[Line]:
    """Connects to a service; the embedded one is that of the manifest, or of the folder, `beside`."""
    endpoint = resolve(service, given.who, given.environment)
    workers = given.threads(endpoint)
    credential = None if endpoint.embedded else auth.make(endpoint, given.environment, ask=given.ask)
    client = connect(
        endpoint,
        auth=credential,
        clock=clock or SystemClock(),
        workers=workers,
        transport=settings.embedded(_manifest(beside)) if endpoint.embedded else None,
        limits=given.limits,
    )
    try:
        with Pool(workers) as pool:
            yield Line(endpoint, client, pool, credential)
    finally:
        client.close()


def prepare(work: Work) -> None:
    """Makes room for the first write; VssyncError where the embedded service's folder cannot be made."""
    if work.endpoint.embedded:
        settings.embedded(_manifest(Path(work.settings.manifest)), create=True).close()


def _manifest(beside: Path) -> Path:
    return beside / sources.FILE if beside.is_dir() else beside
