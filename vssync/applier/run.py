"""Carries out a plan: makes the requests and decides nothing, since what to do is in the steps.

Stores are applied in parallel, the steps within each in the order of `StoreSteps`. Every change gets an outcome.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence

from vssync.api.rate_limit import Interrupted
from vssync.applier import existing
from vssync.applier.attach import attach
from vssync.applier.await_ingestion import wait_and_settle
from vssync.applier.context import DONE, ApplyRun, StoreContext, StoreWorkload, result_of_error
from vssync.applier.delete import delete_unused_uploads, stores_by_file_id
from vssync.applier.ledger import upload_identity
from vssync.applier.search import learn_from_copy
from vssync.applier.steps import Put, StoreSteps, plan_steps
from vssync.applier.stores import UnfinishedBatchNote, delete_store, set_up_store
from vssync.applier.upload import InFlightBatch, PendingFile, prepare_file
from vssync.errors import VssyncError
from vssync.journal.records import Operation
from vssync.model.plan import Plan
from vssync.model.report import Report

_MAX_STORES = 4  # at once
_INTERRUPT_GRACE = 2.0  # seconds that requests in flight get to end when a run is interrupted
_INTERRUPT_POLLS = 40  # in that time


def apply_steps(run: ApplyRun, plan: Plan) -> Report:
    """Carries out a plan, and reports what became of every change.

    Raises ServiceError where the stores cannot be listed to see what an earlier run left; nothing is written then.
    Later errors of the service are in the report.
    """
    started = run.client.clock.monotonic()
    stores = plan_steps(plan)
    _begin(run, plan.owner, stores)
    store_ids: dict[str, str] = {}
    interrupted = False
    try:
        # After an error, such as a signal, no request begins any more, and pauses between requests end.
        run.pool.run_side_by_side(
            lambda store_steps: _apply_store(run, store_steps, store_ids),
            stores,
            limit=_MAX_STORES,
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
    if report.converged:
        run.writes.journal.end(keep_only={orphan.file_id for orphan in report.orphans})
    else:  # the next run may need any upload
        run.writes.journal.end()
    return report


def _begin(run: ApplyRun, owner: str, stores: tuple[StoreSteps, ...]) -> None:
    """Opens the ledger with what earlier runs left and what this one wants more than once; announces the work."""
    journal = run.writes.journal
    spares = journal.past.unattached
    if spares:
        held = stores_by_file_id(run.client, run.pool, owner, run.settings.declared_stores)
        journal.forget(held)
        spares = tuple(upload for upload in spares if upload.file_id not in held)
    puts = [put for store_steps in stores for put in store_steps.puts]
    wanted = Counter(upload_identity(put.file) for put in puts if not put.existing_id)
    run.ledger.open(owner, spares, [identity for identity, times in wanted.items() if times > 1])
    journal.mark_as_apply()
    workloads = [
        StoreWorkload(
            store_steps.key,
            size=sum(put.file.size for put in store_steps.puts if not put.existing_id),
            batches=0 if run.capabilities.one_by_one else len(store_steps.waves) + len(store_steps.late_waves),
            changes=store_steps.step_count,
        )
        for store_steps in stores
    ]
    run.watcher.on_start(workloads, lambda: run.client.sender.limits.pause_seconds)


def _wait_for_requests_in_flight(run: ApplyRun) -> None:
    """Gives requests in flight a moment to end, unless a second signal comes; records uploads that did not end."""
    run.client.clock.interrupt()
    run.watcher.on_ending()
    journal = run.writes.journal
    remaining = journal.wait_until_idle(0)
    for _ in range(_INTERRUPT_POLLS):
        if run.watcher.may_stop_waiting() or not remaining:
            break
        remaining = journal.wait_until_idle(_INTERRUPT_GRACE / _INTERRUPT_POLLS)
    for write in remaining:
        if write.operation is Operation.UPLOAD:
            upload = f"upload of {write.name}, {write.size} bytes"
            run.ledger.record_suspect(f"{upload}: under way when the run was interrupted")


def _apply_store(run: ApplyRun, store_steps: StoreSteps, store_ids: dict[str, str]) -> None:
    """Carries out all steps of one store and enters its id in `store_ids`; where set-up fails, no file is tried."""
    if run.stopping:
        return
    if store_steps.setup or store_steps.teardown:
        run.results.record_start(store_steps.key, "")
    try:
        store_id = set_up_store(run, store_steps)
    except VssyncError as error:
        run.results.record_result(store_steps.key, "", result_of_error(error))
        return
    if store_steps.setup:
        run.results.record_result(store_steps.key, "", DONE)
    store_ids[store_steps.key] = store_id
    store = StoreContext(run, store_steps.key, store_id, store_steps.ignored_attributes)
    store.for_each(store_steps.cancels, existing.cancel_batch)
    _run_waves(store, store_steps, (_prepare(store, wave) for wave in store_steps.waves))
    if store_steps.updates and not run.stopping:
        learn_from_copy(store, store_steps.updates[0])
    store.for_each(store_steps.updates, existing.update_attributes)
    store.for_each(store_steps.batch_waits, existing.await_batch)
    if store_steps.copy_waits and not run.stopping:
        existing.wait_for_copies(store, store_steps.copy_waits)
    # These are missing in the store from here on, so that a run that is killed in between leaves a plan to repair it.
    late = [_prepare(store, wave) for wave in store_steps.late_waves if not run.stopping]
    if sum(map(len, late)) == sum(map(len, store_steps.late_waves)):
        store.for_each(store_steps.removes, existing.remove_copy)
    _run_waves(store, store_steps, iter(late))
    if store_steps.teardown:
        run.results.record_result(store_steps.key, "", delete_store(run, store_steps))


def _prepare(store: StoreContext, wave: Sequence[Put]) -> list[PendingFile]:
    return [pending for pending in store.run.pool.map(lambda put: prepare_file(store, put), wave) if pending]


def _run_waves(store: StoreContext, store_steps: StoreSteps, waves: Iterator[list[PendingFile]]) -> None:
    """Attaches the waves of a store in order, with at most `in_flight` batches at once; takes each when it is due."""
    in_flight: deque[InFlightBatch] = deque()
    note = UnfinishedBatchNote(store, is_external=store_steps.settings is None or store_steps.settings.external)

    def settle_oldest() -> None:
        in_flight.extend(wait_and_settle(store, in_flight.popleft()))
        note.update(in_flight)

    while not store.run.stopping and store.run.capabilities.attributes:  # without them, marks get lost
        while len(in_flight) >= store_steps.in_flight:
            settle_oldest()
        if (wave := next(waves, None)) is None:
            break
        in_flight.extend(attach(store, wave))
        note.update(in_flight)
    while in_flight:
        settle_oldest()
    note.clear()
