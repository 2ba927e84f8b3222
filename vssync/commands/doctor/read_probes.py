"""Probes that only read: addresses, credential, project, listings, clock, and permissions that answer 404.

A probe that makes no sense after an earlier failure is left out, so that one cause gives one line.
"""

from __future__ import annotations

from collections.abc import Callable
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
from vssync.errors import AccessDenied, ServiceError
from vssync.limits import CLOCK_SKEW
from vssync.model.plan import Options
from vssync.model.state import LiveStore
from vssync.planner.find_stores import match_stores

_TOLERATED_SKEW = 60  # seconds by which a clock may be off without a warning
_NEW_STORE_SECONDS = 120  # for which a new store may be unknown at the data address
_MAX_PROBED_STORES = 5


def run_read_probes(session: Session, emit: Emit, now: Callable[[], float]) -> tuple[LiveStore, ...] | None:
    """All stores, after every probe; None where they cannot be listed. `now` is this machine's clock."""
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
    emit(_credential(session, probes))
    project = _project(session, probes[Plane.DATA])
    for optional in (project, _clock(session, skew)):
        if optional:
            emit(optional)
    if project and project.kind is FindingKind.FAILED and _have_same_error(probes):
        return None
    stores = _list_stores(session, probes[Plane.CONTROL], emit)
    if stores:
        managed = managed_stores(session, stores)
        for key, store in list(managed.items())[:_MAX_PROBED_STORES]:
            emit(_store_files(session, key, store))
        emit(_batches(session, next(iter(managed.values()), stores[0])))
    return stores


def managed_stores(session: Session, stores: tuple[LiveStore, ...]) -> dict[str, LiveStore]:
    """The live stores of the manifest, by their keys."""
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


def _credential(session: Session, probes: dict[Plane, Probe]) -> Finding:
    denials = [probe.error for probe in probes.values() if isinstance(probe.error, AccessDenied)]
    if not denials:
        return ok("credential", "accepted" if session.credential else "none needed")
    return failed("credential", str(denials[0]), *_policy_advice(session, denials[0].answer.status))


def _policy_advice(session: Session, status: int) -> tuple[str, ...]:
    """What to put into a policy, where the provider has policies and one may be missing."""
    if not session.endpoint.provider.has_policies or status not in (403, 404):
        return ()
    compartment = session.loaded.desired.service.compartment
    return ("A policy must say:", policy_statement(session.endpoint.auth, compartment), POLICY_DELAY)


def _project(session: Session, probe: Probe) -> Finding | None:
    """Whether the data address accepts the project. A project of another region is refused in misleading words."""
    project = session.loaded.desired.service.project
    if not project or _is_unanswered(probe) or isinstance(probe.error, AccessDenied):
        return None
    region, expected = region_of(project), session.endpoint.region
    if region and expected and region != expected:
        way_out = f"Name a project of {expected}, or the region of this one."
        return failed("project", f"its OCID is of region {region}, but the endpoint of {expected}", way_out)
    if probe.error:
        return failed("project", str(probe.error), *_policy_advice(session, probe.error.answer.status))
    return ok("project", f"accepted: {project}")


def region_of(ocid: str) -> str:
    """The region an OCID names in full; empty where it names none, or by a short key."""
    parts = ocid.split(".")
    return parts[3] if len(parts) > 4 and "-" in parts[3] else ""


def _clock(session: Session, skew: float | None) -> Finding | None:
    if session.endpoint.embedded or skew is None:
        return None
    seconds = abs(skew)
    if seconds <= _TOLERATED_SKEW:
        return ok("clock", f"within {seconds:,.0f} s of the service's")
    kind = failed if session.endpoint.auth.signs and seconds > CLOCK_SKEW else warning
    text = f"this machine's is {seconds:,.0f} s {'ahead of' if skew > 0 else 'behind'} the service's"
    return kind("clock", text, "Set it, for example with `timedatectl set-ntp true`.")


def _list_stores(session: Session, probe: Probe, emit: Emit) -> tuple[LiveStore, ...] | None:
    """The listing, and whether the other address serves it too: sources disagree about OCI's."""
    has_two_urls = session.endpoint.control_url != session.endpoint.data_url
    is_elsewhere = has_two_urls and session.client.probe("/vector_stores").error is None
    if isinstance(probe.error, AccessDenied) or _is_unanswered(probe):
        return None
    stores: tuple[LiveStore, ...] = ()
    error: ServiceError | None
    try:
        stores = session.client.list_stores()
        error = session.client.stores_denied
    except ServiceError as raised:
        error = raised
    if error:
        way_out = f"The data address lists stores: set `control_url: {session.endpoint.data_url}`."
        advice = _policy_advice(session, error.answer.status)
        emit(failed("list stores", str(error), *([way_out] if is_elsewhere else []), *advice))
        return None
    found, declared = len(managed_stores(session, stores)), len(session.loaded.desired.stores)
    also = "; the data address lists them too" if is_elsewhere else ""
    emit(ok("list stores", f"{len(stores):,} listed, {found:,} of this manifest's {declared:,}{also}"))
    return stores


def _store_files(session: Session, key: str, store: LiveStore) -> Finding:
    """Whether a store's files can be listed. A 404 means that the store is new, or that a permission is missing."""
    try:
        if session.client.is_ready(store.id):
            return ok("list files", f"{key} ({store.id}): its files can be listed")
    except ServiceError as error:
        return failed("list files", f"{key}: {error}", *_policy_advice(session, error.answer.status))
    text = f"{key} ({store.id}): the service lists the store, but answers 404 for its files"
    if (session.client.service_date or 0) - store.created_at < _NEW_STORE_SECONDS:
        return warning("list files", text, "The store is new: try again in a minute.")
    return failed("list files", text, "A missing permission answers 404 as well.", *_policy_advice(session, 404))


def _batches(session: Session, store: LiveStore) -> Finding:
    error = session.client.probe(url_path("vector_stores", store.id, "file_batches")).error
    if error is None:
        return ok("list batches", "supported")
    if missing_from_list_error(error) is None:
        return failed("list batches", str(error), *_policy_advice(session, error.answer.status))
    text = f"not supported, or not permitted ({error.answer.status}): vssync finds only batches noted in the store"
    if not session.capabilities.list_batches:
        return ok("list batches", text)
    return warning("list batches", text, "To save requests, set `list_batches: false` under `service.capabilities`.")
