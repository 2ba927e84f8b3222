"""Waits for attached files and settles each by its own status: done, retried, or reported in the service's words.

And the steps beside the waves: cancelled batches, attributes in place, copies to wait for, copies to remove.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from vssync.api.errors import MissingCapability, missing_from_update_error
from vssync.applier.attach import attach
from vssync.applier.context import DONE, Result, StoreContext, failed, not_completed
from vssync.applier.steps import BatchStep, Drop, Update, Wait
from vssync.applier.upload import InFlightBatch, PendingFile
from vssync.applier.wait import wait_for_batch, wait_for_file, wait_for_files, wait_limit, wait_until_detached
from vssync.errors import ServiceError, VssyncError
from vssync.model.digests import with_echo
from vssync.model.marks import Mark, Origin
from vssync.model.report import Status
from vssync.model.state import Attributes, FileStatus, LiveFile
from vssync.planner.attributes import preserved_attributes
from vssync.planner.classify import MAX_TRIES, PERMANENT


class MarkLost(VssyncError):
    """A file carries no mark although one was sent, twice."""


def wait_and_settle(store: StoreContext, batch: InFlightBatch) -> list[InFlightBatch]:
    """Waits for a batch and settles its files; returns the batches of those that are tried once more."""
    since = max(batch.sent, store.last_progress)
    try:
        if batch.batch_id:
            stuck = not wait_for_batch(store, batch.batch_id, since).status.ended
            files = store.client.list_batch_files(store.id, batch.batch_id)
        else:
            files, stuck = wait_for_files(store, {file.file_id for file in batch.files}, since)
    except VssyncError as error:
        for file in batch.files:
            store.settle(file.put.key, failed(error))
        return []
    if batch.batch_id and batch.files and not files and not stuck:  # taken, and ignored: it ended without any file
        store.run.service.record_missing(MissingCapability.BATCH_FILES)
        return attach(store, batch.files)
    if not stuck:
        store.last_progress = store.client.clock.monotonic()
    until = wait_limit(store, stuck=stuck)
    listed = {file.id: file for file in files}
    retries = store.run.pool.map(lambda file: _settle(store, file, listed.get(file.file_id), until), batch.files)
    return attach(store, [file for file in retries if file])


def _settle(store: StoreContext, file: PendingFile, live: LiveFile | None, until: float) -> PendingFile | None:
    """Waits for one file until the time `until` and records its end; returns it when it is to be tried once more."""
    try:
        live = live if live and live.status.ended else wait_for_file(store, file.file_id, until)
        completed = live.status is FileStatus.COMPLETED
        marked = _with_own_attributes(store, file, live) if completed else live
        is_transient = live.status is FileStatus.FAILED and (live.error is None or live.error.code not in PERMANENT)
        if marked is None or (is_transient and file.mark.tries < MAX_TRIES):
            return _take_out(store, file)
        result = _complete(store, file, marked) if completed else not_completed(live)
    except MarkLost as error:
        # It is taken out while this run knows whose it is, and no more are brought in. Where the old copy was detached
        # first it stays: unmarked it is still found by those who search.
        store.run.service.record_missing(MissingCapability.ATTRIBUTES)
        if not file.put.before_attach:
            with suppress(VssyncError):
                store.detach_copy(Drop(file.put.key, file.file_id, file.put.mark.origin is Origin.UPLOADED))
        result = failed(error)
    except VssyncError as error:
        result = failed(error)
    store.settle(file.put.key, result)
    return None


def _with_own_attributes(store: StoreContext, file: PendingFile, live: LiveFile) -> LiveFile | None:
    """The file with its own attributes, which one attached together with others gets only now.

    None where the service turns out to change no attributes: such a file must be attached by itself.
    """
    if not (isinstance(live.mark, Mark) and live.mark.is_provisional):
        return live
    try:
        return store.writes.set_attributes(store.id, file.file_id, file.put.attributes, file.mark)
    except ServiceError as error:
        if missing_from_update_error(error) is None or file.mark.tries >= MAX_TRIES:
            raise
        store.run.service.record_missing(MissingCapability.ATTRIBUTE_UPDATES)
        return None


def _complete(store: StoreContext, file: PendingFile, live: LiveFile) -> Result:
    """A store is seen to hold the file: its mark is checked, then its old copies go."""
    put = file.put
    store.writes.journal.record_held(file.file_id)
    record_read_back(store, live, put.attributes, file.mark)
    if not put.chunking.auto and live.chunking not in (None, put.chunking):  # another ingestion would bring the same
        store.run.say_once(
            f"{store.key}: the service reports other chunking than asked for; `vssync plan` says for how many files"
        )
    for drop in put.afterwards:
        store.detach_copy(drop)
    return DONE


def _take_out(store: StoreContext, file: PendingFile) -> PendingFile:
    """Detaches a file; what is returned is ready to be attached once more."""
    if not file.put.existing_id:
        store.run.ledger.record_loose(file.file_id, f"upload of {file.put.key} that was to be attached again")
    store.writes.detach(store.id, file.file_id, ours=file.put.mark.origin is Origin.UPLOADED, file=file.put.file)
    wait_until_detached(store, file.file_id)
    store.run.results.record_retry(store.key, file.put.key)
    return replace(file, completed=False, mark=replace(file.mark, tries=file.mark.tries + 1))


def record_read_back(store: StoreContext, live: LiveFile, sent: Attributes, mark: Mark) -> None:
    """Writes the mark's `echo` when the file's attributes differ from those sent; usually no request.

    A listing that leaves attributes out says nothing: then the file is read by itself. Raises MarkLost where the
    service keeps no attributes, VssyncError where it keeps the old ones.
    """
    if not live.attributes and live.mark is None:
        live = store.client.get_file(store.id, live.id)
    if live.mark != mark:
        live = _resend_attributes(store, live.id, sent, mark)
    noted = with_echo(mark, live.attributes, store.ignore)
    if noted != mark:
        others = preserved_attributes(live.attributes, store.ignore)  # perhaps written since the plan
        store.writes.set_attributes(store.id, live.id, {**sent, **others}, noted)
        store.run.say_once(
            f"{store.key}: the service reports other attributes than were sent; `vssync plan` says for how many files"
        )


def _resend_attributes(store: StoreContext, file_id: str, sent: Attributes, mark: Mark) -> LiveFile:
    """The file with the mark: some services keep no attributes while attaching, or those of an earlier time."""
    refused = False
    try:
        store.writes.set_attributes(store.id, file_id, sent, mark)
    except ServiceError as error:
        if missing_from_update_error(error) is None:
            raise
        refused = True
    live = store.client.get_file(store.id, file_id)
    if live.mark == mark:
        return live
    if isinstance(live.mark, Mark):
        raise VssyncError(
            f"{file_id}: the service {'refused' if refused else 'accepted'} new attributes and kept the old ones; set "
            "`attribute_updates: false` under `service.capabilities`, so that plans allow for it"
        )
    why = ", and cannot change attributes later" if refused else ""
    raise MarkLost(
        f"{file_id}: the service lost the mark that was sent along{why}; vssync cannot recognize a file without one; "
        "`vssync doctor --write` shows what the service keeps"
    )


# Each of the steps beside the waves returns its result, and raises VssyncError where that is the error's.


def cancel_batch(store: StoreContext, step: BatchStep) -> Result:
    """Cancels a batch and waits until nothing in it moves; one that ended meanwhile is fine."""
    try:
        store.writes.cancel_batch(store.id, step.key)
    except ServiceError:
        if not store.client.get_batch(store.id, step.key).batch.status.ended:
            raise
    return await_batch(store, step)


def await_batch(store: StoreContext, step: BatchStep) -> Result:
    """Waits until a batch has ended; its files are looked at by the steps that concern them."""
    if wait_for_batch(store, step.key).status.ended:
        return DONE
    stuck = f"the batch makes no progress; plan again later, or cancel it: vssync cancel {step.key}"
    return Result(Status.UNKNOWN, stuck)


def update_attributes(store: StoreContext, step: Update) -> Result:
    """Writes all of a file's attributes, and what the service made of them into the mark."""
    file = store.writes.set_attributes(store.id, step.file_id, step.attributes, step.mark)
    record_read_back(store, file, step.attributes, step.mark)
    return DONE


def wait_for_copies(store: StoreContext, steps: Sequence[Wait]) -> None:
    """Waits for right copies; when one is completed its superseded copies go."""
    try:
        files, stuck = wait_for_files(store, {step.file_id for step in steps})
    except VssyncError:
        files, stuck = (), False  # each is looked at, and has its own error then
    listed, until = {file.id: file for file in files}, wait_limit(store, stuck=stuck)

    def wait_for_copy(store: StoreContext, step: Wait) -> Result:
        file = listed.get(step.file_id)
        if file is None or not file.status.ended:
            file = wait_for_file(store, step.file_id, until)
        if file.status is not FileStatus.COMPLETED:
            return not_completed(file)
        for drop in step.drops:
            store.detach_copy(drop)
        return DONE

    store.for_each(steps, wait_for_copy)


def remove_copy(store: StoreContext, step: Drop) -> Result:
    """Detaches a copy; where another copy of its key is kept, only after reading that one as completed."""
    if step.kept_id and store.client.get_file(store.id, step.kept_id).status is not FileStatus.COMPLETED:
        return Result(Status.SKIPPED, f"the copy to keep, {step.kept_id}, is not completed; plan again")
    store.detach_copy(step)
    return DONE
