"""Everything a run takes from flags and environment, in one frozen value, and the embedded service's place.

The environment is read once, by the command line; everything below gets it as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from vssync import auth
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.rate_limit import Clock
from vssync.auth.credential import Credential
from vssync.endpoints import Caller, Endpoint, resolve_endpoint
from vssync.errors import UsageProblem, VssyncError
from vssync.model.state import Capabilities, ServiceSpec
from vssync.sources.load import MANIFEST_NAME, LoadedManifest, load_sources
from vssync.threads import Pool

_WORKERS, _EMBEDDED_WORKERS = 16, 2  # more threads do not make a service in this process faster


@dataclass(frozen=True, slots=True)
class Settings:
    """Who runs this, on which manifest, and how; never part of a plan."""

    manifest: str = "."
    env: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    limits: str = ""  # changes to the provider's rate limits, as `uploads=500`
    who: Caller = field(default_factory=Caller)
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
    from vssync.local.app import open_service
    from vssync.local.errors import LocalDataError
    from vssync.local.transport import LocalTransport

    try:
        service = open_service(manifest.parent / ".vssync" / "local", create=create)
    except LocalDataError as error:
        raise VssyncError(str(error)) from error
    return LocalTransport(service, service.close)


Hashed = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Connection:
    """A service connected, with or without a manifest."""

    endpoint: Endpoint
    client: Client
    pool: Pool
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A manifest loaded and its service connected."""

    settings: Settings
    loaded: LoadedManifest
    endpoint: Endpoint
    client: Client
    pool: Pool
    credential: Credential | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the manifest says the service can do; what it does not say is found out while running."""
        return self.loaded.desired.service.declared_capabilities


def load_manifest(given: Settings, *, hashed: bool = True, on_hashed: Hashed | None = None) -> LoadedManifest:
    """The manifest, resolved against the files it names; ManifestError with every problem otherwise."""
    return load_sources(
        Path(given.manifest),
        env=given.env,
        variables=given.variables,
        allow_outside=given.allow_outside,
        hashed=hashed,
        on_hashed=on_hashed,
    )


@contextmanager
def open_session(given: Settings, loaded: LoadedManifest, *, clock: Clock | None = None) -> Iterator[Session]:
    """Connects to a loaded manifest's service; closes it on both ways out."""
    with open_connection(given, loaded.desired.service, Path(given.manifest), clock=clock) as line:
        yield Session(given, loaded, line.endpoint, line.client, line.pool, line.credential)


@contextmanager
def open_connection(
    given: Settings, service: ServiceSpec, beside: Path, *, clock: Clock | None = None
) -> Iterator[Connection]:
    """Connects to a service; the embedded one is that of the manifest, or of the folder, `beside`."""
    endpoint = resolve_endpoint(service, given.who, given.environment)
    workers = given.threads(endpoint)
    credential = None if endpoint.embedded else auth.create_credential(endpoint, given.environment, ask=given.ask)
    client = connect(
        endpoint,
        auth=credential,
        clock=clock or Clock(),
        workers=workers,
        transport=embedded(_manifest(beside)) if endpoint.embedded else None,
        limits=given.limits,
    )
    try:
        with Pool(workers) as pool:
            yield Connection(endpoint, client, pool, credential)
    finally:
        client.close()


def prepare(work: Session) -> None:
    """Makes room for the first write; VssyncError where the embedded service's folder cannot be made."""
    if work.endpoint.embedded:
        embedded(_manifest(Path(work.settings.manifest)), create=True).close()


def _manifest(beside: Path) -> Path:
    return beside / MANIFEST_NAME if beside.is_dir() else beside
