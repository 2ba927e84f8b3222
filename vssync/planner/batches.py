"""Batches as part of a plan: which live ones to wait for, and which to cancel."""

from __future__ import annotations

from dataclasses import dataclass

from vssync.model.marks import read_batch_note
from vssync.model.plan import Action, BatchChange, Note, NoteKind, Reason
from vssync.model.state import Contents, LiveStore
from vssync.planner.store_files import StoreDraft


@dataclass(frozen=True, slots=True)
class BatchDecisions:
    """What becomes of a store's unfinished batches.

    `cancelled_wait_ids` are the files that the plan waits for, in a batch that it cancels.
    """

    changes: tuple[BatchChange, ...] = ()
    notes: tuple[Note, ...] = ()
    cancelled_wait_ids: frozenset[str] = frozenset()


def decide_batches(draft: StoreDraft, live: LiveStore | None, contents: Contents) -> BatchDecisions:
    """Changes and notes, oldest batch first; none unless the whole store is in scope.

    A batch is ours when the store's note names it or every file in it carries our mark; any other is shown, never
    cancelled and never waited for.
    """
    if live is None or not draft.context.includes_all_files:
        return BatchDecisions()
    noted_ids, our_ids = read_batch_note(live.metadata), draft.classified.our_ids
    statuses = {file.id: file.status for file in contents.files}
    awaited_ids = {change.keep.id for change in draft.changes if change.action is Action.AWAIT and change.keep}
    dropped_keys = draft.dropped_keys_by_id
    changes: list[BatchChange] = []
    notes: list[Note] = []
    cancelled_wait_ids: set[str] = set()
    for batch in sorted(contents.batches, key=lambda batch: (batch.created_at, batch.id)):
        if batch.status.ended:
            continue
        if batch.id not in noted_ids and not (batch.file_ids and our_ids.issuperset(batch.file_ids)):
            notes.append(Note(NoteKind.FOREIGN_BATCH, batch.id, count=batch.counts.total))
            continue
        # A batch whose files are not listed may hold any file of the store.
        candidates = statuses if batch.file_ids is None else batch.file_ids
        unfinished = {file_id for file_id in candidates if file_id in statuses and not statuses[file_id].ended}
        if not unfinished:
            continue  # nothing to wait for, whatever the batch says of itself
        unwanted = set() if batch.file_ids is None else unfinished & dropped_keys.keys()
        # Only where all its files are known can those that are still wanted be attached again.
        is_known = batch.file_ids is not None and statuses.keys() >= set(batch.file_ids)
        cancel = is_known and _is_worth_cancelling(unfinished, unwanted, awaited_ids)
        change = BatchChange(
            id=batch.id,
            action=Action.CANCEL if cancel else Action.AWAIT,
            reasons=(Reason.UNWANTED,) if cancel else (Reason.INGESTING,),
            counts=batch.counts,
            unwanted=tuple(sorted({dropped_keys[file_id] for file_id in unwanted})),
        )
        changes.append(change)
        if cancel:
            cancelled_wait_ids |= unfinished & awaited_ids
    return BatchDecisions(tuple(changes), tuple(notes), frozenset(cancelled_wait_ids))


def _is_worth_cancelling(unfinished: set[str], unwanted: set[str], awaited_ids: set[str]) -> bool:
    """Whether most of what is left would only be removed again, and this plan can attach the rest again."""
    return len(unwanted) * 2 > len(unfinished) and unfinished - unwanted <= awaited_ids
