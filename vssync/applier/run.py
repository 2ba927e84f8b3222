"""Interprets a plan's steps against a service. It makes requests and decides nothing: what to do is in the steps.

Stores go side by side; within a store the order of `steps` is kept. Every change ends with an outcome.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from vssync.api.rate_limit import Interrupted
from vssync.applier.attach import attach
from vssync.applier.context import ApplyRun, StoreContext, StoreWorkload
from vssync.applier.delete import delete_unused_uploads, held_file_ids
from vssync.applier.ledger import UploadIdentity, UploadPool
from vssync.applier.lower import lower
from vssync.applier.results import DONE, Result, failed
from vssync.applier.settle import wait_and_settle
from vssync.applier.steps import StoreSteps
from vssync.applier.stores import BatchNote, delete_store, set_up_store
from vssync.applier.update import await_batch, cancel_batch, remove_copies, update_attributes, wait_for_copies
from vssync.applier.upload import InFlightBatch, upload_pending
from vssync.errors import VssyncError
from vssync.journal.records import Operation, UnattachedUpload
from vssync.model.plan import Plan
from vssync.model.report import Orphan, Report, Status
from vssync.model.state import Capabilities

_STORES = 4  # at once
LAST, LOOKS = 2.0, 40  # seconds that what is in flight gets when a run is interrupted, and how often that is looked at


def apply_steps(run: ApplyRun, plan: Plan) -> Report:
    """Carries a plan out, and reports what became of every change.

    Raises ServiceError, before anything is written, when what an earlier run left cannot be looked for; nothing for
    what a service does later.
    """
    started = run.client.clock.monotonic()
    program = lower(plan)
    _finish(run, plan.owner, program)
    run.writes.journal.begin()
    run.watcher.begin([_todo(store, run.ways) for store in program], lambda: run.client.pause_seconds)
    ids: list[tuple[str, str]] = []
    orphans: tuple[Orphan, ...] = ()
    interrupted = False
    try:
        _each_store(run, program, ids)
        orphans = delete_unused_uploads(run, plan.owner) + run.loose()
    except (KeyboardInterrupt, Interrupted):
        interrupted = True
        orphans = _cut_short(run)
    run.watcher.end()
    return _report(run, plan, store_ids=tuple(sorted(ids)), orphans=orphans, started=started, interrupted=interrupted)


def _report(
    run: ApplyRun,
    plan: Plan,
    *,
    store_ids: tuple[tuple[str, str], ...],
    orphans: tuple[Orphan, ...],
    started: float,
    interrupted: bool,
) -> Report:
    """What became of everything; the journal keeps what of it the next run needs."""
    report = Report(
        plan=plan,
        outcomes=run.results.outcomes(plan),
        orphans=orphans + run.suspects() + _unused(run),
        store_ids=store_ids,
        seconds=run.client.clock.monotonic() - started,
        requests=run.client.request_count,
        repeated=run.client.retry_count,
        interrupted=interrupted,
        throttled=run.client.throttled_seconds,
    )
    run.writes.journal.end({orphan.file_id for orphan in report.orphans} if report.converged else None)
    return report


def _finish(run: ApplyRun, owner: str, program: tuple[StoreSteps, ...]) -> None:
    """Finds what need not be uploaded: what earlier runs left unattached, and what this one wants more than once."""
    journal = run.writes.journal
    spare = journal.past.kept
    if spare:
        held = held_file_ids(run.client, run.pool, owner, run.declared)
        journal.forget(held)
        spare = tuple(kept for kept in spare if kept.file_id not in held)
    wanted = Counter(form for store in program for form in _forms(store))
    run.uploads = UploadPool(spare, [form for form, times in wanted.items() if times > 1], owner)


def _forms(store: StoreSteps) -> Iterator[UploadIdentity]:
    """What a store wants uploaded."""
    puts = (put for wave in store.waves for put in wave.puts if not put.file_id)
    return ((put.file.sha256, put.file.filename) for put in puts)


def _unused(run: ApplyRun) -> tuple[Orphan, ...]:
    """Uploads of earlier runs that this one had no use for; `vssync gc` is where they go."""
    return tuple(Orphan(kept.file_id, _from_before(kept)) for kept in run.uploads.unused())


def _from_before(kept: UnattachedUpload) -> str:
    if not kept.name:
        return "upload that an earlier run took out of its store"
    return f"upload of {kept.name}, of an earlier run"


def _cut_short(run: ApplyRun) -> tuple[Orphan, ...]:
    """Gives what is in flight a moment to end, unless a second signal comes; what nothing is known to hold."""
    run.client.clock.interrupt()
    for _ in range(LOOKS):
        if run.watcher.end() or not run.writes.journal.idle(LAST / LOOKS):
            break
    why = "under way when the run was interrupted"
    lost = [write for write in run.writes.journal.idle(0) if write.doing is Operation.UPLOAD]
    suspects = [Orphan("", f"upload of {write.name}, {write.size} bytes: {why}", suspected=True) for write in lost]
    return (*run.left_behind(), *suspects)


def _todo(store: StoreSteps, ways: Capabilities) -> StoreWorkload:
    puts = [put for wave in store.waves for put in wave.puts]
    beside = (store.cancels, store.updates, store.waits, store.awaited, store.removes)
    return StoreWorkload(
        store.key,
        size=sum(put.file.size for put in puts if not put.file_id),
        batches=0 if ways.one_by_one else len(store.waves),
        changes=len(puts) + sum(map(len, beside)),
    )


def _each_store(run: ApplyRun, program: tuple[StoreSteps, ...], ids: list[tuple[str, str]]) -> None:
    """Stores side by side, since most of a run is waiting; their requests share one pool. One worker goes plainly."""
    if run.pool.workers == 1:
        for store in program:
            _store(run, store, ids)
        return
    threads = ThreadPoolExecutor(min(_STORES, len(program) or 1), "vssync-store")
    try:
        for ended in [threads.submit(_store, run, store, ids) for store in program]:
            ended.result()
    except BaseException:  # a signal, or a bug: either way the other stores must not go on alone
        run.client.clock.interrupt()  # what is in flight ends, nothing begins, and nobody waits for a slow answer
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    threads.shutdown()


def _store(run: ApplyRun, store: StoreSteps, ids: list[tuple[str, str]]) -> None:
    """One store from set-up to tear-down; when it cannot be set up, its files are not tried."""
    if run.stopping:
        return
    if store.setup or store.teardown:
        run.results.begin(store.key, "")
    try:
        store_id = set_up_store(run, store)
    except VssyncError as error:
        run.results.add(store.key, "", failed(error))
        return
    if store.setup:
        run.results.add(store.key, "", DONE)
    ids.append((store.key, store_id))
    _files(StoreContext(run, store.key, store_id, store.ignore), store)
    if store.teardown:
        _tear_down(run, store)


def _files(at: StoreContext, store: StoreSteps) -> None:
    at.each(cancel_batch, store.cancels)
    run_waves(at, store)
    at.each(update_attributes, store.updates)
    at.each(await_batch, store.awaited)
    if store.waits and not at.run.stopping:
        wait_for_copies(at, store.waits)
    at.each(remove_copies, store.removes)


def _tear_down(run: ApplyRun, store: StoreSteps) -> None:
    """Deletes a store that is not wanted any more, or that another replaced, once everything else is done."""
    puts = [put.key for wave in store.waves for put in wave.puts]
    if run.stopping or not run.results.all_done(store.key, puts):
        run.results.add(store.key, "", Result(Status.SKIPPED, "the store is kept, since not everything else was done"))
        return
    try:
        delete_store(run, store)
    except VssyncError as error:
        run.results.add(store.key, "", failed(error))
    else:
        run.results.add(store.key, "", DONE)


def run_waves(at: StoreContext, store: StoreSteps) -> None:
    """All waves of a store, at most `in_flight` batches at once."""
    flying: deque[InFlightBatch] = deque()
    hint = BatchNote(at, ours=store.settings is not None and not store.settings.external)

    def land_one() -> None:
        flying.extend(wait_and_settle(at, flying.popleft()))
        hint.say(flight.batch_id for flight in flying)

    for wave in store.waves:
        if at.run.stopping or not at.run.ways.attributes:
            break
        while len(flying) >= store.in_flight:
            land_one()
        loads = at.run.pool.map(lambda put: upload_pending(at, put), wave.puts)
        flying.extend(attach(at, [found for found in loads if found]))
        hint.say(flight.batch_id for flight in flying)
    while flying:
        land_one()
    hint.end()
