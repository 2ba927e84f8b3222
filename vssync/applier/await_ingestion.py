"""Waits for attached files and settles each by its own status: done, tried once more, or failed as the service says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from vssync.api.errors import MissingCapability, missing_from_update_error
from vssync.applier.attach import attach
from vssync.applier.context import DONE, Result, StoreContext, result_of_error, result_of_uncompleted
from vssync.applier.existing import MarkLost, ensure_attributes
from vssync.applier.search import learn_from_new_file
from vssync.applier.steps import Drop
from vssync.applier.upload import InFlightBatch, PendingFile
from vssync.applier.wait import WaitedFiles, wait_for_batch, wait_for_file, wait_for_files, wait_limit
from vssync.errors import ServiceError, VssyncError
from vssync.model.marks import Mark, Origin
from vssync.model.report import Status
from vssync.model.state import FileStatus, LiveFile


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file to be tried once more, and its result if it is not."""

    file: PendingFile
    result: Result


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a file ended, as far as it was read, and whether it has no result yet, since it is to be tried once more."""

    live: LiveFile | None = None
    retry: FailedFile | None = None


def wait_and_settle(store: StoreContext, batch: InFlightBatch) -> tuple[list[InFlightBatch], list[FailedFile]]:
    """Waits for a batch and settles its files.

    Returns the batches of those that were attached in another form, and the files to be tried once more.
    """
    try:
        waited = _wait_for_end(store, batch)
    except VssyncError as error:
        if store.run.is_broken:
            store.run.say_once(str(error))
            return [], []
        for file in batch.files:
            store.settle(file.put.key, _unread(error))
        return [], []
    if batch.files and waited.has_no_files:  # the service ignored the `files` of the request
        store.run.service.record_missing(MissingCapability.BATCH_FILES)
        return attach(store, batch.files), []
    if not waited.is_stuck:
        store.last_progress = store.client.clock.monotonic()
    listed, until = waited.by_id, wait_limit(store, is_stuck=waited.is_stuck)
    endings = store.run.pool.map(lambda file: _settle(store, file, listed.get(file.file_id), until), batch.files)
    ended = [(file.put.key, ending.live) for file, ending in zip(batch.files, endings, strict=True) if ending.live]
    for file, ending in zip(batch.files, endings, strict=True):
        _record_type(store, file, ending.live)
    store.intake.record(
        [key for key, live in ended if live.status is FileStatus.COMPLETED],
        [(key, live.error) for key, live in ended if live.status is FileStatus.FAILED],
    )
    failed = [ending.retry for ending in endings if ending.retry]
    for each in failed:
        store.run.results.record_state(store.key, [each.file.put.key], each.result)
    return [], failed


def _wait_for_end(store: StoreContext, batch: InFlightBatch) -> WaitedFiles:
    """Waits until a batch has ended, or its files where it has no id or cannot be read."""
    since = max(batch.sent, store.last_progress)
    if batch.batch_id:
        try:
            has_ended = wait_for_batch(store, batch.batch_id, since).status.ended
            files = store.client.list_batch_files(store.id, batch.batch_id)
            return WaitedFiles(files, is_stuck=not has_ended, has_no_files=has_ended and not files)
        except ServiceError as error:
            may_pass = error.answer.status in (0, 408, 429) or error.answer.status >= 500
            if not may_pass:  # a right to create batches need not be one to read them
                store.run.service.record_missing(MissingCapability.BATCHES)
                store.run.say_once(f"batches cannot be read here, so files are attached one by one: {error}")
    return wait_for_files(store, {file.file_id for file in batch.files}, since)


def _settle(store: StoreContext, file: PendingFile, live: LiveFile | None, until: float) -> _Ending:
    """Waits for one file until `until`, on the monotonic clock, and records its result unless it is tried once more."""
    result: Result | None
    try:
        live = live if live and live.status.ended else wait_for_file(store, file.file_id, until)
    except VssyncError as error:
        store.settle(file.put.key, _unread(error))
        return _Ending()
    try:
        result = _complete(store, file, live) if live.status is FileStatus.COMPLETED else result_of_uncompleted(live)
        if result is None:
            return _Ending(live, FailedFile(file, Result(Status.FAILED, "its attributes could not be written")))
        if _is_worth_retrying(file, live):
            return _Ending(live, FailedFile(file, result))
    except MarkLost as error:
        # The new copy is detached now, since without a mark no later run can tell that it is ours; and the run brings
        # in no more files. But where the old copy is gone already, it is kept: searches find it even unmarked.
        store.run.service.record_missing(MissingCapability.ATTRIBUTES)
        if not file.put.before_attach:
            with suppress(VssyncError):
                is_our_upload = file.put.mark.origin is Origin.UPLOADED
                store.detach_copy(Drop(file.put.key, file.file_id, is_our_upload))
        result = result_of_error(error)
    except VssyncError as error:
        result = result_of_error(error)
    store.settle(file.put.key, result)
    return _Ending(live)


def _unread(error: VssyncError) -> Result:
    """The result of a file that was attached, and whose end could not be read."""
    return replace(result_of_error(error), status=Status.UNKNOWN)


def _record_type(store: StoreContext, file: PendingFile, live: LiveFile | None) -> None:
    """Records what a file's ending says of its type."""
    if live and live.status is FileStatus.COMPLETED:
        store.run.service.record_accepted_type(file.put.file.extension, completed=True)
    elif live and live.error and live.error.code == "unsupported_file":
        store.run.service.record_refused_type(file.put.file.extension, file.put.key)


def _is_worth_retrying(file: PendingFile, live: LiveFile) -> bool:
    """Whether ingestion failed in a way that may pass, and this run has tries left."""
    is_permanent = live.error is not None and live.error.is_permanent
    return live.status is FileStatus.FAILED and not is_permanent and file.attempts < file.put.max_attempts


def _complete(store: StoreContext, file: PendingFile, live: LiveFile) -> Result | None:
    """Makes sure of a completed file's mark, and drops its old copies; None where it must be attached once more."""
    put = file.put
    if isinstance(live.mark, Mark) and live.mark.is_provisional:
        written = _write_own_attributes(store, file)
        if written is None:
            return None
        live = written
    store.writes.journal.record_held(file.file_id)
    learn_from_new_file(store, put, file.file_id, put.mark)
    ensure_attributes(store, live, put.attributes, put.mark)
    if not put.chunking.auto and live.chunking not in (None, put.chunking):  # to ingest it once more would not help
        store.run.say_once(
            f"{store.key}: the service reports other chunking than asked for; `vssync plan` says for how many files"
        )
    for drop in put.afterwards:
        store.detach_copy(drop, file.file_id)
    return DONE


def _write_own_attributes(store: StoreContext, file: PendingFile) -> LiveFile | None:
    """Writes the attributes of a file that was attached together with others; None where they cannot be changed."""
    try:
        return store.writes.set_attributes(store.id, file.file_id, file.put.attributes, file.put.mark)
    except ServiceError as error:
        if missing_from_update_error(error) is None or file.attempts > 1:
            raise
        store.run.service.record_missing(MissingCapability.ATTRIBUTE_UPDATES)
        return None
