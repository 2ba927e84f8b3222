"""What a run takes from options and environment, and its connection to a service, with or without a manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import httpx

from vssync import auth
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.rate_limit import Clock
from vssync.auth.credential import Credential
from vssync.auth.profile import read_realms
from vssync.endpoints import Caller, Endpoint, project_problem, resolve_endpoint
from vssync.errors import UsageProblem, VssyncError
from vssync.journal.folder import journal_folder, read_search_capability, state_folder
from vssync.manifest.diagnostics import Diagnostic, raise_if_any
from vssync.manifest.rules import find_unedited_fields
from vssync.model.service import Capabilities, ServiceSpec
from vssync.providers import PROVIDERS
from vssync.sources.convert import Converter
from vssync.sources.load import MANIFEST_NAME, LoadedManifest, find_manifest, load_sources
from vssync.sources.paths import find_work_tree
from vssync.sources.read import LoadOptions
from vssync.threads import Pool

_FIRST_WORKERS, _MOST_WORKERS = 8, 32  # as many as the service bears
_EMBEDDED_WORKERS = 2  # more threads do not make the embedded service faster


@dataclass(frozen=True)
class Settings:
    """Who runs this, on which manifest, and how. The command line reads the environment once, for all code below it."""

    manifest: str = "."
    env: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    batches_in_flight: int = 8  # of one store, at once
    limits: str = ""  # changes to the provider's rate limits, such as `uploads=500`
    caller: Caller = field(default_factory=Caller)
    allow_outside: tuple[Path, ...] = ()
    allow_large: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""  # where documents are converted, if not on this machine
    ask_passphrase: Callable[[str], str] | None = None  # where a person is at a terminal

    def worker_count(self, endpoint: Endpoint) -> int:
        """How many threads to use for a service, at most."""
        return self.workers or (_EMBEDDED_WORKERS if endpoint.embedded else _MOST_WORKERS)

    @cached_property
    def converter(self) -> Converter:
        """What converts documents, with a cache in the state folder; without one where that cannot be used."""
        folder = None
        with suppress(VssyncError, OSError):
            manifest = Path(os.path.realpath(self.manifest))
            tree = find_work_tree(manifest if manifest.is_dir() else manifest.parent)
            folder = state_folder(self.environment, tree) / "conversions"
        return Converter(self.engine, folder)

    @property
    def words(self) -> tuple[str, ...]:
        """The options of the command line that reach this manifest's files and service, for a command to type next.

        A command that prints a token is not among them: plans hold these words, and its arguments may be secret.
        """
        caller = self.caller
        options = (
            *(("--allow-outside", folder.as_posix()) for folder in self.allow_outside),
            *(("--auth", caller.auth), ("--control-auth", caller.control_auth)),
            *(("--profile", caller.profile), ("--region", caller.region)),
            *(("--allow-host", host) for host in caller.allow_hosts),
            *(("--allow-http", host) for host in caller.allow_http),
            *(("--workers", str(self.workers or "")), ("--limits", self.limits)),
        )
        words = (word for option, value in options if value for word in (option, value))
        return (*words, *(["--allow-large"] if self.allow_large else []))


def parse_variables(texts: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping. Raises UsageProblem for one without `=`."""
    variables = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageProblem(f"--var {text}: must be NAME=VALUE")
        variables[name] = value
    return variables


def _open_embedded(manifest: Path, *, create: bool = False) -> httpx.BaseTransport:
    """The local service beside a manifest, as a transport that closes it.

    Its folder is created now with `create`, otherwise by the first write. Raises VssyncError where it cannot be used.
    """
    from vssync.local.app import open_service
    from vssync.local.errors import LocalDataError
    from vssync.local.transport import LocalTransport

    try:
        service = open_service(embedded_folder(manifest), create=create)
    except LocalDataError as error:
        raise VssyncError(str(error)) from error
    return LocalTransport(service, service.close)


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection to a service."""

    endpoint: Endpoint
    client: Client
    pool: Pool
    credential: Credential | None = None
    control_credential: Credential | None = None  # for stores; mostly the same


@dataclass(frozen=True)
class Session:
    """A loaded manifest, and a connection to its service."""

    settings: Settings
    loaded: LoadedManifest
    endpoint: Endpoint
    client: Client
    pool: Pool
    credential: Credential | None = None
    control_credential: Credential | None = None

    def __post_init__(self) -> None:
        stores = (*self.loaded.desired.stores, *self.loaded.desired.removed)
        self.client.pinned_stores = {store.id: store.name for store in stores if store.id}

    @cached_property
    def state_folder(self) -> Path:
        """Where this machine keeps the journal of this manifest and service; it need not exist."""
        folder = find_manifest(Path(self.settings.manifest)).parent
        owner, work_tree = self.loaded.desired.owner, find_work_tree(folder.resolve())
        return journal_folder(self.endpoint, owner, folder, work_tree, self.settings.environment)

    @property
    def capabilities(self) -> Capabilities:
        """What the service is capable of, by the manifest, its provider and earlier applies of this machine."""
        capabilities = self.loaded.desired.service.declared_capabilities
        if capabilities.updates_reach_search is None:
            return replace(capabilities, updates_reach_search=read_search_capability(self.state_folder))
        return capabilities


def load_manifest(
    settings: Settings, *, hashed: bool = True, on_hashed: Callable[[int, int], None] | None = None
) -> LoadedManifest:
    """The manifest, resolved against the files it names. Raises ManifestError with every problem."""
    loaded = load_sources(
        Path(settings.manifest),
        env=settings.env,
        variables=settings.variables,
        allow_outside=settings.allow_outside,
        allow_large=settings.allow_large,
        options=LoadOptions(hashed=hashed, on_hashed=on_hashed, converter=settings.converter),
    )
    service = loaded.desired.service
    diagnostics = find_unedited_fields(service)
    if problem := project_problem(service, settings.caller, settings.environment):
        diagnostics = (*diagnostics, Diagnostic(("service", "project"), problem))
    raise_if_any(loaded.manifest.documents, diagnostics)
    return loaded


def find_endpoint(settings: Settings, service: ServiceSpec) -> Endpoint:
    """The endpoint of a service for whoever runs this. Raises as `resolve_endpoint` does."""
    provider = PROVIDERS.get(service.provider)
    realms = read_realms(settings.environment) if provider and provider.regions else {}
    return resolve_endpoint(service, replace(settings.caller, realms=realms), settings.environment)


@contextmanager
def open_session(settings: Settings, loaded: LoadedManifest, *, clock: Clock | None = None) -> Iterator[Session]:
    """Connects to a loaded manifest's service while the block runs. The session's service has the region asked."""
    service = loaded.desired.service
    with open_connection(settings, service, Path(settings.manifest), clock=clock) as connection:
        if connection.endpoint.region and not service.data_url:  # an option or a variable may name another one
            service = replace(service, region=connection.endpoint.region)
            loaded = replace(loaded, desired=replace(loaded.desired, service=service))
        values = {field.name: getattr(connection, field.name) for field in fields(connection)}
        yield Session(settings, loaded, **values)


@contextmanager
def open_connection(
    settings: Settings, service: ServiceSpec, beside: Path, *, clock: Clock | None = None
) -> Iterator[Connection]:
    """Connects to a service while the block runs; the embedded one lies `beside` a manifest, or in a folder."""
    endpoint = find_endpoint(settings, service)
    workers = settings.worker_count(endpoint)
    credentials = auth.create_credentials(endpoint, settings.environment, ask=settings.ask_passphrase)
    client = connect(
        endpoint,
        auth=credentials,
        clock=clock or Clock(),
        workers=workers,
        first_workers=0 if settings.workers else _FIRST_WORKERS,
        transport=_open_embedded(_manifest_file(beside)) if endpoint.embedded else None,
        limits=settings.limits,
    )
    try:
        with Pool(workers) as pool:
            yield Connection(endpoint, client, pool, *credentials)
    finally:
        client.close()


def prepare_for_writes(session: Session) -> None:
    """Creates the embedded service's folder. Raises VssyncError where it cannot be created."""
    if session.endpoint.embedded:
        _open_embedded(_manifest_file(Path(session.settings.manifest)), create=True).close()


def embedded_folder(manifest: Path) -> Path:
    return _manifest_file(manifest).parent / ".vssync" / "local"


def _manifest_file(beside: Path) -> Path:
    return beside / MANIFEST_NAME if beside.is_dir() else beside  # or `.yml`: only its folder matters
