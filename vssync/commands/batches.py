"""Batches in progress: whose they are, what a plan would do about each, and how one is cancelled."""

from __future__ import annotations

from dataclasses import replace

from vssync.commands.plan import read_live
from vssync.commands.session import Session
from vssync.errors import Refused, VssyncError
from vssync.model.plan import NoteKind, Options
from vssync.model.state import LiveBatch
from vssync.planner.assemble import make_plan
from vssync.render.batches import LiveBatchRow


def list_batches(session: Session, store: str | None = None) -> tuple[tuple[LiveBatchRow, ...], bool]:
    """The batches in progress in the manifest's stores, or in one of them, oldest first; and whether these are all.

    Where the service does not list batches, only those are known that a run of ours noted.
    """
    options = Options(targets=(store,)) if store else Options()
    snapshot = read_live(session, options)
    plan = make_plan(session.loaded.desired, snapshot, options, session.capabilities)
    changes = {change.id: change for planned in plan.stores for change in planned.batches}
    notes = [note for planned in plan.stores for note in planned.notes]
    foreign = {note.key for note in notes if note.kind is NoteKind.FOREIGN_BATCH}
    rows = tuple(
        LiveBatchRow(
            store=planned.key,
            store_id=planned.id,
            batch=batch,
            age=snapshot.now - batch.created_at,
            ours=batch.id not in foreign,
            change=changes.get(batch.id),
        )
        for planned in plan.stores
        if planned.id in snapshot.contents
        for batch in sorted(snapshot.contents[planned.id].batches, key=lambda batch: (batch.created_at, batch.id))
    )
    return rows, not plan.batches_unlisted


def cancel_batch(session: Session, batch_id: str) -> LiveBatch:
    """Cancels one batch of ours; how it is just after. The files it completed stay, and the next plan does the others.

    It takes no lock: the apply that made the batch may be at work, and waits for it. It leaves nothing that a journal
    would have to remember.

    Raises Refused for a batch that is not ours, VssyncError for one that is not in progress.
    """
    rows, _ = list_batches(replace(session, loaded=session.loaded.without_files))
    row = next((row for row in rows if row.batch.id == batch_id), None)
    if row is None:
        raise VssyncError(f"{batch_id}: no such batch is in progress in the manifest's stores; see `vssync batches`")
    if not row.ours:
        owner = session.loaded.desired.owner
        raise Refused(f"{batch_id}: not managed by this manifest: some file in it does not carry the mark of {owner}.")
    session.client.cancel_batch(row.store_id, batch_id)
    return session.client.get_batch(row.store_id, batch_id).batch
