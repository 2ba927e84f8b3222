"""Interprets a plan's steps against a service. It makes requests and decides nothing: what to do is in the steps.

Stores go side by side; within a store the order of `steps` is kept. Every change ends with an outcome.
"""

from __future__ import annotations

from vssync.api import Interrupted
from vssync.applier import changes, removal, stores
from vssync.applier.context import Run, StoreRun, Watcher, Ways
from vssync.applier.results import DONE, Result, failed
from vssync.applier.waves import run_waves
from vssync.errors import VssyncError
from vssync.plan import Plan
from vssync.report import Orphan, Report, Status
from vssync.steps import StoreSteps, lower
from vssync.threads import Pool

__all__ = ["Run", "Watcher", "Ways", "apply"]
_STORES = 4  # at once


def apply(run: Run, plan: Plan) -> Report:
    """Carries a plan out, and reports what became of every change; raises nothing for what a service does."""
    clock = run.client.clock
    started = clock.monotonic()
    program = lower(plan)
    _announce(run, program)
    ids: list[tuple[str, str]] = []
    orphans: tuple[Orphan, ...] = ()
    interrupted = False
    try:
        _each_store(run, program, ids)
        orphans = removal.empty_trash(run, plan.owner)
    except (KeyboardInterrupt, Interrupted):
        interrupted = True
        orphans = run.left_behind()
    return Report(
        plan=plan,
        outcomes=run.results.outcomes(plan),
        orphans=orphans + run.suspects(),
        store_ids=tuple(sorted(ids)),
        seconds=clock.monotonic() - started,
        requests=run.client.requests,
        interrupted=interrupted,
    )


def _announce(run: Run, program: tuple[StoreSteps, ...]) -> None:
    waves = [wave for store in program for wave in store.waves]
    puts = [put for wave in waves for put in wave.puts]
    run.watcher.begin(len(puts), sum(put.file.size for put in puts if not put.file_id), len(waves))


def _each_store(run: Run, program: tuple[StoreSteps, ...], ids: list[tuple[str, str]]) -> None:
    """Stores side by side, since most of a run is waiting; their requests share one pool. One worker goes plainly."""
    with Pool(1 if run.pool.workers == 1 else min(_STORES, len(program) or 1)) as side_by_side:
        try:
            side_by_side.map(lambda store: _store(run, store, ids), program)
        except KeyboardInterrupt:
            run.client.clock.interrupt()  # before the threads are waited for: what is in flight ends, nothing begins
            raise


def _store(run: Run, store: StoreSteps, ids: list[tuple[str, str]]) -> None:
    """One store from set-up to tear-down; when it cannot be set up, its files are not tried."""
    if run.stopping:
        return
    if store.setup or store.teardown:
        run.results.begin(store.key, "")
    try:
        store_id = stores.set_up(run, store)
    except VssyncError as error:
        run.results.add(store.key, "", failed(error))
        return
    if store.setup:
        run.results.add(store.key, "", DONE)
    ids.append((store.key, store_id))
    _files(StoreRun(run, store.key, store_id, store.ignore), store)
    if store.teardown:
        _tear_down(run, store)


def _files(at: StoreRun, store: StoreSteps) -> None:
    at.each(changes.cancel, store.cancels)
    run_waves(at, store)
    at.each(changes.update, store.updates)
    at.each(changes.wait, store.waits)
    at.each(changes.await_batch, store.awaited)
    at.each(changes.remove, store.removes)


def _tear_down(run: Run, store: StoreSteps) -> None:
    """Deletes a store that is not wanted any more, or that another replaced, once everything else is done."""
    if not run.results.all_done(store.key):
        run.results.add(store.key, "", Result(Status.SKIPPED, "the store is kept, since not everything else was done"))
        return
    try:
        run.client.delete_store(store.store_id)
    except VssyncError as error:
        run.results.add(store.key, "", failed(error))
    else:
        run.results.add(store.key, "", DONE)
