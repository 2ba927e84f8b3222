"""What a run observes: whether a store ingests files and accepts more, and what the service can do."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from math import inf

from vssync.api.errors import ABOUT_ONE_FILE, MissingCapability
from vssync.errors import ServiceError
from vssync.model.service import Capabilities
from vssync.model.state import IngestError
from vssync.text import count_noun

PAUSES = (10.0, 30.0, 60.0)  # seconds before a file is tried once more, and before each probe of an outage
_OUTAGE_FAILURES, _OUTAGE_FILES = 10, 3  # that make an outage, with no file completed between
_REFUSED_FILES = 5  # with the same answer, in one request or several: all others would get it, too
_TOO_LARGE = 413
# After how many refusals of one file type as unsupported, with none accepted, a run stops sending it. Several, since a
# service may also refuse a single file for its content; two are enough for a type that is not proven.
_MAX_REFUSED, _MAX_REFUSED_UNPROVEN = 8, 2


@dataclass(slots=True)
class IngestionHealth:
    """What one run saw of a store's ingestion. Written by one thread at a time."""

    has_completed: bool = False  # any file
    error: str = ""  # of the latest failure
    failing: set[str] = field(default_factory=set)  # keys of files whose last try failed, though not permanently
    _failures: int = 0  # since a file was last completed
    _failed_keys: set[str] = field(default_factory=set)  # since a file was last completed

    def record(self, completed: Collection[str], failures: Iterable[tuple[str, IngestError | None]]) -> None:
        """Records files that ended together: the keys of those completed, and those that failed with their errors.

        A permanent failure is about that file alone, and failures beside a completed file say nothing about the store.
        """
        transient = [(key, error) for key, error in failures if not (error and error.is_permanent)]
        keys = {key for key, _ in transient}
        for _, error in transient:
            self.error = str(error or "ingestion failed").rstrip(".")
        self.failing = (self.failing - set(completed)) | keys
        if completed:
            self.has_completed, self._failures, self._failed_keys = True, 0, set()
        else:
            self._failures += len(transient)
            self._failed_keys |= keys

    @property
    def has_outage(self) -> bool:
        """Whether so many files failed in a row that the next one would most likely fail, too."""
        return self._failures >= _OUTAGE_FAILURES and len(self._failed_keys) >= _OUTAGE_FILES

    @property
    def summary(self) -> str:
        """What to tell the user where files failed and no tries are left."""
        if self.has_completed:
            return f"{count_noun(len(self.failing), 'file')} failed: {self.error}"
        return f"ingests nothing now: {self.error}"


@dataclass(slots=True)
class RefusalStreak:
    """Consecutive identical refusals that are not about one particular file. Thread-safe."""

    _answer: tuple[int, str, str] | None = None
    _keys: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, error: ServiceError, keys: Iterable[str]) -> bool:
        """Records that a request about these files was refused; returns whether all others would be refused as well.

        An answer about one file, by its code or because the file is too large, says nothing about the others.
        """
        answer = error.answer
        is_about_a_file = answer.code in ABOUT_ONE_FILE or answer.status == _TOO_LARGE
        identity = None if is_about_a_file else (answer.status, answer.code, answer.message)
        with self._lock:
            if identity is None or identity != self._answer:
                self._answer, self._keys = identity, set()
            self._keys.update(keys if identity else ())
            return len(self._keys) >= _REFUSED_FILES

    def reset(self) -> None:
        """Ends the streak, since a file was accepted."""
        with self._lock:
            self._answer, self._keys = None, set()


class ServiceRecord:
    """What a run learns about the service, and what it did once already for all stores. Thread-safe."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.deletes_late = False  # a deleted file stayed for longer than is waited for
        self.lists_attributes: bool | None = None  # whether listings have the attributes, and marks, of files
        self.listing_lock = threading.Lock()  # held while `lists_attributes` is determined
        self.attribute_listings = 0  # how many were read to determine it
        self.capabilities = capabilities  # as the manifest states, less what turned out to be missing
        self._lock = threading.Lock()
        self._accepted: set[str] = set()  # file types of which a file was attached
        self._completed: set[str] = set()  # file types of which a file was ingested
        self._refused: dict[str, set[str]] = {}  # the keys of refused files, by type
        self._last_times: dict[str, float] = {}  # by subject, when something was last due

    def record_missing(self, capability: MissingCapability) -> None:
        """Records that the service lacks a capability: from now on the run does without."""
        with self._lock:
            self.capabilities = replace(self.capabilities, **{capability.value: False})

    def record_updates_reach_search(self, *, reaches: bool) -> None:
        """Records whether searches filter by attributes that were updated."""
        with self._lock:
            self.capabilities = replace(self.capabilities, updates_reach_search=reaches)

    def record_accepted_type(self, file_type: str, *, completed: bool = False) -> None:
        """Records that the service attached a file of this type, or completed it."""
        with self._lock:
            (self._completed if completed else self._accepted).add(file_type)

    def record_refused_type(self, file_type: str, key: str) -> None:
        """Records that the service does not support the type of a file."""
        with self._lock:
            self._refused.setdefault(file_type, set()).add(key)

    def is_proven_type(self, file_type: str) -> bool:
        """Whether the service completed a file of this type in this run."""
        with self._lock:
            return file_type in self._completed

    def is_refused_type(self, file_type: str, *, unproven: bool) -> bool:
        """Whether no more files of this type are worth sending; `unproven`: no store is known to hold such a file."""
        with self._lock:
            if file_type in self._completed or (file_type in self._accepted and not unproven):
                return False
            return len(self._refused.get(file_type, ())) >= (_MAX_REFUSED_UNPROVEN if unproven else _MAX_REFUSED)

    def is_first_time(self, subject: str, now: float = 0.0, *, within: float = inf) -> bool:
        """Whether something, such as a message, is due for the first time: ever, or `within` so many seconds."""
        with self._lock:
            is_first = subject not in self._last_times or now - self._last_times[subject] >= within
            if is_first:
                self._last_times[subject] = now
            return is_first
