"""Waits for attached files and settles each by its own status: done, tried once more, or failed as the service says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from vssync.api.errors import MissingCapability, missing_from_update_error
from vssync.applier.attach import attach
from vssync.applier.context import DONE, Result, StoreContext, result_of_error, result_of_uncompleted
from vssync.applier.existing import MarkLost, ensure_attributes
from vssync.applier.search import learn_from_new_file
from vssync.applier.steps import Drop
from vssync.applier.upload import InFlightBatch, PendingFile, detach_to_reattach
from vssync.applier.wait import WaitedFiles, wait_for_batch, wait_for_file, wait_for_files, wait_limit
from vssync.errors import ServiceError, VssyncError
from vssync.model.marks import Mark, Origin
from vssync.model.state import FileStatus, LiveFile
from vssync.planner.classify import MAX_TRIES, PERMANENT_ERRORS


def wait_and_settle(store: StoreContext, batch: InFlightBatch) -> list[InFlightBatch]:
    """Waits for a batch and settles its files; returns the batches of those that are tried once more."""
    try:
        waited = _wait_for_end(store, batch)
    except VssyncError as error:
        for file in batch.files:
            store.settle(file.put.key, result_of_error(error))
        return []
    if batch.batch_id and batch.files and not waited.files and not waited.is_stuck:
        # The service ignored the `files` of the request: the batch ended without any.
        store.run.service.record_missing(MissingCapability.BATCH_FILES)
        return attach(store, batch.files)
    if not waited.is_stuck:
        store.last_progress = store.client.clock.monotonic()
    listed, until = waited.by_id, wait_limit(store, is_stuck=waited.is_stuck)
    retries = store.run.pool.map(lambda file: _settle(store, file, listed.get(file.file_id), until), batch.files)
    return attach(store, [file for file in retries if file])


def _wait_for_end(store: StoreContext, batch: InFlightBatch) -> WaitedFiles:
    """Waits until a batch has ended, or its files where it has no id."""
    since = max(batch.sent, store.last_progress)
    if not batch.batch_id:
        return wait_for_files(store, {file.file_id for file in batch.files}, since)
    has_ended = wait_for_batch(store, batch.batch_id, since).status.ended
    return WaitedFiles(store.client.list_batch_files(store.id, batch.batch_id), is_stuck=not has_ended)


def _settle(store: StoreContext, file: PendingFile, live: LiveFile | None, until: float) -> PendingFile | None:
    """Waits for one file until the monotonic second `until`, and records its result.

    Returns it, detached and without a result, where it is to be attached once more.
    """
    try:
        live = live if live and live.status.ended else wait_for_file(store, file.file_id, until)
        if live.status is FileStatus.COMPLETED:
            result = _complete(store, file, live)
        elif _is_worth_retrying(file, live):
            result = None
        else:
            result = result_of_uncompleted(live)
        if result is None:
            return _detach_for_retry(store, file)
    except MarkLost as error:
        # The new copy is detached while this run still knows that it is ours, and the run brings in no more files.
        # Where the old copy was detached before, the new one stays: without a mark, searches still find it.
        store.run.service.record_missing(MissingCapability.ATTRIBUTES)
        if not file.put.before_attach:
            with suppress(VssyncError):
                is_our_upload = file.put.mark.origin is Origin.UPLOADED
                store.detach_copy(Drop(file.put.key, file.file_id, is_our_upload))
        result = result_of_error(error)
    except VssyncError as error:
        result = result_of_error(error)
    store.settle(file.put.key, result)
    return None


def _is_worth_retrying(file: PendingFile, live: LiveFile) -> bool:
    """Whether ingestion failed in a way where another try may help, and there are tries left."""
    is_transient = live.status is FileStatus.FAILED and (live.error is None or live.error.code not in PERMANENT_ERRORS)
    return is_transient and file.mark.tries < MAX_TRIES


def _complete(store: StoreContext, file: PendingFile, live: LiveFile) -> Result | None:
    """Makes sure of a completed file's mark, and drops its old copies; None where it must be attached once more."""
    put = file.put
    if isinstance(live.mark, Mark) and live.mark.is_provisional:
        written = _write_own_attributes(store, file)
        if written is None:
            return None
        live = written
    store.writes.journal.record_held(file.file_id)
    learn_from_new_file(store, put, file.file_id, file.mark)
    ensure_attributes(store, live, put.attributes, file.mark)
    if not put.chunking.auto and live.chunking not in (None, put.chunking):  # to ingest it once more would not help
        store.run.say_once(
            f"{store.key}: the service reports other chunking than asked for; `vssync plan` says for how many files"
        )
    for drop in put.afterwards:
        store.detach_copy(drop)
    return DONE


def _write_own_attributes(store: StoreContext, file: PendingFile) -> LiveFile | None:
    """Writes the attributes of a file that was attached together with others; None where they cannot be changed."""
    try:
        return store.writes.set_attributes(store.id, file.file_id, file.put.attributes, file.mark)
    except ServiceError as error:
        if missing_from_update_error(error) is None or file.mark.tries >= MAX_TRIES:
            raise
        store.run.service.record_missing(MissingCapability.ATTRIBUTE_UPDATES)
        return None


def _detach_for_retry(store: StoreContext, file: PendingFile) -> PendingFile:
    """Detaches a file, and returns it ready to be attached once more, with one more of its tries used."""
    detach_to_reattach(store, file.put, file.file_id)
    store.run.results.record_retry(store.key, file.put.key)
    return replace(file, completed=False, mark=replace(file.mark, tries=file.mark.tries + 1))
