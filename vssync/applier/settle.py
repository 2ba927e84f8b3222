"""Waits for attached files and settles each by its own status: done, retried, or reported in the service's words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from vssync.api.capabilities import MissingCapability, missing_from_update_error
from vssync.applier.attach import attach
from vssync.applier.context import StoreContext
from vssync.applier.results import DONE, failed, short_of_completed
from vssync.applier.steps import Drop, Put
from vssync.applier.upload import InFlightBatch, PendingFile, is_our_upload, wait_until_detached
from vssync.applier.wait import give_up, wait_for_batch, wait_for_file, wait_for_files
from vssync.errors import ServiceError, VssyncError
from vssync.model.digests import attributes_digest, with_echo
from vssync.model.marks import Mark
from vssync.model.state import Attributes, FileStatus, LiveFile
from vssync.planner.classify import MAX_TRIES, PERMANENT


def wait_and_settle(at: StoreContext, flight: InFlightBatch) -> list[InFlightBatch]:
    """Settles a flight; the flights of what is tried once more."""
    try:
        listed, stuck = _listed(at, flight)
    except VssyncError as error:
        for load in flight.loads:
            at.result(load.put.key, failed(error))
        at.settled(len(flight.loads))
        return []
    if flight.batch_id and flight.loads and not listed and not stuck:
        at.run.lacks(MissingCapability.BATCH_FILES)  # taken, and ignored: the batch ended without any of its files
        return attach(at, flight.loads)
    if not stuck:
        at.pace.moved = at.client.clock.monotonic()
    by = give_up(at, stuck=stuck)
    ends = at.run.pool.map(lambda load: _settle(at, load, listed.get(load.file_id), by), flight.loads)
    return attach(at, [load for load in ends if load])


def _listed(at: StoreContext, flight: InFlightBatch) -> tuple[Mapping[str, LiveFile], bool]:
    """The flight's files as far as one listing tells, and whether nothing moved among them for the run's deadline.

    The listing is its batch's, or the store's.
    """
    since = max(flight.sent, at.pace.moved)
    if flight.batch_id:
        stuck = not wait_for_batch(at, flight.batch_id, since).status.ended
        return {file.id: file for file in at.client.batch_files(at.id, flight.batch_id)}, stuck
    return wait_for_files(at, {load.file_id for load in flight.loads}, since)


def _settle(at: StoreContext, load: PendingFile, file: LiveFile | None, by: float) -> PendingFile | None:
    """One file's end, waited for until the time `by`; the load again when it is to be tried once more."""
    put = load.put
    try:
        file = file if file and file.status.ended else wait_for_file(at, load.file_id, by)
        if file.status is FileStatus.COMPLETED:
            marked = _marked(at, load, file)
            if marked is None:
                return _taken_out(at, load).again()
            at.writes.journal.held(load.file_id)
            record_read_back(at, marked, put.attributes, load.mark)
            _compare_chunking(at, put, file)
            if not put.gap:
                for drop in put.drops:
                    at.detach(drop)
            at.result(put.key, DONE)
        elif _worth_another(load, file):
            return _taken_out(at, load).again()
        else:
            at.result(put.key, short_of_completed(file))
    except Unmarked as error:
        _given_up(at, load, error)
    except VssyncError as error:
        at.result(put.key, failed(error))
    at.settled()
    return None


def _marked(at: StoreContext, load: PendingFile, file: LiveFile) -> LiveFile | None:
    """The file with its own attributes, which one attached together with others gets only now.

    None where the service turns out to change no attributes: such a file must be attached by itself.
    """
    if not (isinstance(file.mark, Mark) and file.mark.is_provisional):
        return file
    try:
        return at.writes.set_attributes(at.id, load.file_id, load.put.attributes, load.mark)
    except ServiceError as error:
        if missing_from_update_error(error) is None or load.mark.tries >= MAX_TRIES:
            raise
        at.run.lacks(MissingCapability.ATTRIBUTE_UPDATES)
        return None


def _compare_chunking(at: StoreContext, put: Put, file: LiveFile) -> None:
    """Other chunking is never worth another ingestion, which would bring the same; a person should know."""
    if not put.chunking.auto and file.chunking not in (None, put.chunking):
        at.run.say_once(f"{at.key}: the service reports other chunking than asked for; the next plan counts the files")


def _taken_out(at: StoreContext, load: PendingFile) -> PendingFile:
    """The load with its File out of the store, ready to be attached once more."""
    if not load.put.file_id:
        at.run.uploaded(load.file_id, f"upload of {load.put.key} that was to be attached again")
    at.writes.detach(at.id, load.file_id, ours=is_our_upload(load.put), file=load.put.file)
    wait_until_detached(at, load.file_id)
    at.again(load.put.key)
    return load


def _given_up(at: StoreContext, load: PendingFile, error: VssyncError) -> None:
    """A copy that carries no mark is taken out while this run knows whose it is, and no more are brought in.

    Where the old copy went first it stays: unmarked it is still found by those who search.
    """
    at.run.lacks(MissingCapability.ATTRIBUTES)
    at.result(load.put.key, failed(error))
    if not load.put.gap:
        with suppress(VssyncError):
            at.detach(Drop(load.put.key, load.file_id, is_our_upload(load.put)))


def _worth_another(load: PendingFile, file: LiveFile) -> bool:
    """Transient failures are tried again; permanent ones and cancelled files are not."""
    code = file.error.code if file.error else ""
    return file.status is FileStatus.FAILED and code not in PERMANENT and load.mark.tries < MAX_TRIES


class Unmarked(VssyncError):
    """A file carries no mark although one was sent, twice."""


def record_read_back(at: StoreContext, file: LiveFile, sent: Attributes, mark: Mark) -> None:
    """Writes the mark's `echo` when the file's attributes differ from those sent; usually no request.

    A listing that leaves attributes out says nothing: then the file is read by itself. Raises Unmarked where the
    service keeps no attributes, VssyncError where it keeps the ones there were.
    """
    if not file.attributes and file.mark is None:
        file = at.file(file.id)
    if file.mark != mark:
        file = _sent_again(at, file.id, sent, mark)
    if attributes_digest(file.attributes) != attributes_digest(sent):
        noted = with_echo(mark, file.attributes, at.ignore)
        at.writes.set_attributes(at.id, file.id, sent, noted)
        if noted.echo:
            at.run.say_once(
                f"{at.key}: the service reports other attributes than were sent; the next plan counts the files"
            )


def _sent_again(at: StoreContext, file_id: str, sent: Attributes, mark: Mark) -> LiveFile:
    """The file with the mark: some services keep no attributes while attaching, or those of an earlier time."""
    why = ""
    try:
        at.writes.set_attributes(at.id, file_id, sent, mark)
    except ServiceError as error:
        if missing_from_update_error(error) is None:
            raise
        why = ", and changes no attributes later"
    file = at.file(file_id)
    if file.mark == mark:
        return file
    if isinstance(file.mark, Mark):
        raise VssyncError(
            f"{file_id}: the service took new attributes and kept the old ones; say `attribute_updates: false` under "
            "`service.capabilities`, and the plan knows it"
        )
    raise Unmarked(
        f"{file_id}: the service lost the mark that was sent along{why}; a file without one is nobody's; "
        "`vssync doctor --write` shows what the service keeps"
    )
