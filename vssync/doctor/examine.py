"""The whole examination, in the order in which causes lead to consequences."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from vssync import workflow
from vssync.api import Clock
from vssync.doctor import reading, tenancy, trial
from vssync.doctor.finding import Finding, Tell, Verdict, failed, ok, plain
from vssync.endpoints import AuthKind, Endpoint, resolve
from vssync.errors import VssyncError
from vssync.render.words import tame_json
from vssync.settings import Settings
from vssync.sources import Loaded
from vssync.workflow import Work

_UNSIGNED = (AuthKind.NONE, AuthKind.BEARER)


FORMAT = 1  # of the document


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether anything failed, what a trial found the service to be capable of (None without one), what it left."""

    failed: bool
    capabilities: Mapping[str, bool] | None = None
    left: bool = False


def examine(
    given: Settings, loaded: Loaded, tell: Tell, *, write: bool = False, clock: Clock | None = None
) -> Diagnosis:
    """Looks at a manifest's service, and tells each finding as it is made.

    Reads only, unless `write` allows a store and files that are removed again. Raises nothing for what a service or a
    credential is like.
    """
    verdicts: set[Verdict] = set()

    def noted(finding: Finding) -> None:
        verdicts.add(finding.verdict)
        tell(finding)

    with ExitStack() as stack:
        work = _connected(given, loaded, noted, stack, write=write, clock=clock)
        tried = _at_work(work, noted, write=write) if work else None
    found, left = tried or (None, False)
    return Diagnosis(Verdict.FAILED in verdicts, found, left)


def document(loaded: Loaded, findings: Sequence[Finding], diagnosis: Diagnosis | None) -> str:
    """Everything found as JSON, for programs; without a diagnosis, the examination was cut short."""
    found = {
        "format": FORMAT,
        "owner": loaded.desired.owner,
        "provider": loaded.desired.service.provider,
        "complete": diagnosis is not None,
        "findings": [plain(finding) for finding in findings],
        "capabilities": dict(diagnosis.capabilities) if diagnosis and diagnosis.capabilities is not None else None,
    }
    return tame_json(json.dumps(found, indent=2))


def _connected(
    given: Settings, loaded: Loaded, tell: Tell, stack: ExitStack, *, write: bool, clock: Clock | None
) -> Work | None:
    """The service connected; None, and told why, where it cannot be."""
    topic = "service"
    try:
        endpoint = resolve(loaded.desired.service, given.who, given.environment)
        _addresses(endpoint, tell)
        topic = "service" if endpoint.embedded else "credential"
        work = stack.enter_context(workflow.begin(given, loaded, clock=clock))
        if write:
            workflow.prepare(work)
    except VssyncError as error:
        tell(failed(topic, str(error)))
        return None
    tell(ok("identity", work.credential.identity if work.credential else "none: no credential is sent"))
    return work


def _addresses(endpoint: Endpoint, tell: Tell) -> None:
    if endpoint.embedded:
        tell(ok("service", "local, in this process: .vssync/local beside the manifest"))
        return
    tell(ok("service", endpoint.provider + (f", region {endpoint.region}" if endpoint.region else "")))
    tell(ok("stores at", endpoint.control_url))
    tell(ok("files at", endpoint.data_url))
    tell(ok("auth", endpoint.auth))


def _at_work(work: Work, tell: Tell, *, write: bool) -> tuple[Mapping[str, bool], bool] | None:
    """What a trial found and whether it left something; None where none was made."""
    stores = reading.look(work, tell, time.time)
    if work.endpoint.provider == "oci" and work.endpoint.auth not in _UNSIGNED:
        tenancy.look(work, stores or (), tell, time.time())
    return trial.run(work.client, tell) if write and stores is not None else None
