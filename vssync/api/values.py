"""What the client takes and gives beside the model's own types."""

from __future__ import annotations

from dataclasses import dataclass

from vssync.errors import ServiceError
from vssync.model import Attributes, Chunking, LiveBatch


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a batch to create."""

    file_id: str
    attributes: Attributes
    chunking: Chunking


@dataclass(frozen=True, slots=True)
class Glance:
    """What one reading request came to: an error or none, and how long it took in seconds, attempts included."""

    error: ServiceError | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Polled:
    """A batch as just read, and how many seconds the service asks to wait before the next look."""

    batch: LiveBatch
    after: float | None
