"""Attaches uploaded files: one batch where the service has batches, and what else works where it has none.

A service may refuse a whole batch for one file, refuse or ignore the form that gives each file its own attributes, or
have no batches at all. And a reply may be lost: then the files are looked for, never attached again blindly.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

from vssync.api.errors import MissingCapability, missing_from_create_error
from vssync.applier.context import Result, StoreContext, result_of_error
from vssync.applier.upload import InFlightBatch, PendingFile, refused_type_result
from vssync.applier.wait import poll_until
from vssync.errors import LostReply, ServiceError, VssyncError
from vssync.model.state import Capabilities

_RETRIES = 3  # to attach what a lost reply left missing
_REJECTED = (400, 404, 413, 415, 422)


def attach(store: StoreContext, files: Sequence[PendingFile], retries: int = _RETRIES) -> list[InFlightBatch]:
    """Attaches files and returns the batches they are in; records the result of what could not be attached."""
    if completed := tuple(file for file in files if file.completed):
        remaining = [file for file in files if not file.completed]
        return [_record_accepted(store, InFlightBatch(completed)), *attach(store, remaining, retries)]
    if not files:
        return []
    capabilities = store.run.capabilities  # as known now: other stores may learn more meanwhile
    if len(files) > 1 and capabilities.one_by_one:
        # A request each, since one response says nothing of the others. They are polled together, by one listing.
        batches = store.run.pool.map(lambda file: attach(store, [file], retries), files)
        attached = tuple(file for parts in batches for part in parts for file in part.files)
        return [InFlightBatch(attached, sent=store.client.clock.monotonic())] if attached else []
    try:
        batch = _send(store, files, capabilities)
    except LostReply as error:
        return _find_attached(store, files, error, retries)
    except ServiceError as error:
        return _handle_refusal(store, files, error, retries, capabilities)
    except VssyncError as error:  # the journal cannot be written, so this request was not sent; an earlier one may be
        return _leave_unattached(store, files, error)
    return [_record_accepted(store, batch)]


def _record_accepted(store: StoreContext, batch: InFlightBatch) -> InFlightBatch:
    store.run.ledger.record_attached(file.file_id for file in batch.files)
    for file in batch.files:
        store.run.service.record_type_result(file.put.file.extension, accepted=True)
    return replace(batch, sent=store.client.clock.monotonic())


def _send(store: StoreContext, files: Sequence[PendingFile], capabilities: Capabilities) -> InFlightBatch:
    """Sends one request for all files, in the best way there is; only one file where each needs its own."""
    if capabilities.batches and capabilities.batch_files:
        batch_id = store.writes.create_batch(store.id, [file.entry for file in files]).batch.id
        store.run.watcher.on_batch_sent(store.key)
        # Some services answer with the store's id: then nothing is known of the batch, and its files are read.
        return InFlightBatch(tuple(files), "" if batch_id == store.id else batch_id)
    if capabilities.batches and capabilities.attribute_updates:
        # Batches whose files share one chunking and a provisional mark; each file's own attributes come after it.
        def chunking(file: PendingFile) -> tuple[int, int]:
            return file.put.chunking.size, file.put.chunking.overlap

        for _, group in groupby(sorted(files, key=chunking), chunking):
            alike = list(group)
            file_ids = [file.file_id for file in alike]
            store.writes.create_uniform_batch(store.id, file_ids, alike[0].put.chunking, alike[0].mark.as_provisional())
            store.run.watcher.on_batch_sent(store.key)
        return InFlightBatch(tuple(files))
    (file,) = files
    store.writes.attach(store.id, file.entry)
    return InFlightBatch((file,))


def _handle_refusal(
    store: StoreContext, files: Sequence[PendingFile], error: ServiceError, retries: int, tried: Capabilities
) -> list[InFlightBatch]:
    """Attaches files in another form or in halves, or settles the one that is refused."""
    missing = missing_from_create_error(error, [file.file_id for file in files])
    try:
        if missing is MissingCapability.BATCHES and not store.client.is_ready(store.id):
            return _leave_unattached(store, files, error)  # the store is gone: that says nothing of these files
        if _record_missing(store, missing, tried):
            return attach(store, files, retries)
        if _is_already_attached(store, files, error):
            return _find_attached(store, files, error, retries)
    except ServiceError as later:
        return _leave_unattached(store, files, later)
    if error.answer.status not in _REJECTED:  # it says nothing of these files: the next run takes their uploads
        return _leave_unattached(store, files, error)
    if len(files) > 1 and missing is not MissingCapability.ATTRIBUTES:
        remaining = _without_refused_types(store, files)
        if len(remaining) < len(files):
            return attach(store, remaining, retries)
        half = len(files) // 2
        return attach(store, files[:half], retries) + attach(store, files[half:], retries)
    for file in files:
        if error.answer.code == "unsupported_file":
            store.run.service.record_type_result(file.put.file.extension, accepted=False)
        _discard(store, file, result_of_error(error))
    return []


def _record_missing(store: StoreContext, missing: MissingCapability | None, tried: Capabilities) -> bool:
    """Records a capability that was tried and that the service lacks; whether there is another way to try."""
    was_tried = {
        MissingCapability.BATCHES: tried.batches,
        MissingCapability.BATCH_FILES: tried.batches and tried.batch_files,
        MissingCapability.ATTRIBUTES: True,
    }
    if missing is None or not was_tried.get(missing):
        return False
    store.run.service.record_missing(missing)
    return missing is not MissingCapability.ATTRIBUTES


def _is_already_attached(store: StoreContext, files: Sequence[PendingFile], error: ServiceError) -> bool:
    """Whether the refusal means that the store holds such a file already, however the service puts it."""
    code = error.answer.code
    if len(files) > 1 or code in ("file_already_attached", "unsupported_file"):
        return code == "file_already_attached"
    return store.client.is_attached(store.id, files[0].file_id)


def _without_refused_types(store: StoreContext, files: Sequence[PendingFile]) -> list[PendingFile]:
    """Of files refused together, those whose type is not known to be refused; settles the others."""
    remaining = []
    for file in files:
        if store.run.service.is_refused_type(file.put.file.extension):
            _discard(store, file, refused_type_result(file.put))
        else:
            remaining.append(file)
    return remaining


def _find_attached(
    store: StoreContext, files: Sequence[PendingFile], error: ServiceError, retries: int
) -> list[InFlightBatch]:
    """After a lost reply, or where a file is attached already: what is attached goes on, the others are attached again.

    A lost reply may have attached all, so that they get the time of grace to appear.
    """
    wanted = {file.file_id for file in files}
    capabilities = store.run.capabilities
    one_request = len(files) == 1 or (capabilities.batches and capabilities.batch_files)  # then one file tells of all

    def list_attached() -> set[str]:
        return wanted.intersection(live.id for live in store.client.list_files(store.id))

    def are_seen() -> bool:
        if not isinstance(error, LostReply):
            return bool(list_attached())
        return store.client.is_attached(store.id, files[0].file_id) if one_request else list_attached() == wanted

    try:
        poll_until(store.run, are_seen, timeout=store.run.settings.grace)
        attached = list_attached()
    except VssyncError:
        attached, retries = set[str](), 0
    missing = [file for file in files if file.file_id not in attached]
    batch = InFlightBatch(tuple(file for file in files if file.file_id in attached))
    batches = [_record_accepted(store, batch)] if attached else []
    if missing and retries:
        for file in missing:
            store.run.results.record_retry(store.key, file.put.key)
        return batches + attach(store, missing, retries - 1)
    return batches + _leave_unattached(store, missing, error)


def _leave_unattached(store: StoreContext, files: Sequence[PendingFile], error: VssyncError) -> list[InFlightBatch]:
    """Settles files whose uploads stay and are reported: they may be attached, and the next run can use them."""
    for file in files:
        store.settle(file.put.key, result_of_error(error))
    return []


def _discard(store: StoreContext, file: PendingFile, result: Result) -> None:
    """Settles a file. Its upload is deleted at once where no other store can hold it, or else at the end if none does.

    A File that was there before, and was not detached to be attached again, stays as it is.
    """
    store.settle(file.put.key, result)
    ledger = store.run.ledger
    if file.put.existing_id and not ledger.is_loose(file.file_id):
        return
    if not file.put.existing_id and ledger.withdraw(file.file_id, file.put.file):
        with suppress(VssyncError):  # it is tried again at the end
            store.writes.delete_upload(file.file_id)
            ledger.record_closed(file.file_id)
            return
    ledger.schedule_delete(file.file_id, f"upload of {file.put.key} that could not be attached")
