"""The steps beside the waves: cancelled batches, attributes in place, copies to wait for, copies to remove.

Each returns its result, and raises VssyncError where that is the error's.
"""

from __future__ import annotations

from collections.abc import Sequence

from vssync.applier.context import StoreContext
from vssync.applier.results import DONE, Result, not_completed
from vssync.applier.settle import record_read_back
from vssync.applier.steps import BatchStep, Drop, Update, Wait
from vssync.applier.wait import wait_for_batch, wait_for_file, wait_for_files, wait_limit
from vssync.errors import ServiceError, VssyncError
from vssync.model.plan import Status
from vssync.model.state import FileStatus


def cancel_batch(store: StoreContext, step: BatchStep) -> Result:
    """Cancels a batch and waits until nothing in it moves; one that ended meanwhile is fine."""
    try:
        store.writes.cancel_batch(store.id, step.batch_id)
    except ServiceError:
        if not store.client.get_batch(store.id, step.batch_id).batch.status.ended:
            raise
    return await_batch(store, step)


def await_batch(store: StoreContext, step: BatchStep) -> Result:
    """Waits until a batch has ended; its files are looked at by the steps that concern them."""
    if wait_for_batch(store, step.batch_id).status.ended:
        return DONE
    stuck = f"the batch makes no progress; plan again later, or cancel it: vssync cancel {step.batch_id}"
    return Result(Status.UNKNOWN, stuck)


def update_attributes(store: StoreContext, step: Update) -> Result:
    """Writes all of a file's attributes, and what the service made of them into the mark."""
    file = store.writes.set_attributes(store.id, step.file_id, step.attributes, step.mark)
    record_read_back(store, file, step.attributes, step.mark)
    return DONE


def wait_for_copies(store: StoreContext, steps: Sequence[Wait]) -> None:
    """Waits for right copies; when one is completed its superseded copies go."""
    try:
        listed, stuck = wait_for_files(store, {step.file_id for step in steps})
    except VssyncError:
        listed, stuck = {}, False  # each is looked at, and has its own error then
    until = wait_limit(store, stuck=stuck)

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
