"""Whether a store takes files at all now, judged by what became of those that were sent."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from vssync.errors import ServiceError
from vssync.model.state import IngestError
from vssync.text import count_noun

PAUSES = (10.0, 30.0, 60.0)  # seconds before a file is tried once more, and before each probe of an outage
_OUTAGE_FAILURES, _OUTAGE_FILES = 10, 3  # since a file was completed
_REFUSED_FILES = 5  # with the same answer, in one request or several: all others would get it, too
_ABOUT_A_FILE = ("unsupported_file", "invalid_file", "file_already_attached")
_TOO_LARGE = 413


@dataclass(slots=True)
class Intake:
    """What one run saw of a store's ingestion. Used by one thread at a time."""

    has_completed: bool = False  # any file
    error: str = ""  # of the latest failure
    failing: set[str] = field(default_factory=set)  # keys of files whose last try failed
    _failures: int = 0  # since a file was completed
    _failed_keys: set[str] = field(default_factory=set)  # since then

    def record(self, completed: Collection[str], failures: Iterable[tuple[str, IngestError | None]]) -> None:
        """Records files that ended together: the keys of those completed, and those that failed with their errors.

        A permanent failure is about that file alone, and failures beside a completed file tell nothing of the store.
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

        An answer about one file, by its code or because the file is too large, says nothing of the others.
        """
        answer = error.answer
        is_about_a_file = answer.code in _ABOUT_A_FILE or answer.status == _TOO_LARGE
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
