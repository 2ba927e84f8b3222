"""Probes that only read: addresses, credential, project, listings, clock, and permissions that answer 404.

A probe that makes no sense after an earlier failure is left out, so that one cause gives one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from vssync.api.errors import missing_from_list_error
from vssync.api.http import Plane, url_path
from vssync.api.parse import Probe
from vssync.commands.doctor.finding import (
    POLICY_DELAY,
    Emit,
    Finding,
    FindingKind,
    failed,
    ok,
    policy_statement,
    warning,
)
from vssync.commands.session import Session
from vssync.errors import AccessDenied, NotFound, ServiceError
from vssync.limits import CLOCK_SKEW
from vssync.model.plan import Options
from vssync.model.state import LiveStore
from vssync.planner.find_stores import match_stores

_TOLERATED_SKEW = 60  # seconds by which a clock may be off without a warning
_NEW_STORE_SECONDS = 120  # for which a new store may be unknown at the data address
_MAX_PROBED_STORES, _MAX_PROBED_FILES = 5, 3


def run_read_probes(
    session: Session, emit: Emit, now: Callable[[], float], *, lists_batches: bool = True
) -> tuple[LiveStore, ...] | None:
    """All stores, after every probe; None where they cannot be listed. `now` is this machine's clock.

    `lists_batches`: whether to look at batches here, where no write probe does it better.
    """
    probes: dict[Plane, Probe] = {}
    skew: float | None = None  # read when an answer arrives, since retries can take minutes
    for plane, path in ((Plane.CONTROL, "/vector_stores"), (Plane.DATA, "/files")):
        probes[plane] = session.client.probe(path, plane)
        if not probes[plane].error and session.client.service_date is not None:
            skew = now() - session.client.service_date
    for finding in _connections(session, probes):
        emit(finding)
    if all(_is_unanswered(probe) for probe in probes.values()):
        return None
    for finding in _credential(session, probes):
        emit(finding)
    project = _project(session, probes[Plane.DATA])
    for optional in (project, _clock(session, skew)):
        if optional:
            emit(optional)
    if project and project.kind is FindingKind.FAILED and _have_same_error(probes):
        return None
    stores = _list_stores(session, probes, emit)
    if stores:
        managed = managed_stores(session, stores)
        for key, store in list(managed.items())[:_MAX_PROBED_STORES]:
            emit(_store_files(session, key, store))
            if connected := _connector_files(session, key, store):
                emit(connected)
        if lists_batches:
            emit(_batches(session, next(iter(managed.values()), stores[0])))
    return stores


def managed_stores(session: Session, stores: tuple[LiveStore, ...]) -> dict[str, LiveStore]:
    by_id = {store.id: store for store in stores}
    ids = match_stores(session.loaded.desired, stores, Options()).ids
    return {key: by_id[store_id] for key, store_id in ids.items() if store_id in by_id}


def _is_unanswered(probe: Probe) -> bool:
    """No answer came, or one that is not the service's."""
    return probe.error is not None and probe.error.answer.status in (0, 200)


def _have_same_error(probes: dict[Plane, Probe]) -> bool:
    errors = [probe.error for probe in probes.values()]
    return all(errors) and len({(error.answer.status, error.answer.message) for error in errors if error}) == 1


def _connections(session: Session, probes: dict[Plane, Probe]) -> list[Finding]:
    """One line a host: its name resolves, its certificate is trusted, and the service answers behind it."""
    if session.endpoint.embedded:
        return [ok("connection", "in this process")]
    urls = {Plane.CONTROL: urlsplit(session.endpoint.control_url), Plane.DATA: urlsplit(session.endpoint.data_url)}
    findings: dict[str, Finding] = {}
    for plane, probe in probes.items():
        url = urls[plane]
        tls = "over TLS" if url.scheme == "https" else "without TLS"
        if _is_unanswered(probe):
            findings[url.netloc] = failed("connection", str(probe.error))
        elif url.netloc not in findings:
            findings[url.netloc] = ok("connection", f"{url.netloc}: answers {tls} in {probe.seconds * 1000:,.0f} ms")
    return list(findings.values())


def _credential(session: Session, probes: dict[Plane, Probe]) -> Iterator[Finding]:
    """Whether the credentials are accepted. One that files accept is, and `_list_stores` tells what stores say."""
    has_one = session.endpoint.control_auth is None
    denials = {plane: probe.error for plane, probe in probes.items() if isinstance(probe.error, AccessDenied)}
    if has_one and probes[Plane.DATA].error is None:
        denials = {}
    for plane, error in list(denials.items())[: 1 if has_one else 2]:
        yield failed("credential", str(error), *_policy_advice(session, error, plane))
    if not denials:
        yield ok("credential", "accepted" if session.credential or session.control_credential else "none needed")


def _policy_advice(session: Session, error: ServiceError | None = None, plane: Plane = Plane.DATA) -> tuple[str, ...]:
    """What to put into a policy, where the provider has policies and one may be missing.

    Not where the error has a cause in how the service is written, such as an address without its version. Without an
    error it was a bare 404.
    """
    is_explained = error and any(hint.way_out in str(error) for hint in session.endpoint.hints)
    status = error.answer.status if error else 404
    if not session.endpoint.provider.has_policies or status not in (403, 404) or is_explained:
        return ()
    kind = session.endpoint.auth_kinds[plane is Plane.CONTROL]
    statement = policy_statement(kind, session.loaded.desired.service.compartment)
    return ("A policy must say (for plans alone, `read` should do in place of `manage`):", statement, POLICY_DELAY)


def _project(session: Session, probe: Probe) -> Finding | None:
    project = session.loaded.desired.service.project
    if not project or _is_unanswered(probe) or isinstance(probe.error, AccessDenied):
        return None
    if probe.error:
        control_url, way_out = session.endpoint.control_url, list[str]()
        if control_url != session.endpoint.data_url and session.client.probe("/files", Plane.CONTROL).error is None:
            way_out = [f"The store address lists files: set `data_url: {control_url}`."]
        return failed("project", str(probe.error), *(way_out or _policy_advice(session, probe.error)))
    return ok("project", f"accepted: {project}")


def _clock(session: Session, skew: float | None) -> Finding | None:
    if session.endpoint.embedded or skew is None:
        return None
    seconds = abs(skew)
    if seconds <= _TOLERATED_SKEW:
        return ok("clock", f"within {seconds:,.0f} s of the service's")
    kind = failed if any(kind.signs for kind in session.endpoint.auth_kinds) and seconds > CLOCK_SKEW else warning
    text = f"this machine's is {seconds:,.0f} s {'ahead of' if skew > 0 else 'behind'} the service's"
    return kind("clock", text, "Set it, for example with `timedatectl set-ntp true`.")


def _list_stores(session: Session, probes: dict[Plane, Probe], emit: Emit) -> tuple[LiveStore, ...] | None:
    """The listing, and whether the other address serves it too: sources disagree about OCI's."""
    endpoint, client = session.endpoint, session.client
    if _is_unanswered(probes[Plane.CONTROL]) or isinstance(probes[Plane.DATA].error, AccessDenied):
        return None
    is_elsewhere = endpoint.control_url != endpoint.data_url and client.probe("/vector_stores").error is None
    stores: tuple[LiveStore, ...] = ()
    error: ServiceError | None
    try:
        stores = client.list_stores()
        error = client.stores_denied
    except ServiceError as raised:
        error = raised
    if error and not stores:
        is_told = isinstance(error, AccessDenied) and endpoint.control_auth is not None
        way_out = [f"The data address lists stores: set `control_url: {endpoint.data_url}`."] if is_elsewhere else []
        if way_out or not is_told:
            emit(failed("list stores", str(error), *(way_out or _policy_advice(session, error, Plane.CONTROL))))
        return None
    found, declared = len(managed_stores(session, stores)), len(session.loaded.desired.stores)
    also = "; the data address lists them too" if is_elsewhere else ""
    if error:
        text = f"{error}; of this manifest's {declared:,}, {found:,} can be used by their `id`"
        emit((ok if found == declared else warning)("list stores", text))
    else:
        emit(ok("list stores", f"{len(stores):,} listed, {found:,} of this manifest's {declared:,}{also}"))
    return stores


def _store_files(session: Session, key: str, store: LiveStore) -> Finding:
    """Whether a store's files can be listed. A 404 means that the store is new, or that a permission is missing."""
    try:
        if session.client.can_list_files(store.id):
            return ok("list files", f"{key} ({store.id}): its files can be listed")
    except ServiceError as error:
        return failed("list files", f"{key}: {error}", *_policy_advice(session, error))
    text = f"{key} ({store.id}): the service lists the store, but answers 404 for its files"
    if (session.client.service_date or 0) - store.created_at < _NEW_STORE_SECONDS:
        return warning("list files", text, "The store is new: try again in a minute.")
    return failed("list files", text, "A missing permission answers 404 as well.", *_policy_advice(session))


def _connector_files(session: Session, key: str, store: LiveStore) -> Finding | None:
    """A warning where another program feeds the store: files of a connector are listed there, and are no Files."""
    with suppress(ServiceError):
        unmarked = [file for file in session.client.list_newest_files(store.id) if file.mark is None]
        for file in unmarked[:_MAX_PROBED_FILES]:
            with suppress(NotFound):
                if session.client.get_upload(file.id).is_connector_file:
                    text = f"{key} ({store.id}): a connector puts files into it, and searches find them, too"
                    return warning("connectors", text, "vssync leaves them alone: they cannot be adopted or replaced.")
    return None


def _batches(session: Session, store: LiveStore) -> Finding:
    error = session.client.probe(url_path("vector_stores", store.id, "file_batches")).error
    if error is None:
        return ok("list batches", "supported")
    if missing_from_list_error(error) is None:
        return failed("list batches", str(error), *_policy_advice(session, error))
    text = f"not supported, or not permitted ({error.answer.status}): vssync finds only batches noted in the store"
    if not session.capabilities.list_batches:
        return ok("list batches", text)
    return warning("list batches", text, "To save requests, set `list_batches: false` under `service.capabilities`.")
