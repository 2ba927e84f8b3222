"""The lines of a plan or a report, one row an object, before they are laid out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from posixpath import commonprefix

from vssync.model.convergence import OPEN_NOTES
from vssync.model.plan import (
    Action,
    FieldChange,
    FileChange,
    Note,
    NoteKind,
    Reason,
    RecordedCopy,
    StoreChange,
    StorePlan,
)
from vssync.model.report import NOT_TRIED, Outcome, Status
from vssync.model.state import FileStatus
from vssync.planner.estimate import upload_size
from vssync.render import wording
from vssync.text import count_noun, escape_control

STORE = "(the store)"
_NEW_FILES = 10  # of one folder: more are shown as one row


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One object: a sign, its key (or "3 files"), the reason or the outcome, its size, and the details below it.

    Rows with the same `group_key` are counted together. One may stand for the same object in several `stores`, for the
    new files of a folder, or for what is left out; `count` is of all of them, `size` of those in one store. `members`
    are then the rows that it stands for: of several stores, one with the key of each.
    """

    sign: str
    key: str
    text: str
    size: int | None = None
    count: int = 1
    fields: tuple[FieldChange, ...] = ()
    below: tuple[str, ...] = ()
    noun: str = "file"
    stores: int = 1
    members: tuple[PlanRow, ...] = ()

    @property
    def shown_text(self) -> str:
        """The reason or the outcome, with the number of a folder's new files."""
        files = self.count // self.stores
        return count_noun(files, self.text) if self.sign == "+" and files > 1 else self.text

    @property
    def group_key(self) -> tuple[str, str, str]:
        return self.sign, self.text, self.noun

    @property
    def variant_key(self) -> str:
        """What the rows of a group share that are counted together one level down; exact, so 1 is not true."""
        return repr((self.fields, self.below))


def plan_rows(store: StorePlan, *, full: bool) -> tuple[PlanRow, ...]:
    """The store's own change, its files, its notes, and what it leaves out, which is counted unless `full` is set.

    A bare creation is told by the store's line.
    """
    omitted = wording.left_out_files(store.left_out)
    each = tuple(PlanRow("", key, f"left out: {why}") for key, why in omitted)
    text = wording.left_out_text(store.left_out)
    total = PlanRow("", count_noun(len(omitted), "file"), text, count=len(omitted), members=each)
    own = store.change
    bare = own is None or (own.action is Action.CREATE and not own.fields and not own.detail)
    return (
        *([] if own is None or bare else [_store_row(own)]),
        *(_file_row(change, store) for change in store.files),
        *(_note_row(note, store) for note in store.notes if note.kind is not NoteKind.FOREIGN_BATCH),
        *(each if full else [total] if omitted else []),
    )


def fold_new_folders(rows: tuple[PlanRow, ...]) -> tuple[PlanRow, ...]:
    """The rows, but one for all files below a folder if they are more than ten, and all new."""
    new = {id(row) for row in rows if row.sign == "+" and row.text == wording.REASONS[Reason.MISSING]}
    counts, mixed = Counter[str](), set[str]()
    for row in rows:
        counts.update(_folders_above(row.key)) if id(row) in new else mixed.update(_folders_above(row.key))
    entire = {folder for folder, count in counts.items() if count > _NEW_FILES and folder not in mixed}
    groups: dict[object, list[PlanRow]] = {}
    for row in rows:
        outermost = next(filter(entire.__contains__, _folders_above(row.key)), None)
        groups.setdefault(id(row) if outermost is None else outermost, []).append(row)
    return tuple(group[0] if len(group) == 1 else _folder_row(group) for group in groups.values())


def _folder_row(rows: list[PlanRow]) -> PlanRow:
    folder = folder_of(commonprefix([row.key for row in rows]))
    size = sum(row.size or 0 for row in rows)
    return replace(rows[0], key=folder, size=size, count=len(rows), members=tuple(rows))


def _folders_above(key: str) -> list[str]:
    """The folders that a key lies in, outermost first; none for one at the root."""
    return [key[: end + 1] for end, char in enumerate(key) if char == "/"]


def _store_row(change: StoreChange) -> PlanRow:
    text = "new store" if change.action is Action.CREATE else wording.reason_text(change.reasons)
    if change.reasons == (Reason.MISSING,) and change.action is Action.REFUSE:
        text = "not live"
    sign, below = wording.SIGNS[change.action], _explanations(change)
    return PlanRow(sign, STORE, text, fields=change.fields, below=below, noun="store")


def _file_row(change: FileChange, store: StorePlan) -> PlanRow:
    text = _batch_text(change, store) or wording.reason_text(change.reasons)
    if change.reuse:
        text += ", no upload"
    if change.tries > 1 and change.action is Action.REPLACE:
        text += f", try {change.tries}"
    below = (*([f"from {escape_control(change.was)}"] if change.was else []), *_explanations(change, change.keep))
    key, size = escape_control(change.key), upload_size(change)
    return PlanRow(sign_of(change), key, text, size=size, fields=change.fields, below=below)


def _batch_text(change: FileChange, store: StorePlan) -> str:
    """Why a file in an unfinished batch is attached; empty for any other. Nothing is cancelled before an apply."""
    if not any(copy.status is FileStatus.IN_PROGRESS for copy in change.drop):
        return ""
    if change.reasons == (Reason.INGEST_CANCELLED,):
        return "attached again after the cancel"
    if change.reasons != (Reason.MISSING,):
        return ""
    is_cancelled = any(change.key in batch.unwanted and batch.action is Action.CANCEL for batch in store.batches)
    return f"newer than the one {'in the batch to cancel' if is_cancelled else 'being ingested'}"


def sign_of(change: FileChange) -> str:
    return wording.GAP_SIGN if has_gap(change) else wording.SIGNS[change.action]


def has_gap(change: FileChange) -> bool:
    """Whether search misses for a while a file that it finds now; a copy that never worked is not missed."""
    return change.gap and change.keep is not None and change.action is Action.REPLACE


def _explanations(change: FileChange | StoreChange, keep: RecordedCopy | None = None) -> tuple[str, ...]:
    """The change's own explanation, and the service's error message of a copy that failed."""
    of_failure = {Reason.REFUSED, Reason.INGEST_FAILED} & set(change.reasons)
    error = keep.error if keep and of_failure and keep.error not in change.detail else ""
    return tuple(escape_control(line) for text in (change.detail, error) for line in text.splitlines() if line.strip())


def _note_row(note: Note, store: StorePlan) -> PlanRow:
    second = note.kind is NoteKind.LEFT_STORE and store.desired is not None
    detail = note.detail if second else wording.note_text(note)
    below = tuple(escape_control(line) for line in detail.splitlines() if line.strip())
    sign = wording.SIGNS[Action.REFUSE] if note.kind in OPEN_NOTES else ""
    if note.kind in (NoteKind.DESCRIPTION, NoteKind.LEFT_STORE, NoteKind.PINNED_ONLY):
        text = "a second store, kept" if second else wording.NOTES[note.kind]
        return PlanRow(sign, STORE, text, below=below, noun="store")
    key = escape_control(note.key) or count_noun(note.count, "file")
    noun = "question" if note.kind is NoteKind.LOST_QUESTION else "file"
    return PlanRow(sign, key, wording.NOTES[note.kind], count=note.count, below=below, noun=noun)


def report_rows(store: StorePlan, outcomes: list[Outcome]) -> tuple[PlanRow, ...]:
    """One row for each outcome of a store and for all that stays open, those that need attention first."""
    changes = {change.key: change for change in store.files}
    nouns = {"": "store"} | {batch.id: "batch" for batch in store.batches}
    rows = [_outcome_row(outcome, changes, nouns.get(outcome.key, "file")) for outcome in outcomes]
    rows += [_note_row(note, store) for note in store.notes if note.kind in OPEN_NOTES]
    return tuple(sorted(rows, key=lambda row: row.sign != "!"))


def _outcome_row(outcome: Outcome, changes: Mapping[str, FileChange], noun: str) -> PlanRow:
    change = changes.get(outcome.key)
    shown = outcome.needs_attention
    is_left = outcome.status is Status.SKIPPED and outcome.detail != NOT_TRIED
    detail = outcome.detail.splitlines() if shown or is_left else []
    request = [f"request {outcome.request_id}"] if shown and outcome.request_id not in outcome.detail else []
    done = sign_of(change) if change else wording.SIGNS[outcome.action]
    return PlanRow(
        "!" if shown else "" if outcome.status is Status.SKIPPED or outcome.already else done,
        escape_control(outcome.key) or STORE,
        _outcome_text(outcome),
        size=upload_size(change) if outcome.status is Status.DONE and change and not outcome.already else None,
        below=tuple(escape_control(line) for line in (*detail, *request) if line.strip()),
        noun=noun,
    )


def _outcome_text(outcome: Outcome) -> str:
    tries = f" after {outcome.attempts} attempts" if outcome.attempts > 1 else ""
    done = "created" if outcome.action is Action.CREATE and not outcome.key else wording.DONE[outcome.action]
    if outcome.already:
        return "already there" if outcome.key else "joined: another run made it"
    if outcome.status is Status.DONE:
        return done + tries
    if outcome.status is Status.DOUBLED:
        return f"{done}, and by another run, too"
    if outcome.status is Status.SKIPPED:
        return f"{outcome.action} skipped" + (f": {NOT_TRIED}" if outcome.detail == NOT_TRIED else "")
    if outcome.action is Action.REFUSE:
        return wording.DONE[outcome.action]
    return f"{outcome.action} {'failed' if outcome.status is Status.FAILED else '(outcome unknown)'}{tries}"


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A live batch: what it is, and the details below it."""

    sign: str
    id: str
    text: str
    below: tuple[str, ...] = ()
    variants: tuple[tuple[str, int, str], ...] = ()  # what changes, in how many files, in which folder
    after: str = ""


def batch_rows(store: StorePlan) -> Iterator[BatchRow]:
    """The store's batches in progress, this manifest's and others'."""
    for batch in store.batches:
        sign, row_id = wording.SIGNS[batch.action], wording.short_id(batch.id)
        files = count_noun(batch.counts.total, "file")
        wait, unwanted = batch.action is Action.AWAIT, len(batch.unwanted)
        if wait and not unwanted:
            yield BatchRow(sign, row_id, f"{files}; every file is wanted: wait")
            continue
        progress = wording.batch_progress(batch.counts)
        open_files = batch.counts.in_progress
        verdict = f"{unwanted:,} of the {open_files:,} {'is' if unwanted == 1 else 'are'} no longer wanted: "
        below = [verdict + ("wait, then correct" if wait else "cancel"), escape_control(batch.detail)]
        rest = open_files - unwanted
        after = f"the other {rest:,} {'is' if rest == 1 else 'are'} attached again without a new upload"
        yield BatchRow(
            sign,
            row_id,
            f"{files}: {progress}" if progress else files,
            tuple(filter(None, below)),
            _unwanted_variants(store, batch.unwanted),
            "" if wait or rest < 1 else after,
        )
    for note in store.notes:
        if note.kind is NoteKind.FOREIGN_BATCH:
            text = f"{count_noun(note.count, 'file')}: {wording.NOTES[note.kind]}"
            yield BatchRow("", wording.short_id(note.key), text)


def _unwanted_variants(store: StorePlan, keys: tuple[str, ...]) -> tuple[tuple[str, int, str], ...]:
    """Why files of a batch are no longer wanted, most files first."""
    changes = {change.key: change for change in store.files}
    counts = Counter((_unwanted_reason(changes.get(key)), folder_of(key)) for key in keys)
    by_count = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple((why, count, escape_control(where)) for (why, where), count in by_count)


def _unwanted_reason(change: FileChange | None) -> str:
    if change is None:
        return wording.REASONS[Reason.UNWANTED]
    if change.action is Action.CREATE:
        return "another version is wanted"
    if chunking := next((field for field in change.fields if field.name == "chunking"), None):
        return escape_control(f"chunking {chunking.before} -> {chunking.after}")
    return wording.reason_text(change.reasons)


def folder_of(key: str) -> str:
    """A key's folder with its slash, or nothing."""
    return key[: key.rfind("/") + 1]
