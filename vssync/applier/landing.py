"""Waits for attached files and settles each by its own status: done, retried, or reported in the service's words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from vssync.api.lacks import Lack, on_update
from vssync.applier import echo
from vssync.applier.attaching import attach
from vssync.applier.context import StoreRun
from vssync.applier.loads import Flight, Load, ours, see_gone
from vssync.applier.polling import ENDED, end_of_batch, end_of_file, files_ended, give_up
from vssync.applier.results import DONE, failed, short_of_completed
from vssync.errors import ServiceError, VssyncError
from vssync.model import FileStatus, LiveFile
from vssync.ownership import PROVISIONAL, Mark, read_mark
from vssync.planner.copies import MAX_TRIES, PERMANENT
from vssync.steps import Drop, Put


def land(at: StoreRun, flight: Flight) -> list[Flight]:
    """Settles a flight; the flights of what is tried once more."""
    try:
        listed, stuck = _listed(at, flight)
    except VssyncError as error:
        for load in flight.loads:
            at.result(load.put.key, failed(error))
        at.settled(len(flight.loads))
        return []
    if flight.batch_id and flight.loads and not listed and not stuck:
        at.run.lacks(Lack.BATCH_FILES)  # taken, and ignored: the batch ended without any of its files
        return attach(at, flight.loads)
    if not stuck:
        at.pace.moved = at.client.clock.monotonic()
    by = give_up(at, stuck=stuck)
    ends = at.run.pool.map(lambda load: _settle(at, load, listed.get(load.file_id), by), flight.loads)
    return attach(at, [load for load in ends if load])


def _listed(at: StoreRun, flight: Flight) -> tuple[Mapping[str, LiveFile], bool]:
    """The flight's files as far as one listing tells, and whether nothing moved among them for the run's deadline.

    The listing is its batch's, or the store's.
    """
    since = max(flight.sent, at.pace.moved)
    if flight.batch_id:
        stuck = end_of_batch(at, flight.batch_id, since).status not in ENDED
        return {file.id: file for file in at.client.batch_files(at.id, flight.batch_id)}, stuck
    return files_ended(at, {load.file_id for load in flight.loads}, since)


def _settle(at: StoreRun, load: Load, file: LiveFile | None, by: float) -> Load | None:
    """One file's end, waited for until the time `by`; the load again when it is to be tried once more."""
    put = load.put
    try:
        file = file if file and file.status in ENDED else end_of_file(at, load.file_id, by)
        if file.status is FileStatus.COMPLETED:
            marked = _marked(at, load, file)
            if marked is None:
                return _taken_out(at, load).again()
            at.writes.journal.held(load.file_id)
            echo.settle(at, marked, load.attributes)
            _compare_chunking(at, put, file)
            if not put.gap:
                for drop in put.drops:
                    at.detach(drop)
            at.result(put.key, DONE)
        elif _worth_another(load, file):
            return _taken_out(at, load).again()
        else:
            at.result(put.key, short_of_completed(file))
    except echo.Unmarked as error:
        _given_up(at, load, error)
    except VssyncError as error:
        at.result(put.key, failed(error))
    at.settled()
    return None


def _marked(at: StoreRun, load: Load, file: LiveFile) -> LiveFile | None:
    """The file with its own attributes, which one attached together with others gets only now.

    None where the service turns out to change no attributes: such a file must be attached by itself.
    """
    mark = read_mark(file.attributes)
    if not (isinstance(mark, Mark) and mark.key == PROVISIONAL):
        return file
    try:
        return at.writes.set_attributes(at.id, load.file_id, load.attributes)
    except ServiceError as error:
        if on_update(error) is None or load.tries >= MAX_TRIES:
            raise
        at.run.lacks(Lack.ATTRIBUTE_UPDATES)
        return None


def _compare_chunking(at: StoreRun, put: Put, file: LiveFile) -> None:
    """Other chunking is never worth another ingestion, which would bring the same; a person should know."""
    if not put.chunking.auto and file.chunking not in (None, put.chunking):
        at.run.say_once(f"{at.key}: the service reports other chunking than asked for; the next plan counts the files")


def _taken_out(at: StoreRun, load: Load) -> Load:
    """The load with its File out of the store, ready to be attached once more."""
    if not load.put.file_id:
        at.run.uploaded(load.file_id, f"upload of {load.put.key} that was to be attached again")
    at.writes.detach(at.id, load.file_id, ours=ours(load.put), file=load.put.file)
    see_gone(at, load.file_id)
    at.again(load.put.key)
    return load


def _given_up(at: StoreRun, load: Load, error: VssyncError) -> None:
    """A copy that carries no mark is taken out while this run knows whose it is, and no more are brought in.

    Where the old copy went first it stays: unmarked it is still found by those who search.
    """
    at.run.lacks(Lack.ATTRIBUTES)
    at.result(load.put.key, failed(error))
    if not load.put.gap:
        with suppress(VssyncError):
            at.detach(Drop(load.put.key, load.file_id, ours(load.put)))


def _worth_another(load: Load, file: LiveFile) -> bool:
    """Transient failures are tried again; permanent ones and cancelled files are not."""
    code = file.error.code if file.error else ""
    return file.status is FileStatus.FAILED and code not in PERMANENT and load.tries < MAX_TRIES
