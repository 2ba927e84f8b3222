"""Live batches: what is under way, whose it is, and what a plan would do about it."""

from __future__ import annotations

from vssync.applier.writes import Writes
from vssync.commands.plan import read_live
from vssync.commands.session import Session
from vssync.errors import Refused, VssyncError
from vssync.journal.writer import Journal
from vssync.model.plan import NoteKind, Options, Plan
from vssync.model.state import FileStatus
from vssync.planner.assemble import make_plan
from vssync.render.batches import LiveBatchRow


def list_batches(work: Session, store: str | None = None) -> tuple[LiveBatchRow, ...]:
    """The batches under way of the manifest's stores, or of one, oldest first."""
    options = Options(targets=(store,)) if store else Options()
    snapshot = read_live(work, options)
    plan = make_plan(work.loaded.desired, snapshot, options, work.capabilities)
    decided = {change.id: change for planned in plan.stores for change in planned.batches}
    foreign = _foreign(plan)
    rows = [
        LiveBatchRow(
            store=planned.key,
            store_id=planned.id,
            batch=batch,
            age=snapshot.now - batch.created_at,
            ours=batch.id not in foreign,
            change=decided.get(batch.id),
        )
        for planned in plan.stores
        if planned.id in snapshot.contents
        for batch in sorted(snapshot.contents[planned.id].batches, key=lambda batch: (batch.created_at, batch.id))
    ]
    return tuple(rows)


def _foreign(plan: Plan) -> set[str]:
    return {note.key for store in plan.stores for note in store.notes if note.kind is NoteKind.FOREIGN_BATCH}


def cancel_batch(work: Session, batch_id: str, record: Journal) -> FileStatus:
    """Cancels one batch of ours; its state just after. What it completed stays, what it did not the next plan finishes.

    Raises Refused for a batch that is not ours, VssyncError for one that is not under way.
    """
    found = next((row for row in list_batches(work) if row.batch.id == batch_id), None)
    if found is None:
        raise VssyncError(f"{batch_id}: no such batch is under way in the manifest's stores; see `vssync batches`")
    if not found.ours:
        raise Refused(f"{batch_id}: not ours: not every file in it carries the mark of {work.loaded.desired.owner}.")
    Writes(work.client, record).cancel_batch(found.store_id, batch_id)
    return work.client.get_batch(found.store_id, batch_id).batch.status
