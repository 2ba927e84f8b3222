"""Carries out a plan: makes the requests and decides nothing, since what to do is in the steps.

Stores are applied in parallel, the steps within each in the order of `StoreSteps`. Every change gets an outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from vssync.api.errors import is_unreadable
from vssync.applier.attributes import probe_search_updates, update_attributes
from vssync.applier.context import (
    DONE,
    ApplyRun,
    Result,
    StoreContext,
    Workload,
    result_of_error,
    result_of_uncompleted,
)
from vssync.applier.deletions import find_holders, finish_deletions, record_unseen_deletions
from vssync.applier.feed import StoreFeed
from vssync.applier.ledger import upload_identity
from vssync.applier.steps import BatchStep, Drop, Put, StoreSteps, Wait, plan_steps
from vssync.applier.stores import (
    delete_store,
    end_adoption,
    release_store,
    set_up_store,
    stamp_stores,
    verify_new_stores,
    verify_single_copies,
)
from vssync.applier.upload import PendingFile, prepare_files
from vssync.applier.wait import (
    DELETION_WAIT,
    Waiting,
    await_new_store,
    find_attached,
    poll_until,
    wait_for_batch,
    wait_for_files,
)
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
    unchecked_ids = _begin(run, plan, all_steps)
    stores: list[StoreContext] = []
    held: tuple[Orphan, ...] = ()
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
        verify_single_copies(run, stores)
        stamp_stores(run, plan, {store.key: store.id for store in stores if store.steps.has_writes})
    except (KeyboardInterrupt, Interrupted):
        interrupted = True
        _wait_for_requests_in_flight(run)
        record_unseen_deletions(run, "plan again")
    run.watcher.on_ending()
    report = Report(
        plan=plan,
        outcomes=run.results.outcomes(plan),
        orphans=run.ledger.orphans(),
        held=held,
        store_ids=tuple(sorted((store.key, store.id) for store in stores)),
        seconds=run.client.clock.monotonic() - started,
        requests=run.client.sender.request_count,
        repeated=run.client.sender.retry_count,
        interrupted=interrupted,
        throttled=run.client.sender.limits.throttled_seconds,
    )
    # Converged: forget all uploads but orphans, and those not checked. Otherwise the next run may need any of them.
    kept_ids = {orphan.file_id for orphan in report.orphans} | unchecked_ids
    run.writes.journal.end(keep_only=kept_ids if report.converged else None)
    return report


def _begin(run: ApplyRun, plan: Plan, all_steps: tuple[StoreSteps, ...]) -> set[str]:
    """Opens the ledger with what earlier runs left and what this one wants more than once; announces the work.

    Returns the ids of earlier uploads that this run cannot use, because the stores cannot be listed.
    """
    if any(store.owned for store in plan.stores):  # a listing showed a mark
        run.service.lists_attributes = True
    journal = run.writes.journal
    spares, unchecked_ids = journal.past.unattached, set[str]()
    try:
        spares = _find_unheld(run, spares) if spares else ()
    except ServiceError as error:
        run.announce(f"uploads that earlier runs left are not used, because the stores cannot be listed: {error}")
        unchecked_ids = {upload.file_id for upload in spares}
        spares = ()
    puts = [put for steps in all_steps for put in steps.all_puts]
    wanted = Counter(upload_identity(put.file) for put in puts if not put.existing_id)
    run.ledger.open(plan.owner, spares, [identity for identity, times in wanted.items() if times > 1])
    if not plan.empty or not (plan.options.targets or plan.options.excludes):  # else others may be left as they were
        journal.mark_as_apply()
    cost = estimate_cost(plan)
    workload = Workload(cost.bytes, cost.batches, {steps.key: steps.change_count for steps in all_steps})
    run.watcher.on_start(workload, lambda: run.client.sender.limits.pause_seconds)
    return unchecked_ids


def _find_unheld(run: ApplyRun, uploads: Sequence[UnattachedUpload]) -> tuple[UnattachedUpload, ...]:
    """Those uploads that exist and that no store holds. Raises ServiceError where the stores cannot be listed.

    A store that cannot be read may hold one, which is then attached in a second store as well. That is harmless: while
    there is such a store, no upload is deleted.
    """

    def is_gone(file_id: str) -> bool:
        """Whether a File does not exist; False where nobody can say."""
        try:
            run.client.get_upload(file_id)
        except VssyncError as error:
            return isinstance(error, NotFound)
        return False

    ids = [upload.file_id for upload in uploads]
    held = find_holders(run.client, run.pool, run.client.list_stores(), ids, skip_unreadable=True)
    run.writes.journal.forget(held)
    are_gone = run.pool.map(is_gone, ids)
    return tuple(each for each, gone in zip(uploads, are_gone, strict=True) if not gone and each.file_id not in held)


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
    store.for_each(steps.cancels, cancel_batch)
    StoreFeed(store, steps.puts).run()
    if store.is_awaited and not run.stopping:  # no file of it had to wait
        await_new_store(store)
    awaited_ids = {wait.file_id for wait in steps.copy_waits}
    if (completed := [step for step in steps.updates if step.file_id not in awaited_ids]) and not run.stopping:
        probe_search_updates(store, completed[0])
    store.for_each(steps.updates, update_attributes)
    store.for_each(steps.batch_waits, await_batch)
    if steps.copy_waits and not run.stopping:
        wait_for_copies(store, steps.copy_waits)
    late = _prepare_late(store, steps.late_puts)
    # A drop takes chunks of late files along (see `StoreSteps.late_puts`): all must be ready to be attached again.
    if len(late) == len(steps.late_puts):
        store.for_each(steps.drops, drop_copy)
        wait_for_drops(store, steps.drops if late else ())
    StoreFeed(store, [pending.put for pending in late.values()], late).run()
    if steps.adopts:
        _settle_store(store, end_adoption)
    if steps.teardown:
        _tear_down(store)


def _tear_down(store: StoreContext) -> None:
    """Deletes a store, and the files that go with it share its result; or releases it, so that only our mark goes."""
    if store.steps.teardown and store.steps.teardown.action is Action.UPDATE:
        _settle_store(store, release_store)
        return
    leaving, results = store.steps.leaving, store.run.results
    for drop in leaving:
        results.record_start(store.key, drop.key)
    result = _settle_store(store, delete_store)
    of_files = DONE if result.status is Status.DONE else Result(result.status, "its store was not deleted")
    for drop in leaving:
        store.settle(drop.key, of_files)


def _settle_store(store: StoreContext, carry_out: Callable[[StoreContext], Result]) -> Result:
    """Carries out a change of the store itself, and records its result, which is returned."""
    try:
        result = carry_out(store)
    except VssyncError as error:
        result = result_of_error(error)
    store.run.results.record_result(store.key, "", result)
    return result


def _prepare_late(store: StoreContext, puts: Sequence[Put]) -> dict[str, PendingFile]:
    """The files, by key, ready to be attached; their old copies are gone.

    Detach reattached files first: dropping the other copies destroys chunks they share (see `StoreSteps.late_puts`). A
    run that is killed then would leave files that are listed as completed and have no chunks.
    """
    prepared: dict[str, PendingFile] = {}
    for has_file in (True, False):
        group = [put for put in puts if bool(put.existing_id) is has_file and not store.run.stopping]
        prepared |= {file.put.key: file for file in prepare_files(store, group)}
    return prepared


def cancel_batch(store: StoreContext, step: BatchStep) -> Result:
    """Cancels a batch and waits until it has ended; the error is ignored where it had ended before."""
    try:
        store.writes.cancel_batch(store.id, step.key)
    except ServiceError:
        if not store.client.get_batch(store.id, step.key).batch.status.ended:
            raise
    return await_batch(store, step)


def await_batch(store: StoreContext, step: BatchStep) -> Result:
    """Waits until a batch has ended; its files are left to the steps that concern them."""
    try:
        if wait_for_batch(store, step.key):
            return DONE
    except ServiceError as error:
        if not is_unreadable(error):
            raise
        return DONE  # the batch cannot be read; its files can
    detail = f"the batch makes no progress; plan again later, or cancel it: vssync cancel {step.key}"
    return Result(Status.UNKNOWN, detail)


def wait_for_copies(store: StoreContext, steps: Sequence[Wait]) -> None:
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


def wait_for_drops(store: StoreContext, drops: Sequence[Drop]) -> None:
    """Waits until no dropped copy is listed any more: a late deletion would take shared chunks along, too.

    Where that takes too long, or cannot be seen, the end of the run reports that deletion.
    """
    file_ids = {drop.file_id for drop in drops}
    if not file_ids or store.run.service.deletes_late:
        return
    with suppress(VssyncError):
        store.run.service.deletes_late = not poll_until(
            store.run,
            lambda: not find_attached(store, file_ids),
            Waiting(
                f"files to leave {store.key}, since others have the same text",
                "those are attached all the same",
                timeout=DELETION_WAIT,
            ),
        )


def drop_copy(store: StoreContext, step: Drop) -> Result:
    """Detaches a copy; if another copy of its key is kept, only after that copy was read as completed."""
    try:
        is_safe = not step.kept_id or store.client.get_file(store.id, step.kept_id).status is FileStatus.COMPLETED
    except NotFound:
        is_safe = False
    if not is_safe:
        return Result(Status.SKIPPED, f"the copy to keep, {step.kept_id}, is not completed; plan again")
    store.detach_copy(step)
    return DONE
