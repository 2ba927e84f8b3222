"""What every part of a run shares: its settings, the client, threads, results, and what it learns of the service."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from vssync.api.client import Client
from vssync.api.errors import MissingCapability
from vssync.applier.ledger import UploadLedger
from vssync.applier.steps import BatchStep, Drop, Update, Wait
from vssync.applier.writes import Writes
from vssync.errors import LostReply, VssyncError
from vssync.model.plan import Action, BatchChange, FileChange, Plan, StoreChange
from vssync.model.report import Outcome, Status
from vssync.model.state import Capabilities, FileStatus, LiveFile
from vssync.threads import Pool

_MAX_REFUSALS = 8  # of a file type that was never accepted; then a run sends no more files of it

KeyedStep = TypeVar("KeyedStep", BatchStep, Update, Wait, Drop)


@dataclass(frozen=True, slots=True)
class StoreWorkload:
    """What a run has to do in a store: bytes of files to upload, batches to create, changes in all."""

    store_key: str
    size: int
    batches: int
    changes: int


class Watcher:
    """Told of progress; override what you want. Thread-safe and quick."""

    __slots__ = ()

    def on_start(self, workloads: Sequence[StoreWorkload], throttled_for: Callable[[], float]) -> None:
        """What there is to do; `throttled_for` gives the seconds the service wants to be left alone from now on."""

    def on_upload_ready(self, store_key: str, size: int) -> None:
        """One more file of `size` bytes has its upload: made now, or left by an earlier run."""

    def on_batch_sent(self, store_key: str) -> None:
        """The service accepted one more batch."""

    def on_settled(self, store_key: str, count: int) -> None:
        """`count` more changes came to an end, good or bad."""

    def on_cleanup(self, uploads: int) -> None:
        """All changes came to an end; so many uploads that are no longer needed are about to be deleted."""

    def on_upload_deleted(self) -> None:
        """One more of those uploads was deleted, or could not be."""

    def on_message(self, text: str) -> None:
        """Something worth a line."""

    def on_ending(self) -> None:
        """The run is ending and must not be interrupted any more."""

    def may_stop_waiting(self) -> bool:
        """Asked again and again while requests are in flight at the end of an interrupted run."""
        return False


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What one apply is told. Durations are seconds."""

    root: Path = Path()
    capabilities: Capabilities = field(default_factory=Capabilities)
    declared_stores: frozenset[str] = frozenset()  # ids and names of the manifest's stores, some of which carry no mark
    fail_fast: bool = False
    first_pause: float = 0.5  # between two polls, unless the service gives a hint; it doubles up to the longest
    longest_pause: float = 10.0
    deadline: float = 600.0  # without progress until a file or batch is given up for this run
    grace: float = 120.0  # a new object may stay invisible


# A change of several requests is as bad as its worst one.
_WORST_FIRST = (Status.FAILED, Status.UNKNOWN, Status.SKIPPED, Status.DONE)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change so far."""

    status: Status
    detail: str = ""
    request_id: str = ""
    attempts: int = 1  # of the request that ended it


DONE = Result(Status.DONE)
_CUT_SHORT = Result(Status.UNKNOWN, "started, and the end was not seen; plan again")


def result_of_error(error: VssyncError) -> Result:
    """What an error means for a change: it failed, or nobody knows when the reply was lost."""
    status = Status.UNKNOWN if isinstance(error, LostReply) else Status.FAILED
    answer = getattr(error, "answer", None)
    return Result(status, str(error), answer.request_id if answer else "", getattr(error, "attempts", 1))


def result_of_uncompleted(file: LiveFile) -> Result:
    """The result of a file that failed, was cancelled, or did not end in time."""
    if file.error:
        return Result(Status.FAILED, str(file.error))
    if file.status in (FileStatus.FAILED, FileStatus.CANCELLED):
        return Result(Status.FAILED, f"ingestion {file.status}")
    return Result(Status.UNKNOWN, f"still {file.status} when the wait for it ended; plan again later")


@dataclass(slots=True)
class _ChangeRecord:
    """A change: when it began, in monotonic seconds, how often it was tried, how it ended so far."""

    started: float
    attempts: int
    result: Result | None = None
    ended: float | None = None


class Results:
    """Thread-safe. A change is found by its store's key and its own: a file's key, a batch's id, "" for the store."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], _ChangeRecord] = {}
        self.any_failed = False  # so far

    def record_start(self, store_key: str, key: str) -> None:
        """Requests for a change may be under way; only the first of several calls counts."""
        with self._lock:
            self._records.setdefault((store_key, key), _ChangeRecord(self._now(), attempts=1))

    def record_retry(self, store_key: str, key: str) -> None:
        """A change is tried once more."""
        with self._lock:
            self._records[store_key, key].attempts += 1

    def record_result(self, store_key: str, key: str, result: Result) -> None:
        """A change ended; the worst of several results stays."""
        with self._lock:
            record = self._records.setdefault((store_key, key), _ChangeRecord(self._now(), attempts=0))
            record.ended = self._now()
            if record.attempts:
                record.attempts = max(record.attempts, result.attempts)
            record.result = min(record.result or result, result, key=lambda either: _WORST_FIRST.index(either.status))
            self.any_failed |= record.result.status is Status.FAILED

    def all_done(self, store_key: str, put_keys: Collection[str]) -> bool:
        """Whether everything tried so far in a store was done, and the files with these keys were tried."""
        with self._lock:
            of_store = {key: record.result for (of, key), record in self._records.items() if of == store_key}
        is_done = all(result.status is Status.DONE for result in of_store.values() if result)
        return is_done and of_store.keys() >= set(put_keys)

    def outcomes(self, plan: Plan) -> tuple[Outcome, ...]:
        """One outcome for every change of the plan; what has no result was not tried."""
        outcomes = []
        for store in plan.stores:
            outcomes += [self._outcome(store.key, "", store.change)] if store.change else []
            outcomes += [self._outcome(store.key, batch.id, batch) for batch in store.batches]
            outcomes += [self._outcome(store.key, file.key, file) for file in store.files]
        return tuple(outcomes)

    def _outcome(self, store_key: str, key: str, change: StoreChange | BatchChange | FileChange) -> Outcome:
        action = change.action
        if action is Action.REFUSE:
            return Outcome(store_key, key, action, Status.FAILED, change.detail or "needs attention")
        record = self._records.get((store_key, key))
        if record is None:
            return Outcome(store_key, key, action, Status.SKIPPED, "not tried")
        result = record.result or _CUT_SHORT
        seconds = (self._now() if record.ended is None else record.ended) - record.started
        return Outcome(
            store_key, key, action, result.status, result.detail, result.request_id, record.attempts, seconds
        )


class ServiceRecord:
    """What a run learns of the service: capabilities it lacks, file types it refuses. Thread-safe."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities  # as stated, without those that the service turned out to lack
        self._lock = threading.Lock()
        self._accepted: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._notices: set[str] = set()

    def record_missing(self, capability: MissingCapability) -> None:
        """The service lacks it: from now on the run does without."""
        with self._lock:
            self.capabilities = replace(self.capabilities, **{capability.value: False})

    def record_type_result(self, extension: str, *, accepted: bool) -> None:
        """Counts whether the service accepted a file of this type."""
        with self._lock:
            (self._accepted if accepted else self._refused)[extension] += 1

    def is_refused_type(self, extension: str) -> bool:
        """Whether no more files of this type are worth sending in this run.

        Services also judge contents, so a few refusals, or any among files that were accepted, do not prove it.
        """
        with self._lock:
            return self._refused[extension] >= _MAX_REFUSALS and not self._accepted[extension]

    def add_notice(self, text: str) -> bool:
        """Whether this notice is new."""
        with self._lock:
            is_new = text not in self._notices
            self._notices.add(text)
            return is_new


@dataclass(slots=True)
class ApplyRun:
    """One apply under way."""

    writes: Writes
    pool: Pool
    watcher: Watcher
    settings: RunSettings = RunSettings()
    service: ServiceRecord = field(init=False)
    results: Results = field(init=False)
    ledger: UploadLedger = field(default_factory=UploadLedger, init=False)

    def __post_init__(self) -> None:
        self.service = ServiceRecord(self.settings.capabilities)
        self.results = Results(self.client.clock.monotonic)

    @property
    def client(self) -> Client:
        return self.writes.client

    @property
    def capabilities(self) -> Capabilities:
        """As known now: any store of the run may learn that one is missing."""
        return self.service.capabilities

    @property
    def stopping(self) -> bool:
        """Something failed, and the run was told to end then."""
        return self.settings.fail_fast and self.results.any_failed

    def say_once(self, text: str) -> None:
        """Tells the watcher what would be true of many files."""
        if self.service.add_notice(text):
            self.watcher.on_message(text)


@dataclass(slots=True)
class StoreContext:
    """A run at work on one store: its key in the manifest, its live id, the attributes that others own."""

    run: ApplyRun
    key: str
    id: str
    ignored_attributes: tuple[str, ...] = ()
    last_progress: float = 0.0  # monotonic second at which files of the store last came to an end

    @property
    def client(self) -> Client:
        return self.run.client

    @property
    def writes(self) -> Writes:
        return self.run.writes

    def settle(self, key: str, result: Result) -> None:
        """Records how a change ended, and counts it as ended for who watches."""
        self.run.results.record_result(self.key, key, result)
        self.run.watcher.on_settled(self.key, 1)

    def for_each(self, steps: Iterable[KeyedStep], take: Callable[[StoreContext, KeyedStep], Result]) -> None:
        """Takes the steps in parallel and records the result of each. Once the run is to end, no step is begun."""

        def settle_one(step: KeyedStep) -> None:
            if self.run.stopping:
                return
            self.run.results.record_start(self.key, step.key)
            try:
                self.settle(step.key, take(self, step))
            except VssyncError as error:
                self.settle(step.key, result_of_error(error))

        self.run.pool.map(settle_one, steps)

    def detach_copy(self, drop: Drop) -> None:
        """Takes one copy out of the store; its upload is deleted later when it is ours."""
        self.writes.detach(self.id, drop.file_id, is_our_upload=drop.is_our_upload)
        if drop.is_our_upload:
            self.run.ledger.schedule_delete(drop.file_id, f"replaced or removed copy of {drop.key}", self.id)
