"""Faults in ingestion: decided while files are attached, carried out by the service itself (`IngestionOverride`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from vssync.local.faults.kind import (
    FaultContext,
    FaultKind,
    Forward,
    Request,
    Response,
    Setting,
    fault,
    is_attaching,
    milliseconds,
)
from vssync.local.queries import OVERRIDES_KEY, IngestionOverride, IngestionOverrides, normal_ingestion

KINDS: list[FaultKind] = []
FILE = Setting(str, "*", "GLOB")


def override_ingestion(
    request: Request, forward: Forward, override: IngestionOverride, applies: Callable[[str, str], bool]
) -> Response:
    """Overrides the ingestion of the Files, by id and name, that it applies to."""
    inner: IngestionOverrides = request.environ.get(OVERRIDES_KEY, normal_ingestion)

    def choose_override(file_id: str, filename: str) -> IngestionOverride:
        return override if applies(file_id, filename) else inner(file_id, filename)

    return forward(request.with_environ(**{OVERRIDES_KEY: choose_override}))


def by_name(pattern: str) -> Callable[[str, str], bool]:
    return lambda _file_id, filename: fnmatchcase(filename, pattern)


@fault(KINDS, "stuck-in-progress", is_attaching, file=FILE)
def never_ingest(request: Request, forward: Forward, file: str) -> Response:
    """Never ends the ingestion of a file."""
    return override_ingestion(request, forward, IngestionOverride(delay=math.inf), by_name(file))


@fault(KINDS, "late-ingestion", is_attaching, value=milliseconds(), file=FILE)
def ingest_late(request: Request, forward: Forward, value: int, file: str) -> Response:
    """Begins ingestion this much later."""
    return override_ingestion(request, forward, IngestionOverride(delay=value / 1000), by_name(file))


@fault(KINDS, "fails", is_attaching, value=Setting(str, "invalid_file", "CODE"), file=FILE)
def fail_ingestion(request: Request, forward: Forward, value: str, file: str) -> Response:
    """Fails a file each time with `invalid_file`; `=CODE` for another code."""
    return override_ingestion(request, forward, IngestionOverride(code=value), by_name(file))


@fault(KINDS, "refused-type", is_attaching, file=FILE)
def refuse_type(request: Request, forward: Forward, file: str) -> Response:
    """Refuses to attach a file, and all that come with it, as unsupported."""
    return override_ingestion(request, forward, IngestionOverride(refused="unsupported_file"), by_name(file))


@fault(KINDS, "fails-once", is_attaching, file=FILE)
@dataclass
class FailOnce:
    """Fails a file with `server_error` the first time it is attached."""

    context: FaultContext
    file: str
    failed: set[str] = field(default_factory=set)  # File ids

    def __call__(self, request: Request, forward: Forward) -> Response:
        affected: set[str] = set()

        def applies(file_id: str, filename: str) -> bool:
            if file_id in self.failed or not fnmatchcase(filename, self.file):
                return False
            affected.add(file_id)
            return True

        response = override_ingestion(request, forward, IngestionOverride(code="server_error"), applies)
        if response.status == 200:
            self.failed |= affected
        return response
