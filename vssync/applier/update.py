"""The steps beside the waves: cancelled batches, attributes in place, copies to wait for, copies to remove."""

from __future__ import annotations

from collections.abc import Sequence

from vssync.applier.context import StoreContext
from vssync.applier.results import DONE, Result, failed, short_of_completed
from vssync.applier.settle import record_read_back
from vssync.applier.steps import AwaitBatch, CancelBatch, Drop, Update, Wait
from vssync.applier.wait import give_up, wait_for_batch, wait_for_file, wait_for_files
from vssync.errors import ServiceError, VssyncError
from vssync.model.report import Status
from vssync.model.state import FileStatus, LiveFile


def cancel_batch(at: StoreContext, step: CancelBatch) -> None:
    """Cancels a batch and waits until it stands still; one that ended meanwhile is fine."""
    try:
        try:
            at.writes.cancel_batch(at.id, step.batch_id)
        except ServiceError:
            if not at.client.batch(at.id, step.batch_id).batch.status.ended:
                raise
        _batch_result(at, step.batch_id)
    except VssyncError as error:
        at.result(step.batch_id, failed(error))


def await_batch(at: StoreContext, step: AwaitBatch) -> None:
    """Waits until a batch has ended; its files are looked at by the steps that concern them."""
    try:
        _batch_result(at, step.batch_id)
    except VssyncError as error:
        at.result(step.batch_id, failed(error))


def _batch_result(at: StoreContext, batch_id: str) -> None:
    ended = wait_for_batch(at, batch_id).status.ended
    still = f"the batch stands still; plan again later, or give it up: vssync cancel {batch_id}"
    at.result(batch_id, DONE if ended else Result(Status.UNKNOWN, still))


def update_attributes(at: StoreContext, step: Update) -> None:
    """Writes a file's attributes as a whole, and what the service made of them into the mark."""
    try:
        file = at.writes.set_attributes(at.id, step.file_id, step.attributes, step.mark)
        record_read_back(at, file, step.attributes, step.mark)
        at.result(step.key, DONE)
    except VssyncError as error:
        at.result(step.key, failed(error))


def wait_for_copies(at: StoreContext, steps: Sequence[Wait]) -> None:
    """Waits for right copies; when one is completed its superseded copies go."""
    try:
        listed, stuck = wait_for_files(at, {step.file_id for step in steps})
    except VssyncError:
        listed, stuck = {}, False  # each is looked at, and has its own error then
    by = give_up(at, stuck=stuck)

    def settle(at: StoreContext, step: Wait) -> None:
        try:
            file = listed.get(step.file_id)
            _settle(at, step, file if file and file.status.ended else wait_for_file(at, step.file_id, by))
        except VssyncError as error:
            at.result(step.key, failed(error))

    at.each(settle, steps)


def _settle(at: StoreContext, step: Wait, file: LiveFile) -> None:
    if file.status is not FileStatus.COMPLETED:
        at.result(step.key, short_of_completed(file))
        return
    for drop in step.drops:
        at.detach(drop)
    at.result(step.key, DONE)


def remove_copies(at: StoreContext, step: Drop) -> None:
    """Detaches a copy; where another copy of its key is kept, only after reading that one as completed."""
    try:
        if step.kept and at.file(step.kept).status is not FileStatus.COMPLETED:
            why = f"the copy to keep, {step.kept}, is not completed"
            at.result(step.key, Result(Status.SKIPPED, f"{why}; plan again"))
            return
        at.detach(step)
        at.result(step.key, DONE)
    except VssyncError as error:
        at.result(step.key, failed(error))
