"""Collects what became of each change while threads work, and joins it with the plan in the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from vssync.errors import LostReply, VssyncError
from vssync.model.plan import Action, Outcome, Plan, Status, StorePlan
from vssync.model.state import FileStatus, LiveFile

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


def failed(error: VssyncError) -> Result:
    """The result of an error: unknown when the reply was lost."""
    status = Status.UNKNOWN if isinstance(error, LostReply) else Status.FAILED
    answer = getattr(error, "answer", None)
    return Result(status, str(error), answer.request_id if answer else "", getattr(error, "attempts", 1))


def not_completed(file: LiveFile) -> Result:
    """The result of a file that failed, was cancelled, or did not end in the time it was waited for."""
    if file.error:
        return Result(Status.FAILED, str(file.error))
    if file.status in (FileStatus.FAILED, FileStatus.CANCELLED):
        return Result(Status.FAILED, f"ingestion {file.status}")
    return Result(Status.UNKNOWN, f"still {file.status} when its batch had ended or stopped moving; plan again later")


@dataclass(slots=True)
class _ChangeRecord:
    """A change: when it began, in monotonic seconds, how often it was tried, how it ended so far."""

    started: float
    attempts: int
    result: Result | None = None
    ended: float | None = None


class Results:
    """Thread-safe; addressed by store key and file key ("" for the store itself, a batch's id for a batch).

    `now` gives monotonic seconds.
    """

    def __init__(self, now: Callable[[], float], lock: AbstractContextManager[object]) -> None:
        self._now = now
        self._lock = lock
        self._records: dict[tuple[str, str], _ChangeRecord] = {}
        self._failed = False

    def record_start(self, store: str, key: str) -> None:
        """Requests for a change may be under way; only the first of several calls counts."""
        with self._lock:
            self._records.setdefault((store, key), _ChangeRecord(self._now(), attempts=1))

    def record_retry(self, store: str, key: str) -> None:
        """A change is tried once more."""
        with self._lock:
            self._records[store, key].attempts += 1

    def record_result(self, store: str, key: str, result: Result) -> None:
        """A change ended; the worst of several results stays."""
        with self._lock:
            record = self._records.setdefault((store, key), _ChangeRecord(self._now(), attempts=0))
            record.ended = self._now()
            if record.attempts:
                record.attempts = max(record.attempts, result.attempts)
            if record.result is None or _severity(result) < _severity(record.result):
                record.result = result
                self._failed = self._failed or result.status is Status.FAILED

    def all_done(self, store: str, uploaded_keys: Collection[str]) -> bool:
        """Whether everything tried so far in a store was done, and these of its files were tried."""
        with self._lock:
            of_store = {file: record.result for (key, file), record in self._records.items() if key == store}
        return of_store.keys() >= set(uploaded_keys) and all(
            result.status is Status.DONE for result in of_store.values() if result
        )

    def any_failed(self) -> bool:
        """Whether anything failed so far."""
        return self._failed

    def outcomes(self, plan: Plan) -> tuple[Outcome, ...]:
        """One outcome for every change of the plan; what has no result was not tried."""
        return tuple(outcome for store in plan.stores for outcome in self._store_outcomes(store))

    def _store_outcomes(self, store: StorePlan) -> Iterator[Outcome]:
        if store.change:
            yield self._outcome(store.key, "", store.change.action, store.change.detail)
        for batch in store.batches:
            yield self._outcome(store.key, batch.id, batch.action, batch.detail)
        for file in store.files:
            yield self._outcome(store.key, file.key, file.action, file.detail)

    def _outcome(self, store: str, key: str, action: Action, detail: str) -> Outcome:
        if action is Action.REFUSE:
            return Outcome(store, key, action, Status.FAILED, detail or "needs attention")
        record = self._records.get((store, key))
        if record is None:
            return Outcome(store, key, action, Status.SKIPPED, "not tried")
        result = record.result or _CUT_SHORT
        seconds = (self._now() if record.ended is None else record.ended) - record.started
        return Outcome(store, key, action, result.status, result.detail, result.request_id, record.attempts, seconds)


def _severity(result: Result) -> int:
    return _WORST_FIRST.index(result.status)
