"""`vssync test`: asks the live stores the questions that the manifest has for them."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from vssync.api.client import Client
from vssync.commands.search import missing_reason, unknown_store_error
from vssync.commands.session import Session
from vssync.errors import Answer, ServiceError, UsageProblem, VssyncError
from vssync.limits import MAX_VALUE_LENGTH, SEARCH_RESULTS
from vssync.model.marks import KEY, key_attribute
from vssync.model.plan import Options
from vssync.model.questions import Question, QuestionSet
from vssync.model.state import Desired, DesiredStore, LiveFile, LiveStore
from vssync.planner.find_stores import match_stores
from vssync.planner.score import (
    QuestionReport,
    QuestionResult,
    RankedHit,
    StoreKeys,
    StoreScore,
    explain_missing,
    judge,
)
from vssync.threads import Pool

_ABOUT_THE_QUESTION = (400, 422)  # statuses of an answer to one question, such as one whose filter is not known


@dataclass(slots=True)
class AskProgress:
    """How many questions are to be asked, and were; some are asked twice. Thread-safe."""

    total: int = 0
    asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> None:
        with self._lock:
            self.asked += 1


def stores_with_questions(desired: Desired, keys: Collection[str] = ()) -> tuple[str, ...]:
    """The keys of the stores to ask: these, or without any all that have questions.

    Raises UsageProblem for a store that the manifest does not have or that has no questions, VssyncError where none
    has.
    """
    declared = {store.key: store for store in desired.stores}
    for key in keys:
        if key not in declared:
            raise unknown_store_error(key, declared)
        if not declared[key].tests:
            raise UsageProblem(f"{key}: the store has no questions; name a file of them by `tests`")
    chosen = tuple(key for key, store in declared.items() if store.tests and (not keys or key in keys))
    if not chosen:
        raise VssyncError("no store of the manifest has questions; name a file of them by `tests`, as `questions.yaml`")
    return chosen


@dataclass(frozen=True, slots=True)
class _Job:
    """One search: of a store's question, for so many results."""

    store_id: str
    question: Question
    most: int


class _Asker:
    """Searches side by side; a store that cannot be searched is asked no further questions. Thread-safe."""

    def __init__(self, client: Client, pool: Pool, progress: AskProgress) -> None:
        self._client, self._pool, self._progress = client, pool, progress
        self._stopped: dict[str, str] = {}  # why, by store id
        self._reasons: dict[Answer, str] = {}  # those that differ in their request's id alone are told as one

    def ask_all(self, jobs: list[_Job]) -> list[tuple[RankedHit, ...] | str]:
        """What each search found, or why it could not be made."""
        self._progress.total += len(jobs)
        return self._pool.map(self._ask, jobs)

    def _ask(self, job: _Job) -> tuple[RankedHit, ...] | str:
        if reason := self._stopped.get(job.store_id):
            return reason
        try:
            hits = self._client.search_store(job.store_id, job.question.ask, job.most, job.question.filter)
        except ServiceError as error:
            same = replace(error.answer, request_id="", retry_after=None)
            reason = self._reasons.setdefault(same, str(error))
            if same.status not in _ABOUT_THE_QUESTION:
                self._stopped[job.store_id] = reason
            return reason
        finally:
            self._progress.count()
        return tuple(RankedHit(hit.key, hit.file_id, hit.filename, hit.score) for hit in hits)


def ask_stores(
    session: Session, keys: Collection[str], progress: AskProgress, made_ids: Mapping[str, str] | None = None
) -> QuestionReport:
    """Asks every question of these stores, and looks for what was expected and not found.

    `made_ids` are live ids, by key, of stores that an apply just made, which the service may not list yet. What cannot
    be asked is said by the results. Raises Refused where it is not clear which live store is meant.
    """
    desired, client, pool = session.loaded.desired, session.client, session.pool
    stores = [store for store in desired.stores if store.key in keys]
    problem, listed = "", tuple[LiveStore, ...]()
    try:
        listed = client.list_stores()
    except ServiceError as error:
        problem = str(error)
    matches = match_stores(desired, listed, Options())
    ids = {**(made_ids or {}), **matches.ids}
    asker = _Asker(client, pool, progress)
    asked = [(store, store.tests or QuestionSet()) for store in stores]
    jobs = [
        _Job(ids[store.key], question, question.top)
        for store, tests in asked
        if store.key in ids
        for question in tests.questions
    ]
    answers = iter(asker.ask_all(jobs))
    scores = []
    for store, tests in asked:
        if store_id := ids.get(store.key, ""):
            own = [(question, next(answers)) for question in tests.questions]
            results = _judge_store(store, store_id, own, asker, client)
        else:
            reason = problem or missing_reason(session, store, matches.by_key[store.key])
            results = tuple(QuestionResult(each, error=reason) for each in tests.questions)
        scores.append(StoreScore(store.key, tests, results, store_id))
    return QuestionReport(desired.owner, desired.service, tuple(scores))


def _judge_store(
    store: DesiredStore,
    store_id: str,
    answers: list[tuple[Question, tuple[RankedHit, ...] | str]],
    asker: _Asker,
    client: Client,
) -> tuple[QuestionResult, ...]:
    """What the answers say; the store's files are listed only where hits do not name theirs, or one is missing."""
    hits = [hit for _, answer in answers if not isinstance(answer, str) for hit in answer]
    files: tuple[LiveFile, ...] | None = None
    results = [_judge_answer(question, answer) for question, answer in answers]
    if not all(hit.key for hit in hits) or any(result.missing for result in results):
        files = _list_files(client, store_id)
    names = _Names(store, files or ())
    results = [result if result.error else judge(result.question, names.of(result.hits)) for result in results]
    incomplete = [number for number, result in enumerate(results) if result.missing]
    deeper = asker.ask_all([_Job(store_id, results[number].question, SEARCH_RESULTS[-1]) for number in incomplete])
    keys = StoreKeys.of(store, files)
    for number, answer in zip(incomplete, deeper, strict=True):
        if not isinstance(answer, str):
            results[number] = explain_missing(results[number], names.of(answer), keys)
    return tuple(results)


def _judge_answer(question: Question, answer: tuple[RankedHit, ...] | str) -> QuestionResult:
    return QuestionResult(question, error=answer) if isinstance(answer, str) else judge(question, answer)


def _list_files(client: Client, store_id: str) -> tuple[LiveFile, ...] | None:
    """A store's files; None where they cannot be listed, which only leaves out why a document is not found."""
    try:
        return client.list_files(store_id)
    except ServiceError:
        return None


class _Names:
    """The keys of hits: what the hit's own attributes say, else by its file's id; a long key is cut in attributes."""

    def __init__(self, store: DesiredStore, files: Collection[LiveFile]) -> None:
        self._by_id = {file.id: str(file.attributes[KEY]) for file in files if KEY in file.attributes}
        self._uncut = {key_attribute(file.key): file.key for file in store.files if len(file.key) > MAX_VALUE_LENGTH}

    def of(self, hits: tuple[RankedHit, ...]) -> tuple[RankedHit, ...]:
        return tuple(replace(hit, key=self._key_of(hit)) for hit in hits)

    def _key_of(self, hit: RankedHit) -> str:
        key = hit.key or self._by_id.get(hit.file_id, "")
        return self._uncut.get(key, key)
