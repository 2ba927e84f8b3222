"""Batches as part of a plan: what to do about live ones, and how new ones are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from vssync.model.marks import read_batch_note
from vssync.model.plan import Action, BatchChange, Note, NoteKind, Reason
from vssync.model.state import Contents, LiveStore
from vssync.planner.store_files import StoreDraft

Put = TypeVar("Put")


def partition(changes: Sequence[Put], size: int) -> tuple[tuple[Put, ...], ...]:
    """Cut changes, in their order, into batches of at most `size`."""
    return tuple(tuple(changes[start : start + size]) for start in range(0, len(changes), size))


def decide_batches(
    draft: StoreDraft, live: LiveStore | None, contents: Contents
) -> tuple[list[BatchChange], list[Note], set[str]]:
    """Changes and notes for unfinished batches, oldest first, and the wanted files that a cancelled one was at work on.

    None unless the whole store is in scope. A batch is ours when the store's note names it or every file in it carries
    our mark; any other is shown, never cancelled and never waited for.
    Cancelling pays when most of what is left would only be removed again, and nothing that is wanted is lost.
    """
    if live is None or not draft.context.plan.scope.includes_all_files(draft.context.store.key):
        return [], [], set()
    noted, ours = read_batch_note(live.metadata), draft.classified.our_ids
    statuses = {file.id: file.status for file in contents.files}
    awaited = {change.keep.id for change in draft.changes if change.action is Action.AWAIT and change.keep}
    dropped = draft.dropped
    changes: list[BatchChange] = []
    notes: list[Note] = []
    recalled: set[str] = set()
    for batch in sorted(contents.batches, key=lambda batch: (batch.created_at, batch.id)):
        if batch.status.ended:
            continue
        if batch.id not in noted and not (batch.file_ids and ours.issuperset(batch.file_ids)):
            notes.append(Note(NoteKind.FOREIGN_BATCH, batch.id, batch.counts.total))
            continue
        candidates = statuses if batch.file_ids is None else batch.file_ids  # any, if it does not say which are its own
        unfinished = {file_id for file_id in candidates if file_id in statuses and not statuses[file_id].ended}
        if not unfinished:
            continue  # nothing to wait for, whatever the batch says of itself
        unwanted = set() if batch.file_ids is None else unfinished & dropped.keys()
        is_listed = batch.file_ids is not None and statuses.keys() >= set(batch.file_ids)
        cancel = is_listed and len(unwanted) * 2 > len(unfinished) and unfinished <= dropped.keys() | awaited
        change = BatchChange(
            id=batch.id,
            action=Action.CANCEL if cancel else Action.AWAIT,
            reasons=(Reason.UNWANTED,) if cancel else (Reason.INGESTING,),
            counts=batch.counts,
            unwanted=tuple(sorted({dropped[file_id] for file_id in unwanted})),
        )
        changes.append(change)
        if cancel:
            recalled |= unfinished & awaited
    return changes, notes, recalled
