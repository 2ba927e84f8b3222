"""What the parts of a run share: its settings, its client and threads, and the results of its changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import TypeVar

from vssync.api.client import Client
from vssync.applier.ledger import UploadLedger
from vssync.applier.observations import IngestionHealth, RefusalStreak, ServiceRecord
from vssync.applier.steps import BatchStep, Drop, StoreSteps, Update, Wait
from vssync.applier.watcher import Result, Watcher
from vssync.applier.writes import Writes
from vssync.errors import ServiceError, VssyncError
from vssync.model.marks import ApplyStamp
from vssync.model.plan import Action, BatchChange, FileChange, Plan, StoreChange
from vssync.model.report import NOT_TRIED, Outcome, Status
from vssync.model.service import Capabilities
from vssync.model.state import FileStatus, LiveFile
from vssync.sources.convert import FileContents
from vssync.threads import Pool

KeyedStep = TypeVar("KeyedStep", BatchStep, Update, Wait, Drop)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings of one apply."""

    contents: FileContents = field(default_factory=FileContents)
    capabilities: Capabilities = field(default_factory=Capabilities)
    confirmed_capabilities: frozenset[str] = frozenset()  # names of those that the manifest says the service has
    fail_fast: bool = False
    batches_in_flight: int = 8  # of one store, at once
    new_store_seconds: int = 0  # how long it usually takes until a new store can be used; 0: not known
    stamp: ApplyStamp | None = None  # to write to stores, with the time of the writing


_INTERRUPTED = Result(Status.UNKNOWN, "started, but its result is not known; plan again")


def send_deletion(send: Callable[[], None]) -> ServiceError | None:
    """Sends a deletion, to be confirmed later; returns the error of one that may have taken effect despite it.

    Raises ServiceError where it was refused.
    """
    try:
        send()
    except ServiceError as error:
        if not error.is_ambiguous:
            raise
        return error
    return None


def result_of_error(error: VssyncError) -> Result:
    """The result of a change that ended with an error: failed, or unknown where it may have taken effect."""
    status = Status.UNKNOWN if error.is_ambiguous else Status.FAILED
    request_id = error.answer.request_id if isinstance(error, ServiceError) else ""
    return Result(status, str(error), request_id, error.attempts)


def result_of_unconfirmed(error: VssyncError) -> Result:
    """The result of a change that was made, when an error kept this run from reading what became of it."""
    return replace(result_of_error(error), status=Status.UNKNOWN)


def result_of_uncompleted(file: LiveFile | VssyncError) -> Result:
    """The result of a file that failed, was cancelled, did not end in time, or could not be read."""
    if isinstance(file, VssyncError):
        return result_of_unconfirmed(file)
    if file.error:
        return Result(Status.FAILED, file.error.with_ways_out)
    if file.status in (FileStatus.FAILED, FileStatus.CANCELLED):
        return Result(Status.FAILED, f"ingestion {file.status}")
    return Result(Status.UNKNOWN, f"still {file.status} when the wait for it ended; plan again later")


@dataclass(slots=True)
class _ChangeRecord:
    """A change under way. Times are seconds of the monotonic clock."""

    started: float
    attempts: int = 0  # stays 0 for a change that got its result without being tried
    result: Result | None = None  # the worst so far
    if_interrupted: Result = _INTERRUPTED
    ended: float | None = None


class Results:
    """The results of a run's changes, by store key and own key: a file's key, a batch's id, "" for the store itself.

    Thread-safe.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], _ChangeRecord] = {}
        self.any_failed = False  # so far

    def record_start(self, store_key: str, key: str) -> None:
        """Records that the first request for a change is about to be sent; only the first of several calls counts."""
        with self._lock:
            self._records.setdefault((store_key, key), _ChangeRecord(self._now(), attempts=1))

    def record_retry(self, store_key: str, key: str) -> None:
        """Counts one more try of a change."""
        with self._lock:
            self._records[store_key, key].attempts += 1

    def set_result_if_interrupted(self, store_key: str, keys: Iterable[str], result: Result) -> None:
        """Sets what the result of these changes is if the run is interrupted from here on."""
        with self._lock:
            for key in keys:
                self._records[store_key, key].if_interrupted = result

    def record_result(self, store_key: str, key: str, result: Result) -> bool:
        """Records how a change ended; the worst of several results stays. Returns whether this is the first result."""
        with self._lock:
            record = self._records.setdefault((store_key, key), _ChangeRecord(self._now()))
            record.ended = self._now()
            if record.attempts:
                record.attempts = max(record.attempts, result.attempts)
            is_first = record.result is None
            if record.result is None or result.rank < record.result.rank:
                record.result = result
            self.any_failed |= record.result.status is Status.FAILED
            return is_first

    def statuses(self, store_key: str) -> dict[str, Status | None]:
        """Status by key of every change of a store that was begun or settled; None while under way."""
        with self._lock:
            records = [(key, record) for (of_store, key), record in self._records.items() if of_store == store_key]
            return {key: record.result.status if record.result else None for key, record in records}

    def outcomes(self, plan: Plan) -> tuple[Outcome, ...]:
        """One outcome for every change of the plan."""
        outcomes = []
        for store in plan.stores:
            # A store without a change has a record only if a write that nobody planned went wrong.
            if store.change or (store.key, "") in self._records:
                outcomes.append(self._outcome(store.key, "", store.change))
            outcomes += [self._outcome(store.key, batch.id, batch) for batch in store.batches]
            outcomes += [self._outcome(store.key, file.key, file) for file in store.files]
        return tuple(outcomes)

    def _outcome(self, store_key: str, key: str, change: StoreChange | BatchChange | FileChange | None) -> Outcome:
        action = change.action if change else Action.UPDATE
        if change and action is Action.REFUSE:
            return Outcome(store_key, key, action, Status.FAILED, change.detail or "needs attention")
        record = self._records.get((store_key, key))
        if record is None:
            return Outcome(store_key, key, action, Status.SKIPPED, NOT_TRIED)
        result = record.result or record.if_interrupted
        seconds = (self._now() if record.ended is None else record.ended) - record.started
        status, detail, request_id, already = result.status, result.detail, result.request_id, result.already
        return Outcome(store_key, key, action, status, detail, request_id, record.attempts, seconds, already)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion that was sent, of a store's file, or of the store itself where `file_id` is empty."""

    store_key: str
    key: str  # of the change that gets its result
    store_id: str
    file_id: str = ""
    kept_id: str = ""  # the copy that stays in its place
    error: ServiceError | None = None  # of a request that may have taken effect despite it

    @property
    def object_id(self) -> str:
        return self.file_id or self.store_id


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
    deletions: list[Deletion] = field(default_factory=list, init=False)  # sent, and not yet confirmed by a listing
    deleted_stores: set[str] = field(default_factory=set, init=False)  # ids of those that are gone

    def __post_init__(self) -> None:
        self.service = ServiceRecord(self.settings.capabilities)
        self.results = Results(self.client.clock.monotonic)

    @property
    def client(self) -> Client:
        return self.writes.client

    @property
    def capabilities(self) -> Capabilities:
        """What the service can do, as far as this run knows: work on any store may show that something is missing."""
        return self.service.capabilities

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be written any more, to the journal or to the local service's data."""
        return self.writes.journal.is_broken or self.client.sender.has_unusable_data

    @property
    def stopping(self) -> bool:
        """Whether to begin nothing more: a change failed under --fail-fast, or nothing can be written."""
        return self.is_broken or (self.settings.fail_fast and self.results.any_failed)

    @property
    def time(self) -> str:
        """The time by the service's clock, or else by this machine's, as in a stamp."""
        time = datetime.fromtimestamp(self.client.service_date or self.client.clock.wall_time(), UTC)
        return f"{time:%Y-%m-%dT%H:%M:%SZ}"

    def announce(self, text: str, *, again_after: float = inf) -> None:
        """Sends the watcher a message, unless it got the same one within the last `again_after` seconds."""
        if self.service.is_first_time(text, self.client.clock.monotonic(), within=again_after):
            self.watcher.on_message(text)


@dataclass(slots=True)
class StoreContext:
    """A run at work on one store."""

    run: ApplyRun
    steps: StoreSteps
    id: str  # at the service; after a replacement the new one (`steps.store_id` is the old)
    made_id: str = ""  # from the reply to our create; empty if that was lost
    has_lost_create: bool = False  # a request to create the store got no usable reply, and may have created one
    may_have_duplicate: bool = False  # this run made it, and has not yet looked for one that another machine made
    is_provisioning: bool = False  # this run made it, and the service does not serve it yet
    # By key digest, files of a new store that other runs attached before this run came to attach its own.
    concurrent_copies: Mapping[str, LiveFile] = field(default_factory=dict)
    completed: dict[str, str] = field(default_factory=dict)  # by key, the Files that this run brought in
    last_progress: float = 0.0  # when the service last finished files of the store, on the monotonic clock
    ingestion: IngestionHealth = field(default_factory=IngestionHealth)
    refusals: RefusalStreak = field(default_factory=RefusalStreak)
    stop_reason: str = ""  # why no more files are sent to the store, as a predicate: "takes no files now: …"
    visibility_wait_used: float = 0.0  # seconds of VISIBILITY_GRACE that waits in this store have used up

    @property
    def key(self) -> str:
        return self.steps.key

    @property
    def is_new(self) -> bool:
        """Whether this run makes the store."""
        return self.steps.setup is not None and self.steps.setup.action in (Action.CREATE, Action.REPLACE)

    @property
    def is_deleted(self) -> bool:
        """Whether this run deleted the store."""
        return self.id in self.run.deleted_stores

    @property
    def client(self) -> Client:
        return self.run.client

    @property
    def writes(self) -> Writes:
        return self.run.writes

    @property
    def short_stop_reason(self) -> str:
        """Why a file is not sent, without the service's message, which only the refused files report."""
        return f"the store {self.stop_reason.partition(':')[0]}"

    def is_refused_type(self, file_type: str) -> bool:
        """Whether no more files of this type are worth sending in this run."""
        return self.run.service.is_refused_type(file_type, unproven=file_type in self.steps.unproven)

    def record_refusal(self, error: VssyncError, keys: Iterable[str]) -> None:
        """Records that a request about these files was refused; stops the feed if others would be refused as well."""
        if not isinstance(error, ServiceError) or error.is_ambiguous or not error.answer.status:
            return
        if self.refusals.record(error, keys):
            self.stop_reason = self.stop_reason or f"takes no files now: {error}"

    def settle(self, key: str, result: Result) -> None:
        """Records how a change ended, and tells the watcher: once, though a change may take several steps."""
        if self.run.results.record_result(self.key, key, result):
            self.run.watcher.on_settled(self.key, key, result)

    def settle_untried(self, key: str) -> None:
        """Records that a file was not sent, since the store takes no more."""
        self.settle(key, Result(Status.SKIPPED, f"{NOT_TRIED}: {self.short_stop_reason}"))

    def for_each(self, steps: Iterable[KeyedStep], execute: Callable[[StoreContext, KeyedStep], Result]) -> None:
        """Carries out steps in parallel and records the result of each; begins none once the run is stopping."""

        def execute_and_settle(step: KeyedStep) -> None:
            if self.run.stopping:
                return
            self.run.results.record_start(self.key, step.key)
            try:
                self.settle(step.key, execute(self, step))
            except VssyncError as error:
                self.settle(step.key, result_of_error(error))

        self.run.pool.map(execute_and_settle, steps)

    def detach_copy(self, drop: Drop, kept_id: str = "") -> None:
        """Detaches one copy; an upload of ours is deleted at the end of the run.

        `kept_id` is the copy that stays in its place, where the drop does not say. A lost reply is not a failure: the
        end of the run looks for every copy that was to be detached.
        """
        is_ours = drop.deletes_upload
        error = send_deletion(lambda: self.writes.detach(self.id, drop.file_id, is_our_upload=is_ours))
        self.run.deletions.append(Deletion(self.key, drop.key, self.id, drop.file_id, kept_id or drop.kept_id, error))
        if is_ours:
            self.run.ledger.schedule_delete(drop.file_id, f"replaced or removed copy of {drop.key}")
