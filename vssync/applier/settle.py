"""Waits for attached files and settles each by its own status: done, tried once more, or failed as the service says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf

from vssync.api.errors import MissingCapability, is_permanent, missing_from_update_error
from vssync.applier.attach import attach, give_up_batches
from vssync.applier.attributes import MarkLost, ensure_attributes, learn_whether_updates_reach_search
from vssync.applier.context import StoreContext, result_of_error, result_of_uncompleted
from vssync.applier.steps import Drop
from vssync.applier.upload import InFlightBatch, PendingFile
from vssync.applier.wait import (
    INGESTION_DEADLINE,
    NOT_VISIBLE,
    VISIBILITY_GRACE,
    wait_for_batch,
    wait_for_files,
)
from vssync.applier.watcher import ALREADY_DONE, DONE, Result
from vssync.errors import ServiceError, VssyncError
from vssync.model.marks import Mark, Origin
from vssync.model.report import Status
from vssync.model.state import UNSUPPORTED, FileStatus, IngestError, LiveFile


@dataclass(frozen=True, slots=True)
class FileToRetry:
    """A file to be tried once more, and its result if it is not."""

    file: PendingFile
    result: Result


def wait_and_settle(store: StoreContext, batch: InFlightBatch) -> tuple[list[InFlightBatch], list[FileToRetry]]:
    """Waits for a batch and settles its files.

    Returns the batches of those that were attached again in another form, and the files to be tried once more.
    """
    service = store.run.service
    states: Mapping[str, LiveFile | VssyncError] | None
    try:
        states = _wait_for_end(store, batch)
    except VssyncError as error:
        if store.run.is_broken:
            store.run.announce(str(error))
            return [], []
        states = {file.file_id: error for file in batch.files}
    if states is None:
        service.record_missing(MissingCapability.BATCH_FILES)
        for file in batch.files:
            if file.put.mark.origin is Origin.UPLOADED:
                store.run.ledger.record_loose(file.file_id, f"upload of {file.put.key} that was not attached yet")
        return attach(store, batch.files), []
    if all(isinstance(live, LiveFile) and live.status.ended for live in states.values()):
        store.last_progress = store.client.clock.monotonic()
    states = {file.file_id: _with_reason(states[file.file_id], file) for file in batch.files}
    settled = store.run.pool.map(lambda file: _settle(store, file, states[file.file_id]), batch.files)
    completed: list[str] = []
    failures: list[tuple[str, IngestError | None]] = []
    for file in batch.files:
        live, key, file_type = states[file.file_id], file.put.key, file.put.file.extension
        if isinstance(live, VssyncError):
            continue
        if live.status is FileStatus.COMPLETED:
            completed.append(key)
            service.record_accepted_type(file_type, completed=True)
        elif live.status is FileStatus.FAILED:
            failures.append((key, live.error))
            if live.error and live.error.code == UNSUPPORTED:
                service.record_refused_type(file_type, key)
    store.ingestion.record(completed, failures)
    to_retry = [failed for failed in settled if failed]
    for failed in to_retry:
        store.run.results.set_result_if_interrupted(store.key, [failed.file.put.key], failed.result)
    return [], to_retry


def _wait_for_end(store: StoreContext, batch: InFlightBatch) -> Mapping[str, LiveFile | VssyncError] | None:
    """A batch's files, once they or the wait have ended; None where a batch was accepted and its files were ignored."""
    since: float | None = max(batch.sent, store.last_progress)
    listed: Sequence[LiveFile] = ()
    timeout = INGESTION_DEADLINE
    may_be_ignored = bool(batch.batch_id)  # nothing has shown yet that the batch attached its files
    problem: ServiceError | None = None  # why it could not be read
    if batch.batch_id and store.run.capabilities.batches:
        try:
            has_ended = wait_for_batch(store, batch.batch_id, since)
            listed = store.client.list_batch_files(store.id, batch.batch_id)
            if has_ended and not listed:
                return None
            may_be_ignored = False
            # A stuck batch has used up the wait: read its files once.
            since, timeout = None, INGESTION_DEADLINE if has_ended else 0.0
        except ServiceError as error:
            # Permission to create batches may not include reading them. An error that may pass proves nothing, nor
            # does one of a store that is gone.
            problem, status = error, error.answer.status
            may_pass = status in (0, 408, 429) or (status >= 500 and not is_permanent(error))
            if not may_pass and store.client.can_list_files(store.id):
                give_up_batches(store, "cannot be read here", error)
    file_ids = [file.file_id for file in batch.files]
    visible_by = batch.sent + VISIBILITY_GRACE if may_be_ignored else inf
    files = wait_for_files(store, file_ids, listed=listed, since=since, timeout=timeout, visible_by=visible_by)
    if may_be_ignored and all(file is NOT_VISIBLE for file in files.values()):
        if problem:
            give_up_batches(store, "attach nothing here", problem)
        return None
    return files


def _with_reason(live: LiveFile | VssyncError, file: PendingFile) -> LiveFile | VssyncError:
    """A file as it was read, with the reason why it failed: some services say so only when it is attached."""
    if isinstance(live, VssyncError) or live.status is not FileStatus.FAILED or live.error:
        return live
    return replace(live, error=file.error)


def _settle(store: StoreContext, file: PendingFile, live: LiveFile | VssyncError) -> FileToRetry | None:
    """Records the result of one file; returns it instead if it is to be tried once more."""
    result: Result | None
    try:
        if isinstance(live, VssyncError):
            result = result_of_uncompleted(live)
        elif live.status is FileStatus.COMPLETED:
            result = _settle_completed(store, file, live)
            if result is None:
                return FileToRetry(file, Result(Status.FAILED, "its attributes could not be written"))
            if file.is_attached and not file.put.after_completion:
                result = ALREADY_DONE
        else:
            result = result_of_uncompleted(live)
            if file.put.mark.key_digest in store.concurrent_copies:  # the run that attached it may retry it itself
                detail = f"attached by another run as {file.file_id}; {result.detail}; apply again"
                result = Result(Status.UNKNOWN, detail)
            elif _is_worth_retrying(file, live):
                return FileToRetry(file, result)
    except MarkLost as error:
        # The run brings in no more files, and detaches this one: without a mark no later run can tell that it is ours.
        # It stays where its old copy is gone, so that searches find the file, or where another run attached it.
        store.run.service.record_missing(MissingCapability.ATTRIBUTES)
        if not (file.put.before_attach or file.is_attached):
            with suppress(VssyncError):
                deletes_upload = file.put.mark.origin is Origin.UPLOADED
                store.detach_copy(Drop(file.put.key, file.file_id, deletes_upload))
        result = result_of_error(error)
    except VssyncError as error:
        result = result_of_error(error)
    store.settle(file.put.key, result)
    return None


def _is_worth_retrying(file: PendingFile, live: LiveFile) -> bool:
    """Whether ingestion failed in a way that may be temporary, and this run has tries left."""
    is_permanent = live.error is not None and live.error.is_permanent
    return live.status is FileStatus.FAILED and not is_permanent and file.attempts < file.put.max_attempts


def _settle_completed(store: StoreContext, file: PendingFile, live: LiveFile) -> Result | None:
    """Makes sure that a completed file has its mark, and detaches its old copies; None if it must be attached again."""
    put = file.put
    if isinstance(live.mark, Mark) and live.mark.is_provisional:
        try:
            live = store.writes.set_attributes(store.id, file.file_id, put.attributes, put.mark)
        except ServiceError as error:
            if missing_from_update_error(error) is None or file.attempts > 1:
                raise
            store.run.service.record_missing(MissingCapability.ATTRIBUTE_UPDATES)
            return None
    store.writes.journal.record_held(file.file_id)
    learn_whether_updates_reach_search(store, put.file, file.file_id, put.attributes, put.mark)
    ensure_attributes(store, live, put.attributes, put.mark)
    if not put.chunking.allows(live.chunking):  # ingesting it again would not help
        store.run.announce(
            f"{store.key}: the service reports other chunking than asked for; `vssync plan` says for how many files"
        )
    for drop in put.after_completion:
        store.detach_copy(drop, file.file_id)
    store.completed[put.key] = file.file_id
    return DONE
