"""Batches as part of a plan: what to do about live ones, and how new ones are cut.

A live batch is ours when the store's hint names it or every file in it carries our mark. Any other is shown, never
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
    """What a store's plan says around its live batches.

    `hint` are the batch ids the store itself remembers. Of its files: `ours` are the ids with our mark, `unwanted`
    maps those that go, as they are, to their keys, `again` are those that can be attached once more.
    """

    files: Mapping[str, LiveFile]
    hint: Collection[str] = ()
    ours: Collection[str] = ()
    unwanted: Mapping[str, str] = field(default_factory=dict)
    again: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class BatchDecisions:
    """What to do about a store's live batches; `recalled` are wanted files that a cancelled batch was at work on."""

    changes: tuple[BatchChange, ...] = ()
    notes: tuple[Note, ...] = ()
    recalled: frozenset[str] = frozenset()


def partition(changes: Sequence[Put], size: int) -> tuple[tuple[Put, ...], ...]:
    """Cut changes, in their order, into batches of at most `size`."""
    return tuple(tuple(changes[at : at + size]) for at in range(0, len(changes), size))


def decide_batches(batches: Collection[LiveBatch], around: BatchContext) -> BatchDecisions:
    """Wait for, cancel, or leave alone each batch under way, oldest first."""
    changes: list[BatchChange] = []
    notes: list[Note] = []
    recalled: set[str] = set()
    for batch in sorted(batches, key=lambda batch: (batch.created_at, batch.id)):
        if batch.status.ended:
            continue
        if not _ours(batch, around):
            notes.append(Note(NoteKind.FOREIGN_BATCH, batch.id, batch.counts.total))
            continue
        unfinished = _unfinished(batch, around)
        if not unfinished:
            continue  # it says it is under way, and no file of it is: nothing to wait for
        change = _decide(batch, unfinished, around)
        changes.append(change)
        if change.action is Action.CANCEL:
            recalled.update(file_id for file_id in unfinished if file_id in around.again)
    return BatchDecisions(tuple(changes), tuple(notes), frozenset(recalled))


def _ours(batch: LiveBatch, around: BatchContext) -> bool:
    return batch.id in around.hint or (bool(batch.file_ids) and all(id_ in around.ours for id_ in batch.file_ids or ()))


def _unfinished(batch: LiveBatch, around: BatchContext) -> list[str]:
    """The batch's files that are not ended; where it does not say which are its own, any of the store's."""
    candidates = around.files if batch.file_ids is None else batch.file_ids
    return sorted(id_ for id_ in candidates if id_ in around.files and not around.files[id_].status.ended)


def _decide(batch: LiveBatch, unfinished: Sequence[str], around: BatchContext) -> BatchChange:
    """Cancelling pays when most of what is left would only be removed again, and loses nothing that is wanted."""
    unwanted = [id_ for id_ in unfinished if id_ in around.unwanted] if batch.file_ids is not None else []
    listed = batch.file_ids is not None and all(id_ in around.files for id_ in batch.file_ids)
    others = [id_ for id_ in unfinished if id_ not in around.unwanted]
    cancel = listed and len(unwanted) * 2 > len(unfinished) and all(id_ in around.again for id_ in others)
    return BatchChange(
        id=batch.id,
        action=Action.CANCEL if cancel else Action.AWAIT,
        reasons=(Reason.UNWANTED,) if cancel else (Reason.INGESTING,),
        counts=batch.counts,
        unwanted=tuple(sorted({around.unwanted[id_] for id_ in unwanted})),
    )
