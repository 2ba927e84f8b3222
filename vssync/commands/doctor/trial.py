"""What the write probes share: the scratch store, the facts seen so far, and what is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from vssync.api.client import Client
from vssync.api.parse import AttachmentEntry, attribute_filter
from vssync.commands.doctor.facts import Fact
from vssync.commands.doctor.finding import Emit, Finding
from vssync.commands.doctor.redact import id_prefix
from vssync.commands.doctor.scratch import Delay, ScratchStore
from vssync.errors import AccessDenied, NotDeleted, ServiceError
from vssync.limits import MAX_VALUE_LENGTH
from vssync.model.state import Attributes, Chunking, Scalar, SearchHit

CHUNKING = Chunking(200, 50)
# Values that services are known to change: other alphabets, fractions, large numbers, booleans, empty and long texts.
ATTRIBUTES: Attributes = {
    "accent": "é",
    "fraction": 0.1,
    "large": 2**53,
    "yes": True,
    "empty": "",
    "long": "x" * MAX_VALUE_LENGTH,
}


@dataclass(slots=True)
class Trial:
    """One run of the write probes. `seconds` are how long things took, by name."""

    scratch: ScratchStore
    emit: Emit
    facts: dict[str, Fact] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    pair: tuple[str, ...] = ()  # the two files that are attached first, by id, once they are completed
    deletions: dict[str, bool] = field(default_factory=dict)  # the kinds of objects that were to go: whether they may

    @property
    def client(self) -> Client:
        return self.scratch.client

    def record(self, name: str, value: Fact, finding: Finding | None = None) -> None:
        """Notes a fact, and emits the finding."""
        self.facts[name] = value
        if finding:
            self.emit(finding)

    def record_delay(self, name: str, delay: Delay | None, by_seconds: str = "", by_requests: str = "") -> None:
        """Notes how long something took, and the switches that are late so; nothing where it never came."""
        if delay is None:
            return
        self.seconds[name] = round(delay.seconds, 1)
        if by_seconds:
            self.facts[by_seconds] = ceil(delay.seconds)
        if by_requests:
            self.facts[by_requests] = delay.requests

    def record_prefix(self, name: str, id_: str) -> None:
        """Notes what an id begins with, if that is one of the usual beginnings."""
        if prefix := id_prefix(id_):
            self.facts[name] = prefix

    def record_deletion(self, kind: str, error: ServiceError | None = None) -> None:
        """Notes that objects of a kind can be deleted, or what is answered instead."""
        self.facts["denies_deletions"] = isinstance(error, NotDeleted)
        self.deletions[kind] = not isinstance(error, AccessDenied)
        if self.deletions.keys() == {"store-files", "files", "stores"}:
            self.facts["refuses_deleting"] = " ".join(kind for kind, may in self.deletions.items() if not may)

    def search(self, attribute: tuple[str, Scalar] | None = None) -> tuple[SearchHit, ...]:
        """The hits that hold the scratch word: of the files with an attribute, or of all."""
        query = f"{self.scratch.word} stands in two files reads one way chapter"
        more = {"filters": attribute_filter(*attribute)} if attribute else {}
        hits = self.client.search_store(self.scratch.store_id, query, 50, **more)
        return tuple(hit for hit in hits if self.scratch.word in hit.text)

    def entry(self, file_id: str, **attributes: Scalar) -> AttachmentEntry:
        """A file as the probes attach it."""
        return AttachmentEntry(file_id, attributes or ATTRIBUTES, CHUNKING)


def is_refusal(error: ServiceError) -> bool:
    """Whether the service says that it does not do this, rather than that something went wrong."""
    return error.answer.status in (400, 404, 405, 422, 501)


def unknown_id(id_: str) -> str:
    """An id of the same form that names nothing."""
    return id_[:-1] + ("1" if id_[-1] == "0" else "0")
