"""The steps about what a store holds already: cancel batches, write attributes, wait for copies, drop copies.

A function that carries out one step returns its result; an error it raises becomes the result of the step
(`StoreContext.for_each`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from vssync.api.errors import missing_from_update_error
from vssync.applier.context import DONE, Result, StoreContext, result_of_uncompleted
from vssync.applier.search import STALE_SEARCH
from vssync.applier.steps import BatchStep, Drop, Update, Wait
from vssync.applier.wait import (
    DELETION_WAIT,
    WaitedFiles,
    poll_until,
    wait_for_batch,
    wait_for_file,
    wait_for_files,
    wait_limit,
)
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.model.digests import with_echo
from vssync.model.marks import Mark
from vssync.model.report import Status
from vssync.model.state import Attributes, FileStatus, LiveFile
from vssync.planner.attributes import preserved_attributes

UNLISTED_MARKS = (
    "the service leaves attributes out of listings, by which plans recognize their files: vssync cannot be used here; "
    "`vssync doctor --write` shows what else is missing"
)
_MAX_LOOKS = 3  # at listings that are late, in one run
_LISTING_TIMEOUT = 15.0  # seconds for a listing to follow a write


class MarkLost(VssyncError):
    """A file carries no mark, although one was sent twice, or none that a listing shows."""


def cancel_batch(store: StoreContext, step: BatchStep) -> Result:
    """Cancels a batch and waits until it has ended; the error is ignored where it had ended before."""
    try:
        store.writes.cancel_batch(store.id, step.key)
    except ServiceError:
        if not store.client.get_batch(store.id, step.key).batch.status.ended:
            raise
    return await_batch(store, step)


def await_batch(store: StoreContext, step: BatchStep) -> Result:
    """Waits until a batch has ended; its files are left to the steps that concern them."""
    try:
        if wait_for_batch(store, step.key).status.ended:
            return DONE
    except NotFound:  # it cannot be read: its files are the truth
        return DONE
    detail = f"the batch makes no progress; plan again later, or cancel it: vssync cancel {step.key}"
    return Result(Status.UNKNOWN, detail)


def update_attributes(store: StoreContext, step: Update) -> Result:
    """Writes all of a file's attributes and its mark, and makes sure that the service keeps them.

    Nothing is written where the run found out that searches would not see it: the plan did not know.
    """
    run = store.run
    if run.capabilities.updates_reach_search is False and run.settings.capabilities.updates_reach_search is None:
        return Result(Status.FAILED, STALE_SEARCH)
    if run.service.lists_attributes is False:
        return Result(Status.SKIPPED, UNLISTED_MARKS)
    file = store.writes.set_attributes(store.id, step.file_id, step.attributes, step.mark)
    ensure_attributes(store, file, step.attributes, step.mark)
    return DONE


def wait_for_copies(store: StoreContext, steps: Sequence[Wait]) -> None:
    """Waits for up-to-date copies, and detaches the superseded ones of each that is completed."""
    try:
        waited = wait_for_files(store, {step.file_id for step in steps})
    except VssyncError:
        waited = WaitedFiles()  # each is read by itself, and has its own error then
    listed, until = waited.by_id, wait_limit(store, is_stuck=waited.is_stuck)

    def wait_for_copy(store: StoreContext, step: Wait) -> Result:
        file = listed.get(step.file_id)
        if file is None or not file.status.ended:
            file = wait_for_file(store, step.file_id, until)
        if file.status is not FileStatus.COMPLETED:
            return result_of_uncompleted(file)
        for drop in step.drops:
            store.detach_copy(drop, step.file_id)
        return DONE

    store.for_each(steps, wait_for_copy)


def drop_copy(store: StoreContext, step: Drop) -> Result:
    """Detaches a copy; where another copy of its key is kept, only after reading that one as completed."""
    try:
        is_safe = not step.kept_id or store.client.get_file(store.id, step.kept_id).status is FileStatus.COMPLETED
    except NotFound:
        is_safe = False
    if not is_safe:
        return Result(Status.SKIPPED, f"the copy to keep, {step.kept_id}, is not completed; plan again")
    store.detach_copy(step)
    return DONE


def wait_for_drops(store: StoreContext, drops: Collection[Drop]) -> None:
    """Waits until no dropped copy is listed any more: a late deletion takes the chunks of an equal text along, too.

    Where that takes too long, or cannot be seen, the end of the run says so of the deletion.
    """
    file_ids = {drop.file_id for drop in drops}
    if not file_ids or store.run.service.deletes_late:
        return
    with suppress(ServiceError):
        store.run.service.deletes_late = not poll_until(
            store.run,
            lambda: file_ids.isdisjoint(file.id for file in store.client.list_files(store.id)),
            timeout=DELETION_WAIT,
            subject=f"files to leave {store.key}, since others have the same text",
            consequence="those are attached all the same",
        )


def ensure_attributes(store: StoreContext, live: LiveFile, sent: Attributes, mark: Mark) -> None:
    """Makes sure that a file carries its mark; records in the mark's `echo` how the service changed its attributes.

    Where all is as it was sent, that takes no request. A missing or old mark is sent once more, and an `echo` takes a
    write of its own. Raises MarkLost where the service keeps no attributes, or leaves them out of listings, and
    VssyncError where it keeps the old ones.
    """
    if not live.attributes and live.mark is None:  # perhaps only the listing leaves attributes out
        live = store.client.get_file(store.id, live.id)
    if live.mark != mark:
        live = _resend_attributes(store, live.id, sent, mark)
    mark_with_echo = with_echo(mark, live.attributes, store.ignored_attributes)
    if mark_with_echo != mark:
        others = preserved_attributes(live.attributes, store.ignored_attributes)  # perhaps written since the plan
        store.writes.set_attributes(store.id, live.id, {**sent, **others}, mark_with_echo)
        store.run.say_once(
            f"{store.key}: the service reports other attributes than were sent; `vssync plan` says for how many files"
        )
    _ensure_listed(store, live.id)


def _ensure_listed(store: StoreContext, file_id: str) -> None:
    """Makes sure, until one file of a run shows it, that a listing has the attributes of a file that has some.

    Raises MarkLost where it has not.
    """

    def is_listed_with_attributes() -> bool | None:
        """None where the newest files are others, or are not listed."""
        newest: Sequence[LiveFile] = ()
        with suppress(ServiceError):
            newest = store.client.list_newest_files(store.id)
        return next((bool(file.attributes or file.mark) for file in newest if file.id == file_id), None)

    service = store.run.service
    with service.listing_lock:
        if service.lists_attributes is None and service.listing_looks < _MAX_LOOKS:
            service.listing_looks += 1
            service.lists_attributes = poll_until(
                store.run,
                is_listed_with_attributes,
                is_done=lambda is_listed: is_listed is not False,
                timeout=_LISTING_TIMEOUT,
                subject=f"the listing of {store.key} to have the attributes of its files",
                consequence="the run ends",
            )
    if service.lists_attributes is False:
        raise MarkLost(f"{file_id}: {UNLISTED_MARKS}")


def _resend_attributes(store: StoreContext, file_id: str, sent: Attributes, mark: Mark) -> LiveFile:
    """Sends attributes and mark once more, and reads the file: some services keep none, or old ones, on attaching."""
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
