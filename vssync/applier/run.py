"""Carries out a plan: makes the requests and decides nothing, since what to do is in the steps.

Stores are applied in parallel, the steps within each in the order of `StoreSteps`. Every change gets an outcome.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import chain
from math import ceil

from vssync.api.client import Client
from vssync.api.rate_limit import Interrupted
from vssync.applier import existing
from vssync.applier.attach import attach, leave_unattached
from vssync.applier.await_ingestion import FailedFile, wait_and_settle
from vssync.applier.context import DONE, ApplyRun, Result, StoreContext, StoreWorkload, result_of_error
from vssync.applier.deletions import find_holders, finish_deletions, record_unseen_deletions
from vssync.applier.intake import PAUSES
from vssync.applier.ledger import upload_identity
from vssync.applier.search import learn_from_copy
from vssync.applier.steps import Put, StoreSteps, plan_steps
from vssync.applier.stores import UnfinishedBatchNote, delete_store, end_adoption, set_up_store, stamp_stores
from vssync.applier.twins import NewStore, join_twin, verify_new_stores, verify_single_copies
from vssync.applier.upload import InFlightBatch, PendingFile, detach_to_reattach, prepare_file
from vssync.errors import NotFound, VssyncError
from vssync.journal.records import Operation
from vssync.model.plan import Plan
from vssync.model.report import Report, Status
from vssync.text import count_noun, format_elapsed

_MAX_STORES = 4  # at once
_MAX_PROBES = 3  # of a type of files; where none of them ends, the others are sent all the same
_INTERRUPT_GRACE = 2.0  # seconds that requests in flight get to end when a run is interrupted
_INTERRUPT_POLLS = 40  # in that time
_NONE: Mapping[str, PendingFile] = {}


def apply_steps(run: ApplyRun, plan: Plan) -> Report:
    """Carries out a plan, and reports what became of every change.

    Errors of the service are in the report.
    """
    started = run.client.clock.monotonic()
    stores = plan_steps(plan)
    _begin(run, plan, stores)
    store_ids: dict[str, str] = {}
    new_stores: list[NewStore] = []
    interrupted = False
    try:
        # After an error, such as a signal, no request begins any more, and pauses between requests end.
        run.pool.run_side_by_side(
            lambda store_steps: _apply_store(run, store_steps, store_ids, new_stores),
            stores,
            limit=_MAX_STORES,
            on_error=run.client.clock.interrupt,
        )
        verify_new_stores(run, new_stores)
        finish_deletions(run, plan, store_ids)
        verify_single_copies(run, store_ids, stores)
        written = {steps.key: store_ids[steps.key] for steps in stores if steps.writes and steps.key in store_ids}
        stamp_stores(run, plan, written)
    except (KeyboardInterrupt, Interrupted):
        interrupted = True
        _wait_for_requests_in_flight(run)
        record_unseen_deletions(run, "plan again")
    run.watcher.on_ending()
    report = Report(
        plan=plan,
        outcomes=run.results.outcomes(plan),
        orphans=run.ledger.orphans(),
        held=run.ledger.held(),
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


def _begin(run: ApplyRun, plan: Plan, stores: tuple[StoreSteps, ...]) -> None:
    """Opens the ledger with what earlier runs left and what this one wants more than once; announces the work."""
    if any(store.owned for store in plan.stores):  # a listing showed a mark
        run.service.lists_attributes = True
    journal = run.writes.journal
    spares = journal.past.unattached
    if spares:
        ids = [upload.file_id for upload in spares]
        # In a store that cannot be read, an upload may be used twice: no upload is deleted while there is one.
        held = find_holders(run.client, run.pool, run.client.list_stores(), ids, skip_unreadable=True)
        journal.forget(held)
        gone = {file_id for file_id in run.pool.map(lambda file_id: _find_gone(run.client, file_id), ids) if file_id}
        spares = tuple(upload for upload in spares if upload.file_id not in held and upload.file_id not in gone)
    puts = [put for store_steps in stores for put in store_steps.all_puts]
    wanted = Counter(upload_identity(put.file) for put in puts if not put.existing_id)
    run.ledger.open(plan.owner, spares, [identity for identity, times in wanted.items() if times > 1])
    journal.mark_as_apply()
    workloads = [
        StoreWorkload(
            store_steps.key,
            size=sum(put.file.size for put in store_steps.all_puts if not put.existing_id),
            batches=0 if run.capabilities.one_by_one else ceil(len(store_steps.all_puts) / run.capabilities.batch_size),
            changes=store_steps.step_count,
        )
        for store_steps in stores
    ]
    run.watcher.on_start(workloads, lambda: run.client.sender.limits.pause_seconds)


def _find_gone(client: Client, file_id: str) -> str:
    """The id of a File that does not exist; empty where it does, or nobody can say."""
    try:
        client.get_upload(file_id)
    except NotFound:
        return file_id
    except VssyncError:
        pass
    return ""


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


def _apply_store(run: ApplyRun, store_steps: StoreSteps, store_ids: dict[str, str], new_stores: list[NewStore]) -> None:
    """Carries out all steps of one store; where its set-up fails, none of its files is tried.

    Adds its id to `store_ids` and, if this run made it, the store to `new_stores`.
    """
    if run.stopping:
        return
    if store_steps.setup or store_steps.teardown:
        run.results.record_start(store_steps.key, "")
    try:
        store, new = set_up_store(run, store_steps)
    except VssyncError as error:
        run.results.record_result(store_steps.key, "", result_of_error(error))
        return
    if store_steps.setup and not store_steps.adopts:
        run.results.record_result(store_steps.key, "", DONE)
    store_ids[store_steps.key] = store.id
    new_stores += [new] if new else []
    store.for_each(store_steps.cancels, existing.cancel_batch)
    StoreFeed(store, store_steps, store_steps.puts, new=new).run()
    store_ids[store_steps.key] = store.id
    if store_steps.updates and not run.stopping:
        learn_from_copy(store, store_steps.updates[0])
    store.for_each(store_steps.updates, existing.update_attributes)
    store.for_each(store_steps.batch_waits, existing.await_batch)
    if store_steps.copy_waits and not run.stopping:
        existing.wait_for_copies(store, store_steps.copy_waits)
    late = _prepare_late(store, store_steps.late_puts)
    if len(late) == len(store_steps.late_puts):
        store.for_each(store_steps.drops, existing.drop_copy)
        existing.wait_for_drops(store, store_steps.drops if late else ())
    StoreFeed(store, store_steps, [pending.put for pending in late.values()], prepared=late).run()
    if store_steps.adopts:
        run.results.record_result(store_steps.key, "", end_adoption(run, store_steps))
    if store_steps.teardown:
        _tear_down(run, store, store_steps)


def _tear_down(run: ApplyRun, store: StoreContext, store_steps: StoreSteps) -> None:
    """Deletes a store; the files that go with it share its result."""
    for drop in store_steps.leaving:
        run.results.record_start(store_steps.key, drop.key)
    result = delete_store(run, store_steps)
    run.results.record_result(store_steps.key, "", result)
    of_files = DONE if result.status is Status.DONE else Result(result.status, "its store was not deleted")
    for drop in store_steps.leaving:
        store.settle(drop.key, of_files)


def _prepare_late(store: StoreContext, puts: Sequence[Put]) -> dict[str, PendingFile]:
    """The files, by key, ready to be attached; their old copies are gone.

    Those that are attached again go first: a run that is killed after that leaves no file that only looks right.
    """
    prepared: dict[str, PendingFile] = {}
    for is_again in (True, False):
        group = [put for put in puts if bool(put.existing_id) is is_again and not store.run.stopping]
        pending_files = store.run.pool.map(lambda put: prepare_file(store, put), group)
        prepared |= {pending.put.key: pending for pending in pending_files if pending}
    return prepared


class StoreFeed:
    """The files of one store on their way: waiting, in flight, or failed with tries left.

    A file that failed is tried again once all others were sent. Where a store ingests nothing, one file at a time is
    tried with growing pauses, and all others stay as they are: the next run begins anew.
    """

    def __init__(
        self,
        store: StoreContext,
        steps: StoreSteps,
        puts: Sequence[Put],
        *,
        new: NewStore | None = None,
        prepared: Mapping[str, PendingFile] = _NONE,
    ) -> None:
        self._store = store
        self._new = new  # until the first file is attached
        self._prepared = prepared  # by key, of puts that need only be attached
        self._batch_size = store.run.capabilities.batch_size
        self._waiting: deque[Put] = deque()
        self._unproven: dict[str, deque[Put]] = {}  # by extension: one is tried at a time until the service takes it
        for put in puts:
            is_unproven = put.file.extension in steps.unproven
            (self._unproven.setdefault(put.file.extension, deque()) if is_unproven else self._waiting).append(put)
        self._probes = Counter[str]()
        self._in_flight: deque[InFlightBatch] = deque()
        self._failed: list[FailedFile] = []
        is_external = steps.settings is None or steps.settings.external
        self._note = UnfinishedBatchNote(store, is_external=is_external)

    def run(self) -> None:
        """Feeds the store until every file has its result, or the run or the store stops."""
        intake = self._store.intake
        while not self._is_ending:
            if intake.is_out:
                self._settle_all()
                if intake.is_out and not self._probe():
                    break
            elif len(self._in_flight) < self._store.run.settings.batches_in_flight and (puts := self._next_puts()):
                self._send(puts)
            elif self._in_flight:
                self._settle_oldest()
            elif self._failed:
                self._try_again()
            else:
                break
        self._settle_all()
        self._give_up()
        self._note.clear()

    @property
    def _is_ending(self) -> bool:
        run = self._store.run
        return run.stopping or bool(self._store.stop_reason) or not run.capabilities.attributes  # marks would get lost

    def _next_puts(self) -> list[Put]:
        """The files of the next batch: one of each kind that nothing vouches for yet, and those of all other kinds."""
        under_way = {file.put.file.extension for batch in self._in_flight for file in batch.files}
        chosen: list[Put] = []
        for extension, puts in list(self._unproven.items()):
            is_known = self._store.run.service.is_proven_type(extension) or self._store.is_refused_type(extension)
            if is_known or not puts or self._probes[extension] >= _MAX_PROBES:
                self._waiting.extend(self._unproven.pop(extension))
            elif extension not in under_way and len(chosen) < self._batch_size:
                self._probes[extension] += 1
                chosen.append(puts.popleft())
        room = min(self._batch_size - len(chosen), len(self._waiting))
        return chosen + [self._waiting.popleft() for _ in range(room)]

    def _send(self, puts: Sequence[Put]) -> None:
        def prepare(put: Put) -> PendingFile | None:
            return self._prepared.get(put.key) or prepare_file(self._store, put)

        self._attach([pending for pending in self._store.run.pool.map(prepare, puts) if pending])

    def _attach(self, files: Sequence[PendingFile]) -> None:
        """Attaches files. Before the first, while they were uploaded, another machine's store had time to be listed."""
        if self._new:
            try:
                join_twin(self._new)
            except VssyncError as error:
                leave_unattached(self._store, files, error)
                self._store.stop_reason = f"may not be the only one of its key: {error}"
                return
            self._new = None
        self._in_flight.extend(attach(self._store, files))
        self._note.update(self._in_flight)

    def _settle_oldest(self) -> None:
        batches, failed = wait_and_settle(self._store, self._in_flight.popleft())
        self._in_flight.extend(batches)
        self._failed += failed
        self._note.update(self._in_flight)

    def _settle_all(self) -> None:
        while self._in_flight:
            self._settle_oldest()

    def _try_again(self) -> None:
        """Attaches the failed files once more, after a pause."""
        if self._store.intake.failing:
            attempts = max(failed.file.attempts for failed in self._failed)
            self._pause(
                PAUSES[attempts - 1], f"{count_noun(len(self._failed), 'file')} failed, and will be tried again"
            )
        self._reattach([self._failed.pop(0) for _ in range(min(self._batch_size, len(self._failed)))])

    def _reattach(self, failed: Sequence[FailedFile], *, is_probe: bool = False) -> None:
        """Attaches files once more. A probe of an outage is none of a file's tries."""

        def detach(each: FailedFile) -> PendingFile | None:
            put, file_id = each.file.put, each.file.file_id
            try:
                detach_to_reattach(self._store, put, file_id)
            except VssyncError as error:
                self._store.settle(put.key, result_of_error(error))
                return None
            self._store.run.results.record_retry(self._store.key, put.key)
            return PendingFile(put, file_id, attempts=each.file.attempts + (not is_probe))

        detached = self._store.run.pool.map(detach, failed)
        self._attach([pending for pending in detached if pending])

    def _probe(self) -> bool:
        """Tries one file after another, with growing pauses, until one is completed; whether one was.

        A file that was not sent yet comes first, unless it would leave a gap.
        """
        intake = self._store.intake
        for pause in PAUSES:
            fresh = next((put for put in self._waiting if not put.before_attach), None)
            if not fresh and not self._failed:
                break
            self._pause(pause, f"ingestion fails ({intake.error}), and one file will be tried")
            if fresh:
                self._waiting.remove(fresh)
                self._send([fresh])
            else:
                self._reattach([self._failed.pop(0)], is_probe=True)
            self._settle_all()
            if not intake.is_out:
                return True
        return False

    def _pause(self, seconds: float, why: str) -> None:
        self._store.run.watcher.on_message(f"{self._store.key}: {why} in {format_elapsed(seconds)}")
        self._store.client.clock.sleep(seconds)

    def _give_up(self) -> None:
        """Settles what is left: files that failed, and those that an outage or a refusal kept from being sent."""
        store, intake = self._store, self._store.intake
        for failed in self._failed:
            store.settle(failed.file.put.key, failed.result)
        if intake.is_out and not store.stop_reason:
            store.stop_reason = f"ingests nothing now: {intake.error}; apply again later"
        elif intake.failing:
            store.run.watcher.on_message(f"{store.key}: {intake}")
        if store.stop_reason:
            store.run.watcher.on_message(f"{store.key}: {store.stop_reason}")
            for put in chain(self._waiting, *self._unproven.values()):
                store.settle(put.key, Result(Status.SKIPPED, f"not tried: the store {store.stop_reason}"))
