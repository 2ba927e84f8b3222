"""Batches as part of a plan: what to do about live ones, and how new ones are cut.

A live batch is ours when the store's note names it or every file in it carries our mark. Any other is shown, never
cancelled and never waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vssync.model.plan import Action, BatchChange, Note, NoteKind, Reason
from vssync.model.state import LiveBatch, LiveFile

Put = TypeVar("Put")


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What a store's plan says context its live batches.

    `noted` are the batch ids the store itself remembers. Of its files: `ours` are the ids with our mark, `unwanted`
    maps those that go, as they are, to their keys, `reattachable` are those that can be attached once more.
    """

    files: Mapping[str, LiveFile]
    noted: Collection[str] = ()
    ours: Collection[str] = ()
    unwanted: Mapping[str, str] = field(default_factory=dict)
    reattachable: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class BatchDecisions:
    """What to do about a store's live batches; `recalled` are wanted files that a cancelled batch was at work on."""

    changes: tuple[BatchChange, ...] = ()
    notes: tuple[Note, ...] = ()
    recalled: frozenset[str] = frozenset()


def partition(changes: Sequence[Put], size: int) -> tuple[tuple[Put, ...], ...]:
    """Cut changes, in their order, into batches of at most `size`."""
    return tuple(tuple(changes[start : start + size]) for start in range(0, len(changes), size))


def decide_batches(batches: Collection[LiveBatch], context: BatchContext) -> BatchDecisions:
    """Wait for, cancel, or leave alone each batch under way, oldest first."""
    changes: list[BatchChange] = []
    notes: list[Note] = []
    recalled: set[str] = set()
    for batch in sorted(batches, key=lambda batch: (batch.created_at, batch.id)):
        if batch.status.ended:
            continue
        if not _is_ours(batch, context):
            notes.append(Note(NoteKind.FOREIGN_BATCH, batch.id, batch.counts.total))
            continue
        unfinished = _unfinished_files(batch, context)
        if not unfinished:
            continue  # nothing to wait for, whatever the batch says of itself
        change = _decide_batch(batch, unfinished, context)
        changes.append(change)
        if change.action is Action.CANCEL:
            recalled.update(file_id for file_id in unfinished if file_id in context.reattachable)
    return BatchDecisions(tuple(changes), tuple(notes), frozenset(recalled))


def _is_ours(batch: LiveBatch, context: BatchContext) -> bool:
    return batch.id in context.noted or (
        bool(batch.file_ids) and all(file_id in context.ours for file_id in batch.file_ids or ())
    )


def _unfinished_files(batch: LiveBatch, context: BatchContext) -> list[str]:
    """The batch's files that are not ended; where it does not say which are its own, any of the store's."""
    candidates = context.files if batch.file_ids is None else batch.file_ids
    return sorted(
        file_id for file_id in candidates if file_id in context.files and not context.files[file_id].status.ended
    )


def _decide_batch(batch: LiveBatch, unfinished: Sequence[str], context: BatchContext) -> BatchChange:
    """Cancelling pays when most of what is left would only be removed again, and loses nothing that is wanted."""
    is_listed = batch.file_ids is not None and context.files.keys() >= set(batch.file_ids)
    unwanted = set() if batch.file_ids is None else context.unwanted.keys() & set(unfinished)
    loses_nothing = set(unfinished) <= {*context.unwanted, *context.reattachable}
    cancel = is_listed and loses_nothing and len(unwanted) * 2 > len(unfinished)
    return BatchChange(
        id=batch.id,
        action=Action.CANCEL if cancel else Action.AWAIT,
        reasons=(Reason.UNWANTED,) if cancel else (Reason.INGESTING,),
        counts=batch.counts,
        unwanted=tuple(sorted({context.unwanted[file_id] for file_id in unwanted})),
    )
