"""The whole examination, in the order in which a failure explains those after it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from vssync.api.rate_limit import Clock
from vssync.commands.doctor.finding import Emit, Finding, FindingKind, error_text, failed, finding_dict, ok, warning
from vssync.commands.doctor.read_probes import run_read_probes
from vssync.commands.doctor.tenancy import run_tenancy_probes
from vssync.commands.doctor.write_probes import run_write_probes
from vssync.commands.session import Session, Settings, find_endpoint, open_session, prepare_for_writes
from vssync.document import document
from vssync.endpoints import Endpoint
from vssync.errors import VssyncError
from vssync.sources.load import LoadedManifest


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether anything failed, and after write probes what the service is capable of and whether they left anything."""

    failed: bool
    capabilities: Mapping[str, bool] | None = None
    left: bool = False


def examine(
    settings: Settings, loaded: LoadedManifest, emit: Emit, *, write: bool = False, clock: Clock | None = None
) -> Diagnosis:
    """Examines a manifest's service, and emits each finding as it is made.

    Reads only, unless `write` allows a store and files that are removed again. Nothing that is wrong with a service or
    a credential raises an error.
    """
    failures: set[str] = set()

    def record(finding: Finding) -> None:
        failures.update([finding.topic] if finding.kind is FindingKind.FAILED else [])
        emit(finding)

    capabilities: Mapping[str, bool] | None = None
    left = False
    with ExitStack() as stack:
        session = _connect(settings, loaded, record, stack, write=write, clock=clock)
        if session:
            stores = run_read_probes(session, record, time.time)
            if session.endpoint.auth_kinds[1].signs and "credential" not in failures:
                run_tenancy_probes(session, stores or (), record, time.time())
            if write and stores is not None:
                capabilities, left = run_write_probes(session.client, record)
            elif stores is not None and session.credential:
                record(ok("writes", "not tried: plans only read, and `vssync doctor --write` tries the rest"))
    return Diagnosis(bool(failures), capabilities, left)


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


def _connect(
    settings: Settings, loaded: LoadedManifest, emit: Emit, stack: ExitStack, *, write: bool, clock: Clock | None
) -> Session | None:
    """The service connected; None, after a finding that says why, where it cannot be."""
    topic = "service"
    try:
        endpoint = find_endpoint(settings, loaded.desired.service)
        _emit_addresses(endpoint, emit)
        topic = "service" if endpoint.embedded else "credential"
        session = stack.enter_context(open_session(settings, loaded, clock=clock))
        if write:
            prepare_for_writes(session)
    except VssyncError as error:
        emit(failed(topic, error_text(error)))
        return None
    for text in session.client.sender.warnings:
        emit(warning("proxy", text))
    credentials = (session.credential, session.control_credential)
    whose = [credential.identity if credential else "none: no credential is sent" for credential in credentials]
    emit(ok("identity", _by_address(*whose)))
    return session


def _by_address(files: str, stores: str) -> str:
    return files if files == stores else f"{files} for files, {stores} for stores"


def _emit_addresses(endpoint: Endpoint, emit: Emit) -> None:
    if endpoint.embedded:
        emit(ok("service", "local, in this process: .vssync/local beside the manifest"))
        return
    emit(ok("service", endpoint.provider.name + (f", region {endpoint.region}" if endpoint.region else "")))
    emit(ok("stores at", endpoint.control_url))
    emit(ok("files at", endpoint.data_url))
    emit(ok("auth", _by_address(*endpoint.auth_kinds)))
