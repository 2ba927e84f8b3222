"""The whole examination, in the order in which causes lead to consequences."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from vssync.api.rate_limit import Clock
from vssync.commands.doctor.finding import Emit, Finding, FindingKind, failed, finding_dict, ok
from vssync.commands.doctor.read_probes import run_read_probes
from vssync.commands.doctor.tenancy import run_tenancy_probes
from vssync.commands.doctor.write_probes import run_write_probes
from vssync.commands.session import Session, Settings, open_session, prepare
from vssync.document import document
from vssync.endpoints import Endpoint, resolve_endpoint
from vssync.errors import VssyncError
from vssync.sources.load import LoadedManifest


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether anything failed, what a trial found the service to be capable of (None without one), what it left."""

    failed: bool
    capabilities: Mapping[str, bool] | None = None
    left: bool = False


def examine(
    given: Settings, loaded: LoadedManifest, tell: Emit, *, write: bool = False, clock: Clock | None = None
) -> Diagnosis:
    """Looks at a manifest's service, and tells each finding as it is made.

    Reads only, unless `write` allows a store and files that are removed again. Raises nothing for what a service or a
    credential is like.
    """
    verdicts: set[FindingKind] = set()

    def noted(finding: Finding) -> None:
        verdicts.add(finding.verdict)
        tell(finding)

    with ExitStack() as stack:
        work = _connected(given, loaded, noted, stack, write=write, clock=clock)
        tried = _at_work(work, noted, write=write) if work else None
    found, left = tried or (None, False)
    return Diagnosis(FindingKind.FAILED in verdicts, found, left)


def diagnosis_json(loaded: LoadedManifest, findings: Sequence[Finding], diagnosis: Diagnosis | None) -> str:
    """Everything found as JSON, for programs; without a diagnosis, the examination was cut short."""
    capabilities = diagnosis.capabilities if diagnosis else None
    return document(
        "doctor",
        owner=loaded.desired.owner,
        provider=loaded.desired.service.provider,
        complete=diagnosis is not None,
        findings=[finding_dict(finding) for finding in findings],
        capabilities=None if capabilities is None else dict(capabilities),
    )


def _connected(
    given: Settings, loaded: LoadedManifest, tell: Emit, stack: ExitStack, *, write: bool, clock: Clock | None
) -> Session | None:
    """The service connected; None, and told why, where it cannot be."""
    topic = "service"
    try:
        endpoint = resolve_endpoint(loaded.desired.service, given.who, given.environment)
        _addresses(endpoint, tell)
        topic = "service" if endpoint.embedded else "credential"
        work = stack.enter_context(open_session(given, loaded, clock=clock))
        if write:
            prepare(work)
    except VssyncError as error:
        tell(failed(topic, str(error)))
        return None
    tell(ok("identity", work.credential.identity if work.credential else "none: no credential is sent"))
    return work


def _addresses(endpoint: Endpoint, tell: Emit) -> None:
    if endpoint.embedded:
        tell(ok("service", "local, in this process: .vssync/local beside the manifest"))
        return
    tell(ok("service", endpoint.provider.name + (f", region {endpoint.region}" if endpoint.region else "")))
    tell(ok("stores at", endpoint.control_url))
    tell(ok("files at", endpoint.data_url))
    tell(ok("auth", endpoint.auth))


def _at_work(work: Session, tell: Emit, *, write: bool) -> tuple[Mapping[str, bool], bool] | None:
    """What a trial found and whether it left something; None where none was made."""
    stores = run_read_probes(work, tell, time.time)
    if work.endpoint.auth.signs:
        run_tenancy_probes(work, stores or (), tell, time.time())
    return run_write_probes(work.client, tell) if write and stores is not None else None
