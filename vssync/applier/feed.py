"""Feeds a store with files: a few batches in flight; one file first of each type the service has not yet accepted.

Files that failed are tried again. Where a store ingests nothing, one file at a time is tried with growing pauses, and
all others stay as they are: the next run starts afresh.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from itertools import chain

from vssync.applier.attach import attach, settle_by_error, settle_unattached
from vssync.applier.context import StoreContext, result_of_error
from vssync.applier.observations import PAUSES
from vssync.applier.settle import FileToRetry, wait_and_settle
from vssync.applier.steps import Put
from vssync.applier.stores import look_for_duplicates, update_store
from vssync.applier.upload import (
    InFlightBatch,
    PendingFile,
    detach_to_reattach,
    keep_attachable,
    prepare_files,
    result_of_unattached,
    use_concurrent_copies,
)
from vssync.applier.wait import wait_for_new_store
from vssync.applier.writes import MetadataLost
from vssync.errors import VssyncError
from vssync.model.marks import STORE_BATCHES, batch_note_text
from vssync.text import count_noun, format_elapsed
from vssync.threads import Begun

Settled = tuple[list[InFlightBatch], list[FileToRetry]]
_MAX_TRIALS = 3  # of a file type; if they neither prove nor refute it, its other files are sent nevertheless
_NOTE_INTERVAL = 5.0  # seconds at least between two notes in a store; removing the note does not wait


class StoreFeed:
    """The files of one store on their way: waiting, in flight, or failed with tries left."""

    def __init__(self, store: StoreContext, puts: Sequence[Put], prepared: Mapping[str, PendingFile]) -> None:
        self._store = store
        self._prepared = prepared  # by key, those of the puts that need only be attached
        self._batch_size = store.run.capabilities.batch_size
        self._waiting: deque[Put] = deque()
        self._unproven: dict[str, deque[Put]] = {}  # by type: one file is tried at a time until the type is proven
        for put in puts:
            is_unproven = put.file.extension in store.steps.unproven
            queue = self._unproven.setdefault(put.file.extension, deque()) if is_unproven else self._waiting
            queue.append(put)
        self._type_trials = Counter[str]()
        self._preparing: deque[tuple[Sequence[Put], Begun[list[PendingFile]]]] = deque()
        self._in_flight: deque[tuple[InFlightBatch, Begun[Settled]]] = deque()
        self._failed: list[FileToRetry] = []
        self._note = UnfinishedBatchNote(store)
        # While a batch is attached, the files of the next are uploaded, and the one before is waited for. But where old
        # copies go first, the new ones follow at once.
        pool = store.run.pool
        self._ahead = 0 if pool.workers == 1 or any(put.before_attach for put in puts) else 2
        self._preparation, self._settling = pool.open_lane(3), pool.open_lane()

    def run(self) -> None:
        """Feeds the store until every file has its result, or the run or the store stops."""
        with self._preparation, self._settling:
            self._feed()

    def _feed(self) -> None:
        ingestion = self._store.ingestion
        while not self._is_ending:
            if ingestion.has_outage:
                self._settle_all()
                if ingestion.has_outage and not self._probe_outage():
                    break
            elif self._in_flight and self._in_flight[0][1].is_done():
                self._settle_oldest()
            elif self._has_room and (puts := self._next_puts()):
                self._begin(puts)
            elif self._preparing:
                self._attach_next()
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

    @property
    def _has_room(self) -> bool:
        return len(self._in_flight) + len(self._preparing) < self._store.run.settings.batches_in_flight

    def _next_puts(self) -> list[Put]:
        """The files of the next batch: one of each type that is not proven yet, and those of all other types."""
        under_way = {file.put.file.extension for batch, _ in self._in_flight for file in batch.files}
        under_way |= {put.file.extension for puts, _ in self._preparing for put in puts}
        chosen: list[Put] = []
        for file_type, puts in list(self._unproven.items()):
            is_known = self._store.run.service.is_proven_type(file_type) or self._store.is_refused_type(file_type)
            if is_known or not puts or self._type_trials[file_type] >= _MAX_TRIALS:
                self._waiting.extend(self._unproven.pop(file_type))
            elif file_type not in under_way and len(chosen) < self._batch_size:
                self._type_trials[file_type] += 1
                chosen.append(puts.popleft())
        room = min(self._batch_size - len(chosen), len(self._waiting))
        return chosen + [self._waiting.popleft() for _ in range(room)]

    def _begin(self, puts: Sequence[Put]) -> None:
        """Begins to prepare files, and attaches the ones before, unless the store is new and cannot be used yet."""
        files = self._preparation.begin(self._prepare, puts)
        self._preparing.append((puts, files))
        if self._store.is_provisioning:
            files.result()  # returns when they are prepared
        elif len(self._preparing) > self._ahead:
            self._attach_next()

    def _prepare(self, puts: Sequence[Put]) -> list[PendingFile]:
        prepared = [self._prepared[put.key] for put in puts if put.key in self._prepared]
        return [*prepared, *prepare_files(self._store, [put for put in puts if put.key not in self._prepared])]

    def _attach_next(self) -> None:
        _, files = self._preparing.popleft()
        self._attach(files.result())

    def _attach(self, files: Sequence[PendingFile]) -> None:
        """Attaches files. Before the first, it looks for a store that another machine made for the same key.

        The other store had time to be listed while the files were uploaded.
        """
        if not wait_for_new_store(self._store):
            for file in files:
                self._store.settle_untried(file.put.key)
            return
        if self._store.may_have_duplicate:
            try:
                look_for_duplicates(self._store)
            except VssyncError as error:
                settle_by_error(self._store, files, error)
                self._store.stop_reason = f"may not be the only one of its key: {error}"
                return
        self._record_sent(attach(self._store, use_concurrent_copies(self._store, files)))

    def _record_sent(self, batches: Iterable[InFlightBatch]) -> None:
        for batch in batches:
            self._in_flight.append((batch, self._settling.begin(partial(wait_and_settle, self._store), batch)))
        self._note.update(batch for batch, _ in self._in_flight)

    def _settle_oldest(self) -> None:
        _, settled = self._in_flight.popleft()
        batches, failed = settled.result()
        self._failed += failed
        self._record_sent(batches)

    def _settle_all(self) -> None:
        while self._in_flight:
            self._settle_oldest()

    def _try_again(self) -> None:
        """Attaches the failed files once more, after a pause, unless the run or the store stops meanwhile."""
        if self._store.ingestion.failing:
            attempts = max(failed.file.attempts for failed in self._failed)
            reason = f"{count_noun(len(self._failed), 'file')} failed, and will be tried again"
            if not self._pause(PAUSES[attempts - 1], reason):
                return
        self._reattach([self._failed.pop(0) for _ in range(min(self._batch_size, len(self._failed)))])

    def _reattach(self, failed: Sequence[FileToRetry], *, is_probe: bool = False) -> None:
        """Attaches files once more. The probe of an outage does not count as one of the file's tries."""

        def detach(each: FileToRetry) -> PendingFile | None:
            put, file_id = each.file.put, each.file.file_id
            try:
                detach_to_reattach(self._store, put, file_id)
            except VssyncError as error:
                self._store.settle(put.key, result_of_error(error))
                return None
            self._store.run.results.record_retry(self._store.key, put.key)
            attempts = each.file.attempts + (not is_probe)
            return PendingFile(put, file_id, attempts=attempts, detached=(file_id,))

        pending = self._store.run.pool.map(detach, failed)
        self._attach(keep_attachable(self._store, [file for file in pending if file]))

    def _probe_outage(self) -> bool:
        """Tries one file after another, with growing pauses, until one is completed. Returns whether one was.

        A file that was not sent yet comes first, unless its old copy must be detached for it: if the try failed,
        searches would find neither copy.
        """
        ingestion = self._store.ingestion
        for pause in PAUSES:
            fresh = next((put for put in self._waiting if not put.before_attach), None)
            if not fresh and not self._failed:
                break
            if not self._pause(pause, f"ingestion fails ({ingestion.error}), and one file will be tried"):
                break
            if fresh:
                self._waiting.remove(fresh)
                self._attach(self._prepare([fresh]))
            else:
                self._reattach([self._failed.pop(0)], is_probe=True)
            self._settle_all()
            if not ingestion.has_outage:
                return True
        return False

    def _pause(self, seconds: float, reason: str) -> bool:
        """Waits, unless the feed is ending. Returns whether the feed goes on."""
        if not self._is_ending:
            self._store.run.watcher.on_message(f"{self._store.key}: {reason} in {format_elapsed(seconds)}")
            self._store.client.clock.sleep(seconds)
        return not self._is_ending

    def _give_up(self) -> None:
        """Settles what is left: files that failed, and files that were not sent because of an outage or a refusal."""
        store, ingestion = self._store, self._store.ingestion
        for failed in self._failed:
            store.settle(failed.file.put.key, failed.result)
        waiting = [*self._waiting, *chain(*self._unproven.values())]
        prepared = [*chain(*(files.result() for _, files in self._preparing))]
        prepared += [self._prepared[put.key] for put in waiting if put.key in self._prepared]
        left_something = prepared or waiting or not ingestion.has_completed  # else the failed files say it all
        if ingestion.has_outage and left_something and not store.stop_reason:
            store.stop_reason = f"ingests nothing now: {ingestion.error}; apply again later"
        cause = store.short_stop_reason if store.stop_reason else "the run ended before; apply again"
        # Also of a file that waits: of its two results this one stays, since the other is no worse.
        for file in prepared:
            settle_unattached(store, file, result_of_unattached(file.put, cause))
        if store.stop_reason:
            store.run.announce(f"{store.key}: {store.stop_reason}")
            for put in waiting:
                store.settle_untried(put.key)
        elif ingestion.failing:
            store.run.announce(f"{store.key}: {ingestion.summary}")


class UnfinishedBatchNote:
    """A note of the batches under way in the store's metadata, so that a later run finds them.

    Only where the service lists no batches and lets a store be updated; never in an external store, whose metadata
    belongs to others.
    """

    def __init__(self, store: StoreContext) -> None:
        self._store = store
        self._written: tuple[str, ...] = ()
        self._next_write = 0.0
        self._has_failed = False  # to write a note

    def update(self, batches: Iterable[InFlightBatch]) -> None:
        """Notes that these batches are under way, unless the last note says the same or was written just now."""
        batch_ids = tuple(batch.batch_id for batch in batches if batch.batch_id)
        now = self._store.client.clock.monotonic()
        is_due = now >= self._next_write and not self._has_failed
        if batch_ids and batch_ids != self._written and is_due and self._is_needed:
            self._next_write = now + _NOTE_INTERVAL
            self._write(batch_ids)

    @cached_property
    def _is_needed(self) -> bool:
        settings, capabilities = self._store.steps.settings, self._store.run.capabilities
        if settings and not settings.external and capabilities.store_updates and capabilities.batches:
            with suppress(VssyncError):
                return self._store.client.list_batches(self._store.id) is None
        return False

    def clear(self) -> None:
        """Removes the note: no batch is under way any more."""
        if self._written:
            self._write(())

    def _write(self, batch_ids: tuple[str, ...]) -> None:
        note = {STORE_BATCHES: batch_note_text(batch_ids)} if batch_ids else {}

        def add(metadata: Mapping[str, str]) -> dict[str, str]:
            return {name: value for name, value in metadata.items() if name != STORE_BATCHES} | note

        try:
            update_store(self._store.run, self._store.id, add)
            self._written = batch_ids
        except MetadataLost as error:
            self._store.run.results.record_result(self._store.key, "", result_of_error(error))
            self._has_failed, self._written = True, ()
        except VssyncError as error:
            if error.is_ambiguous:
                self._written = batch_ids
            self._has_failed = not self._written  # where one note was written, the next may be as well
