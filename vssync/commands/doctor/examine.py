"""The whole examination, in the order in which a failure explains those after it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from vssync.api.rate_limit import Clock
from vssync.commands.doctor.evidence import Recorder, evidence_text
from vssync.commands.doctor.facts import Fact, capabilities_of, dialect_of
from vssync.commands.doctor.finding import Emit, Finding, FindingKind, failed, finding_dict, ok, warning
from vssync.commands.doctor.read_probes import run_read_probes
from vssync.commands.doctor.scratch import ScratchStore, Trial, clean_up
from vssync.commands.doctor.tenancy import run_tenancy_probes
from vssync.commands.doctor.write_probes import run_write_probes
from vssync.commands.session import Session, Settings, find_endpoint, open_session, prepare_for_writes
from vssync.document import document
from vssync.endpoints import Endpoint
from vssync.errors import VssyncError
from vssync.sources.load import LoadedManifest


@dataclass(slots=True)
class Diagnosis:
    """What an examination found; complete once it came to its end. `facts` are of the write probes, where there were.

    `left`: the write probes left something behind, which a finding names.
    """

    findings: list[Finding] = field(default_factory=list)
    facts: Mapping[str, Fact] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    left: bool = False
    complete: bool = False
    evidence: str = ""

    @property
    def failed(self) -> bool:
        return any(finding.kind is FindingKind.FAILED for finding in self.findings)

    @property
    def capabilities(self) -> Mapping[str, bool] | None:
        """What the service was seen to be capable of; None where nothing was tried."""
        return None if self.facts is None else capabilities_of(self.facts)


def examine(
    settings: Settings,
    loaded: LoadedManifest,
    emit: Emit,
    diagnosis: Diagnosis,
    *,
    word: str = "",
    clock: Clock | None = None,
) -> None:
    """Examines a manifest's service into a diagnosis, and emits each finding as it is made.

    Reads only, unless a `word` is given: then it makes a store and files whose names begin with it, and removes them.
    Nothing that is wrong with a service or a credential raises an error. Interrupted, it leaves what it found so far.
    """

    def record(finding: Finding) -> None:
        diagnosis.findings.append(finding)
        emit(finding)

    with ExitStack() as stack:
        session = _connect(settings, loaded, record, stack, write=bool(word), clock=clock)
        if session:
            recorder = session.client.sender.on_answer = Recorder()
            try:
                _run_probes(session, recorder, record, diagnosis, word)
                diagnosis.complete = True
            finally:
                facts = diagnosis.facts or {}
                diagnosis.evidence = evidence_text(
                    session.endpoint,
                    recorder,
                    diagnosis.findings,
                    facts,
                    diagnosis.seconds,
                    complete=diagnosis.complete,
                )
    diagnosis.complete = True


def _run_probes(session: Session, recorder: Recorder, emit: Emit, diagnosis: Diagnosis, word: str) -> None:
    stores = run_read_probes(session, emit, time.time, lists_batches=not word)
    is_refused = any(f.topic == "credential" and f.kind is FindingKind.FAILED for f in diagnosis.findings)
    if session.endpoint.auth_kinds[1].signs and not is_refused:
        run_tenancy_probes(session, stores or (), emit, time.time())
    if not word:
        if stores is not None and session.credential:
            emit(ok("writes", "not tried: plans only read, and `vssync doctor --probe` tries the rest"))
        return
    if stores is None:
        status = 0 if session.endpoint.auth_kinds[1].signs else recorder.refused_stores()
        diagnosis.facts = {"stores_iam_only": status} if status else None
        return
    trial = Trial(ScratchStore(session.client, word), emit)
    diagnosis.facts, diagnosis.seconds = trial.facts, trial.seconds
    diagnosis.left = not run_write_probes(trial)
    trial.facts |= recorder.error_style()


def remove_leftovers(settings: Settings, loaded: LoadedManifest, emit: Emit, word: str) -> bool:
    """Removes what the write probes of a killed run left; whether nothing is left. Raises VssyncError."""
    with open_session(settings, loaded) as session:
        return clean_up(session.client, word, emit)


def diagnosis_json(loaded: LoadedManifest, diagnosis: Diagnosis) -> str:
    facts, provider = diagnosis.facts, loaded.desired.service.provider
    return document(
        "doctor",
        owner=loaded.desired.owner,
        provider=provider,
        complete=diagnosis.complete,
        findings=[finding_dict(finding) for finding in diagnosis.findings],
        capabilities=None if facts is None else capabilities_of(facts),
        dialect=dialect_of(facts or {}, provider) or None,
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
        emit(failed(topic, str(error)))
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
