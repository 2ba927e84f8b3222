"""Attaches uploaded files: in one batch where the service can do that, otherwise with the requests that it has.

A service may refuse a whole batch for one file, refuse or ignore batches whose files have attributes of their own, or
have no batches at all. And a reply may be lost: then the files are looked for, never attached again blindly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

from vssync.api.errors import MissingCapability, file_named_by, missing_from_create_error
from vssync.api.parse import AttachmentEntry
from vssync.applier.context import StoreContext, result_of_error
from vssync.applier.upload import InFlightBatch, PendingFile, put_back, refused_type_message, result_of_unattached
from vssync.applier.wait import ERROR_GRACE, VISIBILITY_GRACE, Waiting, find_attached, poll_until
from vssync.applier.watcher import Result
from vssync.errors import LostReply, NotFound, ServiceError, VssyncError
from vssync.model.report import Status
from vssync.model.service import Capabilities
from vssync.model.state import TYPE_WAYS_OUT, UNSUPPORTED

_MAX_RETRIES = 3  # to attach what a lost reply left missing
_REJECTED = (400, 404, 413, 415, 422)  # statuses by which a service refuses files; others are not about the files
_Attempt = tuple[list[InFlightBatch], Sequence[PendingFile]]  # the batches made, and the files still to be attached


def attach(store: StoreContext, files: Sequence[PendingFile], retries: int = _MAX_RETRIES) -> list[InFlightBatch]:
    """Attaches files and returns the batches they are in; records the result of what could not be attached.

    `retries` is how often files that a lost reply left missing may still be attached again.
    """
    batches: list[InFlightBatch] = []
    if attached := tuple(file for file in files if file.is_attached):
        # They get a batch of their own, so that they are settled like all others.
        batches.append(_record_batch(store, InFlightBatch(attached)))
        files = [file for file in files if not file.is_attached]
    while files and not store.run.is_broken:
        if store.stop_reason:
            for file in files:
                settle_unattached(store, file, result_of_unattached(file.put, store.short_stop_reason))
            break
        made, files = _attach_once(store, files, retries)
        batches += made
    return batches


def _attach_once(store: StoreContext, files: Sequence[PendingFile], retries: int) -> _Attempt:
    """Attaches files by what this run knows of the service.

    Files of a refused request are left to be attached if the service may take them in another form, or without others.
    """
    capabilities = store.run.capabilities  # what this request relies on: other threads may learn more meanwhile
    if len(requests := _split_into_requests(files, capabilities)) > 1:
        # Each request is attached by a call of its own, which handles its errors. Then the files of all are joined in
        # one batch, so that one listing polls them.
        for_each: Callable[..., Iterable[list[InFlightBatch]]] = store.run.pool.map if capabilities.one_by_one else map
        batches_of_each = for_each(lambda request: attach(store, request, retries), requests)
        attached = tuple(file for batches in batches_of_each for batch in batches for file in batch.files)
        return [InFlightBatch(attached, sent=store.client.clock.monotonic())] if attached else [], ()
    try:
        batch = _send_when_visible(store, files, capabilities)
    except LostReply as error:
        return _attach_missing(store, files, error, retries), ()
    except ServiceError as error:
        return _handle_refusal(store, files, error, retries, capabilities)
    except VssyncError as error:  # the journal cannot be written, so nothing was sent
        return settle_by_error(store, files, error), ()
    return [_record_batch(store, batch)], ()


def _split_into_requests(files: Sequence[PendingFile], capabilities: Capabilities) -> list[list[PendingFile]]:
    """The files that each request attaches: those of a uniform batch share their chunking."""
    if capabilities.one_by_one:
        return [[file] for file in files]
    if capabilities.batch_files:
        return [list(files)]

    def chunking_of(file: PendingFile) -> tuple[int, int]:
        return file.put.chunking.size, file.put.chunking.overlap

    return [list(group) for _, group in groupby(sorted(files, key=chunking_of), chunking_of)]


def _record_batch(store: StoreContext, batch: InFlightBatch) -> InFlightBatch:
    """Records that the service accepted files, and returns their batch as sent now."""
    store.refusals.reset()
    store.run.ledger.record_attached(file.file_id for file in batch.files)
    attached = Result(Status.UNKNOWN, "attached, but the run ended before it was completed; plan again")
    store.run.results.set_result_if_interrupted(store.key, [file.put.key for file in batch.files], attached)
    for file in batch.files:
        store.run.service.record_accepted_type(file.put.file.extension)
    return replace(batch, sent=store.client.clock.monotonic())


def _send_when_visible(store: StoreContext, files: Sequence[PendingFile], capabilities: Capabilities) -> InFlightBatch:
    """Attaches files, again and again while a 404 may mean that something new is not visible yet."""
    errors: list[NotFound] = []
    began = store.client.clock.monotonic()

    def send() -> InFlightBatch | None:
        try:
            return _send_attach(store, files, capabilities)
        except NotFound as error:
            if store.visibility_wait_used >= VISIBILITY_GRACE or not _may_become_visible(store, files, error):
                raise
            errors.append(error)
            return None

    timeout = VISIBILITY_GRACE - store.visibility_wait_used
    waiting = Waiting(f"{store.key} and its new files to become visible to the service", "they fail", timeout)
    batch = poll_until(store.run, send, waiting)
    if errors:
        store.visibility_wait_used += store.client.clock.monotonic() - began
    if batch is None:
        raise errors[-1]
    return batch


def _may_become_visible(store: StoreContext, files: Sequence[PendingFile], error: NotFound) -> bool:
    """Whether a 404 may be temporary: it is about an upload of this run, or both the route and the store exist."""
    if named_id := file_named_by(error, [file.file_id for file in files]):
        return any(file.file_id == named_id and not file.put.existing_id for file in files)
    if not store.client.can_list_files(store.id):
        return False
    is_batch = not error.answer.path.endswith("/files")
    if is_batch and MissingCapability.BATCHES.value in store.run.settings.confirmed_capabilities:
        return True
    return store.client.has_route(store.id, "file_batches" if is_batch else "files")


def _send_attach(store: StoreContext, files: Sequence[PendingFile], capabilities: Capabilities) -> InFlightBatch:
    """Sends the one request that attaches these files: a batch, or the request for a single file."""
    sent = Result(Status.UNKNOWN, "sent to be attached, but the run ended before the reply; plan again")
    store.run.results.set_result_if_interrupted(store.key, [file.put.key for file in files], sent)
    store.run.ledger.record_uncertain(file.file_id for file in files)
    if capabilities.batches and capabilities.batch_files:
        batch_id = store.writes.create_batch(store.id, [file.entry for file in files]).batch.id
        store.run.watcher.on_batch_sent(store.key, batch_id, len(files))
        # Some services answer with the store's id; then only the files can be read, and not the batch.
        return InFlightBatch(tuple(files), "" if batch_id == store.id else batch_id)
    if capabilities.uniform_batches:
        # Its files share a provisional mark; the attributes of each are written when it is completed.
        first, file_ids = files[0].put, [file.file_id for file in files]
        store.writes.create_uniform_batch(store.id, file_ids, first.chunking, first.mark.as_provisional())
        store.run.watcher.on_batch_sent(store.key, "", len(files))
        return InFlightBatch(tuple(files))
    (file,) = files
    return InFlightBatch((replace(file, error=store.writes.attach(store.id, file.entry).error),))


def _handle_refusal(
    store: StoreContext, files: Sequence[PendingFile], error: ServiceError, retries: int, relied_on: Capabilities
) -> _Attempt:
    """Settles the file that was refused, or attaches refused files in halves, or leaves them for another form.

    `relied_on` are the capabilities that the refused request made use of.
    """
    file_ids = [file.file_id for file in files]
    missing = missing_from_create_error(error, file_ids)
    # If the request did not need what seems to be missing, the error is about something else. All need attributes.
    is_needed = {
        MissingCapability.BATCHES: relied_on.batches,
        MissingCapability.BATCH_FILES: relied_on.batches and relied_on.batch_files,
    }
    try:
        if missing is MissingCapability.BATCHES and not store.client.can_list_files(store.id):
            return settle_by_error(store, files, error), ()  # the store is gone, which says nothing of these files
        if missing and is_needed.get(missing, True):
            if missing is MissingCapability.BATCHES:
                give_up_batches(store, "do not exist here", error)
            store.run.service.record_missing(missing)
            if missing is not MissingCapability.ATTRIBUTES:  # without attributes there is no fallback
                return [], files
        named_id = file_named_by(error, file_ids)
        named = next((file for file in files if file.file_id == named_id), None)
        concerned = files[0] if len(files) == 1 else named
        if _is_already_attached(store, concerned, error):
            return _attach_missing(store, files, error, retries), ()
    except ServiceError as lookup_error:
        return settle_by_error(store, files, lookup_error), ()
    if error.answer.status not in _REJECTED:
        return settle_by_error(store, files, error), ()
    if len(files) > 1 and named:
        _settle_refused(store, named, error)
        return [], _without_refused_types(store, [file for file in files if file is not named])
    if len(files) > 1 and missing is not MissingCapability.ATTRIBUTES:
        remaining = _without_refused_types(store, files)
        if len(remaining) < len(files):
            return [], remaining
        first, second = _split(store, files)
        return attach(store, first, retries) + attach(store, second, retries), ()
    for file in files:  # one; or all, where the service keeps no attributes
        _settle_refused(store, file, error)
    return [], ()


def give_up_batches(store: StoreContext, problem: str, error: ServiceError) -> None:
    """Makes the run attach files one by one from now on; tells the user, and what to declare so that plans know."""
    if store.run.capabilities.batches:
        store.run.service.record_missing(MissingCapability.BATCHES)
        way_out = "set `batches: false` under `service.capabilities`, so that plans know"
        store.run.announce(f"batches {problem}, so files are attached one by one ({way_out}): {error}")


def _settle_refused(store: StoreContext, file: PendingFile, error: ServiceError) -> None:
    """Settles a file that was refused, and undoes what was done to attach it."""
    result = _result_of_attach_error(file, error)
    if error.answer.code == UNSUPPORTED:
        store.run.service.record_refused_type(file.put.file.extension, file.put.key)
        result = replace(result, detail=f"{result.detail}; {TYPE_WAYS_OUT}")
    store.record_refusal(error, [file.put.key])
    _settle_and_undo(store, file, result)


def _result_of_attach_error(file: PendingFile, error: VssyncError) -> Result:
    """The result of a file that was not attached because of an error, which may be about another file."""
    result = result_of_error(error)
    if result.status is not Status.FAILED:
        return result
    return replace(result, detail=result_of_unattached(file.put, result.detail).detail)


def _split(store: StoreContext, files: Sequence[PendingFile]) -> tuple[Sequence[PendingFile], Sequence[PendingFile]]:
    """Files that were refused together, split into proven and unproven types if both occur, else in halves."""
    proven = [file for file in files if file.put.file.extension not in store.steps.unproven]
    if 0 < len(proven) < len(files):
        return proven, [file for file in files if file not in proven]
    return files[: len(files) // 2], files[len(files) // 2 :]


def _is_already_attached(store: StoreContext, file: PendingFile | None, error: ServiceError) -> bool:
    """Whether a request was refused because the store holds a file already; `file` is the one it is about, if known.

    Some services have an error code for that. Otherwise the store is asked, unless the refusal is about a file's type.
    """
    if error.answer.code == "file_already_attached":
        return True
    return file is not None and error.answer.code != UNSUPPORTED and store.client.is_attached(store.id, file.file_id)


def _without_refused_types(store: StoreContext, files: Sequence[PendingFile]) -> list[PendingFile]:
    """Settles those of the refused files whose type this run knows to be refused; returns the others."""
    remaining = []
    for file in files:
        if store.is_refused_type(file.put.file.extension):
            result = result_of_unattached(file.put, refused_type_message(file.put), Status.FAILED)
            _settle_and_undo(store, file, result)
        else:
            remaining.append(file)
    return remaining


def _attach_missing(
    store: StoreContext, files: Sequence[PendingFile], error: ServiceError, retries: int
) -> list[InFlightBatch]:
    """After a lost reply, or where a file is attached already: finds out which files are, and attaches the others.

    The request without a reply may have attached all its files, so they get time to appear.
    """
    wanted = {file.file_id for file in files}
    capabilities = store.run.capabilities
    is_service_error = isinstance(error, LostReply) and error.is_service_error

    def is_any_attached() -> bool:
        if isinstance(error, LostReply):  # a request attaches all its files or none, so the first stands for all
            return store.client.is_attached(store.id, files[0].file_id)
        return bool(find_attached(store, wanted))

    subject = f"files of {store.key} to appear (no usable reply when they were attached)"
    consequence = "they are attached again" if retries else "they are given up in this run"
    waiting = Waiting(subject, consequence, ERROR_GRACE if is_service_error else VISIBILITY_GRACE)
    try:
        poll_until(store.run, is_any_attached, waiting)
        attached = find_attached(store, wanted)
        if is_service_error:  # it reported a failure, so files that are missing have failed, and are not unknown
            error = ServiceError(error.answer.message, error.answer)
    except VssyncError:  # what is attached cannot be read, so nothing is attached again
        attached, retries = set[str](), 0
    missing = [file for file in files if file.file_id not in attached]
    batch = InFlightBatch(tuple(file for file in files if file.file_id in attached))
    batches = [_record_batch(store, batch)] if attached else []
    if missing and retries:
        # The service's second error in a row: batches are given up.
        if is_service_error and retries < _MAX_RETRIES and not capabilities.one_by_one:
            give_up_batches(store, "cannot be created here", error)
        for file in missing:
            store.run.results.record_retry(store.key, file.put.key)
        return batches + attach(store, missing, retries - 1)
    return batches + settle_by_error(store, missing, error)


def settle_by_error(store: StoreContext, files: Sequence[PendingFile], error: VssyncError) -> list[InFlightBatch]:
    """Settles files by an error that is not about them. Their uploads stay: the next run can use them.

    Returns an empty list, for callers that return the batches of their files.
    """
    store.record_refusal(error, [file.put.key for file in files])
    for file in files:
        settle_unattached(store, file, _result_of_attach_error(file, error))
    return []


def settle_unattached(store: StoreContext, file: PendingFile, result: Result) -> None:
    """Settles a file that is not attached, for a reason that is not about it; a detached File of others goes back."""
    store.settle(file.put.key, result)
    put_back(store, file.put, file.entry)


def _settle_and_undo(store: StoreContext, file: PendingFile, result: Result) -> None:
    """Settles a file that was refused, and undoes what was done to attach it.

    A new upload is deleted: now where no other store can hold it, else at the end of the run if no store does.
    An upload of ours that was detached to be attached again is deleted at the end of the run if no store holds it.
    A File of others that was detached is attached again without attributes, as the service may have refused those, and
    so without our mark. Any other File of others stays as it is.
    """
    store.settle(file.put.key, result)
    ledger = store.run.ledger
    if file.put.existing_id and not ledger.is_loose(file.file_id):  # of others: ours became loose when it was detached
        put_back(store, file.put, AttachmentEntry(file.file_id, {}, file.put.chunking))
        return
    if not file.put.existing_id and ledger.withdraw(file.file_id, file.put.file):
        with suppress(VssyncError):  # it is tried again at the end
            store.writes.delete_upload(file.file_id)
            ledger.record_closed(file.file_id)
            return
    ledger.schedule_delete(file.file_id, f"upload of {file.put.key} that could not be attached")
