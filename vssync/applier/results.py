"""Collects what became of each change while threads work, and joins it with the plan in the end."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from vssync.errors import LostReply, VssyncError
from vssync.plan import Action, Plan, StorePlan
from vssync.report import Outcome, Status

# A change of several requests is as bad as its worst one.
_WORST_FIRST = (Status.FAILED, Status.UNKNOWN, Status.SKIPPED, Status.DONE)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change so far."""

    status: Status
    detail: str = ""
    request_id: str = ""


DONE = Result(Status.DONE)
_NOT_TRIED = Result(Status.SKIPPED, "not tried")
_CUT_SHORT = Result(Status.UNKNOWN, "begun, and not seen to its end; plan again")


def failed(error: VssyncError) -> Result:
    """The result of an error: unknown when the reply was lost."""
    status = Status.UNKNOWN if isinstance(error, LostReply) else Status.FAILED
    answer = getattr(error, "answer", None)
    return Result(status, str(error), answer.request_id if answer else "")


class Results:
    """Thread-safe; addressed by store key and file key ("" for the store itself, a batch's id for a batch)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], Result] = {}
        self._begun: set[tuple[str, str]] = set()

    def begin(self, store: str, key: str) -> None:
        """Records that requests for a change may be under way."""
        with self._lock:
            self._begun.add((store, key))

    def add(self, store: str, key: str, result: Result) -> None:
        """Records a result; the worst of several for one change stays."""
        with self._lock:
            known = self._found.get((store, key))
            if known is None or _WORST_FIRST.index(result.status) < _WORST_FIRST.index(known.status):
                self._found[store, key] = result

    def all_done(self, store: str) -> bool:
        """Whether everything tried so far in a store was done."""
        with self._lock:
            return all(found.status is Status.DONE for (key, _), found in self._found.items() if key == store)

    def any_failed(self) -> bool:
        """Whether anything failed so far."""
        with self._lock:
            return any(found.status is Status.FAILED for found in self._found.values())

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
            return Outcome(store, key, action, Status.FAILED, detail or "needs a person")
        ended = _CUT_SHORT if (store, key) in self._begun else _NOT_TRIED
        found = self._found.get((store, key), ended)
        return Outcome(store, key, action, found.status, found.detail, found.request_id)
