"""Feeds a store: uploads its files, attaches and settles them batch by batch, tries again what may succeed.

A file that failed is tried again once all others were sent. Where a store ingests nothing, one file at a time is tried
with growing pauses, and all others stay as they are: the next run begins anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vssync.applier.attach import attach
from vssync.applier.await_ingestion import FailedFile, wait_and_settle
from vssync.applier.context import Result, StoreContext, result_of_error
from vssync.applier.intake import PAUSES
from vssync.applier.steps import Put, StoreSteps
from vssync.applier.stores import UnfinishedBatchNote
from vssync.applier.upload import InFlightBatch, PendingFile, detach_to_reattach, prepare_file
from vssync.errors import VssyncError
from vssync.model.report import Status
from vssync.text import count_noun, format_elapsed


class StoreFeed:
    """The files of one store on their way: waiting, in flight, or failed with tries left."""

    def __init__(self, store: StoreContext, steps: StoreSteps) -> None:
        self._store = store
        self._batch = steps.batch
        self._waiting = deque(steps.puts)
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
            elif self._waiting and len(self._in_flight) < self._batch.in_flight:
                self._send([self._waiting.popleft() for _ in range(min(self._batch.size, len(self._waiting)))])
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

    def _send(self, puts: Sequence[Put]) -> None:
        prepared = self._store.run.pool.map(lambda put: prepare_file(self._store, put), puts)
        self._attach([pending for pending in prepared if pending])

    def _attach(self, files: Sequence[PendingFile]) -> None:
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
        self._reattach([self._failed.pop(0) for _ in range(min(self._batch.size, len(self._failed)))])

    def _reattach(self, failed: Sequence[FailedFile]) -> None:
        def detach(each: FailedFile) -> PendingFile | None:
            put, file_id = each.file.put, each.file.file_id
            try:
                detach_to_reattach(self._store, put, file_id)
            except VssyncError as error:
                self._store.settle(put.key, result_of_error(error))
                return None
            self._store.run.results.record_retry(self._store.key, put.key)
            return PendingFile(put, file_id, attempts=each.file.attempts + 1)

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
                self._reattach([self._failed.pop(0)])
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
            store.stop_reason = f"{intake}; apply again later"
        elif intake.failing:
            store.run.watcher.on_message(f"{store.key}: {intake}")
        if store.stop_reason:
            store.run.watcher.on_message(f"{store.key}: {store.stop_reason}")
            for put in self._waiting:
                store.settle(put.key, Result(Status.SKIPPED, f"not tried: the store {store.stop_reason}"))
