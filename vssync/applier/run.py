"""Carries out a plan: makes the requests of its steps, and decides nothing.

Stores are applied in parallel, the steps within each in the order of `StoreSteps`. Every change gets an outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import compress

from vssync.api.connect import with_unlisted
from vssync.api.errors import is_unreadable
from vssync.applier.attributes import probe_search_updates, update_attributes
from vssync.applier.context import ApplyRun, StoreContext, result_of_error, result_of_uncompleted
from vssync.applier.deletions import (
    close_held_uploads,
    find_holders,
    finish_deletions,
    record_unconfirmed_deletions,
    stamp_stores,
    verify_files,
)
from vssync.applier.feed import StoreFeed
from vssync.applier.ledger import upload_identity
from vssync.applier.steps import BatchStep, Drop, Put, StoreSteps, Wait, plan_steps
from vssync.applier.stores import (
    delete_store,
    end_adoption,
    release_store,
    set_up_store,
    verify_new_stores,
)
from vssync.applier.upload import PendingFile, prepare_files
from vssync.applier.wait import (
    DELETION_WAIT,
    Waiting,
    find_attached,
    poll_until,
    wait_for_batch,
    wait_for_files,
    wait_for_new_store,
)
from vssync.applier.watcher import DONE, Result, Workload
from vssync.errors import Interrupted, NotFound, ServiceError, VssyncError
from vssync.journal.records import Operation, UnattachedUpload
from vssync.model.plan import Action, Plan
from vssync.model.report import Orphan, Report, Status
from vssync.model.state import FileStatus, LiveFile
from vssync.planner.estimate import estimate_cost

_MAX_STORES = 4  # at once
_INTERRUPT_GRACE = 2.0  # seconds that requests in flight get to end when a run is interrupted
_INTERRUPT_POLLS = 40  # in that time


def carry_out(run: ApplyRun, plan: Plan) -> Report:
    """Carries out a plan, and reports what became of every change, also where the service answers with errors.

    Raises VssyncError only where the journal cannot be written at the start.
    """
    started = run.client.clock.monotonic()
    all_steps = plan_steps(plan)
    unchecked_ids = _prepare_run(run, plan, all_steps)  # of uploads that earlier runs left, and that may be of use
    stores: list[StoreContext] = []
    held: tuple[Orphan, ...] = ()  # uploads that stay, since stores of others hold them
    interrupted = False
    try:
        # After an error, such as a signal, no request begins any more, and pauses between requests end.
        run.pool.run_side_by_side(
            lambda steps: _apply_store(run, steps, stores),
            all_steps,
            limit=_MAX_STORES,
            on_error=run.client.clock.interrupt,
        )
        verify_new_stores(run, [store for store in stores if store.is_new])
        held = finish_deletions(run, plan, stores)
        close_held_uploads(run)
        verify_files(run, stores)
        stamp_stores(run, plan, [store for store in stores if store.steps.has_writes and not store.is_deleted])
    except (KeyboardInterrupt, Interrupted):
        interrupted = True
        _wait_for_requests_in_flight(run)
        record_unconfirmed_deletions(run, "plan again")
    run.watcher.on_ending()
    report = Report(
        plan=plan,
        outcomes=run.results.outcomes(plan),
        orphans=run.ledger.orphans(interrupted=interrupted),
        held=held,
        store_ids=tuple(sorted((store.key, store.id) for store in stores if not store.is_deleted)),
        seconds=run.client.clock.monotonic() - started,
        requests=run.client.sender.request_count,
        repeated=run.client.sender.retry_count,
        interrupted=interrupted,
        throttled=run.client.sender.limits.throttled_seconds,
    )
    # A run that did not converge forgets no upload: the next one may need any of them.
    kept_ids = {orphan.file_id for orphan in report.orphans} | unchecked_ids
    run.writes.journal.end(keep_only=kept_ids if report.converged else None)
    return report


def _prepare_run(run: ApplyRun, plan: Plan, all_steps: tuple[StoreSteps, ...]) -> set[str]:
    """Opens the ledger and the journal, and tells the watcher how much there is to do.

    Returns the ids of uploads of earlier runs that this one cannot use, because the stores cannot be listed.
    """
    if any(store.owned for store in plan.stores):  # a listing showed a mark
        run.service.lists_attributes = True
    journal = run.writes.journal
    spares = journal.past.unattached  # uploads that earlier runs left unattached, to be used instead of new ones
    unchecked_ids = set[str]()
    try:
        spares = _find_unheld(run, spares) if spares else ()
    except ServiceError as error:
        run.announce(f"uploads that earlier runs left are not used, because the stores cannot be listed: {error}")
        unchecked_ids = {upload.file_id for upload in spares}
        spares = ()
    puts = [put for steps in all_steps for put in steps.all_puts]
    wanted = Counter(upload_identity(put.file) for put in puts if not put.existing_id)
    run.ledger.open(plan.owner, spares, [identity for identity, times in wanted.items() if times > 1])
    is_partial = bool(plan.options.targets or plan.options.excludes)
    if not (plan.empty and is_partial):  # such a run does not finish what an interrupted one left undone
        journal.mark_as_apply()
    cost = estimate_cost(plan)
    workload = Workload(cost.bytes, cost.batches, {steps.key: steps.change_count for steps in all_steps})
    run.watcher.on_start(workload, lambda: run.client.sender.limits.pause_seconds)
    return unchecked_ids


def _find_unheld(run: ApplyRun, uploads: Sequence[UnattachedUpload]) -> tuple[UnattachedUpload, ...]:
    """Those uploads that exist and that no store holds. Raises ServiceError where the stores cannot be listed.

    An upload that is held by a store which cannot be read counts as unheld, and may be attached to a second store. That
    is harmless: while there is such a store, no upload is deleted.
    """

    def exists(upload: UnattachedUpload) -> bool:
        try:
            run.client.get_upload(upload.file_id)
        except VssyncError as error:
            return not isinstance(error, NotFound)  # where it cannot be read, presume that it exists
        return True

    ids = [upload.file_id for upload in uploads]
    stores = with_unlisted(run.client, run.client.list_stores(), run.writes.journal.stores)
    holders = find_holders(run.client, run.pool, stores, ids, skip_unreadable=True)
    run.writes.journal.forget(holders)
    existing = compress(uploads, run.pool.map(exists, uploads))
    return tuple(upload for upload in existing if upload.file_id not in holders)


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


def _apply_store(run: ApplyRun, steps: StoreSteps, stores: list[StoreContext]) -> None:
    """Carries out all steps of one store, which is added to `stores`; none of its files is tried if set-up fails."""
    if run.stopping:
        return
    if steps.setup or steps.teardown:
        run.results.record_start(steps.key, "")
    try:
        store = set_up_store(run, steps)
    except VssyncError as error:
        run.results.record_result(steps.key, "", result_of_error(error))
        return
    stores.append(store)
    if steps.setup and not steps.adopts:
        run.results.record_result(steps.key, "", DONE)
    store.for_each(steps.cancels, _cancel_batch)
    StoreFeed(store, steps.puts, prepared={}).run()
    if store.is_provisioning and not run.stopping:  # it has no files, so the feed did not wait for it
        wait_for_new_store(store)
    awaited_ids = {wait.file_id for wait in steps.copy_waits}
    completed_updates = [step for step in steps.updates if step.file_id not in awaited_ids]
    if completed_updates and not run.stopping:
        probe_search_updates(store, completed_updates[0])
    store.for_each(steps.updates, update_attributes)
    store.for_each(steps.batch_waits, _wait_for_earlier_batch)
    if steps.copy_waits and not run.stopping:
        _wait_for_copies(store, steps.copy_waits)
    late = _prepare_late(store, steps.late_puts)
    # Detaching copies destroys the chunks of late files as well: all of these must be ready to be attached again.
    if len(late) == len(steps.late_puts):
        store.for_each(steps.drops, _drop_copy)
        _wait_for_drops(store, steps.drops if late else ())
    StoreFeed(store, [pending.put for pending in late.values()], prepared=late).run()
    if steps.adopts:
        _settle_store(store, end_adoption)
    if steps.teardown and steps.teardown.action is Action.UPDATE:  # a release
        _settle_store(store, release_store)
    elif steps.teardown:
        _delete_store(store)


def _delete_store(store: StoreContext) -> None:
    """Deletes a store; the files that go with it share its result."""
    leaving, results = store.steps.leaving, store.run.results
    for drop in leaving:
        results.record_start(store.key, drop.key)
    result = _settle_store(store, delete_store)
    of_files = DONE if result.status is Status.DONE else Result(result.status, "its store was not deleted")
    for drop in leaving:
        store.settle(drop.key, of_files)


def _settle_store(store: StoreContext, execute: Callable[[StoreContext], Result]) -> Result:
    """Carries out a change of the store itself, and records and returns its result."""
    try:
        result = execute(store)
    except VssyncError as error:
        result = result_of_error(error)
    store.run.results.record_result(store.key, "", result)
    return result


def _prepare_late(store: StoreContext, puts: Sequence[Put]) -> dict[str, PendingFile]:
    """The files, by key, ready to be attached.

    Files to be attached again are detached first of all: detaching the old copies of others destroys the chunks that
    they share (see `StoreSteps.late_puts`), and a run that is killed then would leave files that are listed as
    completed and have no chunks.
    """
    prepared: dict[str, PendingFile] = {}
    for is_existing in (True, False):
        group = [put for put in puts if bool(put.existing_id) is is_existing and not store.run.stopping]
        prepared |= {file.put.key: file for file in prepare_files(store, group)}
    return prepared


def _cancel_batch(store: StoreContext, step: BatchStep) -> Result:
    """Cancels a batch and waits until it has ended; the error is ignored where it had ended before."""
    try:
        store.writes.cancel_batch(store.id, step.key)
    except ServiceError:
        if not store.client.get_batch(store.id, step.key).batch.status.ended:
            raise
    return _wait_for_earlier_batch(store, step)


def _wait_for_earlier_batch(store: StoreContext, step: BatchStep) -> Result:
    """Waits until a batch that an earlier run sent has ended; its files are left to the steps that concern them."""
    try:
        if wait_for_batch(store, step.key):
            return DONE
    except ServiceError as error:
        if not is_unreadable(error):
            raise
        return DONE  # the batch cannot be read; its files can
    detail = f"the batch makes no progress; plan again later, or cancel it: vssync cancel {step.key}"
    return Result(Status.UNKNOWN, detail)


def _wait_for_copies(store: StoreContext, steps: Sequence[Wait]) -> None:
    """Waits for up-to-date copies, and detaches the superseded ones of each that is completed."""
    file_ids = [step.file_id for step in steps]
    files: Mapping[str, LiveFile | VssyncError]
    try:
        files = wait_for_files(store, file_ids)
    except VssyncError as error:
        files = dict.fromkeys(file_ids, error)

    def settle_copy(store: StoreContext, step: Wait) -> Result:
        file = files[step.file_id]
        if isinstance(file, VssyncError) or file.status is not FileStatus.COMPLETED:
            return result_of_uncompleted(file)
        for drop in step.drops:
            store.detach_copy(drop, step.file_id)
        return DONE

    store.for_each(steps, settle_copy)


def _wait_for_drops(store: StoreContext, drops: Sequence[Drop]) -> None:
    """Waits until no dropped copy is listed any more: a late deletion would take shared chunks along, too.

    A deletion that takes too long, or cannot be confirmed, is reported at the end of the run.
    """
    file_ids = {drop.file_id for drop in drops}
    if not file_ids or store.run.service.deletes_late:  # then an earlier wait was in vain, and so would this be
        return
    subject = f"files to leave {store.key}, since others have the same text"
    waiting = Waiting(subject, "those are attached all the same", DELETION_WAIT)
    with suppress(VssyncError):
        store.run.service.deletes_late = not poll_until(store.run, lambda: not find_attached(store, file_ids), waiting)


def _drop_copy(store: StoreContext, step: Drop) -> Result:
    """Detaches a copy; if another copy of its key is kept, only after that copy was read as completed."""
    kept = store.client.find_file(store.id, step.kept_id) if step.kept_id else None
    if step.kept_id and not (kept and kept.status is FileStatus.COMPLETED):
        return Result(Status.SKIPPED, f"the copy to keep, {step.kept_id}, is not completed; plan again")
    store.detach_copy(step)
    return DONE
