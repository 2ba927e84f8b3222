"""Carries out a plan's steps. It makes requests and decides nothing: what to do is in the steps.

Stores are applied in parallel; within a store the order of `steps` is kept. Every change ends with an outcome.
"""

from __future__ import annotations

from collections import Counter, deque

from vssync.api.rate_limit import Interrupted
from vssync.applier import await_ingestion
from vssync.applier.attach import attach
from vssync.applier.context import DONE, ApplyRun, StoreContext, StoreWorkload, failed
from vssync.applier.delete import delete_unused_uploads, held_file_ids
from vssync.applier.ledger import upload_identity
from vssync.applier.steps import StoreSteps, lower
from vssync.applier.stores import BatchNote, delete_store, set_up_store
from vssync.applier.upload import InFlightBatch, upload_pending
from vssync.errors import VssyncError
from vssync.journal.records import Operation
from vssync.model.plan import Plan
from vssync.model.report import Report

_STORES = 4  # at once
# Seconds that what is in flight gets when a run is interrupted, and how often that is looked at.
INTERRUPT_GRACE, INTERRUPT_LOOKS = 2.0, 40


def apply_steps(run: ApplyRun, plan: Plan) -> Report:
    """Carries a plan out, and reports what became of every change.

    Raises ServiceError, before anything is written, when it cannot be looked up what an earlier run left; later errors
    of the service are in the report.
    """
    started = run.client.clock.monotonic()
    stores = lower(plan)
    _begin(run, plan.owner, stores)
    store_ids: dict[str, str] = {}
    interrupted = False
    try:
        # After a signal or a bug what is in flight ends, nothing begins, and nobody waits for a slow answer.
        run.pool.run_side_by_side(
            lambda steps: _apply_store(run, steps, store_ids),
            stores,
            limit=_STORES,
            on_error=run.client.clock.interrupt,
        )
        delete_unused_uploads(run, plan.owner)
    except (KeyboardInterrupt, Interrupted):
        interrupted = True
        _wait_for_requests_in_flight(run)
    run.watcher.on_ending()
    report = Report(
        plan=plan,
        outcomes=run.results.outcomes(plan),
        orphans=run.ledger.orphans(),
        store_ids=tuple(sorted(store_ids.items())),
        seconds=run.client.clock.monotonic() - started,
        requests=run.client.sender.request_count,
        repeated=run.client.sender.retry_count,
        interrupted=interrupted,
        throttled=run.client.sender.limits.throttled_seconds,
    )
    # The journal keeps what the next run needs.
    run.writes.journal.end({orphan.file_id for orphan in report.orphans} if report.converged else None)
    return report


def _begin(run: ApplyRun, owner: str, stores: tuple[StoreSteps, ...]) -> None:
    """Enters what need not be uploaded: what earlier runs left unattached, and what this one wants more than once."""
    journal = run.writes.journal
    spares = journal.past.unattached
    if spares:
        held = held_file_ids(run.client, run.pool, owner, run.settings.declared)
        journal.forget(held)
        spares = tuple(upload for upload in spares if upload.file_id not in held)
    wanted = Counter(upload_identity(put.file) for steps in stores for put in steps.puts if not put.existing_id)
    run.ledger.open(owner, spares, [identity for identity, times in wanted.items() if times > 1])
    journal.begin()
    workloads = [
        StoreWorkload(
            steps.key,
            size=sum(put.file.size for put in steps.puts if not put.existing_id),
            batches=0 if run.capabilities.one_by_one else len(steps.waves),
            changes=steps.changes,
        )
        for steps in stores
    ]
    run.watcher.on_start(workloads, lambda: run.client.sender.limits.pause_seconds)


def _wait_for_requests_in_flight(run: ApplyRun) -> None:
    """Gives what is in flight a moment to end, unless a second signal comes; an upload that did not end may exist."""
    run.client.clock.interrupt()
    journal = run.writes.journal
    for _ in range(INTERRUPT_LOOKS):
        if run.watcher.on_ending() or not journal.wait_until_idle(INTERRUPT_GRACE / INTERRUPT_LOOKS):
            break
    for write in journal.wait_until_idle(0):
        if write.operation is Operation.UPLOAD:
            upload = f"upload of {write.name}, {write.size} bytes"
            run.ledger.record_suspect(f"{upload}: under way when the run was interrupted")


def _apply_store(run: ApplyRun, steps: StoreSteps, store_ids: dict[str, str]) -> None:
    """One store, from set-up to tear-down; when it cannot be set up, its files are not tried."""
    if run.stopping:
        return
    if steps.setup or steps.teardown:
        run.results.record_start(steps.key, "")
    try:
        store_id = set_up_store(run, steps)
    except VssyncError as error:
        run.results.record_result(steps.key, "", failed(error))
        return
    if steps.setup:
        run.results.record_result(steps.key, "", DONE)
    store_ids[steps.key] = store_id
    store = StoreContext(run, steps.key, store_id, steps.ignore)
    store.for_each(steps.cancels, await_ingestion.cancel_batch)
    _run_waves(store, steps)
    store.for_each(steps.updates, await_ingestion.update_attributes)
    store.for_each(steps.awaited, await_ingestion.await_batch)
    if steps.waits and not run.stopping:
        await_ingestion.wait_for_copies(store, steps.waits)
    store.for_each(steps.removes, await_ingestion.remove_copy)
    if steps.teardown:
        run.results.record_result(steps.key, "", delete_store(run, steps))


def _run_waves(store: StoreContext, steps: StoreSteps) -> None:
    """All waves of a store, at most `in_flight` batches at once."""
    in_flight: deque[InFlightBatch] = deque()
    note = BatchNote(store, is_external=steps.settings is None or steps.settings.external)

    def settle_oldest() -> None:
        in_flight.extend(await_ingestion.wait_and_settle(store, in_flight.popleft()))
        note.update(in_flight)

    for wave in steps.waves:
        if store.run.stopping or not store.run.capabilities.attributes:
            break
        while len(in_flight) >= steps.in_flight:
            settle_oldest()
        uploaded = store.run.pool.map(lambda put: upload_pending(store, put), wave)
        in_flight.extend(attach(store, [pending for pending in uploaded if pending]))
        note.update(in_flight)
    while in_flight:
        settle_oldest()
    note.clear()
