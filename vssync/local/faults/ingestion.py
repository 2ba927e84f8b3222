"""Faults in ingestion: decided while files are attached, carried out by the service itself (see `fate`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from vssync.local import transaction
from vssync.local.faults.exchange import Answer, Go, Request
from vssync.local.faults.kind import Fault, Kind, Setting, World, attaching, milliseconds, text
from vssync.local.transaction import IngestionOverride


@dataclass
class Fated:
    """Files whose name fits get a fate; `once` gives it to each File only the first time."""

    wanted: IngestionOverride
    file: str
    once: bool = False
    met: set[str] = field(default_factory=set)

    def __call__(self, request: Request, go: Go) -> Answer:
        before: transaction.IngestionOverrides = request.environ.get(
            transaction.FATES_ENVIRON, transaction.usual_ingestion
        )

        def fates(file_id: str, filename: str) -> IngestionOverride:
            if not fnmatchcase(filename, self.file) or file_id in self.met:
                return before(file_id, filename)
            struck.add(file_id)
            return self.wanted

        struck: set[str] = set()
        answer = go(request.fated(fates))
        if self.once and answer.status == 200:
            self.met |= struck
        return answer


def stuck(_world: World, file: str) -> Fault:
    return Fated(IngestionOverride(delay=math.inf), file)


def late(_world: World, value: int, file: str) -> Fault:
    return Fated(IngestionOverride(delay=value / 1000), file)


def transient(_world: World, file: str) -> Fault:
    return Fated(IngestionOverride(code="server_error"), file, once=True)


def permanent(_world: World, value: str, file: str) -> Fault:
    return Fated(IngestionOverride(code=value), file)


def refused(_world: World, file: str) -> Fault:
    return Fated(IngestionOverride(refused="unsupported_file"), file)


FILE: Mapping[str, Setting] = {"file": text("*", "GLOB")}

KINDS = (
    Kind("stuck-in-progress", "never ends the ingestion of a file", stuck, attaching, FILE),
    Kind("late-ingestion", "begins ingestion so much later", late, attaching, {"value": milliseconds(), **FILE}),
    Kind("fails-once", "fails a file with `server_error` the first time it is attached", transient, attaching, FILE),
    Kind(
        "fails",
        "fails a file with this code, each time",
        permanent,
        attaching,
        {"value": text("invalid_file", "CODE"), **FILE},
    ),
    Kind(
        "refused-type", "refuses to attach a file, and all that come with it, as unsupported", refused, attaching, FILE
    ),
)
