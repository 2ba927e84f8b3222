"""Waits for attached files and settles each by its own status: done, retried, or reported in the service's words."""

from __future__ import annotations

from collections.abc import Mapping

from vssync.applier import echo
from vssync.applier.attaching import attach
from vssync.applier.context import StoreRun
from vssync.applier.loads import Flight, Load, ours, see_gone
from vssync.applier.polling import ENDED, end_of_batch, end_of_file, files_ended, give_up
from vssync.applier.results import DONE, failed, short_of_completed
from vssync.errors import VssyncError
from vssync.model import FileStatus, LiveFile
from vssync.ownership import PROVISIONAL, Mark, read_mark
from vssync.planner.copies import MAX_TRIES, PERMANENT


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
        at.run.ways.batch_files = False  # taken, and ignored: the batch ended without any of its files
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
            echo.settle(at, _marked(at, load, file), load.attributes)
            if not put.gap:
                for drop in put.drops:
                    at.detach(drop)
            at.result(put.key, DONE)
        elif _worth_another(load, file):
            if not put.file_id:
                at.run.uploaded(load.file_id, f"upload of {put.key} that was to be attached again")
            at.writes.detach(at.id, load.file_id, ours=ours(put), file=put.file)
            see_gone(at, load.file_id)
            at.again(put.key)
            return load.again()
        else:
            at.result(put.key, short_of_completed(file))
    except VssyncError as error:
        at.result(put.key, failed(error))
    at.settled()
    return None


def _marked(at: StoreRun, load: Load, file: LiveFile) -> LiveFile:
    """The file with its own attributes: one that was attached together with others has none yet."""
    mark = read_mark(file.attributes)
    if isinstance(mark, Mark) and mark.key == PROVISIONAL:
        return at.writes.set_attributes(at.id, load.file_id, load.attributes)
    return file


def _worth_another(load: Load, file: LiveFile) -> bool:
    """Transient failures are tried again; permanent ones and cancelled files are not."""
    code = file.error.code if file.error else ""
    return file.status is FileStatus.FAILED and code not in PERMANENT and load.tries < MAX_TRIES
