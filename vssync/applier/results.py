"""Collects what became of each change while threads work, and joins it with the plan in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from vssync.errors import LostReply, VssyncError
from vssync.model.plan import Action, Plan, StorePlan
from vssync.model.report import Outcome, Status
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
_NOT_TRIED = Result(Status.SKIPPED, "not tried")
_CUT_SHORT = Result(Status.UNKNOWN, "begun, and not seen to its end; plan again")


def failed(error: VssyncError) -> Result:
    """The result of an error: unknown when the reply was lost."""
    status = Status.UNKNOWN if isinstance(error, LostReply) else Status.FAILED
    answer = getattr(error, "answer", None)
    return Result(status, str(error), answer.request_id if answer else "", getattr(error, "attempts", 1))


def short_of_completed(file: LiveFile) -> Result:
    """The result of a file that ended otherwise, or not at all as long as it was waited for."""
    if file.error:
        return Result(Status.FAILED, str(file.error))
    if file.status in (FileStatus.FAILED, FileStatus.CANCELLED):
        return Result(Status.FAILED, f"ingestion {file.status}")
    return Result(Status.UNKNOWN, f"still {file.status} when its batch had ended or stood still; plan again later")


@dataclass(slots=True)
class _Course:
    """A change on its way: when it began, in monotonic seconds, how often it was tried, how it ended so far."""

    begun: float
    attempts: int
    result: Result | None = None
    ended: float | None = None


class Results:
    """Thread-safe; addressed by store key and file key ("" for the store itself, a batch's id for a batch).

    `now` gives monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._courses: dict[tuple[str, str], _Course] = {}
        self._failed = False

    def begin(self, store: str, key: str) -> None:
        """Records that requests for a change may be under way; only the first of several counts."""
        with self._lock:
            self._courses.setdefault((store, key), _Course(self._now(), attempts=1))

    def again(self, store: str, key: str) -> None:
        """Records that a change is tried once more."""
        with self._lock:
            self._courses[store, key].attempts += 1

    def add(self, store: str, key: str, result: Result) -> None:
        """Records a result; the worst of several for one change stays."""
        with self._lock:
            course = self._courses.setdefault((store, key), _Course(self._now(), attempts=0))
            course.ended = self._now()
            if course.attempts:
                course.attempts = max(course.attempts, result.attempts)
            if course.result is None or _badness(result) < _badness(course.result):
                course.result = result
                self._failed = self._failed or result.status is Status.FAILED

    def all_done(self, store: str, puts: Collection[str]) -> bool:
        """Whether everything tried so far in a store was done, and these of its files were tried."""
        with self._lock:
            mine = {file: course.result for (key, file), course in self._courses.items() if key == store}
        return mine.keys() >= set(puts) and all(result.status is Status.DONE for result in mine.values() if result)

    def any_failed(self) -> bool:
        """Whether anything failed so far."""
        return self._failed

    def outcomes(self, plan: Plan) -> tuple[Outcome, ...]:
        """One outcome for every change of the plan; what has no result was not tried."""
        return tuple(outcome for store in plan.stores for outcome in self._of_store(store))

    def _of_store(self, store: StorePlan) -> list[Outcome]:
        changes = [("", store.change)] if store.change else []
        outcomes = [self._outcome(store.key, key, change.action, change.detail) for key, change in changes]
        outcomes += [self._outcome(store.key, batch.id, batch.action, batch.detail) for batch in store.batches]
        outcomes += [self._outcome(store.key, file.key, file.action, file.detail) for file in store.files]
        return outcomes

    def _outcome(self, store: str, key: str, action: Action, detail: str) -> Outcome:
        if action is Action.REFUSE:
            return Outcome(store, key, action, Status.FAILED, detail or "needs attention")
        course = self._courses.get((store, key))
        if course is None:
            return Outcome(store, key, action, _NOT_TRIED.status, _NOT_TRIED.detail)
        found = course.result or _CUT_SHORT
        seconds = (self._now() if course.ended is None else course.ended) - course.begun
        return Outcome(store, key, action, found.status, found.detail, found.request_id, course.attempts, seconds)


def _badness(result: Result) -> int:
    return _WORST_FIRST.index(result.status)
