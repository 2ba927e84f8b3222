"""Probes that only read: addresses, credential, project, listings, clock, and permissions that answer 404.

A probe that makes no sense where an earlier one failed is left out, so that one cause gives one line.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from vssync.api.errors import missing_from_list_error
from vssync.api.http import Plane, url_path
from vssync.api.parse import Probe
from vssync.commands.doctor import policies
from vssync.commands.doctor.finding import Emit, Finding, FindingKind, failed, ok, warning
from vssync.commands.session import Session
from vssync.errors import AccessDenied, ServiceError
from vssync.limits import CLOCK_SKEW
from vssync.model.plan import Options
from vssync.model.state import LiveStore
from vssync.planner.find_stores import match_stores

_WORTH_SAYING = 60  # seconds by which a clock may be off without a line
_NEW = 120  # seconds for which a new store may be unknown at the data address
_LOOKED_AT = 5  # stores of ours whose files are asked for


def run_read_probes(work: Session, tell: Emit, now: Callable[[], float]) -> tuple[LiveStore, ...] | None:
    """All stores, once everything was looked at; None where they cannot be listed. `now` is this machine's clock."""
    glances: dict[Plane, Probe] = {}
    ahead: float | None = None  # seconds, of this machine's clock, at an answer's arrival: a glance can take minutes
    for plane, path in ((Plane.CONTROL, "/vector_stores"), (Plane.DATA, "/files")):
        glances[plane] = work.client.probe(path, plane)
        if not glances[plane].error and work.client.service_date is not None:
            ahead = now() - work.client.service_date
    for finding in _connections(work, glances):
        tell(finding)
    if all(_unanswered(glance) for glance in glances.values()):
        return None
    tell(_credential(work, glances))
    project = _project(work, glances[Plane.DATA])
    for extra in (project, _clock(work, ahead)):
        if extra:
            tell(extra)
    if project and project.verdict is FindingKind.FAILED and _one_cause(glances):
        return None
    stores = _stores(work, glances[Plane.CONTROL], tell)
    if stores:
        _files(work, stores, tell)
    return stores


def own_stores(work: Session, stores: tuple[LiveStore, ...]) -> dict[str, LiveStore]:
    """The live stores that the manifest's keys name."""
    by_id = {store.id: store for store in stores}
    ids = match_stores(work.loaded.desired, stores, Options()).ids
    return {key: by_id[store_id] for key, store_id in ids.items() if store_id in by_id}


def _unanswered(glance: Probe) -> bool:
    """No answer came, or one that is not the service's."""
    return glance.error is not None and glance.error.answer.status in (0, 200)


def _one_cause(glances: dict[Plane, Probe]) -> bool:
    """Whether both addresses refuse in the same words."""
    errors = [glance.error for glance in glances.values()]
    return all(errors) and len({(error.answer.status, error.answer.message) for error in errors if error}) == 1


def _connections(work: Session, glances: dict[Plane, Probe]) -> list[Finding]:
    """One line a host: its name resolves, its certificate is trusted, and the service speaks behind it."""
    if work.endpoint.embedded:
        return [ok("connection", "in this process")]
    urls = {Plane.CONTROL: urlsplit(work.endpoint.control_url), Plane.DATA: urlsplit(work.endpoint.data_url)}
    found: dict[str, Finding] = {}
    for plane, glance in glances.items():
        url = urls[plane]
        how = "over TLS" if url.scheme == "https" else "without TLS"
        fine = ok("connection", f"{url.netloc}: answers {how} in {glance.seconds * 1000:,.0f} ms")
        if url.netloc not in found or _unanswered(glance):
            found[url.netloc] = failed("connection", str(glance.error)) if _unanswered(glance) else fine
    return list(found.values())


def _credential(work: Session, glances: dict[Plane, Probe]) -> Finding:
    denied = [glance.error for glance in glances.values() if isinstance(glance.error, AccessDenied)]
    if not denied:
        return ok("credential", "accepted" if work.credential else "none needed")
    return failed("credential", str(denied[0]), *_permission(work, denied[0].answer.status))


def _permission(work: Session, status: int) -> tuple[str, ...]:
    """What to put into a policy, where there are policies and one may be missing."""
    if not work.endpoint.provider.has_policies or status not in (403, 404):
        return ()
    compartment = work.loaded.desired.service.compartment
    return ("A policy must say:", policies.statement(work.endpoint.auth, compartment), policies.DELAY)


def _project(work: Session, glance: Probe) -> Finding | None:
    """The data address wants the project; another region's is refused in misleading words."""
    project = work.loaded.desired.service.project
    if not project or _unanswered(glance) or isinstance(glance.error, AccessDenied):
        return None
    there = region_of(project)
    if there and work.endpoint.region and there != work.endpoint.region:
        way_out = f"Name a project of {work.endpoint.region}, or the region of this one."
        return failed("project", f"its OCID is of region {there}, and the endpoint of {work.endpoint.region}", way_out)
    if glance.error:
        return failed("project", str(glance.error), *_permission(work, glance.error.answer.status))
    return ok("project", f"accepted: {project}")


def region_of(ocid: str) -> str:
    """The region an OCID names in full; empty where it names none, or by a short key."""
    parts = ocid.split(".")
    return parts[3] if len(parts) > 4 and "-" in parts[3] else ""


def _clock(work: Session, ahead: float | None) -> Finding | None:
    if work.endpoint.embedded or ahead is None:
        return None
    off = abs(ahead)
    said = f"this machine's is {off:,.0f} s {'ahead of' if ahead > 0 else 'behind'} the service's"
    if off <= _WORTH_SAYING:
        return ok("clock", f"within {off:,.0f} s of the service's")
    verdict = failed if work.endpoint.auth.signs and off > CLOCK_SKEW else warning
    return verdict("clock", said, "Set it, as with `timedatectl set-ntp true`.")


def _stores(work: Session, glance: Probe, tell: Emit) -> tuple[LiveStore, ...] | None:
    """The listing, and whether the other address serves it, too: sources disagree about OCI's."""
    two = work.endpoint.control_url != work.endpoint.data_url
    elsewhere = two and work.client.probe("/vector_stores").error is None
    if isinstance(glance.error, AccessDenied) or _unanswered(glance):
        return None
    try:
        stores = work.client.list_stores()
    except ServiceError as error:
        hint = (f"The data address lists stores: set `control_url: {work.endpoint.data_url}`.",) if elsewhere else ()
        tell(failed("list stores", str(error), *hint, *_permission(work, error.answer.status)))
        return None
    known = len(own_stores(work, stores))
    also = "; the data address lists them, too" if elsewhere else ""
    tell(ok("list stores", f"{len(stores):,} listed, {known:,} of this manifest's {_declared(work):,}{also}"))
    return stores


def _declared(work: Session) -> int:
    return len(work.loaded.desired.stores)


def _files(work: Session, stores: tuple[LiveStore, ...], tell: Emit) -> None:
    """What is listed and answers 404 all the same is new, or hidden by a missing permission."""
    mine = own_stores(work, stores)
    for key, store in list(mine.items())[:_LOOKED_AT]:
        tell(_readable(work, key, store))
    asked = next(iter(mine.values()), stores[0])
    tell(_batches(work, asked))


def _readable(work: Session, key: str, store: LiveStore) -> Finding:
    try:
        if work.client.is_ready(store.id):
            return ok("list files", f"{key} ({store.id}): its files can be listed")
    except ServiceError as error:
        return failed("list files", f"{key}: {error}", *_permission(work, error.answer.status))
    said = f"{key} ({store.id}): listed as a store, and 404 for its files"
    if (work.client.service_date or 0) - store.created_at < _NEW:
        return warning("list files", said, "It is new: come again in a minute.")
    return failed("list files", said, "A missing permission answers 404 as well.", *_permission(work, 404))


def _batches(work: Session, store: LiveStore) -> Finding:
    error = work.client.probe(url_path("vector_stores", store.id, "file_batches")).error
    if error is None:
        return ok("list batches", "supported")
    if missing_from_list_error(error) is None:
        return failed("list batches", str(error), *_permission(work, error.answer.status))
    said = f"not supported, or not permitted ({error.answer.status}): batches are known by the store's own notes only"
    return warning("list batches", said, "Say `list_batches: false` under `service.capabilities`, to save requests.")
