"""What search results say of questions, and which questions a plan is certain to leave without their document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vssync.limits import SEARCH_RESULTS
from vssync.manifest.questions import KeyIndex, matches_key
from vssync.model.digests import with_key
from vssync.model.marks import KEY
from vssync.model.plan import Action, FileChange, Note, NoteKind, Reason
from vssync.model.questions import Question, QuestionSet, SearchFilter
from vssync.model.service import ServiceSpec
from vssync.model.state import DesiredStore, FileStatus, LiveFile
from vssync.text import count_noun, escape_control

# Why a document that is still on disk leaves the store.
_LEFT_OUT = {Reason.DRAFT: "draft", Reason.IGNORED: "ignored by git"}


@dataclass(frozen=True, slots=True)
class RankedHit:
    """One search result without its text; `key` is empty for a file that vssync did not upload."""

    key: str
    file_id: str
    filename: str
    score: float

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.key or self.filename or self.file_id


@dataclass(frozen=True, slots=True)
class PatternResult:
    """What became of one of `expect` or `never`: the best result that matches it, by rank from 1; 0 without one.

    `detail` says where an expected document is that is not among the first results.
    """

    pattern: str
    rank: int = 0
    key: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """One question's hits, best first, and what they say; `error` is why it could not be asked."""

    question: Question
    hits: tuple[RankedHit, ...] = ()
    expected: tuple[PatternResult, ...] = ()
    broken: tuple[PatternResult, ...] = ()  # those of `never` that a result matches
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was asked, and all is as expected."""
        return not (self.error or self.broken or self.missing)

    @property
    def missing(self) -> tuple[PatternResult, ...]:
        """What was expected, and is not among the first results."""
        return tuple(each for each in self.expected if not 0 < each.rank <= self.question.top)


@dataclass(frozen=True, slots=True)
class StoreScore:
    """The results of a store's questions; without an `id` it is not live, and nothing was asked."""

    key: str
    questions: QuestionSet
    results: tuple[QuestionResult, ...]
    id: str = ""

    @property
    def passed(self) -> int:
        return sum(result.passed for result in self.results)

    @property
    def unasked(self) -> int:
        return sum(bool(result.error) for result in self.results)

    @property
    def broken(self) -> int:
        """How many questions found what must never be found."""
        return sum(bool(result.broken) for result in self.results)

    @property
    def failed(self) -> bool:
        """Whether it fails even if all questions that could not be asked would pass."""
        return self.broken > 0 or not self.questions.is_enough(self.passed + self.unasked)


@dataclass(frozen=True, slots=True)
class QuestionReport:
    """The results of all questions that were to be asked."""

    owner: str
    service: ServiceSpec
    stores: tuple[StoreScore, ...]

    @property
    def failed(self) -> bool:
        """Whether a store fails, even if all questions that could not be asked would pass."""
        return any(store.failed for store in self.stores)

    @property
    def unasked(self) -> int:
        return sum(store.unasked for store in self.stores)


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """The keys that are declared for a store or left out of it, and its live files by key where they were listed."""

    declared: KeyIndex
    left_out: KeyIndex
    reasons: Mapping[str, str] = field(default_factory=dict)  # why keys are left out
    live: Mapping[str, LiveFile] | None = None
    live_keys: KeyIndex = field(default_factory=lambda: KeyIndex(()))

    @classmethod
    def of(cls, store: DesiredStore, files: Sequence[LiveFile] | None) -> StoreKeys:
        """What is known of a store; `files` are its live ones, None where they were not listed."""
        declared, left_out = KeyIndex(file.key for file in store.files), KeyIndex(store.skipped)
        if files is None:
            return cls(declared, left_out, store.skipped)
        marked = sorted((file for file in reversed(files) if KEY in file.attributes), key=_is_searchable)
        live = {str(file.attributes[KEY]): file for file in marked}  # of several copies the last: one that search finds
        return cls(declared, left_out, store.skipped, live, KeyIndex(live))


def _is_searchable(file: LiveFile) -> bool:
    return file.status is FileStatus.COMPLETED


def judge(question: Question, hits: tuple[RankedHit, ...]) -> QuestionResult:
    """The result of a question, from the hits of a search for at most `top` results."""
    hits = hits[: question.top]
    expected = tuple(_rank_in(hits, pattern) for pattern in question.expect)
    broken = tuple(found for pattern in question.never if (found := _rank_in(hits, pattern)).rank)
    return QuestionResult(question, hits, expected, broken)


def _rank_in(hits: Sequence[RankedHit], pattern: str) -> PatternResult:
    ranked = ((rank, hit.key) for rank, hit in enumerate(hits, 1) if hit.key and matches_key(pattern, hit.key))
    return PatternResult(pattern, *next(ranked, (0, "")))


def explain_missing(result: QuestionResult, deeper: Sequence[RankedHit], keys: StoreKeys) -> QuestionResult:
    """The result, with where each missing document is; `deeper` are the hits of a search for as many as possible."""
    missing = {each.pattern for each in result.missing}
    expected = tuple(
        _locate(each.pattern, result.question, deeper, keys) if each.pattern in missing else each
        for each in result.expected
    )
    return replace(result, expected=expected)


def _locate(pattern: str, question: Question, deeper: Sequence[RankedHit], keys: StoreKeys) -> PatternResult:
    found = _rank_in(deeper, pattern)
    if found.rank > question.top:
        return replace(found, detail=f"in the store, ranked {found.rank}")
    live = keys.live_keys.matching(pattern)
    files = [keys.live[key] for key in live] if keys.live else []
    searchable = [file for file in files if _is_searchable(file)]
    omitted = keys.left_out.matching(pattern)
    declared = keys.declared.matching(pattern)
    key = (*live, *declared, *omitted, "")[0]
    if searchable:
        accepts = question.filter.may_match if question.filter else None
        if accepts and not any(accepts(file.attributes) for file in searchable):
            detail = "in the store, with attributes that the filter leaves out"
        elif found.rank:  # within `top` here, and not in the search for `top` results: services may rank differently
            detail = f"in the store, ranked {found.rank} where more results are asked for"
        else:
            detail = f"in the store, not among the first {SEARCH_RESULTS[-1]}"
    elif files:
        detail = f"in the store, but {files[0].status.replace('_', ' ')}: search cannot find it"
    elif declared:
        is_known = keys.live is not None
        detail = "not in the store: `vssync apply` adds it" if is_known else f"not among the first {SEARCH_RESULTS[-1]}"
    elif omitted:
        detail = f"left out of the store ({keys.reasons[key].replace('_', ' ')})"
    else:
        detail = "not in the manifest"
    return PatternResult(pattern, 0, key, detail)


def lost_questions(store: DesiredStore, changes: Iterable[FileChange]) -> tuple[Note, ...]:
    """A note for each of `expect` whose documents all leave the store, or change so that its filter leaves them out.

    Such a question is certain to fail. Where a document stays, only a search can say whether it is still found.
    """
    affected: dict[str, list[FileChange]] = {}
    questions = store.tests.questions if store.tests else ()
    for change in changes if questions else ():
        if change.action is Action.DELETE or change.was or change.fields:
            affected.setdefault(change.was or change.key, []).append(change)
    if not affected:
        return ()
    affected_keys, declared = KeyIndex(affected), KeyIndex(file.key for file in store.files)
    attributes = {file.key: file.attributes for file in store.files}

    def may_find(question: Question, pattern: str) -> bool:
        """Whether a search may find a document that matches a pattern, once the store is as declared."""
        matching, accepts = declared.matching(pattern), question.filter
        if accepts is None:
            return bool(matching)
        return any(accepts.may_match(with_key(attributes[key], key), store.ignore_attributes) for key in matching)

    return tuple(
        Note(NoteKind.LOST_QUESTION, question.ask, detail=_lost_text(lost))
        for question in questions
        for pattern in question.expect
        if (lost := [*_losses(question.filter, pattern, affected_keys, affected)]) and not may_find(question, pattern)
    )


def _losses(
    accepts: SearchFilter | None, pattern: str, keys: KeyIndex, affected: Mapping[str, Sequence[FileChange]]
) -> Iterator[tuple[str, str]]:
    """The documents that a pattern finds until the changes are made and not after, each with what becomes of it."""
    for key in keys.matching(pattern):
        for change in affected[key]:
            if change.was:
                yield key, f"moves to `{escape_control(change.key)}`"
            elif change.action is Action.DELETE:
                why = _LEFT_OUT.get(change.reasons[0])
                yield key, f"is left out ({why})" if why else "leaves the store"
            elif accepts and change.desired and change.action in (Action.UPDATE, Action.REPLACE):
                changed = {field.name: field.before for field in change.fields}
                before = {
                    name: value
                    for name, value in (with_key(change.desired.attributes, key) | changed).items()
                    if value is not None
                }
                if accepts.may_match(before):
                    yield key, "no longer matches its filter"


def _lost_text(lost: Sequence[tuple[str, str]]) -> str:
    key, why = lost[0]
    more = f" (and {count_noun(len(lost) - 1, 'more document')})" if lost[1:] else ""
    return f"`{escape_control(key)}` {why}{more}"
